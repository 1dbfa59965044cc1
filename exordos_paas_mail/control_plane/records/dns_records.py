# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The DNS records that a domain needs, and what the last check found of each."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, relationships, types
from restalchemy.storage.sql import orm

from exordos_paas_mail.control_plane.records import dns_statuses, domains, fields

# RFC 1035 section 3.3: a character string.
_STRING_SIZE_MAX: tp.Final = 255


def strings(value: str) -> list[str]:
    """Return the value of a TXT record as its character strings, of 255 octets at most."""
    return [
        value[start : start + _STRING_SIZE_MAX] for start in range(0, len(value), _STRING_SIZE_MAX)
    ]


class MailDnsRecord(
    models.ModelWithUUID,
    models.ModelWithProject,
    models.ModelWithTimestamp,
    orm.SQLStorableMixin,
    models.CustomPropertiesMixin,
):
    """A DNS record of a domain: all of it is a fact, written by the checker."""

    __tablename__ = "mail_dns_records"
    __custom_properties__: tp.ClassVar[dict[str, tp.Any]] = {
        "strings": types.TypedList(types.String()),
    }

    domain = relationships.relationship(domains.MailDomain, required=True, read_only=True)
    purpose = properties.property(types.String(), required=True)
    type = properties.property(types.String(), required=True)
    name = properties.property(types.String(), required=True)
    value = properties.property(types.String(), required=True)
    ttl = properties.property(types.Integer(), required=True)
    required = properties.property(types.Boolean(), default=True)
    status = properties.property(types.Enum(list(dns_statuses.ALL)), default=dns_statuses.PENDING)
    # The last status that was no ERROR: silence changes nothing of the domain's ``dns_status``.
    known_status = properties.property(types.String(), default=dns_statuses.PENDING)
    found = properties.property(types.List(), default=list)
    detail = properties.property(types.String(), default="")
    suggestion = properties.property(types.String(), default="")
    servers = properties.property(types.List(), default=list)
    checked_at = properties.property(fields.Moment(), default=None)

    @property
    def strings(self) -> list[str]:
        """Return the value as the strings of a TXT record; nothing of another type."""
        return strings(self.value) if self.type == "TXT" else []
