# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The server that a network gives, with a root of the bench's own that is signed (DNSSEC).

All names are of the one zone, the root, but for those below an unsigned delegation. What is
not there is denied by a record at the very name (RFC 9824), so that nothing has to be sorted.
"""

from __future__ import annotations

import base64
import socketserver
import struct
import threading
import time
import typing as tp

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_ECDSAP256SHA256: tp.Final = 13
_HALF: tp.Final = 32
_DAY: tp.Final = 86400
_TTL: tp.Final = 60


class Root:
    """Records of the root with their signatures; *unsigned* names are delegated without one."""

    def __init__(
        self, records: Mapping[tuple[str, str], list[str]], unsigned: Collection[str]
    ) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        public = b"".join(number.to_bytes(_HALF, "big") for number in (numbers.x, numbers.y))
        words = f"257 3 {_ECDSAP256SHA256} {base64.b64encode(public).decode()}"
        self.anchor = f". IN DNSKEY {words}"
        """The key of the root, as a file of such has it."""
        key = dns.rdata.from_text("IN", "DNSKEY", words).to_wire()
        assert key is not None
        self._key_id = _key_id(key)
        self._records = {
            (dns.name.from_text(name), dns.rdatatype.from_text(kind)): values
            for (name, kind), values in records.items()
        }
        self._records[dns.name.root, dns.rdatatype.DNSKEY] = [words]
        self._records[dns.name.root, dns.rdatatype.SOA] = [f"a. b. 1 60 60 60 {_TTL}"]
        self._records[dns.name.root, dns.rdatatype.NS] = ["ns.example."]
        self._unsigned = [dns.name.from_text(name) for name in unsigned]
        for zone in self._unsigned:
            self._records[zone, dns.rdatatype.NS] = ["ns.example."]
        self.damaged: set[tuple[dns.name.Name, dns.rdatatype.RdataType]] = set()
        """Records whose signature is another's."""

    def respond(self, query: dns.message.Message, *, strips: bool) -> dns.message.Message:
        """Return what a resolver says that hands on what it hears, or *strips* signatures."""
        response = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        name, kind = question.name.canonicalize(), question.rdtype
        # A delegation itself is of the zone above; what is denied below has no proof.
        is_signed = not any(
            name.is_subdomain(zone) and (name != zone or kind != dns.rdatatype.DS)
            for zone in self._unsigned
        )
        values = self._records.get((name, kind))
        section = response.answer if values else response.authority
        rrsets = [self._rrset(name, kind, values)] if values else self._denial(name)
        for rrset in rrsets:
            is_proof = rrset.rdtype == dns.rdatatype.NSEC
            if not is_proof or (is_signed and not strips):
                section.append(rrset)
            if is_signed and not strips and query.ednsflags & dns.flags.DO:
                section.append(self._signature(rrset))
        return response

    def _rrset(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, values: list[str]
    ) -> dns.rrset.RRset:
        return dns.rrset.from_text(name, _TTL, "IN", dns.rdatatype.to_text(kind), *values)

    def _denial(self, name: dns.name.Name) -> list[dns.rrset.RRset]:
        kinds = {kind for each, kind in self._records if each == name}
        words = " ".join(
            dns.rdatatype.to_text(kind)
            for kind in sorted(kinds | {dns.rdatatype.RRSIG, dns.rdatatype.NSEC})
        )
        following = dns.name.Name((b"\0", *name.labels))
        return [
            self._rrset(dns.name.root, dns.rdatatype.SOA, [f"a. b. 1 60 60 60 {_TTL}"]),
            self._rrset(name, dns.rdatatype.NSEC, [f"{following} {words}"]),
        ]

    def _signature(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        now = int(time.time())
        labels = len(rrset.name.labels) - 1
        head = struct.pack(
            "!HBBIIIH",
            *(rrset.rdtype, _ECDSAP256SHA256, labels, _TTL),
            *(now + _DAY, now - _DAY, self._key_id),
        )
        owner = rrset.name.canonicalize().to_wire()
        assert owner is not None
        data = head + b"\0"
        for wire in sorted(record.to_digestable() for record in rrset):
            fields = (rrset.rdtype, dns.rdataclass.IN, _TTL, len(wire))
            data += owner + struct.pack("!HHIH", *fields) + wire
        if (rrset.name.canonicalize(), rrset.rdtype) in self.damaged:
            data += b"\0"
        made = utils.decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        signature = b"".join(number.to_bytes(_HALF, "big") for number in made)
        wire = head + b"\0" + signature
        record = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RRSIG, wire, 0, len(wire))
        made_of = dns.rrset.RRset(rrset.name, dns.rdataclass.IN, dns.rdatatype.RRSIG, rrset.rdtype)
        made_of.add(record, _TTL)
        return made_of


class Server:
    """The root on port 53 of an address of this machine, until it is closed."""

    def __init__(self, root: Root, address: str) -> None:
        self.strips = False
        """Whether it keeps signatures to itself."""

        class Handler(socketserver.BaseRequestHandler):
            def handle(handler) -> None:  # noqa: N805 - of the server around it
                data, sock = handler.request
                response = root.respond(dns.message.from_wire(data), strips=self.strips)
                sock.sendto(response.to_wire(), handler.client_address)

        self._server = socketserver.ThreadingUDPServer((address, 53), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="root", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _key_id(wire: bytes) -> int:
    """Return the id of a key (RFC 4034, appendix B)."""
    words = [byte << 8 if place % 2 == 0 else byte for place, byte in enumerate(wire)]
    total = sum(words)
    return (total + (total >> 16)) & 0xFFFF
