# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Notices: events that the control plane alone knows, for the node to send to webhooks.

They are documents (``node_documents``): a ring of shards, each of which holds the notices
of some numbers in a row, and is written anew when its turn comes again. Numbers are in the
order of what happened and leave none out. What tells a notice from any other is its
identifier: a database that was restored counts anew.
"""

from __future__ import annotations

import dataclasses
import datetime
import types
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import bounded

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COLLECTION: tp.Final = "notices"
SHARDS: tp.Final = 16
SHARD_SIZE: tp.Final = 64
"""Notices of a shard."""
SIZE_MAX: tp.Final = 15_000
"""Octets of the data of one, as JSON: as many as a shard has are a document."""
TEXT_SIZE_MAX: tp.Final = 512
"""Characters of one of its texts."""
KEPT: tp.Final = datetime.timedelta(days=7)
"""How long one is told, and sent."""

# By the type that a webhook asks for: the field of its data that says what it is about.
# Notices about the same are sent one after the other.
ABOUT: tp.Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "suppression.added": "address",
        "suppression.removed": "address",
        "suppression.imported": "",
        "domain.verified": "domain",
        "domain.degraded": "domain",
        "domain.unverified": "domain",
        "dkim.visible": "domain",
        "dkim.activated": "domain",
        "dkim.degraded": "domain",
        "dkim.retiring": "domain",
        "dkim.revoked": "domain",
        "certificate.active": "",
        "certificate.expiring": "",
        "certificate.error": "",
        "account.created": "account",
        "account.enabled": "account",
        "account.disabled": "account",
        "account.deleted": "account",
        "account.held": "account",
        "account.released": "account",
        "account.reputation_low": "account",
        "credential.expiring": "credential",
    }
)

_VERSION: tp.Final = 1
_TYPE_SIZE_MAX: tp.Final = 64


@dataclasses.dataclass(frozen=True)
class Notice:
    """Something that happened; its time is in milliseconds since 1970, UTC."""

    id: sys_uuid.UUID
    number: int
    at: int
    type: str
    data: Mapping[str, tp.Any]
    """As its receiver sees it."""

    @property
    def key(self) -> str:
        """What it is about."""
        subject = self.type.partition(".")[0]
        return f"{subject} {self.data.get(ABOUT.get(self.type, ''), '')}"


def shard_of(number: int) -> str:
    """Return the shard of a number."""
    return f"{number // SHARD_SIZE % SHARDS:x}"


def first_of_ring(last: int) -> int:
    """Return the first number that is told when *last* is the last."""
    return max(1, (last // SHARD_SIZE - SHARDS + 1) * SHARD_SIZE)


def bounded_data(data: Mapping[str, tp.Any]) -> dict[str, tp.Any]:
    """Return *data* as JSON can have it: texts of one line, not too long, and no None.

    Times are aware, and told as the API tells them.
    """
    size = TEXT_SIZE_MAX
    while True:
        told = {
            name: _plain(value, size) for name, value in data.items() if value not in (None, "")
        }
        if size == 0 or len(bounded.dump(told)) <= SIZE_MAX:
            return told
        size //= 2


def _plain(value: tp.Any, size: int) -> tp.Any:
    if isinstance(value, datetime.datetime):
        return f"{value.astimezone(datetime.timezone.utc):%Y-%m-%dT%H:%M:%S.%f}Z"
    if isinstance(value, sys_uuid.UUID):
        return str(value)
    return bounded.plain(value, size) if isinstance(value, str) else value


def render(notices: Iterable[Notice]) -> bytes:
    """Return the document of a shard; ``parse`` is the inverse."""
    return bounded.dump(
        {
            "version": _VERSION,
            "notices": [{**vars(one), "id": str(one.id), "data": one.data} for one in notices],
        }
    )


def parse(data: bytes) -> list[Notice]:
    """Return the notices of a document; raises ValueError, without a word of it.

    Fields of a later release are passed over.
    """
    fields = bounded.Fields(bounded.load(data, "the notices"), "the notices")
    if fields.number("version") != _VERSION:
        raise fields.error("version")
    return [_notice(value) for value in fields.list("notices", SHARD_SIZE)]


def _notice(value: object) -> Notice:
    fields = bounded.Fields(value, "a notice")
    data = fields.object("data")
    if not isinstance(data, dict) or len(bounded.dump(data)) > SIZE_MAX:
        raise fields.error("data")
    try:
        uuid = sys_uuid.UUID(fields.text("id"))
    except ValueError as error:
        raise fields.error("id") from error
    return Notice(
        uuid,
        fields.number("number"),
        fields.number("at"),
        fields.text("type", _TYPE_SIZE_MAX),
        data,
    )
