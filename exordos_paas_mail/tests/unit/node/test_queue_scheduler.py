# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is due is tried, and only that."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.node import machine
from exordos_paas_mail.node.queue import scheduler as scheduler_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

NOW: tp.Final = 1_800_000_000


class _Delivery:
    def __init__(self, queue_ids: Sequence[str]) -> None:
        self.queue_ids = queue_ids
        self.over = False

    def is_over(self) -> bool:
        return self.over


class Stage:
    """A scheduler, the deliveries that it begins, and a clock."""

    def __init__(self) -> None:
        self.begun: list[_Delivery] = []
        self.has_room = True
        self.scheduler = scheduler_.Scheduler(self._begin, lambda: self.has_room)
        self.at = 1000.0

    def _begin(self, queue_ids: Sequence[str]) -> machine.Delivery:
        self.begun.append(_Delivery(queue_ids))
        return tp.cast("machine.Delivery", self.begun[-1])

    def put(self, *names: str, at: int = 0, server: str = "mx.example", attempts: int = 1) -> None:
        for name in names:
            self.scheduler.put(name, scheduler_.Due(at, server, attempts))

    def start(self, seconds: float = 0.0) -> list[str]:
        """Return what is begun now that *seconds* have passed."""
        before = len(self.begun)
        self.at += seconds
        self.scheduler.start(NOW, self.at)
        return [name for one in self.begun[before:] for name in one.queue_ids]

    def end(self) -> set[str]:
        """Have all that is under way end; returns the messages of the rounds that are over."""
        over: set[str] = set()
        while self.scheduler.is_busy:
            for delivery in self.begun:
                delivery.over = True
            over |= self.scheduler.turn(self.at)
        return over


@pytest.fixture
def stage() -> Stage:
    return Stage()


def names(count: int, letter: str = "a") -> list[str]:
    return [f"{letter}{number:05}" for number in range(count)]


def test_what_is_not_due_is_left_alone(stage: Stage) -> None:
    stage.put("later", at=NOW + 1)
    stage.put("now", at=NOW)

    assert stage.start() == ["now"]


def test_what_is_for_no_domain_goes_as_well(stage: Stage) -> None:
    stage.put("a", server="")
    stage.put("b")

    assert stage.start() == ["a", "b"]


def test_what_has_waited_longest_goes_first(stage: Stage) -> None:
    stage.put("c", at=NOW - 1)
    stage.put("b", at=NOW - 3)
    stage.put("a", at=NOW - 2)

    assert stage.start() == ["b", "a"]


def test_of_a_server_a_few_go_first_and_more_once_it_answers(stage: Stage) -> None:
    waiting = names(1000)
    stage.put(*waiting)
    rounds = []
    while waiting:
        begun = stage.start(1)
        rounds.append(len(begun))
        assert stage.end() == set(begun)
        for name in begun:
            stage.scheduler.drop(name)
        waiting = [name for name in waiting if name not in begun]

    assert rounds == [2, 8, 32, 128, 512, 318]


def test_a_round_ends_before_the_next_begins(stage: Stage) -> None:
    stage.put(*names(10))
    assert len(stage.start()) == 2
    stage.begun[0].over = True

    assert stage.scheduler.turn(stage.at) == set()
    assert stage.start(1) == []


def test_a_server_that_fails_puts_off_all_of_its_mail(stage: Stage) -> None:
    waiting = names(100)
    stage.put(*waiting)
    stage.start()
    stage.end()
    # What the look at the hints says of all of them.
    stage.put(*waiting, at=NOW + 300, attempts=2)

    assert stage.start(1) == []
    assert stage.start(3600) == []


def test_what_exim_puts_off_for_a_reason_that_is_not_known_costs_a_few_a_minute(
    stage: Stage,
) -> None:
    stage.put(*names(100))
    begun = set()
    for _ in range(60):
        begun |= set(stage.start(10))
        stage.end()

    assert len(begun) == 2 * 10


def test_what_fails_for_a_reason_of_its_own_does_not_hold_up_the_others(stage: Stage) -> None:
    waiting = names(42)
    stage.put(*waiting)
    rounds = []
    while waiting:
        begun = stage.start(1)
        rounds.append(len(begun))
        stage.end()
        # Each mailbox is full.
        stage.put(*begun, at=NOW + 300, attempts=2)
        waiting = [name for name in waiting if name not in begun]

    assert rounds == [2, 8, 32]


def test_a_message_is_not_begun_twice_within_a_minute(stage: Stage) -> None:
    stage.put("a")
    assert stage.start() == ["a"]
    stage.end()
    # Tried, and nothing says until when to wait.
    stage.put("a", attempts=2)

    assert stage.start(scheduler_.AGAIN - 1) == []
    assert stage.start(1) == ["a"]


def test_a_server_that_hangs_holds_up_no_other(stage: Stage) -> None:
    stage.put(*names(100, "h"), server="hangs.example")
    stage.start()
    stage.put(*names(2), server="mx.example")

    assert stage.start(1) == names(2)


def test_a_message_that_hangs_holds_up_no_other_of_its_server(stage: Stage) -> None:
    """As a server does that says nothing to the end of one message, and takes the others."""
    hanging, other = names(2)
    stage.put(hanging, other)
    assert stage.start() == [hanging, other]
    stage.begun[1].over = True
    stage.put(*names(3, "b"))
    stage.scheduler.drop(other)
    stage.at += 59
    assert (stage.scheduler.turn(stage.at), stage.start()) == (set(), [])

    stage.at += 1
    assert stage.scheduler.turn(stage.at) == {hanging, other}
    assert stage.start() == names(3, "b")
    assert stage.scheduler.is_busy
    # Nor is it begun beside itself, however long it takes.
    stage.scheduler.drop(names(1, "b")[0])
    for delivery in stage.begun[2:]:
        delivery.over = True
    stage.at += 300
    stage.scheduler.turn(stage.at)
    assert hanging not in stage.start()

    for delivery in stage.begun:
        delivery.over = True
    assert hanging in stage.scheduler.turn(stage.at)
    assert hanging in stage.start(300)


def test_what_is_behind_a_message_that_hangs_goes_without_it(stage: Stage) -> None:
    every = names(8)
    stage.put(*every[:2])
    stage.start()
    for name in every[:2]:
        stage.scheduler.drop(name)
    stage.end()
    stage.put(*every[2:])
    assert stage.start(1) == every[2:]
    held_up = stage.begun[2].queue_ids
    for delivery in stage.begun[3:]:
        delivery.over = True
    for name in {*every[2:]} - {*held_up}:
        stage.scheduler.drop(name)
    stage.at += scheduler_.SLOW
    stage.scheduler.turn(stage.at)
    assert stage.start() == [*held_up[1:]]


@pytest.mark.parametrize("first", [1, 2])
def test_a_server_that_hangs_is_left_to_its_scouts(stage: Stage, first: int) -> None:
    stage.put(*names(first))
    stage.start()
    stage.put(*names(20, "b"))
    for _ in range(5):
        stage.at += scheduler_.SLOW
        stage.scheduler.turn(stage.at)
        stage.start()
    # One message alone may be what hangs.
    assert len(stage.begun) == (3 if first == 1 else 2)


def test_no_more_is_under_way_than_may_be(stage: Stage) -> None:
    for number in range(50):
        stage.put(*names(10, f"s{number}-"), server=f"mx{number}.example")
    stage.start()
    assert len(stage.begun) == scheduler_.PROCESSES_MAX
    # One of each server before a second of one.
    assert len({name.split("-")[0] for one in stage.begun for name in one.queue_ids}) == 16

    stage.begun[0].over = True
    stage.scheduler.turn(stage.at)
    assert len(stage.begun) == scheduler_.PROCESSES_MAX + 1


def test_servers_take_turns(stage: Stage) -> None:
    for letter in "abc":
        stage.put(*names(2, letter), server=f"{letter}.example", attempts=0)
    stage.has_room = False
    stage.start()
    while stage.scheduler.is_busy:
        next(one for one in stage.begun if not one.over).over = True
        stage.scheduler.turn(stage.at)

    assert [name[0] for one in stage.begun for name in one.queue_ids] == list("abcabc")


def test_where_memory_is_scarce_a_few_go_at_a_time(stage: Stage) -> None:
    for number in range(50):
        stage.put(*names(10, f"s{number}-"), server=f"mx{number}.example", attempts=0)
    stage.has_room = False
    stage.start()
    assert len(stage.begun) == scheduler_.SCARCE_MAX

    stage.begun[0].over = True
    stage.scheduler.turn(stage.at)
    assert len(stage.begun) == scheduler_.SCARCE_MAX + 1
    stage.has_room = True
    stage.scheduler.turn(stage.at)
    assert len(stage.begun) == scheduler_.PROCESSES_MAX + 1


def test_where_memory_is_scarce_servers_that_hang_hold_up_no_new_message(stage: Stage) -> None:
    hanging = {
        name: f"hangs{number}.example" for number in range(60) for name in names(2, f"h{number}-")
    }
    for name, server in hanging.items():
        stage.put(name, server=server)
    stage.has_room = False
    tried = stage.start()
    assert len(tried) == 1
    # Each delivery takes a minute, and there is a message to another server in each minute.
    for number in range(len(hanging) - 1):
        new = f"new{number}"
        stage.put(new, server=f"mx{number}.example", attempts=0)
        assert stage.start(30) == [new]
        assert sum(not one.over for one in stage.begun) == scheduler_.SCARCE_MAX
        before = len(stage.begun)
        for one in stage.begun:
            one.over = True
        stage.at += 30
        stage.scheduler.turn(stage.at)
        stage.scheduler.drop(new)
        (retry,) = stage.begun[before:]
        tried += retry.queue_ids

    # What hangs has its turn as well: each server once, and then each a second time.
    assert sorted(tried) == sorted(hanging)
    assert len({hanging[name] for name in tried[:60]}) == 60


@pytest.mark.parametrize(
    ("others", "begun"),
    [
        ({}, []),
        ({"server": "other.example"}, []),
        ({"server": "other.example", "at": 0}, []),
        # Never tried, and put off with the rest of what is for a server that failed.
        ({"server": "other.example", "attempts": 0}, []),
        ({"server": "other.example", "attempts": 0, "at": 0}, ["b"]),
    ],
    ids=["same-server", "tried", "nothing-known-of-its-time", "put-off", "new"],
)
def test_where_memory_is_scarce_the_second_delivery_is_kept(
    stage: Stage, others: dict[str, tp.Any], begun: list[str]
) -> None:
    stage.has_room = False
    stage.put("a", at=NOW - 2)
    stage.put("b", **{"at": NOW - 1, **others})

    assert stage.start() == ["a", *begun]
    stage.end()
    assert [name for one in stage.begun for name in one.queue_ids] == ["a", "b"]


def test_a_new_message_may_be_beside_another_where_memory_is_scarce(stage: Stage) -> None:
    stage.has_room = False
    stage.put("a", attempts=0)
    stage.put("b", server="other.example", attempts=0)
    stage.put("c", server="third.example")

    assert stage.start() == ["a", "b"]
    # A new one has ended, and one is under way: this one's turn has come.
    stage.begun[0].over = True
    stage.scheduler.turn(stage.at)
    assert [name for one in stage.begun for name in one.queue_ids] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("told", "has"),
    [
        (None, True),
        ("MemTotal: 9 kB\nMemFree: 1 kB\n", True),
        ("MemTotal: 9 kB\nMemAvailable: 2 kB\n", True),
        ("MemTotal: 9 kB\nMemAvailable: 1 kB\n", False),
    ],
    ids=["no-file", "no-line", "enough", "scarce"],
)
def test_there_is_room_where_memory_is_available_or_not_told_of(
    tmp_path: pathlib.Path, told: str | None, *, has: bool
) -> None:
    if told is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/meminfo").write_text(told)

    assert machine.Machine(root=str(tmp_path)).has_memory(2048) is has


def test_a_server_without_mail_is_forgotten(stage: Stage) -> None:
    stage.put("a")
    stage.start()
    stage.end()
    stage.scheduler.drop("a")
    stage.start(1)
    stage.start(1)
    stage.put(*names(20))

    assert len(stage.start(1)) == scheduler_.SCOUTS


def test_what_was_begun_is_begun_again_where_it_goes_another_way(stage: Stage) -> None:
    stage.put("a", "b", at=NOW - 1)
    assert stage.start() == ["a", "b"]
    stage.end()
    # None of it was tried: its time is not known.
    assert stage.start() == []
    stage.scheduler.renew()
    assert stage.start() == ["a", "b"]
