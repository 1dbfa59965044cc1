# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a message from a server means to somebody who walks down from the root."""

from __future__ import annotations

import dataclasses
import typing as tp

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from exordos_paas_mail.control_plane.dns import answers

# Of one CNAME chain within a message.
_ALIASES_MAX: tp.Final = 8


@dataclasses.dataclass(frozen=True)
class Server:
    """An address of a name server."""

    name: str
    address: str


@dataclasses.dataclass(frozen=True)
class Zone:
    """A zone as it is delegated: servers whose addresses are known, and names of the others."""

    origin: dns.name.Name
    servers: tuple[Server, ...]
    unresolved: tuple[dns.name.Name, ...] = ()
    ttl: int = 0


def referral(message: dns.message.Message, zone: dns.name.Name, name: dns.name.Name) -> Zone | None:
    """Return the zone below *zone* that the message sends the question for *name* to, if it does.

    Addresses in the message count if their names are below *zone*: only of those
    its servers can know (RFC 5452 section 6).
    """
    if message.answer or message.rcode() != dns.rcode.NOERROR:
        return None
    for rrset in message.authority:
        if rrset.rdtype != dns.rdatatype.NS or rrset.rdclass != dns.rdataclass.IN:
            continue
        if rrset.name == zone or not rrset.name.is_subdomain(zone):
            continue
        if not name.is_subdomain(rrset.name):
            continue
        names = sorted(each.target for each in rrset)
        glue = {each: list(_glue(message, each)) for each in names if each.is_subdomain(zone)}
        return Zone(
            rrset.name,
            tuple(Server(host(n), a) for n in names for a in glue.get(n, ())),
            tuple(n for n in names if not glue.get(n)),
            rrset.ttl,
        )
    return None


def _glue(message: dns.message.Message, name: dns.name.Name) -> tp.Iterator[str]:
    for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
        rrset = message.get_rrset(message.additional, name, dns.rdataclass.IN, kind)
        if rrset is not None:
            yield from sorted(each.address for each in rrset)
            return


def answer_of(
    message: dns.message.Message,
    server: Server,
    zone: dns.name.Name,
    name: dns.name.Name,
    rdtype: str,
) -> answers.Answer:
    """Return what a message that is no referral says of *name* and *rdtype*."""
    made = answers.Answer(server.name, server.address, answers.LAME)
    rcode = message.rcode()
    if rcode == dns.rcode.REFUSED:
        return made
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return dataclasses.replace(made, outcome=answers.FAILED, note=dns.rcode.to_text(rcode))
    if not message.flags & dns.flags.AA:
        return made
    kind = dns.rdatatype.from_text(rdtype)
    owner = name
    for _ in range(_ALIASES_MAX):
        rrset = message.get_rrset(message.answer, owner, dns.rdataclass.IN, kind)
        if rrset is not None:
            return _with_records(made, rrset, "" if owner == name else host(owner))
        alias = message.get_rrset(message.answer, owner, dns.rdataclass.IN, dns.rdatatype.CNAME)
        if alias is None:
            break
        owner = alias[0].target
        # What it says of a name elsewhere is hearsay.
        if not owner.is_subdomain(zone):
            break
    if owner != name:
        return dataclasses.replace(made, outcome=answers.ALIAS, alias=host(owner))
    return dataclasses.replace(
        made,
        outcome=answers.NO_NAME if rcode == dns.rcode.NXDOMAIN else answers.EMPTY,
        negative_ttl=_negative_ttl(message, zone),
    )


def _with_records(made: answers.Answer, rrset: dns.rrset.RRset, via: str) -> answers.Answer:
    texts = tuple(sorted(text_of(each) for each in rrset))
    return dataclasses.replace(made, outcome=answers.RECORDS, texts=texts, ttl=rrset.ttl, via=via)


def _negative_ttl(message: dns.message.Message, zone: dns.name.Name) -> int | None:
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA and rrset.name.is_subdomain(zone):
            return int(min(rrset.ttl, rrset[0].minimum))
    return None


def text_of(record: dns.rdata.Rdata) -> str:
    """Return a record as printable ASCII.

    Of a TXT record its strings as one, an octet that is not printable, or a backslash,
    as a backslash and its number; of another its zone file form, without the final dot.
    """
    if record.rdtype == dns.rdatatype.TXT:
        octets = b"".join(getattr(record, "strings"))  # noqa: B009 - of the TXT class alone
        return "".join(chr(o) if 32 <= o < 127 and o != 92 else f"\\{o:03d}" for o in octets)  # noqa: PLR2004
    return str(record.to_text()).lower().removesuffix(".")


def host(name: dns.name.Name) -> str:
    """Return a name in lower case, without the final dot."""
    return name.to_text(omit_final_dot=True).lower()
