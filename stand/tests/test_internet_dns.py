# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import socket
import typing as tp

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
import requests

if tp.TYPE_CHECKING:
    from stand.tests import internet_process

DKIM = "v=DKIM1; k=rsa; p=" + "A" * 392


def ask(
    internet: internet_process.Internet,
    name: str,
    rdtype: str,
    *,
    tcp: bool = False,
    **options: tp.Any,
) -> dns.message.Message:
    query = dns.message.make_query(name, rdtype, **options)
    exchange = dns.query.tcp if tcp else dns.query.udp
    return exchange(query, internet.address, port=internet.dns_port, timeout=60)


def answers(response: dns.message.Message) -> list[str]:
    return sorted(rdata.to_text() for rrset in response.answer for rdata in rrset)


@pytest.mark.parametrize(
    ("name", "rdtype", "expected"),
    [
        pytest.param("example.com", "MX", ["10 mx.stand.test."], id="made-up domain"),
        pytest.param("a.b.c.example", "MX", ["10 mx.stand.test."], id="made-up deep domain"),
        pytest.param("mail.local", "MX", ["10 mx.stand.test."], id="a network's own domain"),
        pytest.param("EXAMPLE.Com", "MX", ["10 mx.stand.test."], id="any case"),
        pytest.param("example.com", "A", [], id="no address unless published"),
        pytest.param("example.com", "TXT", [], id="no text unless published"),
    ],
)
def test_every_public_looking_domain_has_the_exchanger_and_nothing_else(
    internet: internet_process.Internet, name: str, rdtype: str, expected: list[str]
) -> None:
    response = ask(internet, name, rdtype)
    assert (response.rcode(), answers(response)) == (dns.rcode.NOERROR, expected)
    assert response.flags & dns.flags.AA


@pytest.mark.parametrize("name", ["localhost", "no.such.invalid", "1.0.0.10.in-addr.arpa"])
@pytest.mark.parametrize("rdtype", ["A", "MX", "PTR"])
def test_a_name_that_must_not_exist_does_not(
    internet: internet_process.Internet, name: str, rdtype: str
) -> None:
    response = ask(internet, name, rdtype)
    assert (response.rcode(), answers(response)) == (dns.rcode.NXDOMAIN, [])


@pytest.mark.parametrize(
    "name", ["_dmarc.example.com", "s._domainkey.example.com", "_25._tcp.mx.test"]
)
def test_a_name_for_a_purpose_exists_only_when_published(
    internet: internet_process.Internet, name: str
) -> None:
    assert ask(internet, name, "TXT").rcode() == dns.rcode.NXDOMAIN
    internet.client.publish(name, "TXT", "hello")
    assert answers(ask(internet, name, "TXT")) == ['"hello"']


@pytest.mark.parametrize(
    ("rdtype", "values", "expected"),
    [
        pytest.param("A", ["10.77.0.9", "10.77.0.8"], ["10.77.0.8", "10.77.0.9"], id="A"),
        pytest.param("MX", ["0 ."], ["0 ."], id="null MX"),
        pytest.param("MX", ["5 a.test.", "9 b.test."], ["5 a.test.", "9 b.test."], id="MX"),
        pytest.param("MX", [], [], id="no MX at all"),
        pytest.param("TXT", ['v="1"; a\\b'], ['"v=\\"1\\"; a\\\\b"'], id="quotes and backslashes"),
        pytest.param(
            "TXT", [DKIM], [f'"{DKIM[:255]}" "{DKIM[255:]}"'], id="text longer than a string"
        ),
        pytest.param("TXT", [""], ['""'], id="empty text"),
        pytest.param("CAA", ['0 issue "ca.test"'], ['0 issue "ca.test"'], id="any type"),
    ],
)
def test_what_is_published_is_answered_until_it_is_withdrawn(
    internet: internet_process.Internet, rdtype: str, values: list[str], expected: list[str]
) -> None:
    before = answers(ask(internet, "example.com", rdtype))
    internet.client.publish("example.com", rdtype, *values)
    assert answers(ask(internet, "example.com", rdtype)) == expected
    assert internet.client.records()["example.com"] == {rdtype: values}
    internet.client.withdraw("example.com")
    assert answers(ask(internet, "example.com", rdtype)) == before


def test_a_name_above_a_published_one_exists_and_is_empty(
    internet: internet_process.Internet,
) -> None:
    internet.client.publish("9.0.77.10.in-addr.arpa", "PTR", "mail.example.com.")
    above = ask(internet, "77.10.in-addr.arpa", "PTR")
    assert (above.rcode(), answers(above)) == (dns.rcode.NOERROR, [])
    assert answers(ask(internet, "9.0.77.10.in-addr.arpa", "PTR")) == ["mail.example.com."]


def test_an_alias_is_followed_to_its_address(internet: internet_process.Internet) -> None:
    internet.client.publish("www.example.com", "CNAME", "web.example.net.")
    internet.client.publish("web.example.net", "A", "10.77.0.9")
    assert answers(ask(internet, "www.example.com", "A")) == ["10.77.0.9", "web.example.net."]


def test_a_loop_of_aliases_is_a_server_failure(internet: internet_process.Internet) -> None:
    internet.client.publish("a.example.com", "CNAME", "b.example.com.")
    internet.client.publish("b.example.com", "CNAME", "a.example.com.")
    assert ask(internet, "a.example.com", "A").rcode() == dns.rcode.SERVFAIL


def test_an_answer_too_long_for_a_datagram_is_truncated_and_whole_over_tcp(
    internet: internet_process.Internet,
) -> None:
    texts = [f"{number}" + "x" * 200 for number in range(8)]
    internet.client.publish("example.com", "TXT", *texts)
    datagram = ask(internet, "example.com", "TXT", use_edns=False)
    assert datagram.flags & dns.flags.TC
    stream = ask(internet, "example.com", "TXT", tcp=True)
    assert answers(stream) == [f'"{text}"' for text in texts]


@pytest.mark.parametrize("rdtype", ["ANY", "AXFR"])
def test_a_zone_is_not_given_away_whole(internet: internet_process.Internet, rdtype: str) -> None:
    query = dns.message.make_query("example.com", dns.rdatatype.from_text(rdtype))
    response = dns.query.tcp(
        query, internet.address, port=internet.dns_port, timeout=60, one_rr_per_rrset=True
    )
    assert response.rcode() == dns.rcode.REFUSED


def test_garbage_is_answered_or_dropped_and_the_server_goes_on(
    internet: internet_process.Internet,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as garbage:
        for octets in (
            b"",
            b"x",
            b"\x00" * 11,
            b"\xff" * 40,
            b"\x12\x34" + b"\x01\x00" + b"\x00\x09" * 20,
        ):
            garbage.sendto(octets, (internet.address, internet.dns_port))
    with socket.create_connection((internet.address, internet.dns_port)) as half:
        half.sendall(b"\x00\x20abc")
    assert answers(ask(internet, "example.com", "MX")) == ["10 mx.stand.test."]


@pytest.mark.parametrize(
    ("name", "rdtype", "values"),
    [
        pytest.param("example.com", "A", ["10.77.0.300"], id="not an address"),
        pytest.param("example.com", "BOGUS", ["x"], id="no such type"),
        pytest.param("example.com", "ANY", ["x"], id="not a type of a record"),
        pytest.param("a..b", "A", ["10.77.0.1"], id="empty label"),
        pytest.param("a" * 64 + ".com", "A", ["10.77.0.1"], id="long label"),
        pytest.param("example.com", "TXT", ["ключ"], id="not ASCII"),
    ],
)
def test_what_is_not_a_record_is_refused_and_changes_nothing(
    internet: internet_process.Internet, name: str, rdtype: str, values: list[str]
) -> None:
    before = internet.client.records()
    with pytest.raises(requests.HTTPError) as refused:
        internet.client.publish(name, rdtype, *values)
    assert refused.value.response is not None
    assert refused.value.response.status_code == 400
    assert internet.client.records() == before


@pytest.mark.parametrize("body", ["", "{}", '"x"', "[1]", "[", b"\xff"], ids=repr)
def test_a_body_that_is_not_a_list_of_strings_is_refused(
    internet: internet_process.Internet, body: str | bytes
) -> None:
    url = f"http://{internet.address}:{internet.http_port}/records/example.com/A"
    response = requests.put(url, data=body, timeout=60)
    assert (response.status_code, response.json()) == (
        400,
        {"message": "the body is a JSON list of strings"},
    )
