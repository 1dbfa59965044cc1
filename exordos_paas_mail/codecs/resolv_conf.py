# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""resolv.conf(5): the servers a network gives, and what names the node's own resolver."""

from __future__ import annotations

import ipaddress
import re
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

MARK: tp.Final = "# Kept by exordos-mail-keep-resolver; RELAY_RESOLVER=no in relay.env ends that"
OWN_ADDRESS: tp.Final = "127.0.0.1"

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")


class Network(tp.NamedTuple):
    """What the network says of name servers."""

    servers: tuple[str, ...] = ()
    """Addresses of servers on other machines, the first one first."""
    search: tuple[str, ...] = ()
    """Domains that short names are looked for in, in lower case."""


def is_ours(text: str) -> bool:
    """Return whether *text* is a file that ``render`` made, whatever was added to it."""
    return text.startswith(MARK)


def parse(text: str) -> Network:
    """Return what *text* says; lines that say nothing of these are passed over.

    Left out are servers on this machine (the stub of systemd-resolved is one), of which
    a resolver of the node's own could make a circle, and those of one link alone.
    """
    servers: dict[str, None] = {}
    search: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver" and _is_elsewhere(words[1]):
            servers[words[1]] = None
        # The last one counts (resolv.conf(5)).
        elif len(words) > 1 and words[0] in {"domain", "search"}:
            names = [word.rstrip(".").lower() for word in words[1:]]
            search = tuple(name for name in names if _NAME.fullmatch(name))
    return Network(tuple(servers), search)


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


def _is_elsewhere(word: str) -> bool:
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    return not (
        address.is_loopback
        or address.is_unspecified
        or address.is_link_local
        or address.is_multicast
    )
