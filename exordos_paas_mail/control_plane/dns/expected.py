# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The DNS records that a domain needs, from plain facts."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as tp

from exordos_paas_mail.codecs import return_paths

A: tp.Final = "a"
PTR: tp.Final = "ptr"
SPF: tp.Final = "spf"
DKIM: tp.Final = "dkim"
DMARC: tp.Final = "dmarc"
BOUNCES_MX: tp.Final = "bounces_mx"
BOUNCES_A: tp.Final = "bounces_a"
BOUNCES_SPF: tp.Final = "bounces_spf"
PURPOSES: tp.Final = (A, PTR, SPF, DKIM, DMARC, BOUNCES_MX, BOUNCES_A, BOUNCES_SPF)
SPFS: tp.Final = (SPF, BOUNCES_SPF)
# How the name of the return paths leads to the relay: an address is an MX of its own
# (RFC 5321 5.1), and all that Core's DNS can hold.
BY_MX: tp.Final = "mx"
BY_ADDRESS: tp.Final = "address"
_PREFERENCE: tp.Final = 10

# Short, so that a correction is seen soon.
TTL: tp.Final = 300
# RFC 1035 section 3.3: a character string.
_STRING_SIZE_MAX: tp.Final = 255


@dataclasses.dataclass(frozen=True)
class Key:
    """A DKIM key that is to be published; *public_key* is what p= holds.

    *proves*: whether its record shows that the domain is its owner's to send for.
    """

    selector: str
    algorithm: str
    public_key: str
    proves: bool = True


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the records of a domain follow from.

    *hostname* and *ipsv4* are the relay's: the name it says, and the addresses
    its mail leaves by. *keys*: those a signature may be verified with.
    """

    domain: str
    hostname: str
    ipsv4: tuple[str, ...]
    keys: tuple[Key, ...]
    is_primary: bool
    bounces: str = ""
    """BY_MX or BY_ADDRESS where there are return paths."""


@dataclasses.dataclass(frozen=True)
class Record:
    """A record to publish. *name* and what *value* names are without the final dot."""

    purpose: str
    type: str
    name: str
    value: str

    @property
    def strings(self) -> tuple[str, ...]:
        """Return the value as the character strings of a TXT record, 255 octets each at most."""
        if self.type != "TXT":
            return ()
        starts = range(0, len(self.value), _STRING_SIZE_MAX)
        return tuple(self.value[start : start + _STRING_SIZE_MAX] for start in starts)


def records(facts: Facts) -> list[Record]:
    """Return the records of the domain.

    Those of the relay itself, address and PTR, are the primary domain's: there
    is one relay however many domains send by it. What a fact is missing for is
    not there: a relay without an address yet, a key without its public half.
    """
    found: list[Record] = []
    if facts.is_primary:
        for address in facts.ipsv4:
            found.append(Record(A, "A", facts.hostname, address))
            found.append(Record(PTR, "PTR", reverse_name(address), facts.hostname))
    if facts.ipsv4:
        found.append(Record(SPF, "TXT", facts.domain, spf_value(facts.ipsv4)))
    found.extend(
        Record(DKIM, "TXT", dkim_name(key.selector, facts.domain), dkim_value(key))
        for key in facts.keys
        if key.public_key
    )
    found.append(Record(DMARC, "TXT", f"_dmarc.{facts.domain}", "v=DMARC1; p=quarantine"))
    if facts.ipsv4 and facts.bounces:
        found.extend(_of_bounces(facts))
    return found


def _of_bounces(facts: Facts) -> list[Record]:
    name = return_paths.host(facts.domain)
    if facts.bounces == BY_MX:
        leads = [Record(BOUNCES_MX, "MX", name, f"{_PREFERENCE} {facts.hostname}")]
    else:
        leads = [Record(BOUNCES_A, "A", name, address) for address in facts.ipsv4]
    return [*leads, Record(BOUNCES_SPF, "TXT", name, spf_value(facts.ipsv4))]


def reverse_name(address: str) -> str:
    """Return the name of the PTR record of an address."""
    return ipaddress.ip_address(address).reverse_pointer


def dkim_name(selector: str, domain: str) -> str:
    """Return where a key is published (RFC 6376 section 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def dkim_value(key: Key) -> str:
    """Return the value that publishes *key* (RFC 6376 section 3.6.1, RFC 8463 section 4)."""
    return f"v=DKIM1; k={key.algorithm}; p={key.public_key}"


def spf_value(addresses: tp.Iterable[str]) -> str:
    """Return the SPF record of a domain that sends by *addresses* alone."""
    return " ".join(["v=spf1", *(f"ip4:{address}" for address in addresses), "-all"])
