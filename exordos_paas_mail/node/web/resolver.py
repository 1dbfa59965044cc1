# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Where the name of a server leads."""

from __future__ import annotations

import ipaddress
import typing as tp

import dns.exception
import dns.name
import dns.resolver

from exordos_paas_mail.node.web import errors

if tp.TYPE_CHECKING:
    from collections.abc import Callable

    from exordos_paas_mail.codecs import public_addresses


class Resolver:
    """Asks the node's resolvers, as /etc/resolv.conf names them at that time.

    Not the C library: that knows of /etc/hosts, and nobody can end its waiting.
    """

    def __init__(self, make: Callable[[], dns.resolver.Resolver] = dns.resolver.Resolver) -> None:
        self._make = make

    def addresses(self, name: str, seconds: float) -> list[public_addresses.Address]:
        """Return the IPv4 addresses of *name*, or else its IPv6 addresses.

        Raises DeliveryError where there is none, or no answer within *seconds*.
        """
        try:
            absolute = dns.name.from_text(name)
            resolver = self._make()
            for kind in ("A", "AAAA"):
                try:
                    # Half of the time each: the second is asked when the first has answered.
                    answer = resolver.resolve(absolute, kind, lifetime=seconds / 2, search=False)
                except dns.resolver.NoAnswer:
                    continue
                return [ipaddress.ip_address(record.address) for record in answer]
        except dns.resolver.NXDOMAIN as error:
            raise errors.DeliveryError("its name does not exist") from error
        except dns.exception.DNSException as error:
            raise errors.DeliveryError("its name cannot be resolved") from error
        raise errors.DeliveryError("its name has no address")

    def texts(self, name: str, seconds: float) -> list[str]:
        """Return the TXT records of *name*, none where it has none.

        Raises DeliveryError where there is no answer within *seconds*.
        """
        try:
            absolute = dns.name.from_text(name)
            answer = self._make().resolve(absolute, "TXT", lifetime=seconds, search=False)
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return []
        except dns.exception.DNSException as error:
            raise errors.DeliveryError(f"{name} cannot be resolved") from error
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
