# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The name space as one meets it that asks from the root down: a root and what is below it.

Every name of two labels is a zone of the one world server, as is ``in-addr.arpa``; a name with
NS records of its own is delegated to those servers instead. The root and the world's zones are
signed (DNSSEC).
"""

from __future__ import annotations

import dataclasses
import typing as tp

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from stand.internet import records as records_lib

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

    from stand.internet import signing

ROOT_SERVER: tp.Final = "a.root.stand.test"
WORLD_SERVER: tp.Final = "ns.stand.test"
_ZONE_LABELS: tp.Final = 3  # two and the root
_INVALID: tp.Final = dns.name.from_text("invalid")
# RFC 6761
_NOT_THERE: tp.Final = (_INVALID, dns.name.from_text("localhost"))
# What a resolver may keep of a name that is not there, in seconds.
NEGATIVE_TTL: tp.Final = 1


def zone_of(name: dns.name.Name) -> dns.name.Name:
    """Return the zone of the world server's that *name* is in, or the root."""
    if len(name.labels) < _ZONE_LABELS or name.is_subdomain(_INVALID):
        return dns.name.root
    return dns.name.Name(name.labels[-_ZONE_LABELS:])


def soa(zone: dns.name.Name, server: str) -> dns.rrset.RRset:
    """Return the SOA record of a zone that changes as soon as somebody publishes."""
    return dns.rrset.from_text(
        zone,
        NEGATIVE_TTL,
        dns.rdataclass.IN,
        dns.rdatatype.SOA,
        f"{server}. hostmaster.stand.test. 1 60 60 3600 {NEGATIVE_TTL}",
    )


def denied(
    answer: Iterable[dns.rrset.RRset], name: dns.name.Name, rdtype: dns.rdatatype.RdataType
) -> dns.name.Name | None:
    """Return where the aliases of *answer* lead from *name*; None if the data are in it."""
    for records in answer:
        if records.rdtype == rdtype:
            return None
        if records.rdtype == dns.rdatatype.CNAME:
            name = records[0].target.canonicalize()
    return name


class Zones:
    """The root and the world's zones: the published records, and what is of a zone by itself.

    All of them are signed, with one key. A zone that is delegated to somebody else is not.
    """

    def __init__(self, records: records_lib.Records, signer: signing.Signer) -> None:
        self._records = records
        self._signer = signer

    def delegation(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
    ) -> records_lib.Delegation | None:
        """Return who answers a question, if that is somebody else."""
        if rdtype != dns.rdatatype.DS or name == dns.name.root:
            return self._records.delegation(name)
        # Whom a zone trusts is known above it.
        return self._records.delegation(name.parent())

    def zone(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> dns.name.Name:
        """Return the zone that records of this name and type are in."""
        if rdtype != dns.rdatatype.DS or name == dns.name.root:
            return zone_of(name)
        return zone_of(name.parent())

    def answer(
        self,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        within: dns.name.Name = dns.name.root,
    ) -> records_lib.Answer:
        """Answer one question as ``Records.answer`` does, and of what a zone has by itself."""
        if rdtype == dns.rdatatype.DS and self._is_cut(name):
            return records_lib.Answer(dns.rcode.NOERROR)
        own = self._of_zone(name, rdtype)
        if own is not None:
            return records_lib.Answer(dns.rcode.NOERROR, (own,))
        found = self._records.answer(name, rdtype, within)
        # Whoever asks label by label finds each top-level domain there.
        is_above = len(name.labels) < _ZONE_LABELS and name not in _NOT_THERE
        return dataclasses.replace(found, rcode=dns.rcode.NOERROR) if is_above else found

    def servers(self, zone: dns.name.Name) -> dns.rrset.RRset:
        """Return the NS record of a zone."""
        return dns.rrset.from_text(
            *(zone, records_lib.TTL, dns.rdataclass.IN, dns.rdatatype.NS),
            f"{ROOT_SERVER if zone == dns.name.root else WORLD_SERVER}.",
        )

    def glue(self, server: str) -> tuple[dns.rrset.RRset, ...]:
        """Return the addresses of a server of ours."""
        return self._records.answer(dns.name.from_text(server), dns.rdatatype.A).rrsets

    def deny(
        self,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        found: records_lib.Answer,
    ) -> list[dns.rrset.RRset]:
        """Return what says for how long it may be remembered that *found* has no such record.

        Nothing where it has, or leads to others. Without it resolvers choose (RFC 2308 5).
        """
        there = denied(found.rrsets, name, rdtype)
        return [] if there is None or found.elsewhere else [self._soa(there, rdtype)]

    def _soa(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> dns.rrset.RRset:
        zone = self.zone(name, rdtype)
        return soa(zone, ROOT_SERVER if zone == dns.name.root else WORLD_SERVER)

    def secure(self, query: dns.message.QueryMessage, response: dns.message.Message) -> None:
        """Add signatures and proofs, for a client that has asked for them (RFC 4035 3.1)."""
        if not query.ednsflags & dns.flags.DO:
            return
        response.want_dnssec()
        question = response.question[0]
        name = denied(response.answer, question.name.canonicalize(), question.rdtype)
        kinds = {records.rdtype: records.name for records in response.authority}
        if dns.rdatatype.SOA in kinds and name is not None:
            is_there = response.rcode() != dns.rcode.NXDOMAIN
            response.authority += self._denial(name, question.rdtype, is_there=is_there)
        elif dns.rdatatype.NS in kinds:
            child = kinds[dns.rdatatype.NS]
            trusted = list(self.answer(child, dns.rdatatype.DS).rrsets)
            response.authority += trusted or self._denial(child, dns.rdatatype.DS, is_there=True)
        for section in (response.answer, response.authority):
            section.extend(
                [
                    self._signer.sign(records, zone)
                    for records in section
                    # A referral is not the parent's own.
                    if section is response.answer or records.rdtype != dns.rdatatype.NS
                    for zone in self._signing(records)
                ]
            )

    def _is_cut(self, name: dns.name.Name) -> bool:
        found = self._records.delegation(name)
        return found is not None and found.zone == name

    def _of_zone(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
    ) -> dns.rrset.RRset | None:
        if name != zone_of(name) or self._records.delegation(name) is not None:
            return None
        if rdtype == dns.rdatatype.SOA:
            return self._soa(name, rdtype)
        if rdtype == dns.rdatatype.NS:
            return self.servers(name)
        if rdtype == dns.rdatatype.DNSKEY:
            return self._signer.keys(name)
        if rdtype == dns.rdatatype.DS and name != dns.name.root:
            return self._signer.trust(name)
        return None

    def _signing(self, records: dns.rrset.RRset) -> list[dns.name.Name]:
        """Return the zone that signs *records*, if they are of one that does."""
        rdtype = records.rdtype
        if rdtype == dns.rdatatype.NSEC and self._is_cut(records.name):
            rdtype = dns.rdatatype.DS
        is_ours = self.delegation(records.name, rdtype) is None
        return [self.zone(records.name, rdtype)] if is_ours else []

    def _denial(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, *, is_there: bool
    ) -> list[dns.rrset.RRset]:
        """Return the proof that there is no such record: as little of it as can be (RFC 4470)."""
        zone = self.zone(name, rdtype)
        if is_there or name == zone:
            types = self._records.types(name)
            if self._is_cut(name):
                # All else of that name is told by others.
                types = {dns.rdatatype.NS}
            elif name == zone:
                types |= {dns.rdatatype.SOA, dns.rdatatype.NS, dns.rdatatype.DNSKEY}
            return [_nsec(name, name.successor(zone), types)]
        wild = dns.name.Name((b"*", *name.parent().labels))
        return [
            _nsec(each.predecessor(zone, False), each.successor(zone, False), ())  # noqa: FBT003
            for each in (name, wild)
        ]


def _nsec(
    name: dns.name.Name,
    following: dns.name.Name,
    types: Iterable[dns.rdatatype.RdataType],
) -> dns.rrset.RRset:
    words = sorted({*types, dns.rdatatype.RRSIG, dns.rdatatype.NSEC})
    return dns.rrset.from_text(
        *(name, NEGATIVE_TTL, dns.rdataclass.IN, dns.rdatatype.NSEC),
        " ".join([following.to_text(), *map(dns.rdatatype.to_text, words)]),
    )


class _Server:
    def __init__(self, zones: Zones) -> None:
        self._zones = zones

    def _refer(
        self,
        response: dns.message.Message,
        servers: dns.rrset.RRset,
        glue: Iterable[dns.rrset.RRset],
    ) -> None:
        response.authority.append(servers)
        response.additional.extend(glue)

    def _answer(
        self, response: dns.message.Message, zone: dns.name.Name, name: dns.name.Name
    ) -> None:
        response.flags |= dns.flags.AA
        rdtype = response.question[0].rdtype
        found = self._zones.answer(name, rdtype, within=zone)
        response.set_rcode(found.rcode)
        response.answer.extend(found.rrsets)
        if rdtype == dns.rdatatype.NS and found.rrsets:
            response.additional.extend(self._zones.glue(found.rrsets[0][0].target.to_text()))
        response.authority.extend(self._zones.deny(name, rdtype, found))


class Root(_Server):
    """The root's name server: it refers to others, and knows what does not exist at all."""

    async def respond(
        self,
        query: dns.message.QueryMessage,
        *,
        is_datagram: bool,  # noqa: ARG002 - the protocol's
    ) -> dns.message.Message:
        """Return a referral, or the root zone's own answer."""
        response = dns.message.make_response(query)
        name, rdtype = query.question[0].name.canonicalize(), query.question[0].rdtype
        zone = self._zones.zone(name, rdtype)
        delegation = self._zones.delegation(name, rdtype)
        if delegation is not None:
            self._refer(response, delegation.servers, delegation.glue)
        elif zone == dns.name.root:
            self._answer(response, zone, name)
        else:
            self._refer(response, self._zones.servers(zone), self._zones.glue(WORLD_SERVER))
        self._zones.secure(query, response)
        return response


class World(_Server):
    """The name server of every zone that is not delegated to another."""

    async def respond(
        self,
        query: dns.message.QueryMessage,
        *,
        is_datagram: bool,  # noqa: ARG002 - the protocol's
    ) -> dns.message.Message:
        """Return the zone's answer or a referral below it; other names are refused."""
        response = dns.message.make_response(query)
        name, rdtype = query.question[0].name.canonicalize(), query.question[0].rdtype
        zone = self._zones.zone(name, rdtype)
        delegation = self._zones.delegation(name, rdtype)
        if zone == dns.name.root:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        if delegation is not None:
            self._refer(response, delegation.servers, delegation.glue)
        else:
            self._answer(response, zone, name)
        self._zones.secure(query, response)
        return response
