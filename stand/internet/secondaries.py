# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Name servers for zones that somebody else keeps, and what can be wrong with such a server."""

from __future__ import annotations

import asyncio
import dataclasses
import typing as tp

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from stand.internet import hierarchy, nameserver, resolver
from stand.internet import records as records_lib

_WILD: tp.Final = dns.name.from_text("*", None)


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with a server, for one zone.

    *rcode* is answered instead of anything; a *silent* one answers nothing; *delay* is in
    seconds; *truncate* sends every datagram's client to TCP. *answers* are the records of
    names, by type, that are told instead of the zone's: a name without any does not exist, and
    ``*.zone`` stands for the names that the zone does not have.
    """

    rcode: str = ""
    silent: bool = False
    delay: float = 0
    truncate: bool = False
    answers: tp.Mapping[str, tp.Mapping[str, tp.Sequence[str]]] = dataclasses.field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        """Raise ValueError on what is no response code or no record."""
        if self.rcode:
            try:
                dns.rcode.from_text(self.rcode)
            except dns.rcode.UnknownRcode as error:
                raise ValueError(f"{self.rcode!r} is not a response code") from error
        for name, types in self.answers.items():
            records_lib.domain_name(name)
            for rdtype, values in types.items():
                records_lib.rrset(records_lib.domain_name(name), rdtype, values)


class Secondary:
    """Answers as *upstream* does, where nothing is wrong with it."""

    def __init__(self, name: str, upstream: tuple[str, int]) -> None:
        """Name it in the SOA records of what it makes up."""
        self._name = name
        self._upstream = upstream
        self._faults: dict[dns.name.Name, Fault] = {}

    def set_fault(self, zone: str, fault: Fault | None) -> None:
        """Have *fault*, or none any more, for *zone*; raises ValueError on no domain name."""
        key = records_lib.domain_name(zone)
        if fault is None:
            self._faults.pop(key, None)
        else:
            self._faults[key] = fault

    async def respond(
        self, query: dns.message.QueryMessage, *, is_datagram: bool
    ) -> dns.message.Message | None:
        """Return the answer of *upstream*, or what the fault of the zone makes of it."""
        name = query.question[0].name.canonicalize()
        zone = next((zone for zone in self._faults if name.is_subdomain(zone)), dns.name.root)
        fault = self._faults.get(zone, Fault())
        if fault.silent:
            return None
        await asyncio.sleep(fault.delay)
        if fault.rcode:
            response = dns.message.make_response(query)
            response.set_rcode(dns.rcode.from_text(fault.rcode))
            return response
        found = self._own(query, zone, fault, name)
        if found is None:
            found = await resolver.ask(query, self._upstream, is_datagram=is_datagram)
            if found is not None and found.rcode() == dns.rcode.NXDOMAIN:
                wild = dns.name.Name((*_WILD.labels, *zone.labels))
                found = self._own(query, zone, fault, wild) or found
        if found is not None and fault.truncate and is_datagram:
            return nameserver.truncated(found)
        return found

    def _own(
        self,
        query: dns.message.QueryMessage,
        zone: dns.name.Name,
        fault: Fault,
        name: dns.name.Name,
    ) -> dns.message.Message | None:
        told = {records_lib.domain_name(known): types for known, types in fault.answers.items()}
        if name not in told:
            return None
        question = query.question[0]
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        types = told[name]
        rdtype = dns.rdatatype.to_text(question.rdtype)
        rdtype = rdtype if rdtype in types else "CNAME"
        if types.get(rdtype):
            response.answer.append(records_lib.rrset(question.name, rdtype, types[rdtype]))
        else:
            response.authority.append(hierarchy.soa(zone, self._name))
            response.set_rcode(dns.rcode.NOERROR if types else dns.rcode.NXDOMAIN)
        return response
