# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""mail_dns.env: whom the control plane asks about DNS.

Optional, KEY=value (``env_files``), each key too::

    ROOT_SERVERS=198.41.0.4 170.247.170.2
    PORT=53
    NETWORKS=10.20.0.0/16 fd00:20::/32

Without it the internet is asked from its root servers on. A tenant's NS records
can name any address, so only public ones are asked, and those in NETWORKS.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as tp

from exordos_paas_mail.codecs import env_files

Address: tp.TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: tp.TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# https://www.iana.org/domains/root/servers, a to m.
_ROOT_SERVERS: tp.Final = (
    "198.41.0.4",
    "170.247.170.2",
    "192.33.4.12",
    "199.7.91.13",
    "192.203.230.10",
    "192.5.5.241",
    "192.112.36.4",
    "198.97.190.53",
    "192.36.148.17",
    "192.58.128.30",
    "193.0.14.129",
    "199.7.83.42",
    "202.12.27.33",
)
_PORT: tp.Final = 53
_PORT_MAX: tp.Final = 65535
# Global by the registry, and ways into networks behind a translator: NAT64, Teredo, 6to4.
_TRANSLATED: tp.Final = tuple(
    ipaddress.IPv6Network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where to begin, and who may be asked."""

    root_servers: tuple[str, ...] = _ROOT_SERVERS
    port: int = _PORT
    networks: tuple[Network, ...] = ()

    def may_ask(self, text: str) -> bool:
        """Return whether the server at the address *text* may be asked."""
        if text in self.root_servers:
            return True
        address = ipaddress.ip_address(text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address.version == n.version and address in n for n in self.networks):
            return True
        return (
            address.is_global
            and not address.is_multicast
            and not address.is_reserved
            and not any(address.version == n.version and address in n for n in _TRANSLATED)
        )


def parse(text: str) -> Settings:
    """Return the settings in *text*; ValueError names the key that is wrong."""
    values = env_files.parse(text)
    unknown = sorted(values.keys() - {"ROOT_SERVERS", "PORT", "NETWORKS"})
    if unknown:
        raise ValueError(f"{unknown[0]} is not a key of this file")
    settings = Settings()
    if "ROOT_SERVERS" in values:
        servers = tuple(map(str, _each("ROOT_SERVERS", values, ipaddress.ip_address)))
        if not servers:
            raise ValueError("ROOT_SERVERS has no address")
        settings = dataclasses.replace(settings, root_servers=servers)
    if "PORT" in values:
        port = values["PORT"]
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= _PORT_MAX):
            raise ValueError(f"PORT is not a number from 1 to {_PORT_MAX}")
        settings = dataclasses.replace(settings, port=int(port))
    if "NETWORKS" in values:
        networks = tuple(_each("NETWORKS", values, ipaddress.ip_network))
        settings = dataclasses.replace(settings, networks=networks)
    return settings


def _each(
    key: str, values: tp.Mapping[str, str], read: tp.Callable[[str], tp.Any]
) -> tp.Iterator[tp.Any]:
    for word in values[key].split():
        try:
            yield read(word)
        except ValueError:  # noqa: PERF203 - it ends the loop
            raise ValueError(f"{key} has something in it that is no address") from None
