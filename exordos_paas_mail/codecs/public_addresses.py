# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which addresses are those of public servers: whom a node may speak to in a tenant's name.

The registries are IANA's of special-purpose addresses (RFC 6890). They are listed
here, because what Python's ``is_global`` says differs from release to release.
"""

from __future__ import annotations

import ipaddress
import typing as tp

Address: tp.TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: tp.TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV4: tp.Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared, of carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and where clouds tell machines their secrets
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# All that is not given out is no server's: loopback, link-local, unique local, multicast, and
# the forms that hold an IPv4 address (mapped, compatible, translated by NAT64) with it.
_GIVEN_OUT: tp.Final = ipaddress.IPv6Network("2000::/3")
_IPV6: tp.Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocols, and Teredo with its IPv4 addresses
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Return whether *address* may be that of a public server."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _IPV4)
    if address.scope_id is not None or address not in _GIVEN_OUT:
        return False
    return not any(address in network for network in _IPV6)
