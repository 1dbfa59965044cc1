# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import (
    limit_answers,
    limit_signals,
    limits,
    mail_events,
    main_log,
    windows,
)


def ms(text: str) -> int:
    return int(datetime.datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


LINE = "2026-11-26 12:00:00.001 [7] limits account=a@example.com signals="
UNTIL = ms("2026-12-01T00:00:00")
NEAR = limit_signals.Signal(limit_signals.NEAR, limit_signals.ACCOUNT, "hour", 4, 5, UNTIL)
REACHED = limit_signals.Signal(limit_signals.REACHED, limit_signals.INSTANCE, "month", 9, 9, UNTIL)


@pytest.mark.parametrize(
    ("period", "at", "begin", "end"),
    [
        ("minute", "2026-11-26T23:59:59.999", "2026-11-26T23:59:00", "2026-11-27T00:00:00"),
        ("hour", "2026-11-26T23:59:59.999", "2026-11-26T23:00:00", "2026-11-27T00:00:00"),
        ("day", "2026-11-26T00:00:00", "2026-11-26T00:00:00", "2026-11-27T00:00:00"),
        ("month", "2026-11-30T23:59:59.999", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("month", "2026-12-01T00:00:00", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("month", "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_windows_are_those_of_the_calendar(period: str, at: str, begin: str, end: str) -> None:
    assert windows.begin(period, ms(at)) == ms(begin)
    assert windows.end(period, ms(at)) == ms(end)
    assert windows.text(ms(end)) == f"{end}Z"


_SIGNALS = st.builds(
    limit_signals.Signal,
    st.sampled_from((limit_signals.NEAR, limit_signals.REACHED)),
    st.sampled_from((limit_signals.ACCOUNT, limit_signals.INSTANCE)),
    st.sampled_from(limits.PERIODS),
    st.integers(0, 10**9),
    st.integers(1, 10**9),
    st.integers(0, 10**13),
)


@hypothesis.given(st.lists(_SIGNALS, min_size=1, max_size=limit_signals.SIGNALS_MAX))
def test_signals_reach_the_events_by_a_line_of_the_log(signals: list[limit_signals.Signal]) -> None:
    word = limit_signals.render(signals)
    assert limit_signals.parse(word) == signals
    line = main_log.parse(
        f"2026-11-26 12:00:00.001 [7] limits account=a@example.com signals={word}"
    )
    assert line is not None
    assert line.entry == main_log.LimitSigns("a@example.com", tuple(signals))
    assert mail_events.parse(mail_events.render(mail_events.of(line))) == mail_events.of(line)


def test_an_event_says_which_limit_and_until_when() -> None:
    word = limit_signals.render([NEAR, REACHED])
    line = main_log.parse(
        f"2026-11-26 12:00:00.001 [7] limits account=a@example.com signals={word}"
    )
    assert line is not None
    at = ms("2026-11-26T12:00:00.001")
    assert mail_events.of(line) == [
        mail_events.Event(
            at,
            mail_events.Type.LIMIT_NEAR,
            account="a@example.com",
            text="4 of the 5 of recipients_per_hour are used, until 2026-12-01T00:00:00Z",
        ),
        # Of the instance: no account's.
        mail_events.Event(
            at,
            mail_events.Type.LIMIT_REACHED,
            text="9 of the 9 of recipients_per_month are used, until 2026-12-01T00:00:00Z",
        ),
    ]


@pytest.mark.parametrize(
    "word",
    ["", "near", "near:account:week:1:2:3", "far:account:hour:1:2:3", "near:account:hour:1:2:3;"],
)
def test_another_word_is_no_signal(word: str) -> None:
    with pytest.raises(ValueError, match="signal"):
        limit_signals.parse(word)
    assert main_log.parse(LINE + word) is None


def test_requests_are_lines() -> None:
    assert limit_answers.parse("take a@example.com") == limit_answers.Take("a@example.com")
    give = limit_answers.Give("a@example.com", 3, 17)
    assert limit_answers.parse("give a@example.com 3 17") == give
    for bad in ("", "take", "take a b", "give a", "give a x 1", "take a\n", "drop a"):
        with pytest.raises(ValueError, match="no request"):
            limit_answers.parse(bad)


def test_an_answer_names_the_limit_and_its_end() -> None:
    now = UNTIL - 1500
    assert limit_answers.passed(now, []) == f"do=pass at={now}"
    assert limit_answers.passed(now, [NEAR]) == (
        f"do=pass at={now} signals=near:account:hour:4:5:{UNTIL}"
    )
    assert limit_answers.stopped("a@example.com", REACHED, now, []) == (
        'do=stop said="The limit of 9 recipients a month of all accounts together is reached:'
        ' the next is taken in 2 s, at 2026-12-01T00:00:00Z"'
    )
