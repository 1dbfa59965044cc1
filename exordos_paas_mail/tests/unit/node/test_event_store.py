# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import os
import random
import sqlite3
import subprocess
import sys
import time
import typing as tp
import zlib
from typing import TYPE_CHECKING

import pytest

from exordos_paas_mail.codecs import event_batches, mail_events
from exordos_paas_mail.codecs.mail_events import Event, Type
from exordos_paas_mail.node.events import counts as counts_
from exordos_paas_mail.node.events import follower, recorder, store

if TYPE_CHECKING:
    import pathlib

POSITION = follower.Position(b"2026-11-26 11:25:36.641 [1] x", 77)
FAILED = Event(60_000, Type.LOGIN_FAILED, client="192.0.2.1")


def events(count: int, text: str = "") -> list[Event]:
    return [Event(n, Type.COMPLETED, f"id-{n}", text=text) for n in range(count)]


def taken(opened: store.Store) -> list[tuple[int, list[Event]]]:
    """Take all batches out of a store, as the control plane does."""
    found = []
    while batch := opened.next():
        found.append((batch[0], mail_events.parse(batch[1])))
        opened.forget(batch[0])
    return found


def test_what_is_kept_is_there_after_a_restart(tmp_path: pathlib.Path) -> None:
    first = store.Store(tmp_path)
    assert (first.position(), first.counts(), first.next()) == (None, [], None)
    held = [dataclasses.replace(FAILED, count=3)]
    first.keep(events(3), POSITION, held)
    first.keep([], POSITION._replace(offset=99), held)
    first.close()
    second = store.Store(tmp_path)
    assert second.stream == first.stream
    assert second.position() == POSITION._replace(offset=99)
    assert second.counts() == held
    assert second.waiting()[0] == 3
    assert taken(second) == [(1, events(3))]
    second.keep(events(1), POSITION, [])
    assert taken(second) == [(2, events(1))]


@pytest.mark.parametrize(
    ("given", "batches"), [(events(1200), 4), (events(200, "\N{SNOWMAN}" * 512), 4)]
)
def test_a_batch_has_its_bounds(tmp_path: pathlib.Path, given: list[Event], batches: int) -> None:
    opened = store.Store(tmp_path)
    opened.keep(given, POSITION, [])
    found = []
    while batch := opened.next():
        assert len(batch[1]) <= event_batches.RAW_SIZE_MAX
        found.append((batch[0], mail_events.parse(batch[1])))
        opened.forget(batch[0])
    assert [seq for seq, _ in found] == list(range(1, batches + 1))
    assert [event for _, part in found for event in part] == given
    assert max(len(part) for _, part in found) <= event_batches.EVENTS_MAX


def test_events_that_are_given_up_leave_a_gap_and_no_hole(tmp_path: pathlib.Path) -> None:
    words = random.Random(1)  # noqa: S311 - no secret
    opened = store.Store(tmp_path)
    for _ in range(40):
        opened.keep(events(100, words.randbytes(200).hex()), POSITION, [])
    _, size = opened.waiting()
    given_up = opened.shrink(size // 2)
    assert 1500 <= given_up <= 2500
    assert opened.waiting()[1] <= size // 2
    assert opened.shrink(size // 2) == 0
    assert opened.counters()["gaps"] == given_up // 100
    found = taken(opened)
    assert [seq for seq, _ in found] == list(range(1, 41))
    gaps = [event for _, part in found for event in part if event.type is Type.GAP]
    assert {(event.text, event.count) for event in gaps} == {
        ("the node had no room for more events", 100)
    }
    assert len(gaps) * 100 == given_up
    opened.prune(0, 0)
    opened.close()
    empty = tmp_path / "empty"
    empty.mkdir()
    store.Store(empty).close()
    sizes = [(folder / store.FILE_NAME).stat().st_size for folder in (tmp_path, empty)]
    assert sizes[0] <= sizes[1], sizes


@pytest.mark.parametrize("spoil", ["text", "middle", "version", "empty"])
def test_a_damaged_store_is_moved_aside(tmp_path: pathlib.Path, spoil: str) -> None:
    opened = store.Store(tmp_path)
    opened.keep(events(5000, "x"), POSITION, [])
    stream = opened.stream
    opened.close()
    path = tmp_path / store.FILE_NAME
    if spoil == "text":
        path.write_text("no database at all" * 1000)
    elif spoil == "middle":
        path.write_bytes(path.read_bytes()[:4096] + os.urandom(path.stat().st_size - 4096))
    elif spoil == "version":
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 9")
        database.close()
    else:
        with sqlite3.connect(path) as database:
            database.execute("DELETE FROM state")
        database.close()
    renewed, why = store.open_or_renew(tmp_path)
    assert why
    assert (renewed.position(), renewed.next()) == (None, None)
    assert renewed.stream != stream
    assert list(tmp_path.glob("*.aside-*"))
    renewed.close()
    again, why = store.open_or_renew(tmp_path)
    assert (why, again.stream) == ("", renewed.stream)


OPEN = "import pathlib, sys; from exordos_paas_mail.node.events import store; "
OPEN += "store.Store(pathlib.Path(sys.argv[1]))"


def test_nobody_else_opens_the_store(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path)]
    opened = store.Store(tmp_path)
    other = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "BlockingIOError" in other.stderr
    opened.keep(events(1), POSITION, [])
    opened.close()
    subprocess.run(command, check=True)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ([0], [(0, 1)]),
        ([0, 1000, 59_000], [(0, 1), (59_000, 2)]),
        ([0, 1000, 60_000, 61_000], [(0, 1), (1000, 1), (60_000, 1), (61_000, 1)]),
        ([0, 5000, 400_000], [(0, 1), (5000, 1), (400_000, 1)]),
    ],
)
def test_equal_events_of_a_minute_are_one(at: list[int], told: list[tuple[int, int]]) -> None:
    counts = counts_.Counts()
    found = []
    for moment in at:
        found += counts.add(dataclasses.replace(FAILED, at=moment))
    found += counts.due(at[-1] + counts_.PERIOD)
    assert [(event.at, event.count) for event in found] == told
    assert counts.held() == []


def test_a_restart_goes_on_counting() -> None:
    counts = counts_.Counts()
    for moment in (0, 1000, 2000):
        counts.add(dataclasses.replace(FAILED, at=moment))
    counts = counts_.Counts(counts.held())
    assert counts.add(dataclasses.replace(FAILED, at=3000)) == []
    assert counts.due(100_000) == [dataclasses.replace(FAILED, at=3000, count=3)]


def test_a_clock_that_is_set_back_holds_no_count_up() -> None:
    counts = counts_.Counts()
    for moment in (200_000_000, 200_001_000):
        counts.add(dataclasses.replace(FAILED, at=moment))
    # Two days.
    assert counts.due(200_001_000 - 172_800_000) == [dataclasses.replace(FAILED, at=200_001_000)]
    assert counts.held() == []


def test_other_events_are_never_counted() -> None:
    counts = counts_.Counts()
    assert [len(counts.add(event)) for event in events(1) * 3] == [1, 1, 1]
    other = dataclasses.replace(FAILED, client="192.0.2.2")
    assert [counts.add(FAILED), counts.add(other), counts.add(FAILED)] == [[FAILED], [other], []]


def test_a_flood_of_different_events_is_bounded() -> None:
    counts = counts_.Counts()
    told = 0
    for number in range(3 * counts_.KINDS_MAX):
        event = dataclasses.replace(FAILED, client=str(number))
        told += sum(told.count for told in counts.add(event) + counts.add(event))
    assert told + len(counts.held()) == 6 * counts_.KINDS_MAX
    assert len(counts.held()) <= counts_.KINDS_MAX


def test_counters_add_up_and_outlive_a_restart(tmp_path: pathlib.Path) -> None:
    first = store.Store(tmp_path)
    first.keep(events(1), POSITION, [], {"gaps": 1, "delivery_ms": 70})
    first.keep([], POSITION, [], {"delivery_ms": 7})
    first.close()
    second = store.Store(tmp_path)
    second.forget(1)
    assert second.counters() == {"gaps": 1, "delivery_ms": 77}


def test_a_store_of_the_release_before_counts_from_now_on(tmp_path: pathlib.Path) -> None:
    before = store.Store(tmp_path)
    before.keep(events(1), POSITION, [])
    before.close()
    with sqlite3.connect(tmp_path / store.FILE_NAME) as database:
        database.execute("DROP TABLE counters")
    database.close()
    opened, why = store.open_or_renew(tmp_path)
    opened.keep([], POSITION, [], {"gaps": 1})
    assert (why, opened.counters(), opened.waiting()[0]) == ("", {"gaps": 1}, 1)


def test_a_refused_write_counts_nothing(tmp_path: pathlib.Path) -> None:
    opened = store.Store(tmp_path)
    opened.keep(events(1), POSITION, [], {"gaps": 1})
    wrong: dict[str, tp.Any] = {"gaps": 5, "delivery_ms": None}
    with pytest.raises(sqlite3.IntegrityError):
        opened.keep(events(1), POSITION, [], wrong)
    assert (opened.counters(), opened.waiting()[0]) == ({"gaps": 1}, 1)


def test_the_oldest_that_waits_is_told(tmp_path: pathlib.Path) -> None:
    opened = store.Store(tmp_path)
    assert opened.oldest_at() == 0
    for at in (5_000, 6_000):
        opened.keep([Event(at, Type.COMPLETED), Event(at + 1, Type.COMPLETED)], POSITION, [])
    assert [opened.oldest_at(), opened.oldest_at()] == [5_000, 5_000]
    opened.forget(1)
    assert opened.oldest_at() == 6_000
    opened.forget(2)
    assert opened.oldest_at() == 0


def history(directory: pathlib.Path) -> list[tuple[int, list[Event]]]:
    with sqlite3.connect(directory / store.FILE_NAME) as database:
        rows = database.execute("SELECT seq, events FROM history ORDER BY seq").fetchall()
    database.close()
    return [(seq, mail_events.parse(zlib.decompress(packed))) for seq, packed in rows]


def test_what_the_control_plane_has_is_history(tmp_path: pathlib.Path) -> None:
    opened = store.Store(tmp_path)
    opened.keep(events(3), POSITION, [])
    opened.keep(events(1), POSITION, [])
    assert history(tmp_path) == []
    opened.forget(1)
    opened.forget(1)
    assert history(tmp_path) == [(1, events(3))]
    assert opened.waiting()[0] == 1
    size = opened.history_size
    assert size > 0
    opened.close()
    again = store.Store(tmp_path)
    assert again.history_size == size


def test_of_the_history_the_oldest_goes_first(tmp_path: pathlib.Path) -> None:
    words = random.Random(1)  # noqa: S311 - no secret
    opened = store.Store(tmp_path)
    for number in range(1, 252):
        opened.keep(events(5, words.randbytes(200).hex()), POSITION, [])
        opened.forget(number)
    whole = opened.history_size
    opened.prune(whole, 0)
    assert len(history(tmp_path)) == 251
    opened.prune(whole // 10, 0)
    left = [seq for seq, _ in history(tmp_path)]
    assert left == list(range(252 - len(left), 252))
    assert 20 <= len(left) <= 26
    assert opened.history_size <= whole // 10
    opened.prune(whole, time.time_ns() // 1_000_000 + 1)
    assert (history(tmp_path), opened.history_size) == ([], 0)


def test_history_gives_way_to_mail_before_events_do(tmp_path: pathlib.Path) -> None:
    words = random.Random(1)  # noqa: S311 - no secret
    log = tmp_path / "mainlog"
    log.write_text("")
    free = 2**40
    reader = recorder.Recorder(log, tmp_path, lambda: free)
    for number in (1, 2):
        reader.store.keep(events(400, words.randbytes(200).hex()), POSITION, [])
        if number == 1:
            reader.store.forget(1)
    reader._make_room()
    assert (len(history(tmp_path)), reader.store.waiting()[0]) == (1, 400)
    free = recorder.FREE_SIZE_MIN - reader.store.history_size
    reader._make_room()
    assert (len(history(tmp_path)), reader.store.waiting()[0]) == (0, 400)
