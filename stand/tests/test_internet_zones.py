# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The name space asked from its root down, and the servers of a delegated zone."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import typing as tp

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
import requests

from stand.internet import nameserver, records
from stand.tests import internet_process

if tp.TYPE_CHECKING:
    import pathlib

ZONE: tp.Final = "zone.example"
KEY: tp.Final = f"platform._domainkey.{ZONE}"
ROLES: tp.Final = {role: number for number, role in enumerate(internet_process.SERVERS, 1)}


class Cloud:
    """Core's name server in small: it has the zone, and records its answers are made of."""

    def __init__(self, published: records.Records) -> None:
        self.published = published

    async def respond(
        self,
        query: dns.message.QueryMessage,
        *,
        is_datagram: bool,
    ) -> dns.message.Message:
        response = dns.message.make_response(query)
        question = query.question[0]
        answer = self.published.answer(question.name, question.rdtype)
        response.flags |= dns.flags.AA
        response.set_rcode(answer.rcode)
        response.answer.extend(answer.rrsets)
        return response


@pytest.fixture
def zone(
    internet: internet_process.Internet, tmp_path: pathlib.Path
) -> tp.Iterator[records.Records]:
    """Return the records of a zone that the world delegates to the cloud's two servers."""
    published = records.Records(tmp_path / "cloud.json", "mx.cloud.test")
    address = internet_process.neighbour(internet.address, ROLES["cloud"])
    loop = asyncio.new_event_loop()
    sockets = loop.run_until_complete(
        nameserver.start((address, internet.dns_port), Cloud(published))
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    internet.client.delegate(ZONE)
    yield published
    internet.client.repair_secondary(ZONE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for each in sockets:
        each.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def ask(
    internet: internet_process.Internet,
    role: str | None,
    name: str,
    rdtype: str,
    *,
    tcp: bool = False,
) -> dns.message.Message:
    """Return what the server of *role*, or the nodes' resolver, answers."""
    address = internet.address
    if role is not None:
        address = internet_process.neighbour(internet.address, ROLES[role])
    exchange = dns.query.tcp if tcp else dns.query.udp
    query = dns.message.make_query(name, rdtype)
    return exchange(query, address, port=internet.dns_port, timeout=60)


def texts(section: tp.Iterable[tp.Any]) -> list[str]:
    return sorted(line for rrset in section for line in rrset.to_text().splitlines())


def summary(response: dns.message.Message) -> tuple[str, bool, list[str]]:
    """Return the code, whether it is authoritative, and the data of the answer."""
    data = sorted(rdata.to_text() for rrset in response.answer for rdata in rrset)
    return dns.rcode.to_text(response.rcode()), bool(response.flags & dns.flags.AA), data


def test_the_root_refers_to_the_world_s_server_and_to_that_of_a_delegated_zone(
    internet: internet_process.Internet, zone: records.Records
) -> None:
    del zone
    world = internet_process.neighbour(internet.address, ROLES["world"])
    response = ask(internet, "root", "a.b.example.com", "TXT")
    assert summary(response) == ("NOERROR", False, [])
    assert texts(response.authority) == ["example.com. 1 IN NS ns.stand.test."]
    assert texts(response.additional) == [f"ns.stand.test. 1 IN A {world}"]

    first, second = (
        internet_process.neighbour(internet.address, ROLES[role])
        for role in ("primary", "secondary")
    )
    response = ask(internet, "root", KEY, "TXT")
    assert summary(response) == ("NOERROR", False, [])
    assert texts(response.authority) == [
        f"{ZONE}. 1 IN NS ns1.cloud.test.",
        f"{ZONE}. 1 IN NS ns2.cloud.test.",
    ]
    assert texts(response.additional) == [
        f"ns1.cloud.test. 1 IN A {first}",
        f"ns2.cloud.test. 1 IN A {second}",
    ]


@pytest.mark.parametrize(
    ("role", "name", "rdtype", "expected", "authority"),
    [
        pytest.param("root", ".", "NS", ("NOERROR", True, ["a.root.stand.test."]), "", id="root"),
        pytest.param("root", "com", "TXT", ("NOERROR", True, []), ".", id="top-level"),
        pytest.param("root", "x.invalid", "A", ("NXDOMAIN", True, []), ".", id="invalid"),
        pytest.param(
            "world", "example.com", "NS", ("NOERROR", True, ["ns.stand.test."]), "", id="apex NS"
        ),
        pytest.param(
            *("world", "example.com", "SOA"),
            ("NOERROR", True, ["ns.stand.test. hostmaster.stand.test. 1 60 60 3600 1"]),
            "",
            id="apex SOA",
        ),
        pytest.param(
            *("world", "_dmarc.example.com", "TXT"),
            ("NXDOMAIN", True, []),
            "example.com.",
            id="no such name",
        ),
        pytest.param(
            *("world", "example.com", "TXT"), ("NOERROR", True, []), "example.com.", id="no data"
        ),
        pytest.param(
            *("world", "1.0.77.10.in-addr.arpa", "PTR"),
            ("NXDOMAIN", True, []),
            "in-addr.arpa.",
            id="reverse",
        ),
        pytest.param("world", "com", "NS", ("REFUSED", False, []), "", id="not its zone"),
    ],
)
def test_a_server_is_authoritative_for_its_zones_alone(
    internet: internet_process.Internet,
    role: str,
    name: str,
    rdtype: str,
    expected: tuple[str, bool, list[str]],
    authority: str,
) -> None:
    response = ask(internet, role, name, rdtype)
    assert summary(response) == expected
    assert [rrset.name.to_text() for rrset in response.authority] == ([authority] * bool(authority))


def test_an_alias_out_of_the_zone_is_not_followed_by_its_server(
    internet: internet_process.Internet,
) -> None:
    internet.client.publish("www.example.com", "CNAME", "web.example.net.")
    internet.client.publish("web.example.net", "A", "10.77.0.9")
    assert summary(ask(internet, "world", "www.example.com", "A")) == (
        *("NOERROR", True, ["web.example.net."]),
    )
    assert summary(ask(internet, None, "www.example.com", "A"))[2] == [
        *("10.77.0.9", "web.example.net."),
    ]


def test_both_servers_and_the_resolver_answer_what_the_cloud_does(
    internet: internet_process.Internet, zone: records.Records
) -> None:
    zone.publish(KEY, "TXT", ["v=DKIM1; p=" + "A" * 400])
    zone.publish(f"out.{ZONE}", "CNAME", ["there.example.com."])
    internet.client.publish("there.example.com", "TXT", "hello")
    expected = summary(ask(internet, "cloud", KEY, "TXT"))
    assert expected[:2] == ("NOERROR", True)
    for role in ("primary", "secondary", None):
        assert summary(ask(internet, role, KEY, "TXT")) == expected
        assert summary(ask(internet, role, f"_none.{ZONE}", "TXT"))[0] == "NXDOMAIN"
    assert summary(ask(internet, None, f"out.{ZONE}", "TXT"))[2] == [
        *('"hello"', "there.example.com."),
    ]


def test_a_zone_whose_servers_are_silent_is_a_server_failure(
    internet: internet_process.Internet,
) -> None:
    internet.client.delegate("dead.example")
    assert summary(ask(internet, None, "dead.example", "TXT"))[0] == "SERVFAIL"


@pytest.mark.parametrize(
    ("fault", "name", "expected"),
    [
        pytest.param({"rcode": "SERVFAIL"}, KEY, ("SERVFAIL", False, []), id="fails"),
        pytest.param({"rcode": "REFUSED"}, KEY, ("REFUSED", False, []), id="refuses"),
        pytest.param({"answers": {KEY: {}}}, KEY, ("NXDOMAIN", True, []), id="lags"),
        pytest.param(
            {"answers": {KEY: {"A": []}}}, KEY, ("NOERROR", True, []), id="lags, name is there"
        ),
        pytest.param(
            {"answers": {KEY: {"TXT": ["old"]}}}, KEY, ("NOERROR", True, ['"old"']), id="lies"
        ),
        pytest.param(
            {"answers": {KEY: {"CNAME": ["k.example.com."]}}},
            KEY,
            ("NOERROR", True, ["k.example.com."]),
            id="alias",
        ),
        pytest.param(
            {"answers": {f"*.{ZONE}": {"TXT": ["wild"]}}},
            f"_any.{ZONE}",
            ("NOERROR", True, ['"wild"']),
            id="wildcard",
        ),
        pytest.param(
            {"answers": {f"*.{ZONE}": {"TXT": ["wild"]}}},
            KEY,
            ("NOERROR", True, ['"key"']),
            id="a name of its own is no wildcard's",
        ),
    ],
)
def test_the_second_server_fails_as_it_is_told_and_the_first_does_not(
    internet: internet_process.Internet,
    zone: records.Records,
    fault: dict[str, tp.Any],
    name: str,
    expected: tuple[str, bool, list[str]],
) -> None:
    zone.publish(KEY, "TXT", ["key"])
    before = summary(ask(internet, "secondary", name, "TXT"))
    internet.client.break_secondary(ZONE, **fault)
    assert summary(ask(internet, "secondary", name, "TXT")) == expected
    assert summary(ask(internet, "primary", name, "TXT")) == before
    internet.client.repair_secondary(ZONE)
    assert summary(ask(internet, "secondary", name, "TXT")) == before


def test_a_server_that_truncates_tells_all_over_tcp(
    internet: internet_process.Internet, zone: records.Records
) -> None:
    zone.publish(KEY, "TXT", ["key"])
    internet.client.break_secondary(ZONE, truncate=True)
    response = ask(internet, "secondary", KEY, "TXT")
    assert response.flags & dns.flags.TC
    assert summary(response)[2] == []
    assert summary(ask(internet, "secondary", KEY, "TXT", tcp=True))[2] == ['"key"']


def test_a_silent_server_answers_nobody_and_a_slow_one_late(
    internet: internet_process.Internet, zone: records.Records
) -> None:
    zone.publish(KEY, "TXT", ["key"])
    internet.client.break_secondary(ZONE, silent=True)
    address = internet_process.neighbour(internet.address, ROLES["secondary"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(60)
        client.connect((address, internet.dns_port))
        client.send(dns.message.make_query(KEY, "TXT", id=1).to_wire())
        # It hangs up on whom it can: by then it has read what came before.
        with pytest.raises(EOFError):
            ask(internet, "secondary", KEY, "TXT", tcp=True)
        internet.client.break_secondary(ZONE, delay=0.5)
        started = time.monotonic()
        client.send(dns.message.make_query(KEY, "TXT", id=2).to_wire())
        # The answer to the first question, which is not put off, would come before.
        response = dns.message.from_wire(client.recv(65535))
        assert time.monotonic() - started >= 0.5
        assert (response.id, summary(response)[2]) == (2, ['"key"'])


@pytest.mark.parametrize(
    "fault",
    [{"rcode": "BROKEN"}, {"answers": {KEY: {"A": ["x"]}}}, {"answers": {"a..b": {}}}, {"no": 1}],
    ids=repr,
)
def test_a_fault_that_is_none_is_refused(
    internet: internet_process.Internet, fault: dict[str, tp.Any]
) -> None:
    with pytest.raises(requests.HTTPError) as refused:
        internet.client.break_secondary(ZONE, **fault)
    assert refused.value.response is not None
    assert refused.value.response.status_code == 400
