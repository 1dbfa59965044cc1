# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is counted, and how it is held to the limits."""

from __future__ import annotations

import datetime
import typing as tp

import pytest

from exordos_paas_mail.codecs import limit_signals, limits, windows
from exordos_paas_mail.node.policy import counts as counts_
from exordos_paas_mail.node.policy import judge as judge_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

ALICE, BOB = "alice@example.com", "bob@example.com"
NOON = int(datetime.datetime.fromisoformat("2026-11-26T12:00:00+00:00").timestamp() * 1000)


class Stage:
    """A judge, and the file of limits that it goes by."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.path = folder / "limits"
        self.open()

    def open(self) -> None:
        self.counts = counts_.Counts(self.folder)
        self.judge = judge_.Judge(self.path, self.counts)

    def limit(self, instance: dict[str, int | None], **accounts: dict[str, int | None]) -> None:
        own = [(name, numbers, limits.DEFER) for name, numbers in accounts.items()]
        aside = self.path.with_name("new")
        aside.write_text(limits.render(instance, own, "example.com"))
        aside.rename(self.path)

    def take(self, login: str = ALICE, now: int = NOON) -> str:
        return self.judge.answer(f"take {login}", now)

    def passes(self, count: int, login: str = ALICE, now: int = NOON) -> int:
        return sum(self.take(login, now).startswith("do=pass") for _ in range(count))

    def used(self, login: str, now: int = NOON) -> tuple[int, ...]:
        return self.counts.read(login, now).used


@pytest.fixture
def stage(tmp_path: pathlib.Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.counts.close()


def test_without_limits_all_is_counted_and_passes(stage: Stage) -> None:
    assert stage.take() == f"do=pass at={NOON}"
    stage.limit({})
    assert (stage.passes(3), stage.passes(2, BOB)) == (3, 2)
    assert stage.used(ALICE) == (4,) * 4
    assert stage.used(counts_.INSTANCE) == (6,) * 4


@pytest.mark.parametrize("period", limits.PERIODS)
def test_a_window_takes_its_limit_and_the_next_one_as_many(stage: Stage, period: str) -> None:
    stage.limit({}, alice={f"recipients_per_{period}": 5})
    end = windows.end(period, NOON)
    assert stage.passes(9, now=end - 1) == 5
    assert stage.passes(9, BOB, end - 1) == 9
    assert stage.passes(9, now=end) == 5


def test_all_accounts_together_have_what_the_instance_has(stage: Stage) -> None:
    stage.limit({"recipients_per_hour": 6}, alice={"recipients_per_hour": 4})
    assert (stage.passes(9), stage.passes(9, BOB), stage.passes(1, "c@example.com")) == (4, 2, 0)
    assert stage.take(BOB) == (
        'do=stop said="The limit of 6 recipients an hour of all accounts together is reached:'
        ' the next is taken in 3600 s, at 2026-11-26T13:00:00Z"'
    )


def test_what_is_told_is_the_limit_that_ends_last(stage: Stage) -> None:
    stage.limit({}, alice={"recipients_per_minute": 1, "recipients_per_day": 1})
    stage.take()
    assert "1 recipient a day of alice@example.com" in stage.take()


def test_a_recipient_that_was_stopped_is_not_counted(stage: Stage) -> None:
    stage.limit({"recipients_per_day": 100}, alice={"recipients_per_hour": 2})
    stage.passes(50)
    assert stage.used(counts_.INSTANCE) == stage.used(ALICE) == (2,) * 4


def test_a_limit_that_changes_counts_at_once_for_what_was_sent_before(stage: Stage) -> None:
    stage.limit({})
    stage.passes(10)
    stage.limit({}, alice={"recipients_per_day": 10})
    assert stage.passes(1) == 0
    stage.limit({}, alice={"recipients_per_day": 12})
    assert stage.passes(5) == 2


def test_a_file_that_is_none_changes_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.limit({}, alice={"recipients_per_day": 2})
    stage.passes(1)
    stage.path.write_text("*:hour=1\n")
    assert stage.passes(3) == 1
    stage.path.unlink()
    assert stage.passes(3) == 0
    assert "the limits stay as they were" in capsys.readouterr().err


def test_counts_outlive_the_process(stage: Stage) -> None:
    stage.limit({}, alice={"recipients_per_day": 7})
    stage.passes(5)
    stage.counts.close()
    stage.open()
    assert stage.passes(9) == 2


def test_counts_that_are_damaged_are_moved_aside(stage: Stage, tmp_path: pathlib.Path) -> None:
    stage.passes(5)
    stage.counts.close()
    for file in tmp_path.glob(f"{counts_.FILE_NAME}*"):
        file.write_bytes(b"damaged" * 1000)
    stage.open()
    assert stage.used(ALICE) == (0,) * 4
    assert list(tmp_path.glob(f"{counts_.FILE_NAME}.aside-*"))


def test_what_was_not_sent_in_the_end_is_given_back_to_its_own_windows(stage: Stage) -> None:
    end = windows.end("minute", NOON)
    stage.passes(3, now=end - 1)
    stage.passes(2, now=end)
    stage.judge.answer(f"give {ALICE} 2 {end - 1}", end)
    assert stage.used(ALICE, end) == stage.used(counts_.INSTANCE, end) == (2, 3, 3, 3)
    stage.judge.answer(f"give {ALICE} 9 {end}", end)
    assert stage.used(ALICE, end) == (0,) * 4


def test_a_clock_that_is_corrected_begins_no_window_anew(stage: Stage) -> None:
    stage.limit({}, alice={"recipients_per_minute": 3})
    assert stage.passes(5, now=NOON) == 3
    assert stage.passes(5, now=NOON - 500) == 0
    # One that was far ahead holds nothing up.
    assert stage.passes(5, now=NOON - windows.DAY) == 3


def signals(answer: str) -> list[tuple[str, str, str, int]]:
    _, said, word = answer.partition(" signals=")
    found = limit_signals.parse(word) if said else []
    return [(one.what, one.scope, one.period, one.used) for one in found]


def test_signals_come_once_a_window_at_four_fifths_and_at_the_end(stage: Stage) -> None:
    stage.limit({"recipients_per_day": 10}, alice={"recipients_per_hour": 5})
    told = [signals(stage.take()) for _ in range(8)]
    assert told == [
        *[[]] * 3,
        [("near", "account", "hour", 4)],
        [("reached", "account", "hour", 5)],
        *[[]] * 3,
    ]
    later = windows.end("hour", NOON)
    told = [signals(stage.take(now=later)) for _ in range(6)]
    assert told == [
        [],
        [],
        [("near", "instance", "day", 8)],
        [("near", "account", "hour", 4)],
        [("reached", "account", "hour", 5), ("reached", "instance", "day", 10)],
        [],
    ]


def test_a_limit_that_was_lowered_below_what_was_sent_is_told(stage: Stage) -> None:
    stage.passes(10)
    stage.limit({}, alice={"recipients_per_day": 5})
    assert signals(stage.take()) == [("reached", "account", "day", 10)]
    assert signals(stage.take()) == []
    # One that was raised is told anew.
    stage.limit({}, alice={"recipients_per_day": 13})
    told = [signals(stage.take()) for _ in range(3)]
    assert told == [[], [], [("reached", "account", "day", 13)]]


def test_who_has_not_sent_for_months_is_forgotten(stage: Stage) -> None:
    stage.passes(1)
    stage.counts.forget(NOON + 61 * windows.DAY)
    assert stage.used(ALICE) == (1,) * 4
    stage.counts.forget(NOON + 63 * windows.DAY)
    assert stage.used(ALICE) == (0,) * 4
