# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""DNS records: /v1/types/mail/instances/<uuid>/domains/<uuid>/records/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import dns_records


class MailDnsRecordController(base.OfParent):
    """DNS records: /v1/types/mail/instances/<uuid>/domains/<uuid>/records/."""

    __pr_name__ = "domain"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.DNS_RECORD_POLICY

    __resource__ = resources.ResourceWithCustomProps(
        dns_records.MailDnsRecord,
        read_only=(
            *("domain", "purpose", "type", "name", "value", "strings", "ttl", "required"),
            *("status", "found", "detail", "suggestion", "servers", "checked_at", "project_id"),
        ),
        hidden=("known_status",),
        parent="domain",
    )


class MailDnsRecordRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/domains/<uuid>/records/[<uuid>]."""

    __one__, __many__ = "a DNS record", "DNS records"
    __controller__ = MailDnsRecordController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER, routes.GET]
