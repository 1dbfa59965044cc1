# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import limits
from exordos_paas_mail.tests.unit.codecs import texts

DOMAIN = "example.com"
FILE = (
    "*:hour=500 size=10\napp@example.com:hour=100 day=1000 size=5 on=hold\n"
    "big@example.com:minute=7 size=10\nweb@example.com:size=10 on=reject\n.:4\n"
)
INSTANCE: tp.Final[dict[str, int | None]] = {
    "recipients_per_hour": 500,
    "message_size_mb": 10,
    "recipients_per_day": None,
}
ACCOUNTS: tp.Final[list[tuple[str, dict[str, int | None], str]]] = [
    ("web", {}, "reject"),
    ("app", {"recipients_per_day": 1000, "recipients_per_hour": 100, "message_size_mb": 5}, "hold"),
    ("plain", dict(limits.NONE), "defer"),
    ("big", {"message_size_mb": 20, "recipients_per_minute": 7}, "defer"),
]


def test_the_file_has_what_is_asked_for_by_login_as_it_counts() -> None:
    assert limits.render(INSTANCE, ACCOUNTS, DOMAIN) == FILE
    assert limits.render(INSTANCE, reversed(ACCOUNTS), DOMAIN) == FILE
    assert limits.render(limits.NONE, [], DOMAIN) == "*:\n.:1\n"


def test_an_account_without_a_line_has_nothing_of_its_own() -> None:
    file = limits.parse(FILE, DOMAIN)
    assert file == limits.parse(FILE)
    assert file.instance == limits.Limits({"hour": 500, "size": 10})
    assert file.of("app@example.com") == limits.Limits(
        {"hour": 100, "day": 1000, "size": 5}, "hold"
    )
    assert file.of("plain@example.com") == limits.Limits({})


_FIRST = texts.LETTERS + "0123456789_"
_LIMITS = st.fixed_dictionaries(
    {name: st.none() | st.integers(1, highest) for name, highest in limits.HIGHEST.items()}
)


@hypothesis.given(
    _LIMITS,
    st.dictionaries(
        texts.words(_FIRST + "+=-", 10, first=_FIRST),
        st.tuples(_LIMITS, st.sampled_from(limits.ON_LIMIT)),
        max_size=5,
    ),
)
def test_what_is_rendered_is_parsed(
    instance: dict[str, int | None], accounts: dict[str, tuple[dict[str, int | None], str]]
) -> None:
    text = limits.render(instance, [(name, *own) for name, own in accounts.items()], DOMAIN)
    file = limits.parse(text, DOMAIN)
    assert file.instance.numbers == _named(instance)
    for name, (own, on_limit) in accounts.items():
        found = file.of(f"{name}@{DOMAIN}")
        assert found.on_limit == on_limit
        assert {p: n for p, n in found.numbers.items() if p in limits.PERIODS} == {
            p: n for p, n in _named(own).items() if p in limits.PERIODS
        }


def _named(own: dict[str, int | None]) -> dict[str, int]:
    return {limits.FIELDS[name]: number for name, number in own.items() if number is not None}


@pytest.mark.parametrize("count", range(FILE.count("\n")))
def test_a_file_that_was_cut_at_the_end_of_a_line_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=r"end|instance's"):
        limits.parse("".join(FILE.splitlines(keepends=True)[:count]), DOMAIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(".:4\n", ".:4", id="no end of the last line"),
        pytest.param(".:4", ".:3", id="another count"),
        pytest.param("*:", "?:", id="no line of the instance"),
        pytest.param("*:hour=500", "*:hour=500 on=hold", id="the instance holds"),
        pytest.param("app@example.com", "app@other.example", id="another domain"),
        pytest.param("app@example.com", "app", id="no domain"),
        pytest.param("app@", "zzz@", id="out of order"),
        pytest.param("big@", "app@", id="twice"),
        pytest.param("size=5 on=hold", "on=hold size=5", id="words out of order"),
        pytest.param("on=hold", "on=pass", id="another answer"),
        pytest.param("on=reject", "on=defer", id="the default"),
        pytest.param("hour=100", "hour=0", id="nought"),
        pytest.param("hour=100", "hour=0100", id="another spelling"),
        pytest.param("hour=100", "hour=1000000001", id="too much"),
        pytest.param("size=5", "size=2048", id="too large"),
        pytest.param("hour=100", "week=100", id="another window"),
        pytest.param("hour=100", "hour=${run{x}}", id="an expansion"),
        pytest.param("hour=100 ", "hour=100  ", id="two spaces"),
        pytest.param("minute=7 size=10", "", id="a line that says nothing"),
    ],
)
def test_another_text_is_refused(old: str, new: str) -> None:
    assert old in FILE
    with pytest.raises(ValueError, match=r"line|end"):
        limits.parse(FILE.replace(old, new, 1), DOMAIN)


@pytest.mark.parametrize("text", ["", "\n", "# comment\n"])
def test_what_is_no_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|end"):
        limits.parse(text, DOMAIN)
