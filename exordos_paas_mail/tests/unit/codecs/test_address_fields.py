# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import email.header
import email.utils
import re
import time

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import address_fields

ACCOUNT = "alice@tenant.example"
READING = address_fields.Reading(
    domain="tenant.example", recipients=frozenset({"root@tenant.example"})
)
U = "\N{LATIN SMALL LETTER U WITH DIAERESIS}"


def repaired(value: str) -> str:
    return address_fields.repair(value.encode(), READING).decode()


@pytest.mark.parametrize(
    ("written", "right"),
    [
        pytest.param("a@b.example <a@b.example>", '"a@b.example" <a@b.example>', id="address"),
        pytest.param("ACME, Inc. <a@b.example>", '"ACME, Inc." <a@b.example>', id="comma"),
        pytest.param("Shop: Orders <a@b.example>", '"Shop: Orders" <a@b.example>', id="colon"),
        pytest.param("Up; Down <a@b.example>", '"Up; Down" <a@b.example>', id="semicolon"),
        pytest.param("[Bug] Al <a@b.example>", '"[Bug] Al" <a@b.example>', id="brackets"),
        pytest.param("Smile :) <a@b.example>", '"Smile :)" <a@b.example>', id="parenthesis"),
        pytest.param('5" Disk <a@b.example>', '"5\\" Disk" <a@b.example>', id="quote"),
        pytest.param("a\\b <a@b.example>", '"a\\\\b" <a@b.example>', id="backslash"),
        pytest.param(
            'The "A" Team, Inc. <a@b.example>', '"The A Team, Inc." <a@b.example>', id="quoted"
        ),
        pytest.param("Al (Ops), Inc. <a@b.example>", '"Al (Ops), Inc." <a@b.example>'),
        pytest.param(
            "ACME,\n Inc. <a@b.example>", '"ACME, Inc." <a@b.example>', id="folded in a name"
        ),
        pytest.param(
            "Doe, John <j@b.example>, x@c.example, Roe, J. <r@b.example> (x)",
            '"Doe, John" <j@b.example>,\n x@c.example,\n "Roe, J." <r@b.example> (x)',
            id="names between addresses",
        ),
        pytest.param(
            f"M{U}ller <a@b.example>", "=?utf-8?b?TcO8bGxlcg==?= <a@b.example>", id="UTF-8"
        ),
        pytest.param(
            f"M{U}ller, Al <a@b.example>",
            "=?utf-8?b?TcO8bGxlciwgQWw=?= <a@b.example>",
            id="UTF-8 and comma",
        ),
        pytest.param(
            "=?utf-8?q?M=C3=BCller?=, Al <a@b.example>",
            "=?utf-8?b?TcO8bGxlciwgQWw=?= <a@b.example>",
            id="encoded-word and comma",
        ),
        pytest.param(f"a@b.example ({U})", "a@b.example (=?utf-8?b?w7w=?=)", id="UTF-8 comment"),
        pytest.param(
            f"Team {U}: {U} <a@b.example>;",
            "=?utf-8?b?VGVhbSDDvA==?=: =?utf-8?b?w7w=?= <a@b.example>;",
            id="UTF-8 in a group",
        ),
        pytest.param(f"a@m{U}ller.example", "a@xn--mller-kva.example", id="U-label"),
        pytest.param("<a@b.example.>", "<a@b.example>", id="final dot"),
        pytest.param("root", "root@tenant.example", id="unqualified"),
        pytest.param("root (Cron Daemon)", "root@tenant.example (Cron Daemon)", id="cron"),
        pytest.param("Cron <root>", "Cron <root@tenant.example>", id="unqualified, named"),
        pytest.param(
            "MAILER-DAEMON <>", "MAILER-DAEMON <MAILER-DAEMON@tenant.example>", id="dma's bounce"
        ),
        pytest.param(
            "root, x@b.example, ops", "root@tenant.example,\n x@b.example,\n ops@tenant.example"
        ),
        pytest.param(
            "root, Al <a@b.example>",
            "root@tenant.example,\n Al <a@b.example>",
            id="a recipient before a comma",
        ),
        pytest.param(
            "Team: root, Al <a@b.example>", '"Team: root, Al" <a@b.example>', id="no group"
        ),
    ],
)
def test_what_has_one_reading_is_written_as_it_should_be(written: str, right: str) -> None:
    assert repaired(f" {written}") == f" {right}"
    assert repaired(f" {right}") == f" {right}"


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "(nobody)",
        " a@b.example",
        "a@b.example,\n\tb@c.example,",
        ",, a@b.example",
        ' "Al, Ops" <a@b.example>',
        ' "Al\n Ops" <a@b.example>',
        " Al Q. Public <a@b.example>",
        " =?utf-8?q?M=C3=BC?= <a@b.example>",
        " undisclosed-recipients:;",
        " Team: a@b.example, B <b@b.example>;, c@d.example",
        " (x) Al (y (z)) <a@b.example> (v)",
        ' "a b"@c.example',
        " <@r.example,@s.example:a@b.example>",
        " < a@b.example >",
        " a..b.@c.example",
        " a@localhost",
    ],
)
def test_what_is_well_formed_stays_byte_for_byte(value: str) -> None:
    octets = value.encode()
    assert address_fields.repair(octets, READING) is octets


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            "a@b.example; c@d.example",
            'a@b.example; c@d.example: separate addresses by commas, not ";": '
            "a@domain.example, b@domain.example",
        ),
        ("<a@b.example", "an angle bracket has no other one: write Name <user@domain>"),
        (
            "a <b@c.example> d",
            "something follows <b@c.example>: separate addresses by commas",
        ),
        ("Al Public", "Al Public is not an address: write Name <user@domain>"),
        ("Al <>", "there is no address: write user@domain"),
        ('"Al"', '"Al" is not an address: write user@domain'),
        ("a@b@c", "a@b@c is not an address: write user@domain"),
        (f"m{U}ller@b.example", "m??ller@b.example is not an address: write user@domain, in ASCII"),
        ("a@[192.0.2.1]", "a@[192.0.2.1] is not an address: write user@domain"),
        ("team: a@b.example", "team: a@b.example is not an address: write Name <user@domain>"),
        (
            "=?x-none?q?a?=, b <a@b.example>",
            "the name =?x-none?q?a?=, b cannot be read: write it in UTF-8",
        ),
        ("a\x01, b <a@b.example>", "there is a control character in a name: leave it out"),
    ],
)
def test_what_has_no_reading_is_refused_with_the_way_to_write_it(value: str, reason: str) -> None:
    with pytest.raises(address_fields.UnreadableError) as caught:
        address_fields.repair(value.encode(), READING)
    assert str(caught.value) == reason


def test_a_name_in_an_unknown_charset_keeps_its_octets() -> None:
    assert (
        address_fields.repair(b" M\xfcller <a@b.example>", READING) == b" M\xfcller <a@b.example>"
    )
    assert address_fields.repair(b" M\xfcller, A <a@b.example>", READING) == (
        b' "M\xfcller, A" <a@b.example>'
    )


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("root", f"root <{ACCOUNT}>"),
        ("root (Cron Daemon)", f'"root (Cron Daemon)" <{ACCOUNT}>'),
        ("Cron Daemon <root>", f'"Cron Daemon <root>" <{ACCOUNT}>'),
        ("root@web1.tenant.example", f'"root@web1.tenant.example" <{ACCOUNT}>'),
        ("root <root@Web1.Tenant.example>", f'"root <root@Web1.Tenant.example>" <{ACCOUNT}>'),
        ("root@web1", f'"root@web1" <{ACCOUNT}>'),
        ("root@localhost.localdomain", f'"root@localhost.localdomain" <{ACCOUNT}>'),
        (f"{U} <root>", f"=?utf-8?b?w7wgPHJvb3Q+?= <{ACCOUNT}>"),
        ("bob@tenant.example", None),
        ("root@web1.elsewhere.example", None),
        ("root@xtenant.example", None),
        ("root, ops", None),
        ("", None),
        ("team: root@web1.tenant.example;", None),
    ],
)
def test_a_machines_user_becomes_the_account(value: str, right: str | None) -> None:
    found = address_fields.as_account(value.encode(), READING, ACCOUNT)
    assert found == (None if right is None else f" {right}".encode())
    if found is not None:
        assert address_fields.repair(found, READING) is found


ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
SOUP = st.lists(
    st.sampled_from(
        [
            *'"\\()<>,;:@. []',
            *("a", "b.example", "a@b.example", "<a@b.example>", "\n ", U, "\x01"),
            *("=?utf-8?q?=C3=BC?=", "root", "Team:", "(c)", '"q"', "\N{SNOWMAN}"),
        ]
    ),
    max_size=14,
).map("".join)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(
    lambda text: " ".join(text.split())
)


@hypothesis.settings(max_examples=1000)
@hypothesis.given(SOUP)
def test_repairing_again_changes_nothing(value: str) -> None:
    reason = ""
    try:
        value = address_fields.repair(value.encode(), READING).decode()
    except address_fields.UnreadableError as error:
        reason = str(error)
    assert reason.isascii()
    assert reason.isprintable() or not reason
    assert reason or address_fields.repair(value.encode(), READING) == value.encode()


@hypothesis.settings(max_examples=1000)
@hypothesis.example(".,a@b.example=?utf-8?q?=C3=BC?=")
@hypothesis.example(".a@b.example.")
@hypothesis.given(SOUP)
def test_addresses_in_brackets_are_never_lost_or_made(value: str) -> None:
    # A domain beyond ASCII becomes its A-labels
    hypothesis.assume(value.isascii())
    try:
        once = address_fields.repair(value.encode(), READING).decode()
    except address_fields.UnreadableError:
        return
    hypothesis.assume(value not in once)
    named = [a for _, a in email.utils.getaddresses([once.replace("\n", "")]) if a]
    assert named.count("a@b.example") <= value.count("a@b.example")
    # What was written whole is not made: "a@b.example=?x?=" is one address (RFC 5322 3.4.1)
    # The dot that ends a domain is taken off
    written = {a.removesuffix(".") for a in re.findall(rf"{ATOMS}@{ATOMS}", value)}
    completed = {f"{word}@tenant.example" for word in named_words(value)}
    assert set(named) <= {"a@b.example"} | written | completed


def named_words(value: str) -> set[str]:
    for sign in '"\\()<>,;:@ []\n':
        value = value.replace(sign, " ")
    return {*value.split(), "", "q", " "}


@hypothesis.given(NAME)
def test_a_name_is_read_as_it_was_written(name: str) -> None:
    hypothesis.assume(name and not set(name) & set('"\\()<>') and "=?" not in name)
    hypothesis.assume(not name.startswith(","))
    value = repaired(f" {name} <a@b.example>").replace("\n", "")
    ((shown, address),) = email.utils.getaddresses([value])
    assert address == "a@b.example"
    assert str(email.header.make_header(email.header.decode_header(shown))) == name


@pytest.mark.parametrize(
    "unit",
    ["a,", "a ", "(", '"', "<", "a:b,", "a:", "((a)", '"\\', "a@b.example,", "a;", ")", "\\"],
)
def test_time_grows_with_the_length_only(unit: str) -> None:
    def cost(size: int) -> float:
        value = (unit * size).encode() + b"x <a@b.example>"
        started = time.process_time()
        with contextlib.suppress(address_fields.UnreadableError):
            address_fields.repair(value, READING)
        return time.process_time() - started

    cost(100)
    # The longest header exim takes, in a fraction of a second: not its square
    assert cost(60_000 // len(unit)) < 2
