# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which addresses nothing is sent to: those of no public server, and the node's own networks."""

from __future__ import annotations

import ipaddress
import time
import typing as tp

from exordos_paas_mail.codecs import proc_files, public_addresses

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import machine

_AGE_MAX: tp.Final = 10.0
"""Seconds for which the node's own networks are taken for the same."""


def is_private(address: public_addresses.Address) -> bool:
    """Return whether *address* may be that of a server, be it in a network of one's own."""
    return not (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None)
    )


class Networks:
    """The networks of *node*; raises OSError where they cannot be read."""

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._own: tuple[float, set[public_addresses.Network]] | None = None

    def refuses(self, address: public_addresses.Address) -> bool:
        """Return whether nothing is sent to *address*."""
        if not public_addresses.is_public(address):
            return True
        return any(address in network for network in self._read())

    def _read(self) -> set[public_addresses.Network]:
        now = time.monotonic()
        if self._own is None or now - self._own[0] > _AGE_MAX:
            self._own = now, self._found()
        return self._own[1]

    def _found(self) -> set[public_addresses.Network]:
        trie, routes, ipv6 = (
            (self._node.read(f"/proc/net/{name}") or b"").decode("ascii")
            for name in ("fib_trie", "route", "if_inet6")
        )
        return {
            *proc_files.parse_own_networks(trie),
            *proc_files.parse_networks(routes),
            *proc_files.parse_networks_of_ipv6(ipv6),
        }
