# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime
import uuid as sys_uuid

import pytest

from exordos_paas_mail.codecs import rules, suppression_lists
from exordos_paas_mail.codecs.suppression_lists import Line

UNTIL = datetime.datetime(2999, 1, 31, 12, tzinfo=datetime.timezone.utc)
LINES = [
    Line("bob@elsewhere.example", "MANUAL"),
    Line("a,b@elsewhere.example", "COMPLAINT", UNTIL),
    Line("c@elsewhere.example", "", UNTIL),
    Line("d@elsewhere.example", "MANUAL", None, sys_uuid.UUID(int=7)),
]


def test_what_is_written_is_read() -> None:
    text = suppression_lists.render(LINES)
    assert [suppression_lists.parse(line) for line in text.splitlines()] == LINES


@pytest.mark.parametrize("text", ["", " ", "# bob@elsewhere.example"])
def test_a_line_may_say_nothing(text: str) -> None:
    assert suppression_lists.parse(text) is None


def test_an_address_is_enough_in_any_spelling() -> None:
    assert suppression_lists.parse(" Bob@Elsewhere.Example ") == Line("bob@elsewhere.example")
    spaced = suppression_lists.parse("bob@elsewhere.example , MANUAL , 2999-01-31T12:00:00Z")
    assert spaced == Line("bob@elsewhere.example", "MANUAL", UNTIL)


@pytest.mark.parametrize(
    "text",
    [
        *("bob", "@", "b@c.example,x", "b@c.example,MANUAL,soon", "b@c.example,MANUAL,,", ",,"),
        *("b@c.example,,,x", f"b@c.example,,,{sys_uuid.UUID(int=7)},"),
        # The calendar has no such times in UTC.
        "b@c.example,MANUAL,9999-12-31T23:59:59-14:00",
        "b@c.example,MANUAL,0001-01-01T00:00:00+14:00",
        # Once it is without what is around it, it would be one.
        f"{1000 * ' '}b@c.example",
    ],
)
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(rules.RuleError):
        suppression_lists.parse(text)


@pytest.mark.parametrize(
    ("text", "lines"), [(b"a", 1), (b"a\n", 1), (b"a\r\nb", 2), (b"\n\n", 2), (b"\n\nb", 3)]
)
def test_lines_are_counted_as_they_end(text: bytes, lines: int) -> None:
    assert suppression_lists.count(text) == lines
