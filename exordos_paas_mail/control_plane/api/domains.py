# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Domains: /v1/types/mail/instances/<uuid>/domains/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import actions, routes
from restalchemy.dm import filters

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.dns import expected, zone_file
from exordos_paas_mail.control_plane.records import (
    dkim_keys,
    dns_checks,
    dns_records,
    domains,
)


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
            "return_path",
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
        self.require("update")
        dkim_keys.rotate(resource)
        return resource

    @actions.post
    def check(self, resource: domains.MailDomain) -> domains.MailDomain:
        self.require("update")
        dns_checks.ask(resource.uuid, resource.instance.uuid)
        return resource

    @actions.get
    def zone_file(self, resource: domains.MailDomain) -> base.PlainText:
        rows = dns_records.MailDnsRecord.objects.get_all(
            filters={"domain": filters.EQ(resource.uuid)}, order_by={"created_at": "asc"}
        )
        records = [expected.Record(row.purpose, row.type, row.name, row.value) for row in rows]
        records.sort(key=lambda record: expected.PURPOSES.index(record.purpose))
        return base.PlainText(zone_file.render(resource.domain, records))


class CheckAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/domains/<uuid>/actions/check/invoke."""

    __controller__ = MailDomainController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]


class ZoneFileAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/domains/<uuid>/actions/zone_file."""

    __controller__ = MailDomainController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.GET]


class RotateAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/domains/<uuid>/actions/rotate/invoke."""

    __controller__ = MailDomainController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]


class MailDomainRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/domains/[<uuid>]."""

    __one__, __many__ = "a domain", "domains"
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {
        "rotate": "Replace the DKIM keys of a domain",
        "check": "Check the DNS records of a domain now",
        "zone_file": "Get the DNS records of a domain as a zone file",
    }
    __texts__: tp.ClassVar[tp.Collection[str]] = ("zone_file",)
    __controller__ = MailDomainController

    rotate = routes.action(RotateAction, invoke=True)
    check = routes.action(CheckAction, invoke=True)
    zone_file = routes.action(ZoneFileAction)
