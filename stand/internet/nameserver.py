# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A name server's sockets: RFC 1035 over UDP and TCP, with EDNS (RFC 6891) and truncation."""

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

LOG = logging.getLogger(__name__)
_HEADER: tp.Final = struct.Struct("!HHHHHH")
_IDLE_SECONDS: tp.Final = 10
_UDP_MINIMUM: tp.Final = 512
_UDP_MAXIMUM: tp.Final = 1232
_TCP_MAXIMUM: tp.Final = 65535


class Server(tp.Protocol):
    """What a name server answers; its sockets are this module's."""

    async def respond(
        self, query: dns.message.QueryMessage, *, is_datagram: bool
    ) -> dns.message.Message | None:
        """Return the response to a query of one question, or None where none is sent."""


async def answer(server: Server, wire: bytes, *, is_datagram: bool) -> bytes | None:
    """Return what *server* sends on one packet, cut to what the transport carries."""
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return _format_error(wire)
    if query.flags & dns.flags.QR:
        return None
    response = await _response(server, query, is_datagram=is_datagram)
    if response is None:
        return None
    limit = _TCP_MAXIMUM
    if is_datagram:
        limit = min(max(query.payload, _UDP_MINIMUM), _UDP_MAXIMUM)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        return truncated(response).to_wire(max_size=limit)


def truncated(response: dns.message.Message) -> dns.message.Message:
    """Return *response* emptied, with the flag that sends its client to TCP."""
    response.flags |= dns.flags.TC
    for section in response.sections[1:]:
        section.clear()
    return response


async def _response(
    server: Server, query: dns.message.Message, *, is_datagram: bool
) -> dns.message.Message | None:
    refusal = dns.message.make_response(query)
    if query.opcode() != dns.opcode.QUERY:
        refusal.set_rcode(dns.rcode.NOTIMP)
        return refusal
    if len(query.question) != 1 or not isinstance(query, dns.message.QueryMessage):
        refusal.set_rcode(dns.rcode.FORMERR)
        return refusal
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN or dns.rdatatype.is_metatype(question.rdtype):
        refusal.set_rcode(dns.rcode.REFUSED)
        return refusal
    return await server.respond(query, is_datagram=is_datagram)


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
    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self._running: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = tp.cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | tp.Any, int]) -> None:
        # One that waits for another server must not keep the others waiting.
        task = asyncio.get_running_loop().create_task(self._respond(data, addr))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _respond(self, data: bytes, addr: tuple[str | tp.Any, int]) -> None:
        response = await answer(self._server, data, is_datagram=True)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


async def start(
    address: tuple[str, int], served: Server
) -> tuple[asyncio.DatagramTransport, asyncio.Server]:
    """Serve on UDP and TCP; raises OSError where the address cannot be had.

    Port 0 takes a free one, the same for both.
    """

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while True:
                try:
                    wire = await asyncio.wait_for(_read(reader), _IDLE_SECONDS)
                except (asyncio.IncompleteReadError, asyncio.TimeoutError):
                    return
                response = await answer(served, wire, is_datagram=False)
                if response is None:
                    return
                writer.write(struct.pack("!H", len(response)) + response)
                await writer.drain()

    server = await asyncio.start_server(stream, *address)
    address = server.sockets[0].getsockname()[:2]
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(served), local_addr=address
        )
    except OSError:
        server.close()
        raise
    LOG.info("%s on %s port %d", type(served).__name__, *address)
    return transport, server
