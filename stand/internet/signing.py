# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""DNSSEC: the one key of the root and of the world's zones, and what is signed with it.

By hand: dnspython signs with releases of cryptography alone that the platform cannot have yet.
"""

from __future__ import annotations

import base64
import struct
import typing as tp

import dns.dnssec
import dns.dnssectypes
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from clients import files, issuing

if tp.TYPE_CHECKING:
    import pathlib

_FILE: tp.Final = "root.key"
_ALGORITHM: tp.Final = dns.dnssectypes.Algorithm.ECDSAP256SHA256
# Of each number of the key, and of a signature (RFC 6605 4).
_BYTES: tp.Final = 32
# A zone's own, which begins a chain of trust (RFC 4034 2.1.1).
_FLAGS: tp.Final = 257
# Seconds. A zone may be delegated to somebody who does not sign; the root never is.
_ZONE_TTL: tp.Final = 5
_ROOT_TTL: tp.Final = 3600
_DAY: tp.Final = 86400


class Signer:
    """Signs with *key* in the name of any zone."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        numbers = key.public_key().public_numbers()
        public = base64.b64encode(_join(numbers.x, numbers.y)).decode()
        self._record = dns.rdata.from_text("IN", "DNSKEY", f"{_FLAGS} 3 {_ALGORITHM} {public}")
        self._id = dns.dnssec.key_id(tp.cast("tp.Any", self._record))

    @property
    def anchor(self) -> str:
        """The root's key as a trust anchor, in the words of a zone file."""
        return f". IN DNSKEY {self._record.to_text()}"

    def keys(self, zone: dns.name.Name) -> dns.rrset.RRset:
        """Return the DNSKEY record of *zone*."""
        ttl = _ZONE_TTL if len(zone.labels) > 1 else _ROOT_TTL
        return _records(zone, ttl, self._record)

    def trust(self, zone: dns.name.Name) -> dns.rrset.RRset:
        """Return the DS record of *zone*, which is its parent's."""
        record = dns.dnssec.make_ds(
            zone, tp.cast("tp.Any", self._record), dns.dnssectypes.DSDigest.SHA256
        )
        return _records(zone, _ZONE_TTL, record)

    def sign(self, records: dns.rrset.RRset, zone: dns.name.Name) -> dns.rrset.RRset:
        """Return the RRSIG record of *records*, as *zone*'s (RFC 4034 3); it is valid for a day.

        A name that begins with ``*`` is none of a wildcard's here.
        """
        # From a day ago: nobody's clock is too late for it.
        now = int(issuing.now().timestamp())
        head = struct.pack(
            "!HBBIIIH",
            *(records.rdtype, _ALGORITHM, len(records.name.labels) - 1, records.ttl),
            *(now + _DAY, now - _DAY, self._id),
        ) + _wire(zone)
        owner = _wire(records.name)
        data = head + b"".join(
            owner
            + struct.pack("!HHIH", records.rdtype, records.rdclass, records.ttl, len(wire))
            + wire
            for wire in sorted(record.to_digestable() for record in records)
        )
        numbers = utils.decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        wire = head + _join(*numbers)
        made = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RRSIG, wire, 0, len(wire))
        return _records(records.name, records.ttl, made)


def _join(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(_BYTES, "big") for number in numbers)


def _wire(name: dns.name.Name) -> bytes:
    return name.canonicalize().to_wire() or b""


def _records(name: dns.name.Name, ttl: int, record: dns.rdata.Rdata) -> dns.rrset.RRset:
    result = dns.rrset.RRset(name, record.rdclass, record.rdtype, record.covers())
    result.add(record, ttl)
    return result


def ensure(state: pathlib.Path) -> Signer:
    """Return the signer of the internet whose *state* this is, made once."""
    file = state / _FILE
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        files.write_private(file, issuing.pem(ec.generate_private_key(ec.SECP256R1())))
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    return Signer(tp.cast("ec.EllipticCurvePrivateKey", key))
