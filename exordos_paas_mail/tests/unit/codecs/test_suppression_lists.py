# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime

import pytest

from exordos_paas_mail.codecs import rules, suppression_lists
from exordos_paas_mail.codecs.suppression_lists import Line

UNTIL = datetime.datetime(2999, 1, 31, 12, tzinfo=datetime.timezone.utc)
LINES = [
    Line("bob@elsewhere.example", "MANUAL"),
    Line("a,b@elsewhere.example", "COMPLAINT", UNTIL),
    Line("c@elsewhere.example", "", UNTIL),
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
    "text", ["bob", "@", "b@c.example,x", "b@c.example,MANUAL,soon", "b@c.example,MANUAL,,", ",,"]
)
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(rules.RuleError):
        suppression_lists.parse(text)
