# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import address_fields, exim_strings, header_folding, header_repair

READING = address_fields.Reading(domain="tenant.example")
ACCOUNT = "alice@tenant.example"


def repaired(block: str, account: str | None = None) -> str:
    fields = header_repair.split(block.encode())
    found = header_repair.repair(fields, READING, account=account)
    return b"".join(field.text for field in found).decode()


VALUES = st.sampled_from(
    [
        "a@b.example",
        "A, B <a@b.example>",
        "root",
        "",
        "\u00fc <a@b.example>",
        "x, " * 500 + "y <a@b.example>",
        ",".join(["a@b.example"] * 200),
        "<a@b.example>" * 100,
        "word " * 300 + "end",
        "\u00fc" * 600,
        "folded\n twice\n\there",
    ]
)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            ["From", "sender", "To", "CC", "Resent-From", "References", "Subject", "X-A"]
        ),
        VALUES,
    ),
    max_size=8,
)


@hypothesis.given(FIELDS, st.sampled_from([None, ACCOUNT]))
def test_a_repair_keeps_the_order_and_repairing_again_changes_nothing(
    fields: list[tuple[str, str]], account: str | None
) -> None:
    block = "".join(f"{name}: {value}\n" for name, value in fields)
    try:
        once = repaired(block, account)
    except header_repair.RefusedError:
        hypothesis.assume(False)  # noqa: FBT003 - its one way
    assert repaired(once, account) == once
    assert max(map(len, once.encode().split(b"\n"))) <= 998
    names = [field.name for field in header_repair.split(once.encode())]
    gone = {("sender", ""), ("Resent-From", "")}
    assert names == [name for name, value in fields if (name, value) not in gone]


def test_what_needs_no_repair_stays_byte_for_byte() -> None:
    block = (
        "Received: by x\n\twith y\nfrom : A B <a@b.example>\nTo:a@b.example,\n  b@b.example\n"
        "Subject:   \u00fc  \nX-Odd!name: <>,;:\nX-Empty:\n"
    )
    assert repaired(block) == block


def test_only_fields_that_differ_are_replaced() -> None:
    before = header_repair.split(b"To: root\nX-A: b\nCc: a@b.example\nSender:\n")
    after = header_repair.repair(before, READING)
    names, fields = header_repair.changed(before, after)
    assert names == ["to", "sender"]
    assert [field.text for field in fields] == [b"To: root@tenant.example\n"]


def test_a_message_sent_again_keeps_its_blocks_together() -> None:
    before = header_repair.split(
        b"Resent-To: root\nResent-From: a@b.example\nFrom: x@y.example\nResent-Date: x\n"
    )
    names, fields = header_repair.changed(before, header_repair.repair(before, READING))
    assert names == ["resent-to", "resent-from", "resent-date"]
    assert [field.name for field in fields] == ["Resent-To", "Resent-From", "Resent-Date"]


def test_exim_gets_no_two_fields_of_which_one_starts_with_the_other() -> None:
    fields = header_repair.split(b"A: b\n c\nA: b\nA: b\nB: c\n")
    assert [field.text for field in exim_strings.distinct(fields)] == [
        b"A: b\n c\n",
        b"A:  b\n",
        b"A:   b\n",
        b"B: c\n",
    ]


def test_exim_reads_each_octet() -> None:
    assert exim_strings.render({"a": b'"\\\n\t\xfc ', "b": b""}) == b'a="\\"\\\\\\n\\t\xfc " b=""'


@pytest.mark.parametrize(
    ("block", "answer"),
    [
        (
            "To: a@b.example b\n",
            "554 5.6.0 To: a@b.example b is not an address: write Name <user@domain>",
        ),
        (
            "From: team: a@b.example\n",
            "553 5.7.1 From: team: a@b.example is not an address: write Name <user@domain>",
        ),
        (
            "X-Long: " + "x" * 999 + "\n",
            "554 5.6.0 X-Long: a line is longer than 998 octets and has no space to "
            "fold it at (RFC 5322 2.1.1): fold it",
        ),
        (
            "To: " + "\u00fc <a@b.example>," * 1200 + "\n",
            "554 5.6.0 To: longer than 32000 octets once it is repaired: "
            "write names in encoded-words, or fewer addresses",
        ),
        ("From\n : a@b.example\n", "554 5.6.0 Malformed header field name"),
    ],
)
def test_what_cannot_be_repaired_is_refused_by_name(block: str, answer: str) -> None:
    with pytest.raises(header_repair.RefusedError) as caught:
        repaired(block)
    assert str(caught.value) == answer


def test_a_long_subject_without_spaces_becomes_encoded_words() -> None:
    once = repaired("Subject: " + "\u00fc" * 600 + "\n")
    assert once.startswith("Subject: =?utf-8?b?")
    assert max(map(len, once.split("\n"))) <= 85


LINES = st.lists(
    st.text('ab,<>@ \t"(', min_size=1, max_size=12).map(lambda text: text * 120), max_size=4
)


@hypothesis.given(LINES, st.sampled_from(["addresses", "ids", "text"]))
def test_folding_loses_nothing_but_space_between_entries(lines: list[str], kind: str) -> None:
    field = ("X:" + "\n ".join(line.strip() or "x" for line in lines) + "\n").encode()
    try:
        folded = header_folding.fold(field, kind)  # type: ignore[arg-type]
    except header_folding.UnfoldableError:
        hypothesis.assume(False)  # noqa: FBT003 - its one way
    assert not any(line.strip() == b"" for line in folded[:-1].split(b"\n"))
    assert b"".join(folded.split()) == b"".join(field.split())
    if kind == "text":
        assert folded.replace(b"\n", b"") == field.replace(b"\n", b"")
