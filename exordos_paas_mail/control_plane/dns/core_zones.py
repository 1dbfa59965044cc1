# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The zones of Core's DNS, each opened for the one project it is of.

The control plane's role at Core reads and writes the zones of every project, because one token
serves all of them. What keeps an instance out of a stranger's zone is ``_open`` alone: there is
no other way to a ``Zone``, and a zone is asked for anew at each pass.
"""

from __future__ import annotations

import dataclasses
import re
import typing as tp

from bazooka import exceptions as bazooka_exceptions

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection, Mapping

    from gcl_sdk.clients.http import base as core_http

_ZONES: tp.Final = "/v1/dns/domains/"
# Core serves a zone with this tag to the internet (exordos_core.dns_sync.service).
_PUBLIC: tp.Final = "public"
_VALUE_FIELDS: tp.Final = {"A": "address", "TXT": "content"}
_QUOTED: tp.Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: tp.Final = re.compile(r"\\(.)")


class NotOpenError(Exception):
    """The project has no zone that may be written to; the text says why."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a zone; *name* is whole, without a final dot, and *value* without quotes."""

    uuid: str
    type: str
    name: str
    value: str
    ttl: int
    disabled: bool
    tags: tuple[str, ...]


class Zones:
    """Core's zones."""

    def __init__(self, client: core_http.CollectionBaseClient) -> None:
        self._core = client

    def enclosing(self, domain: str, project: sys_uuid.UUID) -> Zone:
        """Return the zone that *domain* is in; NotOpenError unless *project* has it.

        The closest one decides, as it does in DNS: a zone of somebody else's
        below one of the project's is not written around.
        """
        labels = domain.split(".")
        names = [".".join(labels[start:]) for start in range(len(labels))]
        found = self._core.filter(_ZONES, name=names)
        for name in names:
            # Core does not keep a name from being taken twice: each of them must be the project's.
            opened = [self._open(zone, project) for zone in found if zone["name"] == name]
            if opened:
                return opened[0]
        raise NotOpenError(f"Core DNS has no zone for {domain} in this project")

    def of_uuid(self, uuid: str, project: sys_uuid.UUID) -> Zone:
        """Return a zone that was written to before; NotOpenError unless *project* still has it."""
        try:
            found = self._core.get(_ZONES, tp.cast("sys_uuid.UUID", uuid))
        except bazooka_exceptions.NotFoundError:
            raise NotOpenError("the zone is gone from Core DNS") from None
        return self._open(found, project)

    def _open(self, found: Mapping[str, tp.Any], project: sys_uuid.UUID) -> Zone:
        if found.get("project_id") != str(project):
            # What others have in Core is not told.
            raise NotOpenError(f"Core DNS has no zone {found['name']} in this project")
        return Zone(self._core, found)


class Zone:
    """A zone, and the rows in it."""

    def __init__(self, client: core_http.CollectionBaseClient, found: Mapping[str, tp.Any]) -> None:
        """Only ``Zones._open`` makes one."""
        self._core = client
        self._project = found["project_id"]
        self.uuid = str(found["uuid"])
        self.name = str(found["name"])
        self.is_public = _PUBLIC in (found.get("tags") or ())
        self._rows = f"{_ZONES}{self.uuid}/records/"

    def holds(self, name: str) -> bool:
        """Return whether *name* is the zone's own name or below it."""
        return name == self.name or name.endswith(f".{self.name}")

    def rows_of(self, names: Collection[str]) -> list[Row]:
        """Return the rows of *names*."""
        if not names:
            return []
        return [self._row(each) for each in self._core.filter(self._rows, name=sorted(names))]

    def rows_with(self, tag: str) -> list[Row]:
        """Return the rows that have *tag*."""
        rows = map(self._row, self._core.filter(self._rows, q=f'tags:"{tag}"'))
        return [row for row in rows if tag in row.tags]

    def add(self, rdtype: str, name: str, value: str, ttl: int, tags: Collection[str]) -> None:
        """Add a row."""
        self._core.create(
            self._rows,
            {
                "type": rdtype,
                "ttl": ttl,
                "tags": list(tags),
                "project_id": self._project,
                "record": self._record(rdtype, name, value),
            },
        )

    def change(self, row: Row, value: str, ttl: int) -> None:
        """Give *row* a value, and have it served."""
        self._core.update(
            self._rows,
            tp.cast("sys_uuid.UUID", row.uuid),
            ttl=ttl,
            disabled=False,
            record=self._record(row.type, row.name, value),
        )

    def remove(self, row: Row) -> None:
        """Take *row* away; one that is gone is no error."""
        try:
            self._core.delete(self._rows, tp.cast("sys_uuid.UUID", row.uuid))
        except bazooka_exceptions.NotFoundError:
            return

    def _record(self, rdtype: str, name: str, value: str) -> dict[str, str]:
        relative = name.removesuffix(self.name).rstrip(".") or "@"
        return {"kind": rdtype, "name": relative, _VALUE_FIELDS[rdtype]: value}

    def _row(self, found: Mapping[str, tp.Any]) -> Row:
        record = found["record"]
        value = str(record.get(_VALUE_FIELDS.get(found["type"], "content"), ""))
        return Row(
            uuid=str(found["uuid"]),
            type=found["type"],
            name=str(found["name"]).rstrip("."),
            value=_unquoted(value) if found["type"] == "TXT" else value,
            ttl=found["ttl"],
            disabled=found["disabled"],
            tags=tuple(found.get("tags") or ()),
        )


def _unquoted(value: str) -> str:
    """Return the text of a TXT row: PowerDNS takes one that begins with a quote as strings."""
    if not value.startswith('"'):
        return value
    return "".join(_ESCAPED.sub(r"\1", text) for text in _QUOTED.findall(value))
