# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Domains: /v1/types/mail/instances/<uuid>/domains/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import actions, routes

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import dkim_keys, domains


class MailDomainController(base.OfInstance):
    """Domains: /v1/types/mail/instances/<uuid>/domains/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.DOMAIN_POLICY

    __resource__ = resources.Resource(
        domains.MailDomain,
        read_only=(
            "is_primary",
            "status",
            "error",
            "verified_at",
            "dns_status",
            "dkim_public_key",
            "dkim_selector",
        ),
        set_once=("instance", "domain"),
        hidden=("declaration_error",),
        name_map={"is_primary": "primary"},
    )

    @actions.post
    def rotate(self, resource: domains.MailDomain) -> domains.MailDomain:
        # The platform asks for the right to read the domain only.
        self._enforce("update")
        dkim_keys.rotate(resource)
        return resource


class RotateAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/domains/<uuid>/actions/rotate/invoke."""

    __controller__ = MailDomainController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]


class MailDomainRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/domains/[<uuid>]."""

    __one__, __many__ = "a domain", "domains"
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {"rotate": "Replace the DKIM keys of a domain"}
    __controller__ = MailDomainController

    rotate = routes.action(RotateAction, invoke=True)
