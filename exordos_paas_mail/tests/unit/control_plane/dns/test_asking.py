# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every authoritative server is found from the root on, and asked."""

from __future__ import annotations

import asyncio
import ipaddress
import typing as tp

import dns.rcode
import pytest

from exordos_paas_mail.control_plane.dns import answers, asking, settings, transport
from exordos_paas_mail.tests.unit.control_plane.dns import internet as internets

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@pytest.fixture
def internet() -> tp.Iterator[internets.Internet]:
    with internets.Internet().running() as running:
        yield running


def settings_of(internet: internets.Internet) -> settings.Settings:
    return settings.Settings((internet.root.address,), internet.port, (LOOPBACK,))


def ask(
    internet: internets.Internet,
    name: str,
    rdtype: str = "TXT",
    budget: transport.Budget | None = None,
) -> list[answers.Answer]:
    asker = asking.Asker(settings_of(internet), asking.Delegations(), budget)
    return asyncio.run(asker.everyone(name, rdtype))


def told(found: list[answers.Answer]) -> list[tuple[str, str]]:
    return [(answer.server, answer.sentence()) for answer in found]


def test_each_server_of_the_zone_is_asked(internet: internets.Internet) -> None:
    first, second = internet.zone("example.com", 'x 300 IN TXT "one"', servers=2)
    second.serve("example.com", 'x 300 IN TXT "two"')
    assert told(ask(internet, "x.example.com")) == [
        ("ns1.example.com", "one"),
        ("ns2.example.com", "two"),
    ]
    assert first.asked.count(("x.example.com", "TXT", "udp")) == 1


def test_a_delegation_is_followed_to_the_servers_below(internet: internets.Internet) -> None:
    below = internet.server()
    below.serve("_domainkey.example.com", 'platform 300 IN TXT "key"')
    internet.zone(
        "example.com",
        f"_domainkey 300 IN NS ns._domainkey\nns._domainkey 300 IN A {below.address}",
        servers=2,
    )
    assert told(ask(internet, "platform._domainkey.example.com")) == [
        ("ns._domainkey.example.com", "key"),
    ]


def test_a_delegation_that_one_server_alone_knows_is_followed(
    internet: internets.Internet,
) -> None:
    both, parent_only = internet.zone("example.com", "", servers=2)
    below = internet.server()
    delegation = f"sub 300 IN NS ns.sub\nns.sub 300 IN A {below.address}\n"
    parent_only.serve("example.com", delegation)
    both.serve("sub.example.com", 'x 300 IN TXT "from the server of both"')
    below.serve("sub.example.com", 'x 300 IN TXT "from the server of the zone"')
    assert told(ask(internet, "x.sub.example.com")) == [
        ("ns.sub.example.com", "from the server of the zone"),
    ]


def test_a_server_that_the_zone_names_and_its_parent_does_not_is_asked(
    internet: internets.Internet,
) -> None:
    hidden = internet.server()
    hidden.serve("example.com", 'x 300 IN TXT "old"')
    internet.zone(
        "example.com", f'x 300 IN TXT "new"\n@ 300 IN NS ns9\nns9 300 IN A {hidden.address}'
    )
    assert told(ask(internet, "x.example.com")) == [
        ("ns1.example.com", "new"),
        ("ns9.example.com", "old"),
    ]


def test_a_server_named_without_its_address_is_looked_up(internet: internets.Internet) -> None:
    server = internet.server()
    server.serve("example.com", 'x 300 IN TXT "found"\n@ 300 IN NS ns.hoster.net.')
    internet.zone("hoster.net", f"ns 300 IN A {server.address}", servers=2)
    internet.delegate("example.com", {"ns.hoster.net": None})
    assert told(ask(internet, "x.example.com")) == [("ns.hoster.net", "found")]


def test_servers_that_are_named_in_each_others_zones_end_the_walk(
    internet: internets.Internet,
) -> None:
    internet.delegate("a.example", {"ns.b.example": None})
    internet.delegate("b.example", {"ns.a.example": None})
    (answer,) = ask(internet, "x.a.example")
    assert answer.outcome == answers.FAILED


def test_many_servers_that_have_no_address_end_the_walk(internet: internets.Internet) -> None:
    internet.zone("victim.net", "")
    internet.delegate("example.com", {f"lost{n}.victim.net": None for n in range(40)})
    found = ask(internet, "x.example.com")
    assert {answer.outcome for answer in found} == {answers.NO_ADDRESS}
    assert sum(len(server.asked) for server in internet.servers.values()) < 100


def test_an_alias_is_followed_to_the_servers_of_the_other_zone(
    internet: internets.Internet,
) -> None:
    internet.zone("example.com", "x 300 IN CNAME y.hoster.net.", servers=2)
    internet.zone("hoster.net", 'y 300 IN TXT "value"', servers=2)
    found = ask(internet, "x.example.com")
    assert told(answers.words(found)) == [("ns1.hoster.net", "value"), ("ns2.hoster.net", "value")]
    assert {answer.via for answer in answers.words(found)} == {"y.hoster.net"}
    assert told([a for a in found if not a.is_word]) == [
        ("ns1.example.com", "alias of y.hoster.net"),
        ("ns2.example.com", "alias of y.hoster.net"),
    ]


def test_an_alias_within_the_zone_is_each_servers_own_answer(
    internet: internets.Internet,
) -> None:
    _, second = internet.zone("example.com", 'x 300 IN CNAME y\ny 300 IN TXT "new"', servers=2)
    second.serve("example.com", 'x 300 IN CNAME y\ny 300 IN TXT "old"')
    assert told(ask(internet, "x.example.com")) == [
        ("ns1.example.com", "new"),
        ("ns2.example.com", "old"),
    ]


def test_aliases_in_a_circle_end(internet: internets.Internet) -> None:
    internet.zone("a.example", "x 300 IN CNAME x.b.example.")
    internet.zone("b.example", "x 300 IN CNAME x.a.example.")
    found = ask(internet, "x.a.example")
    assert not answers.words(found)
    assert any(answer.note == "too many aliases" for answer in found)


def test_what_is_cut_short_is_asked_for_over_tcp(internet: internets.Internet) -> None:
    (server,) = internet.zone("example.com", 'x 300 IN TXT "long"')
    server.is_cut = True
    assert told(ask(internet, "x.example.com")) == [("ns1.example.com", "long")]
    assert ("x.example.com", "TXT", "tcp") in server.asked


def test_records_too_many_for_a_packet_are_whole(internet: internets.Internet) -> None:
    lines = "\n".join(f'x 300 IN TXT "{n:0200d}"' for n in range(40))
    internet.zone("example.com", lines)
    (answer,) = ask(internet, "x.example.com")
    assert len(answer.texts) == 40


def test_a_server_without_edns_is_asked_without_it(internet: internets.Internet) -> None:
    (server,) = internet.zone("example.com", 'x 300 IN TXT "value"')
    server.knows_edns = False
    assert told(ask(internet, "x.example.com")) == [("ns1.example.com", "value")]


def test_what_servers_fail_in_is_said_of_each(internet: internets.Internet) -> None:
    made = internet.zone("example.com", 'x 300 IN TXT "value"', servers=6)
    made[1].rcode = dns.rcode.SERVFAIL
    made[2].rcode = dns.rcode.REFUSED
    made[3].is_authoritative = False
    made[4].is_silent = True
    made[5].zones.clear()
    assert told(ask(internet, "x.example.com")) == [
        ("ns1.example.com", "value"),
        ("ns2.example.com", "fails (SERVFAIL)"),
        ("ns3.example.com", "does not serve the zone"),
        ("ns4.example.com", "does not serve the zone"),
        ("ns5.example.com", "does not answer"),
        ("ns6.example.com", "does not serve the zone"),
    ]


def test_an_answer_that_is_none_is_waited_past(internet: internets.Internet) -> None:
    garbling, _ = internet.zone("example.com", 'x 300 IN TXT "value"', servers=2)
    garbling.garbles = True
    assert told(ask(internet, "x.example.com")) == [
        ("ns1.example.com", "does not answer"),
        ("ns2.example.com", "value"),
    ]


def test_nothing_is_told_apart_from_no_name(internet: internets.Internet) -> None:
    internet.zone("example.com", "x 300 IN A 203.0.113.1")
    (empty,) = ask(internet, "x.example.com")
    (absent,) = ask(internet, "y.example.com")
    assert (empty.outcome, absent.outcome) == (answers.EMPTY, answers.NO_NAME)
    assert (empty.negative_ttl, absent.negative_ttl) == (internets.NEGATIVE_TTL,) * 2


def test_a_wildcard_answers_for_a_name_that_is_not_there(internet: internets.Internet) -> None:
    internet.zone("example.com", '* 300 IN TXT "anything"')
    assert told(ask(internet, "any._domainkey.example.com")) == [("ns1.example.com", "anything")]


def test_an_address_that_is_not_public_is_not_asked(internet: internets.Internet) -> None:
    (server,) = internet.zone("example.com", 'x 300 IN TXT "value"')
    closed = settings.Settings((internet.root.address,), internet.port)
    asker = asking.Asker(closed, asking.Delegations())
    found = asyncio.run(asker.everyone("x.example.com", "TXT"))
    assert {answer.outcome for answer in found} == {answers.FORBIDDEN}
    assert server.asked == []


def test_a_check_ends_with_its_budget_of_queries(internet: internets.Internet) -> None:
    internet.zone("example.com", 'x 300 IN TXT "value"', servers=3)
    found = ask(internet, "x.example.com", budget=transport.Budget(queries=2, seconds=30))
    assert answers.EXHAUSTED in {answer.outcome for answer in found}
    assert sum(len(server.asked) for server in internet.servers.values()) == 2


def test_a_check_ends_with_its_time(internet: internets.Internet) -> None:
    for server in internet.zone("example.com", "", servers=6):
        server.is_silent = True
    found = ask(internet, "x.example.com", budget=transport.Budget(queries=100, seconds=1.5))
    assert {answer.outcome for answer in found} == {answers.EXHAUSTED}


def test_delegations_near_the_root_are_remembered(internet: internets.Internet) -> None:
    internet.zone("com", "")
    delegations = asking.Delegations()
    for _ in range(2):
        asker = asking.Asker(settings_of(internet), delegations)
        asyncio.run(asker.everyone("example.com", "TXT"))
    assert len(internet.root.asked) == 1


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".example.com", "a." * 200])
def test_what_is_no_name_is_not_asked_for(internet: internets.Internet, name: str) -> None:
    found = ask(internet, name)
    assert not answers.texts(found)
