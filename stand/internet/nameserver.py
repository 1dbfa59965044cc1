# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The name server: RFC 1035 over UDP and TCP, with EDNS (RFC 6891) and truncation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import typing as tp

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

if tp.TYPE_CHECKING:
    from stand.internet import records as records_lib

LOG = logging.getLogger(__name__)
_HEADER: tp.Final = struct.Struct("!HHHHHH")
_IDLE_SECONDS: tp.Final = 10
_UDP_MINIMUM: tp.Final = 512
_UDP_MAXIMUM: tp.Final = 1232
_TCP_MAXIMUM: tp.Final = 65535


def respond(wire: bytes, records: records_lib.Records, limit: int | None = None) -> bytes | None:
    """Return the response to one query, or None where none is due.

    *limit* is what the transport carries; None stands for UDP, where the EDNS size of the
    client decides.
    """
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return _format_error(wire)
    if query.flags & dns.flags.QR:
        return None
    # Recursion is "available": a stub resolver takes this server for its own.
    response = dns.message.make_response(query, recursion_available=True)
    if query.opcode() != dns.opcode.QUERY:
        response.set_rcode(dns.rcode.NOTIMP)
    elif len(query.question) != 1:
        response.set_rcode(dns.rcode.FORMERR)
    else:
        question = query.question[0]
        if question.rdclass != dns.rdataclass.IN or dns.rdatatype.is_metatype(question.rdtype):
            response.set_rcode(dns.rcode.REFUSED)
        else:
            answer = records.answer(question.name, question.rdtype)
            response.flags |= dns.flags.AA
            response.set_rcode(answer.rcode)
            response.answer.extend(answer.rrsets)
    if limit is None:
        limit = min(max(query.payload, _UDP_MINIMUM), _UDP_MAXIMUM)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.flags |= dns.flags.TC
        response.answer.clear()
        return response.to_wire(max_size=limit)


def _format_error(wire: bytes) -> bytes | None:
    if len(wire) < _HEADER.size:
        return None
    identifier, flags, *_ = _HEADER.unpack_from(wire)
    if flags & dns.flags.QR:
        return None
    return _HEADER.pack(identifier, dns.flags.QR | dns.rcode.FORMERR, 0, 0, 0, 0)


async def _read(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, records: records_lib.Records) -> None:
        self._records = records
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = tp.cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | tp.Any, int]) -> None:
        response = respond(data, self._records)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


async def start(
    address: tuple[str, int], records: records_lib.Records
) -> tuple[asyncio.DatagramTransport, asyncio.Server]:
    """Serve *records* on UDP and TCP; raises OSError where the address cannot be had.

    Port 0 takes a free one, the same for both.
    """

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while True:
                try:
                    wire = await asyncio.wait_for(_read(reader), _IDLE_SECONDS)
                except (asyncio.IncompleteReadError, asyncio.TimeoutError):
                    return
                response = respond(wire, records, _TCP_MAXIMUM)
                if response is None:
                    return
                writer.write(struct.pack("!H", len(response)) + response)
                await writer.drain()

    server = await asyncio.start_server(stream, *address)
    address = server.sockets[0].getsockname()[:2]
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(records), local_addr=address
        )
    except OSError:
        server.close()
        raise
    LOG.info("name server on %s port %d", *address)
    return transport, server
