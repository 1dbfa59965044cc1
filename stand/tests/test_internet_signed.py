# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""DNSSEC of the name space: what one can prove who knows the root's key alone (RFC 4035 5)."""

from __future__ import annotations

import struct
import typing as tp

import dns.dnssec
import dns.dnssectypes
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from cryptography import exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from stand.internet import signing
from stand.tests import internet_process

ROLES: tp.Final = {"resolver": 0, "root": 1, "world": 2}
HOST: tp.Final = "mx.signed.example"
TLSA: tp.Final = f"_25._tcp.{HOST}"


def ask(
    internet: internet_process.Internet, name: str, rdtype: str, role: str = "resolver"
) -> dns.message.Message:
    """Return what the server of *role* answers to who wants signatures, in one datagram."""
    address = internet.address
    if ROLES[role]:
        address = internet_process.neighbour(internet.address, ROLES[role])
    query = dns.message.make_query(name, rdtype, want_dnssec=True, payload=1232)
    response = dns.query.udp(query, address, 60, internet.dns_port)
    assert response.ednsflags & dns.flags.DO
    assert not response.flags & dns.flags.TC
    return response


def anchor(internet: internet_process.Internet) -> tp.Any:
    words = signing.ensure(internet.state).anchor.split(maxsplit=3)
    assert words[:3] == [".", "IN", "DNSKEY"]
    return dns.rdata.from_text("IN", "DNSKEY", words[3])


def wire(name: dns.name.Name) -> bytes:
    return name.canonicalize().to_wire() or b""


def verify(records: dns.rrset.RRset, signature: tp.Any, key: tp.Any) -> None:
    """Raise InvalidSignature where *signature* is not *key*'s of *records* (RFC 4034 3.1.8.1)."""
    assert signature.key_tag == dns.dnssec.key_id(key)
    head = signature.to_wire()[:18] + wire(signature.signer)
    owner = wire(records.name)
    data = head + b"".join(
        owner + struct.pack("!HHIH", records.rdtype, 1, signature.original_ttl, len(each)) + each
        for each in sorted(record.to_digestable() for record in records)
    )
    x, y, r, s = (
        int.from_bytes(whole[at : at + 32], "big")
        for whole in (key.key, signature.signature)
        for at in (0, 32)
    )
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))


def signed(section: list[dns.rrset.RRset], key: tp.Any) -> dict[tuple[str, str], str]:
    """Return the zones that have signed the records in *section*, by name and type of these.

    Empty for what nobody has signed; every signature is *key*'s.
    """
    signatures = {
        (each.name, each.covers): each[0] for each in section if each.rdtype == dns.rdatatype.RRSIG
    }
    found = {}
    for records in section:
        if records.rdtype != dns.rdatatype.RRSIG:
            signature = signatures.pop((records.name, records.rdtype), None)
            if signature is not None:
                verify(records, signature, key)
            name, kind = records.name.to_text(), dns.rdatatype.to_text(records.rdtype)
            found[name, kind] = "" if signature is None else signature.signer.to_text()
    assert not signatures
    return found


def proofs(response: dns.message.Message) -> list[tp.Any]:
    return [each for each in response.authority if each.rdtype == dns.rdatatype.NSEC]


def covers(proof: tp.Any, name: str) -> bool:
    return bool(proof.name < dns.name.from_text(name) < proof[0].next)


def types(proof: tp.Any) -> set[str]:
    """Return the types that a proof says its name has."""
    return {
        dns.rdatatype.to_text(dns.rdatatype.RdataType.make(256 * window + 8 * at + bit))
        for window, bitmap in proof[0].windows
        for at, octet in enumerate(bitmap)
        for bit in range(8)
        if octet & 0x80 >> bit
    }


@pytest.mark.parametrize("role", ["resolver", "world"])
def test_a_record_is_signed_by_its_zone_whose_key_the_root_names(
    internet: internet_process.Internet, role: str
) -> None:
    key = anchor(internet)
    internet.client.publish(TLSA, "TLSA", f"3 1 1 {'ab' * 32}")
    for name, rdtype in ((TLSA, "TLSA"), (HOST, "MX"), ("signed.example", "DNSKEY")):
        answer = ask(internet, name, rdtype, role).answer
        assert signed(answer, key) == {(f"{name}.", rdtype): "signed.example."}
    above = ask(internet, "signed.example", "DS", "resolver" if role == "resolver" else "root")
    assert signed(above.answer, key) == {("signed.example.", "DS"): "."}
    zone = dns.name.from_text("signed.example")
    expected = dns.dnssec.make_ds(zone, key, dns.dnssectypes.DSDigest.SHA256)
    assert above.answer[0][0] == expected


@pytest.mark.parametrize("role", ["resolver", "root"])
def test_the_root_is_signed_and_proves_what_a_node_looks_for(
    internet: internet_process.Internet, role: str
) -> None:
    key = anchor(internet)
    for rdtype in ("DNSKEY", "SOA", "NS"):
        answer = ask(internet, ".", rdtype, role).answer
        assert signed(answer, key) == {(".", rdtype): "."}
    response = ask(internet, ".", "A", role)
    assert signed(response.authority, key) == {(".", "SOA"): ".", (".", "NSEC"): "."}
    (proof,) = proofs(response)
    assert types(proof) == {"SOA", "NS", "DNSKEY", "NSEC", "RRSIG"}


def test_the_root_proves_whom_it_refers_to(internet: internet_process.Internet) -> None:
    key = anchor(internet)
    internet.client.delegate("unsigned.example")
    assert signed(ask(internet, "a.signed.example", "A", "root").authority, key) == {
        ("signed.example.", "NS"): "",
        ("signed.example.", "DS"): ".",
    }
    response = ask(internet, "a.unsigned.example", "A", "root")
    assert signed(response.authority, key) == {
        ("unsigned.example.", "NS"): "",
        ("unsigned.example.", "NSEC"): ".",
    }
    (proof,) = proofs(response)
    assert types(proof) == {"NS", "NSEC", "RRSIG"}


def test_a_zone_that_is_delegated_is_proven_to_have_no_key(
    internet: internet_process.Internet,
) -> None:
    internet.client.delegate("unsigned.example")
    response = ask(internet, "unsigned.example", "DS")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])
    assert signed(response.authority, anchor(internet)) == {
        (".", "SOA"): ".",
        ("unsigned.example.", "NSEC"): ".",
    }
    (proof,) = proofs(response)
    # Who does not read that there are other servers would take the zone for the parent's.
    assert types(proof) == {"NS", "NSEC", "RRSIG"}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        pytest.param(HOST, {"MX", "A"}, id="a name"),
        pytest.param("signed.example", {"MX", "SOA", "NS", "DNSKEY"}, id="a zone"),
        pytest.param("example", set(), id="above a zone"),
        pytest.param("_tcp.mx.signed.example", set(), id="above a name"),
    ],
)
def test_a_name_is_proven_to_have_other_records(
    internet: internet_process.Internet, name: str, kinds: set[str]
) -> None:
    internet.client.publish(HOST, "A", "10.77.0.9")
    internet.client.publish(TLSA, "TLSA", f"3 1 1 {'ab' * 32}")
    response = ask(internet, name, "TXT")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])
    zone = "." if name == "example" else "signed.example."
    assert signed(response.authority, anchor(internet)) == {
        (zone, "SOA"): zone,
        (f"{name}.", "NSEC"): zone,
    }
    (proof,) = proofs(response)
    assert types(proof) == {*kinds, "NSEC", "RRSIG"}


@pytest.mark.parametrize(
    ("name", "wildcard", "zone"),
    [
        pytest.param(TLSA, "*._tcp.mx.signed.example", "signed.example.", id="of a zone"),
        pytest.param("_dmarc.signed.example", "*.signed.example", "signed.example.", id="below it"),
        pytest.param("no.such.invalid", "*.such.invalid", ".", id="of the root"),
        pytest.param("localhost", "*", ".", id="below it"),
    ],
)
def test_a_name_is_proven_not_to_be_there_and_no_other(
    internet: internet_process.Internet, name: str, wildcard: str, zone: str
) -> None:
    response = ask(internet, name, "TLSA")
    assert (response.rcode(), response.answer) == (dns.rcode.NXDOMAIN, [])
    assert set(signed(response.authority, anchor(internet)).values()) == {zone}
    of_name, of_wildcard = proofs(response)
    assert covers(of_name, name)
    assert covers(of_wildcard, wildcard)
    label, _, above = name.partition(".")
    for other in (f"{label}-.{above}", f"{label[:-1]}.{above}", f"a.{above}", above or "."):
        assert not covers(of_name, other)
        assert not covers(of_wildcard, other)


def test_an_alias_is_signed_and_what_it_leads_to_by_its_own_zone(
    internet: internet_process.Internet,
) -> None:
    key = anchor(internet)
    internet.client.publish("www.signed.example", "CNAME", "web.other.example.")
    internet.client.publish("web.other.example", "A", "10.77.0.9")
    alias = {("www.signed.example.", "CNAME"): "signed.example."}
    response = ask(internet, "www.signed.example", "A")
    assert signed(response.answer, key) == {**alias, ("web.other.example.", "A"): "other.example."}
    response = ask(internet, "www.signed.example", "TXT")
    assert signed(response.answer, key) == alias
    assert signed(response.authority, key) == {
        ("other.example.", "SOA"): "other.example.",
        ("web.other.example.", "NSEC"): "other.example.",
    }


def test_a_changed_record_is_not_what_was_signed(internet: internet_process.Internet) -> None:
    internet.client.publish(HOST, "A", "10.77.0.9")
    _, signature = ask(internet, HOST, "A").answer
    records = dns.rrset.from_text(f"{HOST}.", 1, "IN", "A", "10.77.0.8")
    with pytest.raises(exceptions.InvalidSignature):
        verify(records, signature[0], anchor(internet))


def test_the_key_outlives_the_process(internet: internet_process.Internet) -> None:
    assert signing.ensure(internet.state).anchor == signing.ensure(internet.state).anchor
    assert (internet.state / "root.key").stat().st_mode & 0o777 == 0o600


def test_who_asks_for_no_signatures_gets_none(internet: internet_process.Internet) -> None:
    query = dns.message.make_query("_dmarc.signed.example", "TXT")
    response = dns.query.udp(query, internet.address, 60, internet.dns_port)
    kinds = [each.rdtype for each in response.authority]
    assert (response.rcode(), kinds) == (dns.rcode.NXDOMAIN, [dns.rdatatype.SOA])
