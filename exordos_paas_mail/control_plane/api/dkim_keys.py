# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""DKIM keys: /v1/types/mail/instances/<uuid>/domains/<uuid>/dkim_keys/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import dkim_keys


class MailDkimKeyController(base.OfParent):
    """DKIM keys: /v1/types/mail/instances/<uuid>/domains/<uuid>/dkim_keys/."""

    __pr_name__ = "domain"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.DKIM_KEY_POLICY

    __resource__ = resources.ResourceWithCustomProps(
        dkim_keys.MailDkimKey,
        read_only=(
            "selector",
            "state",
            "public_key",
            "record",
            "visible_at",
            "activated_at",
            "retiring_at",
            "revoked_at",
            "safe_to_remove_at",
            "safe_to_remove",
        ),
        set_once=("domain", "algorithm"),
        hidden=("instance",),
        parent="domain",
    )


class MailDkimKeyRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/domains/<uuid>/dkim_keys/[<uuid>]."""

    __one__, __many__ = "a DKIM key", "DKIM keys"
    __controller__ = MailDkimKeyController
    __allow_methods__: tp.ClassVar[list[str]] = [
        routes.FILTER,
        routes.CREATE,
        routes.GET,
        routes.DELETE,
    ]
