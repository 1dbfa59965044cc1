# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""SPF is evaluated as RFC 7208 says: by its own test suite, and beside pyspf."""

from __future__ import annotations

import asyncio
import pathlib
import typing as tp

import pytest
import spf
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exordos_paas_mail.control_plane.dns import spf_checking, spf_merging, spf_syntax

# openspf.org's, with the licence beside it.
SUITE = pathlib.Path(__file__).with_name("rfc7208-tests.yml")
ALIASES_MAX = 8
Zone: tp.TypeAlias = dict[str, list[tuple[str, tp.Any]]]


def _zone(data: dict[str, list[tp.Any]]) -> Zone:
    zone: Zone = {}
    for name, records in data.items():
        has_text = any(isinstance(record, dict) and "TXT" in record for record in records)
        zone[name.lower()] = [
            record for entry in records for record in _records(entry, has_text=has_text)
        ]
    return zone


def _records(entry: tp.Any, *, has_text: bool) -> tp.Iterator[tuple[str, tp.Any]]:
    if entry == "TIMEOUT":
        yield "TIMEOUT", None
        return
    for rdtype, value in entry.items():
        # The suite says a TXT record once, as the SPF type that is no more.
        if value == "NONE" or (rdtype == "SPF" and has_text):
            continue
        if rdtype in ("SPF", "TXT"):
            text = "".join(value) if value != "TIMEOUT" else value
            yield "TXT", "".join(c if c.isascii() and c >= " " else f"\\{ord(c)}" for c in text)
        else:
            yield rdtype, f"{value[0]} {value[1]}" if rdtype == "MX" else value


def _lookup_in(zone: Zone) -> spf_checking.Lookup:
    async def lookup(name: str, rdtype: str, aliases: int = 0) -> tuple[str, ...]:
        if name.startswith("error."):
            raise spf_checking.Silence
        found: list[str] = []
        records = zone.get(name.lower().removesuffix("."), [])
        for kind, value in records:
            if kind == rdtype and value == "TIMEOUT":
                raise spf_checking.Silence
            if kind == rdtype:
                found.append(value)
            elif kind == "CNAME" and aliases < ALIASES_MAX:
                found.extend(await lookup(value, rdtype, aliases + 1))
        if not found and ("TIMEOUT", None) in records:
            raise spf_checking.Silence
        return tuple(found)

    return lookup


def _cases() -> tp.Iterator[tp.Any]:
    for scenario in yaml.safe_load_all(SUITE.read_text()):
        for name, test in scenario["tests"].items():
            yield pytest.param(scenario["zonedata"], test, id=name)


@pytest.mark.parametrize(("zone", "test"), list(_cases()))
def test_the_suite_of_the_rfc_passes(
    zone: dict[str, list[tp.Any]], test: dict[str, tp.Any]
) -> None:
    sender = test["mailfrom"] or test["helo"]
    if "@" not in sender:
        sender = f"postmaster@{sender}"
    check = spf_checking.Check(_lookup_in(_zone(zone)), test["host"], sender, test["helo"])
    found = asyncio.run(check.host(sender.rpartition("@")[2]))
    assert found.result in ([test["result"]] if isinstance(test["result"], str) else test["result"])


RECORDS: Zone = {
    "example.com": [],
    "wide.example": [("TXT", "v=spf1 ip4:203.0.113.0/24 ~all")],
    "strict.example": [("TXT", "v=spf1 a mx -all"), ("A", "203.0.113.9"), ("MX", "1 mx.example")],
    "mx.example": [("A", "203.0.113.25")],
    "none.example": [("A", "203.0.113.77")],
}
TERMS = st.sampled_from(
    [
        "ip4:203.0.113.25",
        "-ip4:203.0.113.0/28",
        "ip4:198.51.100.0/24",
        "a",
        "a:mx.example/24",
        "mx:strict.example",
        "include:wide.example",
        "include:strict.example",
        "?include:none.example",
        "exists:%{ir}.lists.example",
        "redirect=strict.example",
        "ptr",
        "a:none.example//64",
        "ip4:nonsense",
        "exp=why.example",
        "-all",
        "~all",
        "?all",
        "+all",
        "unknown=word",
    ]
)
ADDRESSES = ("203.0.113.25", "203.0.113.9", "192.0.2.1")


def _by_pyspf(record: str, address: str) -> str:
    """Return what pyspf finds of a sender at example.com with *record*."""
    zone = {**RECORDS, "example.com": [("TXT", record)]}

    def ask(name: str, rdtype: str, *_: tp.Any, **__: tp.Any) -> tp.Iterator[tp.Any]:
        for kind, value in zone.get(name.lower().removesuffix("."), []):
            if kind != rdtype:
                continue
            told: tp.Any = value
            if kind == "TXT":
                told = (value.encode(),)
            elif kind == "MX":
                preference, exchanger = value.split()
                told = (int(preference), exchanger)
            yield (name, kind), told

    with pytest.MonkeyPatch.context() as patch:
        # As pyspf's own tests give it a zone.
        patch.setattr(spf, "DNSLookup", ask)
        query = spf.query(i=address, s="postmaster@example.com", h="relay.example.com")
        result: str = query.check()[0]
    return result


def _by_us(record: str, address: str) -> str:
    check = spf_checking.Check(
        _lookup_in(RECORDS), address, "postmaster@example.com", "relay.example.com"
    )
    return asyncio.run(check.host("example.com", record)).result


@settings(max_examples=200, deadline=None)
@given(st.lists(TERMS, max_size=6, unique=True), st.sampled_from(ADDRESSES))
def test_a_record_means_what_it_means_to_pyspf(terms: list[str], address: str) -> None:
    record = " ".join(["v=spf1", *terms])
    assert _by_us(record, address) == _by_pyspf(record, address)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(TERMS, max_size=4, unique=True), min_size=1, max_size=3))
def test_a_merged_record_lets_the_relay_send(records: list[list[str]]) -> None:
    texts = [" ".join(["v=spf1", *terms]) for terms in records]
    merged = spf_merging.merged(texts, ["192.0.2.1"])
    assert _by_pyspf(merged, "192.0.2.1") == "pass"
    assert spf_merging.merged([merged], ["192.0.2.1"]) == merged


@pytest.mark.parametrize(
    ("records", "merged"),
    [
        (
            ["v=spf1 include:_spf.example.net ~all"],
            "v=spf1 ip4:192.0.2.1 include:_spf.example.net ~all",
        ),
        (["v=spf1 redirect=_spf.example.net"], "v=spf1 ip4:192.0.2.1 redirect=_spf.example.net"),
        (["v=spf1 -ip4:192.0.2.0/24 mx"], "v=spf1 ip4:192.0.2.1 -ip4:192.0.2.0/24 mx"),
        (["v=spf1 mx +all"], "v=spf1 ip4:192.0.2.1 mx ~all"),
        (["v=spf1 mx ip4:nonsense -all"], "v=spf1 ip4:192.0.2.1 mx -all"),
        (
            ["v=spf1 mx include:a.example -all", "v=spf1 include:a.example redirect=b.example"],
            "v=spf1 ip4:192.0.2.1 mx include:a.example include:b.example -all",
        ),
        (["v=spf1 a -all", "v=spf1 mx ~all"], "v=spf1 ip4:192.0.2.1 a mx ~all"),
        (["v=spf1 mx -all exp=why.example"], "v=spf1 ip4:192.0.2.1 mx -all exp=why.example"),
    ],
)
def test_what_the_records_said_stays(records: list[str], merged: str) -> None:
    assert spf_merging.merged(records, ["192.0.2.1"]) == merged


@pytest.mark.parametrize(
    ("text", "is_spf"),
    [("v=spf1", True), ("V=SPF1 a", True), ("v=spf10 a", False), ("v=spf1;a", False), ("", False)],
)
def test_what_an_spf_record_is(text: str, is_spf: bool) -> None:  # noqa: FBT001
    assert spf_syntax.is_spf(text) is is_spf


@given(st.text(max_size=80))
def test_any_text_is_a_policy_or_a_problem(text: str) -> None:
    try:
        spf_syntax.parse(f"v=spf1 {text}")
    except spf_syntax.SyntaxProblem:
        return
