# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An internet of name servers on loopback addresses, each with zones and faults of its own."""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import struct
import threading
import typing as tp
from unittest import mock

import dns.asyncquery
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.rrset
import dns.zone

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

NEGATIVE_TTL = 60
_UDP_SIZE = 1232
_SIZE_MAX = 65535
_UDP = dns.asyncquery.udp


class NameServer:
    """What one address serves. Its faults are attributes."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.zones: dict[dns.name.Name, dns.zone.Zone] = {}
        self.is_silent = False
        self.rcode: dns.rcode.Rcode | None = None
        self.is_authoritative = True
        self.is_cut = False  # answers over UDP come without records, truncated
        self.knows_edns = True
        self.garbles = False
        self.asked: list[tuple[str, str, str]] = []

    def serve(self, origin: str, text: str) -> None:
        """Serve the zone *origin*; *text* is its records, one a line, names relative."""
        name = dns.name.from_text(origin)
        head = f"@ 300 IN SOA ns.{origin or 'root'}. host. 1 60 60 60 {NEGATIVE_TTL}\n"
        self.zones[name] = dns.zone.from_text(
            head + text, origin=name, relativize=False, check_origin=False
        )

    def respond(self, wire: bytes, transport: str) -> bytes | None:  # noqa: PLR0911
        query = dns.message.from_wire(wire)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(omit_final_dot=True), kind, transport))
        if self.is_silent:
            return None
        answer = dns.message.make_response(query)
        if not self.knows_edns and query.edns >= 0:
            answer.use_edns(-1)
            answer.set_rcode(dns.rcode.FORMERR)
            return answer.to_wire()
        if self.garbles:
            return answer.to_wire()[:12] + b"\xff" * 9
        if self.rcode is not None:
            answer.set_rcode(self.rcode)
            return answer.to_wire()
        if transport == "udp" and self.is_cut:
            answer.flags |= dns.flags.TC
            return answer.to_wire()
        self._fill(answer, question.name, question.rdtype)
        if not self.is_authoritative:
            answer.flags &= ~dns.flags.AA
        if transport == "udp":
            wire = answer.to_wire(max_size=_SIZE_MAX)
            return wire if len(wire) <= _UDP_SIZE else _truncated(query)
        return answer.to_wire(max_size=_SIZE_MAX)

    def _fill(
        self, answer: dns.message.Message, name: dns.name.Name, rdtype: dns.rdatatype.RdataType
    ) -> None:
        zone = self._zone_of(name)
        if zone is None:
            answer.set_rcode(dns.rcode.REFUSED)
            return
        origin = tp.cast("dns.name.Name", zone.origin)
        for depth in range(len(origin.labels) + 1, len(name.labels) + 1):
            below = name.split(depth)[1]
            delegation = zone.get_rrset(below, dns.rdatatype.NS)
            if delegation is not None:
                answer.authority.append(delegation)
                for server in delegation:
                    glue = zone.get_rrset(server.target, dns.rdatatype.A)
                    if glue is not None:
                        answer.additional.append(glue)
                return
        answer.flags |= dns.flags.AA
        for _ in range(16):
            node = _node(zone, name)
            if node is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
                break
            found = node.get_rdataset(dns.rdataclass.IN, rdtype)
            if found is not None:
                answer.answer.append(_as_rrset(name, found))
                return
            alias = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.CNAME)
            if alias is None:
                break
            answer.answer.append(_as_rrset(name, alias))
            name = alias[0].target
            if not name.is_subdomain(origin):
                return
        soa = zone.get_rrset(origin, dns.rdatatype.SOA)
        assert soa is not None
        answer.authority.append(soa)

    def _zone_of(self, name: dns.name.Name) -> dns.zone.Zone | None:
        for depth in range(len(name.labels), 0, -1):
            zone = self.zones.get(name.split(depth)[1])
            if zone is not None:
                return zone
        return None


def _node(zone: dns.zone.Zone, name: dns.name.Name) -> tp.Any:
    node = zone.get_node(name)
    if node is not None:
        return node
    if any(known.is_subdomain(name) for known in zone.nodes):
        return dns.zone.Zone.node_factory()
    highest = len(tp.cast("dns.name.Name", zone.origin).labels)
    for depth in range(len(name.labels) - 1, highest - 1, -1):
        above = name.split(depth)[1]
        wildcard = zone.get_node(dns.name.Name((b"*", *above.labels)))
        if wildcard is not None:
            return wildcard
        if zone.get_node(above) is not None:
            return None
    return None


def _as_rrset(name: dns.name.Name, found: tp.Any) -> dns.rrset.RRset:
    rrset = dns.rrset.RRset(name, found.rdclass, found.rdtype)
    rrset.update(found)  # type: ignore[no-untyped-call]
    return rrset


def _truncated(query: dns.message.Message) -> bytes:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.TC
    return answer.to_wire()


class Internet:
    """Name servers at addresses of 127/8, one port for all; the first is the root."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count(1)
        self.servers: dict[str, NameServer] = {}
        self.port = 0
        self._is_over = False
        self.root = self.server()
        self._delegations: dict[str, list[str]] = {}
        self.root.serve("", "")

    def server(self) -> NameServer:
        """Return a new server at an address of its own."""
        number = next(self._numbers)
        server = NameServer(f"127.53.{number // 250}.{number % 250 + 1}")
        for _ in range(20):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                udp.bind((server.address, self.port))
                tcp.bind((server.address, udp.getsockname()[1]))
            except OSError:
                udp.close()
                tcp.close()
                if self.port:
                    raise
                continue
            break
        self.port = udp.getsockname()[1]
        tcp.listen(16)
        udp.setblocking(False)  # noqa: FBT003 - its only way
        self._stack.callback(udp.close)
        self._stack.callback(tcp.close)
        self._selector.register(udp, selectors.EVENT_READ, (self._udp, server))
        self._selector.register(tcp, selectors.EVENT_READ, (self._tcp, server))
        self.servers[server.address] = server
        return server

    def delegate(self, origin: str, names: dict[str, NameServer | None]) -> None:
        """Let the root name these servers of *origin*, and no other; None is one without glue."""
        self._delegations[origin] = [
            line
            for name, server in names.items()
            for line in (
                f"{origin}. 3600 IN NS {name}.",
                f"{name}. 3600 IN A {server.address}" if server is not None else "",
            )
        ]
        lines = [line for every in self._delegations.values() for line in every]
        self.root.serve("", "\n".join(lines))

    def zone(self, origin: str, text: str, servers: int = 1) -> list[NameServer]:
        """Make a zone on servers of its own, ns1, ns2, ..., delegated by the root."""
        made = [self.server() for _ in range(servers)]
        names = {f"ns{n}.{origin}": server for n, server in enumerate(made, 1)}
        own = "".join(
            f"@ 300 IN NS {name}.\n{name}. 300 IN A {server.address}\n"
            for name, server in names.items()
        )
        for server in made:
            server.serve(origin, own + text)
        self.delegate(origin, dict(names))
        return made

    def _udp(self, sock: socket.socket, server: NameServer) -> None:
        wire, peer = sock.recvfrom(65535)
        answer = server.respond(wire, "udp")
        if answer is not None:
            sock.sendto(answer, peer)

    def _tcp(self, sock: socket.socket, server: NameServer) -> None:
        connection, _ = sock.accept()
        with connection:
            connection.settimeout(60)
            size = connection.recv(2, socket.MSG_WAITALL)
            wire = connection.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL)
            answer = server.respond(wire, "tcp")
            if answer is not None:
                connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _serve(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select(timeout=0.05):
                act, server = key.data
                act(key.fileobj, server)

    async def _udp_of_busy_machine(
        self, question: dns.message.Message, where: str, timeout: float, **options: tp.Any
    ) -> dns.message.Message:
        server = self.servers.get(where)
        if server is not None and not (server.is_silent or server.garbles):
            timeout = 60
        return await _UDP(question, where, timeout=timeout, **options)

    @contextlib.contextmanager
    def running(self) -> Iterator[Internet]:
        """Serve. An answer that will come is waited for a minute: a busy machine is not silent."""
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            with mock.patch.object(dns.asyncquery, "udp", self._udp_of_busy_machine):
                yield self
        finally:
            self._is_over = True
            thread.join()
            self._stack.close()
            self._selector.close()
