# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import rules, suppressions
from exordos_paas_mail.codecs.suppressions import Action, Entry, Reason, Settings

BOB = "bob@elsewhere.example"
SHARD = suppressions.shard_of(BOB)
ALICE = "alice@example.com"

_entries = st.builds(
    Entry,
    st.just(BOB),
    st.integers(0, 10**10),
    st.integers(0, 10**10),
    st.sampled_from(Reason),
    st.sampled_from(["", ALICE, "app-1@example.com", "zoe@example.com"]),
)


@hypothesis.given(st.lists(_entries, unique_by=lambda one: one.login))
def test_what_is_rendered_is_parsed(entries: list[Entry]) -> None:
    content = suppressions.render(entries)
    assert suppressions.parse(content, SHARD) == sorted(entries, key=lambda one: one.login)
    assert suppressions.render(reversed(entries)) == content


def test_a_shard_is_what_the_documents_say() -> None:
    entries = [
        Entry(BOB, 1764115200, 0, Reason.MANUAL, ALICE),
        Entry(BOB, 1764115200, 1771891200, Reason.HARD_BOUNCE),
    ]
    assert suppressions.render(entries) == (
        b"bob@elsewhere.example\t1764115200\t1771891200\tHARD_BOUNCE\t\n"
        b"bob@elsewhere.example\t1764115200\t0\tMANUAL\talice@example.com\n"
    )
    assert suppressions.records(entries) == [
        (
            "alice@example.com/bob@elsewhere.example",
            'until=1099511627776 since=2025-11-26 reason="by hand"',
        ),
        ("/bob@elsewhere.example", 'until=1771891200 since=2025-11-26 reason="hard bounce"'),
    ]


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("Bob@Elsewhere.Example", BOB),
        ("bob+news@elsewhere.example", "bob+news@elsewhere.example"),
        ("b.o.b@elsewhere.example", "b.o.b@elsewhere.example"),
        ('"Two words, \\"3#3"@elsewhere.example', 'two words, "3#3@elsewhere.example'),
        ('"bob"@elsewhere.example', BOB),
        ("bob@m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example", "bob@xn--mller-kva.example"),
        ("bob@xn--n3h.example", "bob@xn--n3h.example"),
        ("o'neil&co@a.example", "o'neil&co@a.example"),
        ("#x@a.example", "#x@a.example"),
    ],
)
def test_an_address_has_one_spelling(address: str, normal: str) -> None:
    assert suppressions.normalise(address) == normal
    assert suppressions.is_normal(normal)
    assert suppressions.normalise(normal) == normal


@pytest.mark.parametrize(
    "address",
    [
        None,
        7,
        "",
        "bob",
        "@a.example",
        "bob@",
        "bob@example",
        "bob@[192.0.2.1]",
        "bob@192.0.2.1",
        "a%b@a.example",
        "a!b@a.example",
        '"a@b"@a.example',
        ".bob@a.example",
        "/bob@a.example",
        "|bob@a.example",
        "bob\t@a.example",
        "bob\n@a.example",
        "bob@a.example\n",
        "b\N{LATIN SMALL LETTER O WITH DIAERESIS}b@a.example",
        "bob@\N{SNOWMAN}.example",
        f"{'x' * 65}@a.example",
        f"bob@{'a123456789.' * 23}example",
        '"' + "\\a" * 600 + '"@a.example',
    ],
)
def test_what_is_no_address_is_refused(address: object) -> None:
    with pytest.raises(rules.RuleError) as raised:
        suppressions.normalise(address)
    assert str(address) not in str(raised.value) or not address
    assert not suppressions.is_normal(address)


@pytest.mark.parametrize(
    "line",
    [
        f"{BOB}\t1\t0\tMANUAL",
        f"{BOB}\t1\t0\tMANUAL\t\t",
        f"{BOB}\t-1\t0\tMANUAL\t",
        f"{BOB}\t01\t0\tMANUAL\t",
        f"{BOB}\t1\t999999999999\tMANUAL\t",
        f"{BOB}\t1\t0\tmanual\t",
        f"{BOB}\t1\t0\tMANUAL\talice",
        f"{BOB}\t1\t0\tMANUAL\ta/b@example.com",
        "Bob@elsewhere.example\t1\t0\tMANUAL\t",
        "carol@elsewhere.example\t1\t0\tMANUAL\t",
        "",
        f"{BOB}\t1\t0\tMANUAL\t\n{BOB}\t2\t0\tCOMPLAINT\t",
        f"{BOB}\t1\t0\tMANUAL\t{ALICE}\n{BOB}\t2\t0\tCOMPLAINT\t",
        f"{BOB}\t1\t0\tMANUAL\t\N{NO-BREAK SPACE}",
    ],
)
def test_what_is_no_shard_is_refused_without_a_word_of_it(line: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        suppressions.parse(f"{line}\n".encode(), SHARD)
    assert "elsewhere" not in str(raised.value)


def test_a_shard_that_was_cut_is_refused() -> None:
    content = suppressions.render([Entry(BOB, 1, 0, Reason.MANUAL)])
    for size in range(1, len(content)):
        with pytest.raises(ValueError, match=r"cut|field|reason"):
            suppressions.parse(content[:size], SHARD)
    assert suppressions.parse(b"", SHARD) == []


def test_a_shard_has_no_more_than_it_may_have() -> None:
    entry = Entry(BOB, 1, 0, Reason.MANUAL)
    with pytest.raises(ValueError, match="more suppressions"):
        suppressions.render([entry] * (suppressions.ENTRIES_MAX + 1))
    long = Entry(f"{'x' * 60}@{'a' * 60}.{'b' * 60}.example", 1, 0, Reason.MANUAL)
    with pytest.raises(ValueError, match="more suppressions"):
        suppressions.render([long] * 6000)
    with pytest.raises(ValueError, match="too large"):
        suppressions.parse(b"x" * (suppressions.SIZE_MAX + 1), SHARD)


def test_the_shards_are_those_of_the_digest_that_exim_has() -> None:
    # ${length_2:${md5:bob@elsewhere.example}}
    assert suppressions.SHARDS[0] == "00"
    assert suppressions.SHARDS[-1] == "ff"
    assert SHARD == "5d"


@pytest.mark.parametrize("action", list(Action))
def test_settings_are_read_as_they_were_written(action: Action) -> None:
    settings = Settings(action)
    assert suppressions.parse_settings(suppressions.render_settings(settings)) == settings


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"version":2,"action":"reject"}', b'{"version":1,"action":"x"}'],
)
def test_what_are_no_settings_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="settings"):
        suppressions.parse_settings(content)
