# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The name space as one meets it that asks from the root down: a root and what is below it.

Every name of two labels is a zone of the one world server, as is ``in-addr.arpa``; a name with
NS records of its own is delegated to those servers instead.
"""

from __future__ import annotations

import typing as tp

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from stand.internet import records as records_lib

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

ROOT_SERVER: tp.Final = "a.root.stand.test"
WORLD_SERVER: tp.Final = "ns.stand.test"
_ZONE_LABELS: tp.Final = 3  # two and the root
_INVALID: tp.Final = dns.name.from_text("invalid")
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


class _Zones:
    def __init__(self, records: records_lib.Records) -> None:
        self._records = records

    def _refer(
        self,
        response: dns.message.Message,
        servers: dns.rrset.RRset,
        glue: Iterable[dns.rrset.RRset],
    ) -> dns.message.Message:
        response.authority.append(servers)
        response.additional.extend(glue)
        return response

    def _authoritative(
        self,
        response: dns.message.Message,
        zone: dns.name.Name,
        server: str,
    ) -> dns.message.Message:
        response.flags |= dns.flags.AA
        question = response.question[0]
        apex = {
            dns.rdatatype.NS: lambda: self._servers(zone, server),
            dns.rdatatype.SOA: lambda: soa(zone, server),
        }
        if question.name == zone and question.rdtype in apex:
            response.answer.append(apex[question.rdtype]())
            response.additional.extend(self._glue(server))
            return response
        answer = self._records.answer(question.name, question.rdtype, within=zone)
        # Whoever asks label by label finds each top-level domain there.
        is_above = zone == dns.name.root and not question.name.is_subdomain(_INVALID)
        response.set_rcode(dns.rcode.NOERROR if is_above else answer.rcode)
        response.answer.extend(answer.rrsets)
        if not answer.rrsets:
            response.authority.append(soa(zone, server))
        return response

    def _servers(self, zone: dns.name.Name, server: str) -> dns.rrset.RRset:
        return dns.rrset.from_text(
            zone, records_lib.TTL, dns.rdataclass.IN, dns.rdatatype.NS, f"{server}."
        )

    def _glue(self, server: str) -> tuple[dns.rrset.RRset, ...]:
        return self._records.answer(dns.name.from_text(server), dns.rdatatype.A).rrsets


class Root(_Zones):
    """The root's name server: it refers to others, and knows what does not exist at all."""

    async def respond(
        self,
        query: dns.message.QueryMessage,
        *,
        is_datagram: bool,  # noqa: ARG002 - the protocol's
    ) -> dns.message.Message:
        """Return a referral, or the root zone's own answer."""
        response = dns.message.make_response(query)
        name = query.question[0].name.canonicalize()
        delegation = self._records.delegation(name)
        if delegation is not None:
            return self._refer(response, delegation.servers, delegation.glue)
        zone = zone_of(name)
        if zone == dns.name.root:
            return self._authoritative(response, zone, ROOT_SERVER)
        return self._refer(response, self._servers(zone, WORLD_SERVER), self._glue(WORLD_SERVER))


class World(_Zones):
    """The name server of every zone that is not delegated to another."""

    async def respond(
        self,
        query: dns.message.QueryMessage,
        *,
        is_datagram: bool,  # noqa: ARG002 - the protocol's
    ) -> dns.message.Message:
        """Return the zone's answer or a referral below it; other names are refused."""
        response = dns.message.make_response(query)
        name = query.question[0].name.canonicalize()
        zone = zone_of(name)
        if zone == dns.name.root:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        delegation = self._records.delegation(name)
        if delegation is not None:
            return self._refer(response, delegation.servers, delegation.glue)
        return self._authoritative(response, zone, WORLD_SERVER)
