# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import suspensions
from exordos_paas_mail.codecs.suspensions import Suspension

_reasons = st.text(max_size=200).filter(str.isprintable).map(str.rstrip)


@hypothesis.given(st.integers(0, 10**11), _reasons)
def test_what_is_written_is_read(until: int, reason: str) -> None:
    some = [Suspension("a.example", until, reason), Suspension("b.example", 5)]
    assert suspensions.parse(suspensions.render(some)) == some


def test_exim_finds_a_domain_in_both_spellings() -> None:
    one = Suspension("xn--mller-kva.example", 5, "why")
    text = suspensions.render([one])
    with_u_labels = "m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example: 5 why"
    assert set(text.splitlines()) == {with_u_labels, "xn--mller-kva.example: 5 why"}
    assert suspensions.parse(text) == [one]


def test_labels_older_than_idna_2008_have_one_spelling() -> None:
    text = suspensions.render([Suspension("xn--n3h.example", 5)])
    assert text == "xn--n3h.example: 5\n"


@pytest.mark.parametrize(
    "line",
    ["", "a.example", "a.example: x", "A.example: 5", "*: 5", "a.example 5", "a.example: 5 \x01"],
)
def test_what_is_no_suspension_is_passed_over(line: str) -> None:
    assert suspensions.parse(f"{line}\nb.example: 5\n") == [Suspension("b.example", 5)]
