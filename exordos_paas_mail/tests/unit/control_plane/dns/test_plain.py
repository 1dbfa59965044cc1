# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What needs no name server: the records, the zone file, the schedule, the settings."""

from __future__ import annotations

import dataclasses
import datetime
import subprocess
import typing as tp

import pytest

from exordos_paas_mail.control_plane.dns import expected, schedule, settings, zone_file

if tp.TYPE_CHECKING:
    import pathlib

P = "A" * 392
RSA = expected.Key("platform", "rsa", P)
ED = expected.Key("m2611e", "ed25519", "B" * 44)
FACTS = expected.Facts(
    "example.com", "smtp.example.com", ("203.0.113.25", "203.0.113.26"), (RSA, ED), is_primary=True
)
NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone.utc)


def test_the_records_of_a_primary_domain() -> None:
    assert [(r.purpose, r.type, r.name, r.value) for r in expected.records(FACTS)] == [
        ("a", "A", "smtp.example.com", "203.0.113.25"),
        ("ptr", "PTR", "25.113.0.203.in-addr.arpa", "smtp.example.com"),
        ("a", "A", "smtp.example.com", "203.0.113.26"),
        ("ptr", "PTR", "26.113.0.203.in-addr.arpa", "smtp.example.com"),
        ("spf", "TXT", "example.com", "v=spf1 ip4:203.0.113.25 ip4:203.0.113.26 -all"),
        ("dkim", "TXT", "platform._domainkey.example.com", f"v=DKIM1; k=rsa; p={P}"),
        ("dkim", "TXT", "m2611e._domainkey.example.com", f"v=DKIM1; k=ed25519; p={'B' * 44}"),
        ("dmarc", "TXT", "_dmarc.example.com", "v=DMARC1; p=quarantine"),
    ]


def test_a_further_domain_has_no_records_of_the_relay() -> None:
    facts = expected.Facts("b.example", "smtp.example.com", ("203.0.113.25",), (), is_primary=False)
    assert [record.purpose for record in expected.records(facts)] == ["spf", "dmarc"]


@pytest.mark.parametrize(
    ("bounces", "leads"),
    [
        ("mx", [("bounces_mx", "MX", "bounces.b.example", "10 smtp.example.com")]),
        ("address", [("bounces_a", "A", "bounces.b.example", "203.0.113.25")]),
        ("", []),
    ],
)
def test_return_paths_have_records_of_their_own(
    bounces: str, leads: list[tuple[str, str, str, str]]
) -> None:
    facts = expected.Facts(
        "b.example", "smtp.example.com", ("203.0.113.25",), (), is_primary=False, bounces=bounces
    )
    records = [(r.purpose, r.type, r.name, r.value) for r in expected.records(facts)]
    spf = ("bounces_spf", "TXT", "bounces.b.example", "v=spf1 ip4:203.0.113.25 -all")
    assert records[2:] == ([*leads, spf] if leads else [])
    nowhere = dataclasses.replace(facts, ipsv4=())
    assert [record.purpose for record in expected.records(nowhere)] == ["dmarc"]


def test_what_is_not_known_yet_is_not_asked_for() -> None:
    keys = (expected.Key("platform", "rsa", ""),)
    facts = expected.Facts("example.com", "example.com", (), keys, is_primary=True)
    assert [record.purpose for record in expected.records(facts)] == ["dmarc"]


def test_a_long_value_is_several_strings() -> None:
    record = next(r for r in expected.records(FACTS) if r.purpose == "dkim")
    assert [len(string) for string in record.strings] == [255, len(record.value) - 255]
    assert "".join(record.strings) == record.value


@pytest.mark.parametrize("bounces", ["", "mx", "address"])
def test_a_zone_file_is_read_by_bind(tmp_path: pathlib.Path, bounces: str) -> None:
    facts = dataclasses.replace(FACTS, bounces=bounces)
    text = zone_file.render("example.com", expected.records(facts))
    (tmp_path / "records").write_text(text)
    zone = tmp_path / "zone"
    zone.write_text(
        "@ 300 IN SOA ns.example.com. host.example.com. 1 60 60 60 60\n@ 300 IN NS ns\n"
        f"ns 300 IN A 203.0.113.1\n$INCLUDE {tmp_path / 'records'}\n"
    )
    told = subprocess.run(
        ["named-checkzone", "-D", "-i", "full", "example.com", str(zone)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ignoring" not in told.stderr
    for record in expected.records(facts):
        if record.type == "PTR":
            assert f"; {record.name}.\t300\tIN\tPTR\t{record.value}.\n" in text
        else:
            assert f"{record.name}." in told.stdout


@pytest.mark.parametrize(
    ("minutes", "is_settled", "pause"),
    [
        (0, False, 30),
        (9, True, 30),
        (10, False, 300),
        (10, True, 6 * 3600),
        (23 * 60, False, 300),
        (24 * 60, False, 6 * 3600),
    ],
)
def test_a_domain_is_checked_less_and_less_often(
    minutes: int,
    is_settled: bool,  # noqa: FBT001
    pause: int,
) -> None:
    changed_at = NOW - datetime.timedelta(minutes=minutes)
    middle = schedule.next_check(changed_at, NOW, 0.5, is_settled=is_settled)
    assert (middle - NOW).total_seconds() == pytest.approx(pause)
    first, last = (
        schedule.next_check(changed_at, NOW, chance, is_settled=is_settled) for chance in (0, 1)
    )
    assert (first < middle < last) == (pause > 30)


def test_settings_are_read() -> None:
    text = "ROOT_SERVERS=10.20.0.1 fd00::1\nPORT=5353\nNETWORKS=10.20.0.0/16 fd00::/8\n"
    read = settings.parse(text)
    assert (read.root_servers, read.port) == (("10.20.0.1", "fd00::1"), 5353)
    assert [str(network) for network in read.networks] == ["10.20.0.0/16", "fd00::/8"]


def test_without_settings_the_internet_is_asked() -> None:
    read = settings.parse("")
    assert (len(read.root_servers), read.port, read.networks) == (13, 53, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("PORT=0", "PORT"),
        ("PORT=x", "PORT"),
        ("PORT=65536", "PORT"),
        ("ROOT_SERVERS=", "ROOT_SERVERS"),
        ("ROOT_SERVERS=a.root-servers.net", "ROOT_SERVERS"),
        ("NETWORKS=10.0.0.1/8", "NETWORKS"),
        ("TIMEOUT=1", "TIMEOUT"),
        ("export PORT=53", "KEY=value"),
    ],
)
def test_settings_that_are_wrong_name_the_key(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        settings.parse(text)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - nobody binds to it
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "fd00::1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2001:0:a00:1::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_an_address_that_is_not_the_internets_may_not_be_asked(address: str) -> None:
    assert not settings.Settings().may_ask(address)


@pytest.mark.parametrize("address", ["198.41.0.4", "8.8.8.8", "2001:4860:4860::8888"])
def test_an_address_of_the_internet_may_be_asked(address: str) -> None:
    assert settings.Settings().may_ask(address)


def test_an_address_in_a_network_that_is_named_may_be_asked() -> None:
    named = settings.parse("NETWORKS=10.20.0.0/16 fd00:20::/32\nROOT_SERVERS=192.168.7.1\n")
    asked = ["10.20.3.4", "::ffff:10.20.3.4", "fd00:20::5", "192.168.7.1"]
    assert [named.may_ask(address) for address in asked] == [True] * 4
    assert not named.may_ask("10.21.0.1")
