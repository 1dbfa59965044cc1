# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Networks of clients, in CIDR notation (RFC 4632, RFC 4291 2.3)."""

from __future__ import annotations

import ipaddress

from exordos_paas_mail.codecs import rules

RULE = "must be a network such as 192.0.2.0/24 or 2001:db8::/32, or an address"
# An IPv4 address that a socket of IPv6 has: exim knows it by its IPv4 form.
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def normalise(value: object) -> str:
    """Return the network *value* in its one spelling; an address is a network of one.

    Raises RuleError if it is none, or if it has bits beyond its prefix.
    """
    if not isinstance(value, str) or not value.isascii() or "%" in value:
        raise rules.RuleError(RULE)
    address, slash, length = value.partition("/")
    # No netmasks (/255.255.255.0), and no sign, space or zero before the number.
    if slash and str(_number(length)) != length:
        raise rules.RuleError(RULE)
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise rules.RuleError(RULE) from None
    if isinstance(network, ipaddress.IPv6Network) and network.overlaps(_MAPPED):
        if network.prefixlen < _MAPPED.prefixlen:
            return _exact(network, address)
        mapped = network.network_address.ipv4_mapped
        raise rules.RuleError(
            f"is IPv4 in the form of IPv6: write {mapped}/{network.prefixlen - 96}"
        )
    return _exact(network, address)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= 3 else -1  # noqa: PLR2004 - of 128


def _exact(network: ipaddress.IPv4Network | ipaddress.IPv6Network, address: str) -> str:
    if network.network_address != ipaddress.ip_address(address):
        raise rules.RuleError(f"has bits beyond its prefix: write {network}")
    return str(network)
