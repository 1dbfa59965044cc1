# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The full-service resolver of the nodes and the mail exchanger."""

from __future__ import annotations

import typing as tp

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from stand.internet import hierarchy

_SECONDS: tp.Final = 1
_CHAIN_LIMIT: tp.Final = 8


class Resolver:
    """Answers every question: from the published records, or by asking who is named in them.

    It hands signatures on and validates nothing, as the server of a network does.
    """

    def __init__(self, zones: hierarchy.Zones, port: int) -> None:
        """Servers that a zone is delegated to listen on *port*."""
        self._zones = zones
        self._port = port

    async def respond(
        self,
        query: dns.message.QueryMessage,
        *,
        is_datagram: bool,  # noqa: ARG002 - the protocol's
    ) -> dns.message.Message:
        """Return the answer with its aliases followed; nothing is kept from one to the next."""
        response = dns.message.make_response(query, recursion_available=True)
        # Stub resolvers were told so before zones were delegated, and trust it.
        response.flags |= dns.flags.AA
        question = query.question[0]
        name: dns.name.Name | None = question.name.canonicalize()
        for _ in range(_CHAIN_LIMIT):
            if name is None:
                self._zones.secure(query, response)
                return response
            name = await self._step(response, name, question.rdtype)
        response.set_rcode(dns.rcode.SERVFAIL)
        return response

    async def _step(
        self, response: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
    ) -> dns.name.Name | None:
        delegation = self._zones.delegation(name, rdtype)
        if delegation is None:
            answer = self._zones.answer(name, rdtype)
            response.set_rcode(answer.rcode)
            response.answer.extend(answer.rrsets)
            response.authority.extend(self._zones.deny(name, rdtype, answer))
            return answer.elsewhere
        for address in delegation.addresses:
            found = await ask(dns.message.make_query(name, rdtype), (address, self._port))
            if found is not None and found.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                response.set_rcode(found.rcode())
                response.answer.extend(found.answer)
                target = hierarchy.denied(found.answer, name, rdtype)
                return None if target == name else target
        response.set_rcode(dns.rcode.SERVFAIL)
        return None


async def ask(
    query: dns.message.QueryMessage, server: tuple[str, int], *, is_datagram: bool = True
) -> dns.message.Message | None:
    """Return what *server* answers, over TCP where a datagram is cut; None where it does not."""
    address, port = server
    try:
        if is_datagram:
            response = await dns.asyncquery.udp(query, address, timeout=_SECONDS, port=port)
            if not response.flags & dns.flags.TC:
                return response
        return await dns.asyncquery.tcp(query, address, timeout=_SECONDS, port=port)
    except (OSError, EOFError, dns.exception.DNSException):
        return None
