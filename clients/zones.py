# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A zone of Core's DNS, as its owner has it."""

from __future__ import annotations

import typing as tp

from clients import internet

if tp.TYPE_CHECKING:
    from clients import rest

_ZONES: tp.Final = "/v1/dns/domains/"
_VALUES: tp.Final = {"A": "address", "TXT": "content", "NS": "content"}
# Core serves zones with this tag to the internet.
_PUBLIC: tp.Final = "public"


class Zone:
    """A zone and its rows, as the user of *core*."""

    def __init__(self, core: rest.Api, zone: rest.Json) -> None:
        """*zone* is Core's answer."""
        self._core = core
        self.name = str(zone["name"])
        self.path = f"{_ZONES}{zone['uuid']}"
        self._rows = f"{self.path}/records/"

    def rows(self) -> list[rest.Json]:
        """Return the rows, but for the one SOA."""
        return [row for row in self._core.list(self._rows) if row["type"] != "SOA"]

    def values(self) -> list[str]:
        """Return name, type and value of each row, sorted."""
        return sorted(
            f"{row['name']} {row['type']} {row['record'][_VALUES[row['type']]]}"
            for row in self.rows()
        )

    def add(self, rdtype: str, name: str, value: str) -> rest.Json:
        """Add a row; *name* is relative to the zone, @ is the zone itself."""
        record = {"kind": rdtype, "name": name, _VALUES[rdtype]: value}
        return self._core.create(self._rows, {"type": rdtype, "record": record})

    def change(self, row: rest.Json, **fields: tp.Any) -> None:
        """Change fields of a row."""
        self._core.expect(200, "PUT", f"{self._rows}{row['uuid']}", fields)

    def remove(self, row: rest.Json) -> None:
        """Remove a row."""
        self._core.delete(f"{self._rows}{row['uuid']}")

    def delete(self) -> None:
        """Delete the zone with its rows."""
        self._core.delete(self.path)


def make(core: rest.Api, name: str) -> Zone:
    """Make a zone that Core serves to the internet, with the name servers it is delegated to."""
    zone = Zone(core, core.create(_ZONES, {"name": name, "tags": [_PUBLIC]}))
    for server in internet.CLOUD_SERVERS:
        zone.add("NS", "@", f"{server}.")
    return zone


def find(core: rest.Api, name: str) -> Zone | None:
    """Return the zone of that name, if there is one."""
    found = core.list(_ZONES, name=name)
    return Zone(core, found[0]) if found else None
