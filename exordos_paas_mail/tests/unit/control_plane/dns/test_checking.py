# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of a domain's records, by what real name servers answer."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import ipaddress
import os
import typing as tp

import dns.rcode
import pytest

from exordos_paas_mail.control_plane.dns import asking, checking, expected, judging, settings
from exordos_paas_mail.tests.unit.control_plane.dns import internet as internets

ADDRESS = "203.0.113.25"
P = base64.b64encode(bytes(range(256)) + os.urandom(38)).decode()
KEY = expected.Key("platform", "rsa", P)
FACTS = expected.Facts("example.com", "smtp.example.com", (ADDRESS,), (KEY,), is_primary=True)
PARTS = " ".join(f'"{part}"' for part in (P[:200], P[200:]))
RIGHT = {
    "a": f"smtp 300 IN A {ADDRESS}",
    "spf": f'@ 300 IN TXT "v=spf1 ip4:{ADDRESS} -all"\n@ 300 IN TXT "other-verification=1"',
    "dkim": f'platform._domainkey 300 IN TXT "v=DKIM1; k=rsa; p=" {PARTS}',
    "dmarc": '_dmarc 300 IN TXT "v=DMARC1; p=reject"',
}
KEYS = frozenset({"platform"})


@pytest.fixture
def internet() -> tp.Iterator[internets.Internet]:
    with internets.Internet().running() as running:
        running.zone("113.0.203.in-addr.arpa", "25 300 IN PTR smtp.example.com.")
        yield running


def zone(**instead: str) -> str:
    return "\n".join({**RIGHT, **instead}.values())


def check(
    internet: internets.Internet, facts: expected.Facts = FACTS
) -> tuple[checking.Check, dict[str, judging.Verdict]]:
    of_internet = settings.Settings(
        (internet.root.address,), internet.port, (ipaddress.ip_network("127.0.0.0/8"),)
    )
    report = asyncio.run(checking.check(facts, of_internet, asking.Delegations()))
    return report, {record.purpose: verdict for record, verdict in report.verdicts}


def verdict(internet: internets.Internet, purpose: str, **records: str) -> judging.Verdict:
    internet.zone("example.com", zone(**records))
    return check(internet)[1][purpose]


def test_a_domain_that_is_right_is_ok(internet: internets.Internet) -> None:
    internet.zone("example.com", zone(), servers=2)
    report, verdicts = check(internet)
    assert {p: (v.status, v.detail) for p, v in verdicts.items()} == {
        "a": ("OK", ""),
        "ptr": ("OK", ""),
        "spf": ("OK", ""),
        "dkim": ("OK", ""),
        "dmarc": ("OK", ""),
    }
    assert verdicts["spf"].found == (f"v=spf1 ip4:{ADDRESS} -all",)
    assert verdicts["dkim"].found == (f"v=DKIM1; k=rsa; p={P}",)
    assert [a.server for a in verdicts["dmarc"].servers] == ["ns1.example.com", "ns2.example.com"]
    assert (report.visible, report.absent, report.is_proven) == (KEYS, frozenset(), True)
    assert report.negative_ttl == internets.NEGATIVE_TTL


def test_a_domain_without_a_record_has_all_missing(internet: internets.Internet) -> None:
    internet.zone("example.com", "")
    report, verdicts = check(internet)
    assert {p: v.status for p, v in verdicts.items()} == {
        "a": "MISSING",
        "ptr": "MISMATCH",
        "spf": "MISSING",
        "dkim": "MISSING",
        "dmarc": "MISSING",
    }
    assert (report.visible, report.absent, report.is_proven) == (frozenset(), KEYS, False)


def test_what_one_server_has_is_on_its_way(internet: internets.Internet) -> None:
    _, behind = internet.zone("example.com", zone(), servers=2)
    behind.serve("example.com", "")
    report, verdicts = check(internet)
    assert verdicts["dkim"].status == "PROPAGATING"
    assert verdicts["dkim"].detail.startswith("not right yet on ns2.example.com")
    assert verdicts["spf"].status == "PROPAGATING"
    assert (report.visible, report.absent, report.is_proven) == (frozenset(), frozenset(), None)


def test_a_server_that_fails_takes_nothing_away(internet: internets.Internet) -> None:
    _, failing = internet.zone("example.com", zone(), servers=2)
    failing.rcode = dns.rcode.SERVFAIL
    report, verdicts = check(internet)
    assert verdicts["dkim"].status == "OK"
    assert verdicts["dkim"].detail == "ns2.example.com fails (SERVFAIL)"
    # Yet it may have something else for others: no key becomes visible by that.
    assert (report.visible, report.absent, report.is_proven) == (frozenset(), frozenset(), True)


def test_servers_that_all_fail_prove_nothing(internet: internets.Internet) -> None:
    for server in internet.zone("example.com", zone(), servers=2):
        server.rcode = dns.rcode.SERVFAIL
    report, verdicts = check(internet)
    assert {v.status for p, v in verdicts.items() if p != "ptr"} == {"ERROR"}
    assert (report.visible, report.absent, report.is_proven) == (frozenset(), frozenset(), None)


def test_a_server_that_does_not_serve_the_zone_counts_for_nothing(
    internet: internets.Internet,
) -> None:
    _, lame = internet.zone("example.com", zone(), servers=2)
    lame.zones.clear()
    report, verdicts = check(internet)
    assert verdicts["dkim"].detail == "ns2.example.com does not serve the zone"
    assert report.visible == {"platform"}


@pytest.mark.parametrize(
    ("records", "status", "suggestion"),
    [
        ('@ 300 IN TXT "v=spf1 include:spf.hoster.net -all"', "OK", ""),
        ('@ 300 IN TXT "v=spf1 redirect=spf.hoster.net"', "OK", ""),
        ('@ 300 IN TXT "v=spf1 a:smtp.example.com -all"', "OK", ""),
        ('@ 300 IN TXT "v=spf1 exists:%{ir}.lists.hoster.net -all"', "OK", ""),
        (
            '@ 300 IN TXT "v=spf1 mx ~all"',
            "MISMATCH",
            f"v=spf1 ip4:{ADDRESS} mx ~all",
        ),
        (
            '@ 300 IN TXT "v=spf1 mx ~all"\n@ 300 IN TXT "v=spf1 include:spf.hoster.net -all"',
            "CONFLICT",
            f"v=spf1 ip4:{ADDRESS} include:spf.hoster.net mx ~all",
        ),
        (
            '@ 300 IN TXT "v=spf1 ip4:nonsense -all"',
            "MISMATCH",
            f"v=spf1 ip4:{ADDRESS} -all",
        ),
        (
            '@ 300 IN TXT "v=spf1 include:gone.hoster.net -all"',
            "MISMATCH",
            f"v=spf1 ip4:{ADDRESS} include:gone.hoster.net -all",
        ),
        (
            '@ 300 IN TXT "v=spf1 include:loop.hoster.net -all"',
            "MISMATCH",
            f"v=spf1 ip4:{ADDRESS} include:loop.hoster.net -all",
        ),
    ],
)
def test_spf_is_what_receivers_make_of_it(
    internet: internets.Internet, records: str, status: str, suggestion: str
) -> None:
    internet.zone(
        "hoster.net",
        f'spf 300 IN TXT "v=spf1 ip4:{ADDRESS}/30 -all"\n'
        "25.113.0.203.lists 300 IN A 127.0.0.2\n"
        'loop 300 IN TXT "v=spf1 include:loop.hoster.net -all"',
    )
    found = verdict(internet, "spf", spf=records)
    assert (found.status, found.suggestion) == (status, suggestion)
    assert found.detail or status == "OK"


def test_spf_whose_part_has_no_answer_is_an_error(internet: internets.Internet) -> None:
    for server in internet.zone("hoster.net", ""):
        server.rcode = dns.rcode.SERVFAIL
    found = verdict(internet, "spf", spf='@ 300 IN TXT "v=spf1 include:x.hoster.net -all"')
    assert (found.status, found.detail) == ("ERROR", "TXT of x.hoster.net has no answer")


def _dkim(tags: str) -> str:
    strings = " ".join(f'"{tags[n : n + 255]}"' for n in range(0, len(tags), 255))
    return f"platform._domainkey 300 IN TXT {strings}"


@pytest.mark.parametrize(
    ("record", "status", "detail"),
    [
        (_dkim(f"p={P}"), "OK", ""),
        (_dkim(f"v=DKIM1 ;k = rsa; t=s; n=note; p= {P[:9]} {P[9:]} ; "), "OK", ""),
        (_dkim(f"v=DKIM1; h=sha256:sha1; s=email; p={P}"), "OK", ""),
        (_dkim(f"v=DKIM1; t=y:s; p={P}"), "OK", "t=y says"),
        (_dkim("v=DKIM1; p="), "MISMATCH", "the key is revoked"),
        (_dkim(f"v=DKIM1; k=ed25519; p={P}"), "MISMATCH", "k=ed25519"),
        (_dkim(f"v=DKIM1; h=sha1; p={P}"), "MISMATCH", "h=sha1"),
        (_dkim(f"v=DKIM1; s=web; p={P}"), "MISMATCH", "s=web"),
        (_dkim(f"v=DKIM1; p={P[:255]}"), "MISMATCH", "p= is another key"),
        (_dkim(f"v=DKIM2; p={P}"), "MISMATCH", "platform._domainkey.example.com has a TXT"),
        (_dkim("v=spf1 -all"), "MISMATCH", "platform._domainkey.example.com has a TXT"),
        (f"{_dkim(f'p={P}')}\n{_dkim('v=spf1 -all')}", "CONFLICT", "platform._domainkey"),
        (f"{_dkim(f'p={P}')}\n{_dkim('p=')}", "CONFLICT", "platform._domainkey"),
        (_dkim("v=DKIM1; p=\\000\\200"), "MISMATCH", "p= is another key"),
        ("* 300 IN TXT anything", "MISMATCH", "platform._domainkey.example.com has a TXT"),
    ],
)
def test_dkim_is_read_as_tags(
    internet: internets.Internet, record: str, status: str, detail: str
) -> None:
    found = verdict(internet, "dkim", dkim=record)
    assert found.status == status
    assert found.detail.startswith(detail) if detail else not found.detail


def test_a_key_behind_an_alias_is_found(internet: internets.Internet) -> None:
    internet.zone("hoster.net", _dkim(f"p={P}"), servers=2)
    alias = "platform._domainkey 300 IN CNAME platform._domainkey.hoster.net."
    internet.zone("example.com", zone(dkim=alias))
    report, verdicts = check(internet)
    assert (verdicts["dkim"].status, report.visible) == ("OK", KEYS)


def test_a_wildcard_is_told_of(internet: internets.Internet) -> None:
    found = verdict(internet, "dkim", dkim='*._domainkey 300 IN TXT "v=DKIM1; p="')
    assert found.detail.endswith("a wildcard record answers for every selector")


@pytest.mark.parametrize(
    ("record", "status", "detail"),
    [
        ('_dmarc 300 IN TXT "v=DMARC1;p=none"', "OK", ""),
        ('_dmarc 300 IN TXT "v=DMARC1; rua=mailto:a@example.com"', "OK", ""),
        ('_dmarc 300 IN TXT "v=DMARC1; p=all"', "MISMATCH", "p=all"),
        ('_dmarc 300 IN TXT "v=DMARC1"', "MISMATCH", "it has no policy"),
        (
            '_dmarc 300 IN TXT "v=DMARC1; p=none"\n_dmarc 300 IN TXT "v=DMARC1; p=reject"',
            "CONFLICT",
            "_dmarc.example.com has 2",
        ),
        ('* 300 IN TXT "v=spf1 -all"', "MISSING", "_dmarc.example.com has no DMARC record; what"),
    ],
)
def test_dmarc_is_read_as_tags(
    internet: internets.Internet, record: str, status: str, detail: str
) -> None:
    found = verdict(internet, "dmarc", dmarc=record)
    assert found.status == status
    assert found.detail.startswith(detail) if detail else not found.detail


@pytest.mark.parametrize(
    ("organization", "below", "status", "detail"),
    [
        (
            "v=DMARC1; p=reject",
            "",
            "OK",
            "inherited from example.com, whose policy for it is reject",
        ),
        (
            "v=DMARC1; p=reject; sp=none",
            "",
            "OK",
            "inherited from example.com, whose policy for it is none",
        ),
        (
            "v=DMARC1; p=reject",
            "v=DMARC1; p=none",
            "OK",
            "inherited from example.com, whose policy for it is reject",
        ),
        (
            "v=DMARC1; p=reject; psd=y",
            "v=DMARC1; p=none",
            "OK",
            "inherited from eu.example.com, whose policy for it is none",
        ),
        (
            "v=DMARC1; p=reject",
            "v=DMARC1; p=none; psd=n",
            "OK",
            "inherited from eu.example.com, whose policy for it is none",
        ),
        ("v=DMARC1; p=bad", "", "MISSING", "_dmarc.mail.eu.example.com has no DMARC record"),
        ("", "", "MISSING", "_dmarc.mail.eu.example.com has no DMARC record"),
    ],
)
def test_dmarc_is_inherited(
    internet: internets.Internet, organization: str, below: str, status: str, detail: str
) -> None:
    lines = [
        f'_dmarc{name} 300 IN TXT "{record}"'
        for name, record in (("", organization), (".eu", below))
        if record
    ]
    internet.zone("example.com", "\n".join(lines))
    facts = expected.Facts("mail.eu.example.com", "smtp.example.com", (), (), is_primary=False)
    found = check(internet, facts)[1]["dmarc"]
    assert (found.status, found.detail) == (status, detail)


@pytest.mark.parametrize(
    ("pointer", "record", "status", "detail"),
    [
        ("smtp.example.com.", RIGHT["a"], "OK", ""),
        ("other.example.", RIGHT["a"], "MISMATCH", f"{ADDRESS} is called other.example, not smtp"),
        ("smtp.example.com.", "smtp 300 IN A 203.0.113.9", "MISMATCH", "the name is right, but"),
        ("smtp.example.com.", "smtp 300 IN CNAME www\nwww 300 IN A 203.0.113.25", "OK", ""),
        (
            "smtp.example.com.\n25 300 IN PTR other.example.",
            RIGHT["a"],
            "OK",
            "it is called other.example too",
        ),
    ],
)
def test_a_pointer_leads_there_and_back(
    internet: internets.Internet, pointer: str, record: str, status: str, detail: str
) -> None:
    internet.zone("113.0.203.in-addr.arpa", f"25 300 IN PTR {pointer}")
    found = verdict(internet, "ptr", a=record)
    assert found.status == status
    assert found.detail.startswith(detail) if detail else not found.detail


def test_a_pointer_that_was_delegated_by_an_alias_is_found(internet: internets.Internet) -> None:
    below = internet.server()
    below.serve("0-31.113.0.203.in-addr.arpa", "25 300 IN PTR smtp.example.com.")
    internet.zone(
        "113.0.203.in-addr.arpa",
        f"25 300 IN CNAME 25.0-31\n0-31 300 IN NS ns.0-31\nns.0-31 300 IN A {below.address}",
    )
    assert verdict(internet, "ptr").status == "OK"


@pytest.mark.parametrize(
    ("record", "status", "detail"),
    [
        ("smtp 300 IN A 203.0.113.9", "MISMATCH", "smtp.example.com leads to 203.0.113.9, not"),
        (
            f"{RIGHT['a']}\nsmtp 300 IN A 203.0.113.9",
            "MISMATCH",
            "smtp.example.com leads to 203.0.113.9 too",
        ),
        ("other 300 IN A 203.0.113.9", "MISSING", "smtp.example.com has no address record"),
    ],
)
def test_an_address_is_the_relays_and_no_other(
    internet: internets.Internet, record: str, status: str, detail: str
) -> None:
    found = verdict(internet, "a", a=record)
    assert (found.status, found.detail.startswith(detail)) == (status, True)


def test_a_domain_that_is_not_registered_has_nothing(internet: internets.Internet) -> None:
    report, verdicts = check(internet)
    assert verdicts["dkim"].status == "MISSING"
    assert report.is_proven is False


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([], "OK"),
        (["OK", "OK"], "OK"),
        (["OK", "MISSING"], "INCOMPLETE"),
        (["OK", "PENDING"], "INCOMPLETE"),
        (["PROPAGATING"], "INCOMPLETE"),
        (["MISSING", "CONFLICT"], "BROKEN"),
        (["OK", "MISMATCH"], "BROKEN"),
    ],
)
def test_a_domains_status_follows_from_its_records(statuses: list[str], status: str) -> None:
    assert judging.dns_status(statuses) == status


def test_the_worst_domain_is_the_instances() -> None:
    assert judging.worst(["OK", "BROKEN", "INCOMPLETE"]) == "BROKEN"


def test_a_revoked_key_is_looked_for_and_proves_nothing(internet: internets.Internet) -> None:
    internet.zone("example.com", zone())
    (key,) = FACTS.keys
    revoked = dataclasses.replace(key, proves=False)
    successor = dataclasses.replace(key, selector="m2r")
    report, _ = check(internet, dataclasses.replace(FACTS, keys=(revoked,)))
    assert (report.visible, report.is_proven) == (KEYS, None)
    report, _ = check(internet, dataclasses.replace(FACTS, keys=(revoked, successor)))
    assert (report.visible, report.absent, report.is_proven) == (KEYS, frozenset({"m2r"}), False)
