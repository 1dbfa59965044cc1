# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Where a set of nodes lives: its directory, its wire, its share of the machine.

Everything a site puts on the machine carries the site's name, so that what a
crash left behind is found by name and needs no records.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as tp

if tp.TYPE_CHECKING:
    import pathlib


@dataclasses.dataclass(frozen=True)
class Site:
    """One set of nodes on one bridge.

    *name* is at most six letters: it is part of interface names, which the
    kernel limits to 15 characters. *public* are addresses at which the machine
    answers nodes as servers of the internet do: no node has one, and each has a
    route to them.
    """

    name: str
    directory: pathlib.Path
    subnet: ipaddress.IPv4Network
    public: ipaddress.IPv4Network | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]{1,6}", self.name):
            raise ValueError(f"a site's name is 1 to 6 lower-case letters: {self.name!r}")
        if re.search(r"[:,\\]", str(self.directory)):
            raise ValueError(f"overlayfs cannot name a path with : , or \\: {self.directory}")

    @property
    def bridge(self) -> str:
        """The bridge all nodes of the site are plugged into."""
        return f"br-{self.name}"

    @property
    def address(self) -> ipaddress.IPv4Interface:
        """The machine's own address on the bridge: the first of the subnet."""
        return ipaddress.IPv4Interface((self.subnet[1], self.subnet.prefixlen))

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network, ...]:
        """All networks of the site."""
        return (self.subnet, *([self.public] if self.public else []))

    @property
    def nodes(self) -> pathlib.Path:
        """One directory a node; a re-image empties it."""
        return self.directory / "nodes"

    @property
    def volumes(self) -> pathlib.Path:
        """One directory a data disk; outlives the node's root."""
        return self.directory / "volumes"

    @property
    def logs(self) -> pathlib.Path:
        """What the site's processes said."""
        return self.directory / "logs"
