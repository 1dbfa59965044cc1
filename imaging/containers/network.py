# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The site's wire: a bridge on the machine, a network namespace a node.

No packet of a node leaves the machine: nodes have no default route, forwarding
is not switched on, and ``unreachable`` routes stand in for the site's networks when
the bridge is gone.
"""

from __future__ import annotations

import dataclasses
import pathlib
import typing as tp

from imaging import commands

if tp.TYPE_CHECKING:
    import ipaddress

    from imaging.containers import sites

# Far behind the bridge's own route (metric 0).
_UNREACHABLE_METRIC: tp.Final = "4242"
_NETNS: tp.Final = pathlib.Path("/run/netns")
_LINKS: tp.Final = pathlib.Path("/sys/class/net")
INTERFACE: tp.Final = "host0"


@dataclasses.dataclass(frozen=True)
class Port:
    """One plug on the bridge; *label* is at most eight characters."""

    site: sites.Site
    label: str

    @property
    def namespace(self) -> str:
        """The node's network namespace."""
        return f"{self.site.name}-{self.label}"

    @property
    def link(self) -> str:
        """The machine's end of the cable."""
        return self.namespace

    @property
    def namespace_file(self) -> pathlib.Path:
        """What nsenter and systemd-nspawn know the namespace by."""
        return _NETNS / self.namespace

    def plug(self, address: ipaddress.IPv4Interface, mac: str | None = None) -> None:
        """Make the namespace anew with *address* on ``host0``."""
        self.unplug()
        hardware = ["address", mac] if mac else []
        inside = ["ip", "-n", self.namespace]
        commands.run("ip", "netns", "add", self.namespace)
        commands.run(
            *("ip", "link", "add", self.link, "type", "veth"),
            *("peer", "name", INTERFACE, *hardware, "netns", self.namespace),
        )
        commands.run("ip", "link", "set", self.link, "master", self.site.bridge, "up")
        commands.run(*inside, "link", "set", "lo", "up")
        commands.run(*inside, "address", "add", str(address), "dev", INTERFACE)
        commands.run(*inside, "link", "set", INTERFACE, "up")
        if self.site.public:
            # By a gateway, as to all that is not the node's own network.
            gateway = str(self.site.address.ip)
            commands.run(*inside, "route", "add", str(self.site.public), "via", gateway)

    def unplug(self) -> None:
        """Remove the namespace and the cable, if there are any."""
        if (_LINKS / self.link).exists():
            commands.run("ip", "link", "delete", self.link)
        if self.namespace_file.exists():
            commands.run("ip", "netns", "delete", self.namespace)

    def cut(self) -> None:
        """Pull the cable: packets of the node go nowhere."""
        commands.run("ip", "link", "set", self.link, "down")

    def mend(self) -> None:
        """Put the cable back."""
        commands.run("ip", "link", "set", self.link, "up")


def ensure(site: sites.Site) -> None:
    """Make the site's bridge and routes, where they are missing."""
    if not (_LINKS / site.bridge).exists():
        commands.run("ip", "link", "add", site.bridge, "type", "bridge")
    # One that nobody has set is the lowest of its cables', and another with the next machine: who
    # has asked for this machine's before sends to nobody for half a minute.
    own = (_LINKS / site.bridge / "address").read_text().strip()
    commands.run("ip", "link", "set", site.bridge, "address", own)
    commands.run("ip", "address", "replace", str(site.address), "dev", site.bridge)
    commands.run("ip", "link", "set", site.bridge, "up")
    for subnet in site.networks:
        commands.run(
            *("ip", "route", "replace", "unreachable", str(subnet)),
            *("metric", _UNREACHABLE_METRIC),
        )
    # A bridge that was lost took no cable with it.
    for cable in links(site):
        if cable != site.bridge:
            commands.run("ip", "link", "set", cable, "master", site.bridge)


def namespaces(site: sites.Site) -> list[str]:
    """Return the site's network namespaces on this machine."""
    if not _NETNS.exists():
        return []
    return sorted(path.name for path in _NETNS.glob(f"{site.name}-*"))


def links(site: sites.Site) -> list[str]:
    """Return the site's interfaces on this machine, the bridge last."""
    cables = sorted(path.name for path in _LINKS.glob(f"{site.name}-*"))
    return [*cables, *([site.bridge] if (_LINKS / site.bridge).exists() else [])]


def routes(site: sites.Site) -> list[str]:
    """Return the routes to the site's networks that need no bridge."""
    return [
        line.strip()
        for subnet in site.networks
        for line in commands.run(
            "ip", "route", "show", "type", "unreachable", str(subnet)
        ).stdout.splitlines()
    ]


def remove(site: sites.Site) -> None:
    """Remove every namespace, interface and route of the site."""
    for link in links(site):
        commands.run("ip", "link", "delete", link)
    for namespace in namespaces(site):
        commands.run("ip", "netns", "delete", namespace)
    for route in routes(site):
        commands.run("ip", "route", "delete", *route.split())
