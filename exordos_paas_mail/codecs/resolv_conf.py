# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""resolv.conf(5): the servers a network gives, and what names the node's own resolver."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

MARK: tp.Final = "# Kept by exordos-mail-keep-resolver; RELAY_RESOLVER=no in relay.env ends that"
OWN_ADDRESS: tp.Final = "127.0.0.1"

_Address: tp.TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Of systemd-resolved (systemd-resolved.service(8))
_STUBS: tp.Final = ("127.0.0.53", "127.0.0.54")
# As many as glibc asks (MAXNS of resolv.h)
_SERVERS_MAX: tp.Final = 3
# RFC 1918, RFC 4193
_PRIVATE: tp.Final = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")


class Network(tp.NamedTuple):
    """What the network says of name servers."""

    servers: tuple[str, ...] = ()
    """Addresses of servers on other machines, the first one first, at most three."""
    search: tuple[str, ...] = ()
    """Domains that short names are looked for in, in lower case."""


def is_ours(text: str) -> bool:
    """Return whether *text* is a file that ``render`` made, whatever was added to it."""
    return text.startswith(MARK)


def parse(text: str) -> Network:
    """Return what *text* says; lines that say nothing of these are passed over.

    Left out are servers on this machine (the stub of systemd-resolved is one), of which
    a resolver of the node's own could make a circle, and those of an IPv6 link, which
    unbound cannot ask. Where the first one is such, none is given: it alone may know the
    network's own names, and a next one that is public must not be asked for them.
    """
    named = _named(text)
    elsewhere = {word: None for word, address in named.items() if _is_elsewhere(address)}
    servers = tuple(elsewhere) if next(iter(named), None) in elsewhere else ()
    search: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        # The last one counts (resolv.conf(5)).
        if len(words) > 1 and words[0] in {"domain", "search"}:
            names = [word.rstrip(".").lower() for word in words[1:]]
            search = tuple(name for name in names if _NAME.fullmatch(name))
    return Network(servers, search)


def is_of_resolved(text: str) -> bool:
    """Return whether *text* leaves it to systemd-resolved: names its stub first, or nobody."""
    return next(iter(_named(text)), _STUBS[0]) in _STUBS


def is_private(server: str) -> bool:
    """Return whether *server*, an address, is of a private range (RFC 1918, RFC 4193)."""
    address = ipaddress.ip_address(server)
    return any(address in network for network in _PRIVATE)


def render(search: Sequence[str], *, validates: bool) -> str:
    """Return the file that has everybody ask the node's own resolver.

    Only one that validates is believed when it says so (trust-ad): without that, glibc
    takes the AD bit out of answers, and exim sees no signed record.
    """
    return "".join(
        f"{line}\n"
        for line in (
            MARK,
            f"nameserver {OWN_ADDRESS}",
            *([f"search {' '.join(search)}"] if search else []),
            f"options edns0{' trust-ad' if validates else ''}",
        )
    )


def _named(text: str) -> dict[str, _Address]:
    """Return the servers that glibc would ask; a line without an address is passed over."""
    found: list[tuple[str, _Address]] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            with contextlib.suppress(ValueError):
                found.append((words[1], ipaddress.ip_address(words[1])))
    return dict(found[:_SERVERS_MAX])


def _is_elsewhere(address: _Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    return not (
        address.is_loopback
        or address.is_unspecified
        # Clouds have theirs on 169.254.169.254, which needs no interface beside it.
        or (isinstance(address, ipaddress.IPv6Address) and address.is_link_local)
        or address.is_multicast
    )
