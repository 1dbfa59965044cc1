# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
import time
import typing as tp
from unittest import mock

import pytest

from exordos_paas_mail.codecs import mail_events, main_log
from exordos_paas_mail.codecs.mail_events import Type
from exordos_paas_mail.node.events import recorder as recorder_
from exordos_paas_mail.node.events import store as store_
from exordos_paas_mail.tests.unit.codecs import log_lines

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

PLENTY = 10 * 2**30


class Clock:
    """time.monotonic, which goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Node:
    """A recorder on a log and a disk."""

    def __init__(self, folder: pathlib.Path, clock: Clock) -> None:
        self.log = folder / "mainlog"
        self.folder = folder / "store"
        self.folder.mkdir()
        self.free = PLENTY
        self.clock = clock
        self.recorder = recorder_.Recorder(self.log, self.folder, lambda: self.free)

    def write(self, *said: str) -> None:
        with self.log.open("a") as log:
            for text in said:
                stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
                log.write(f"{stamp}.000 [493] {text}\n")

    def complete(self, *names: str) -> None:
        self.write(*(f"1xWXbc-{name}-20 Completed QT=0.100s" for name in names))

    def turns(self) -> None:
        """Have the recorder read all there is, and keep it."""
        while self.recorder.turn():
            pass
        self.clock.now += recorder_.FLUSH_PERIOD
        self.recorder.turn()

    def restart(self) -> None:
        self.recorder.store.close()
        self.recorder = recorder_.Recorder(self.log, self.folder, lambda: self.free)

    def take(self) -> list[list[mail_events.Event]]:
        """Take the batches, as the control plane does."""
        found = []
        while batch := self.recorder.store.next():
            found.append(mail_events.parse(batch[1]))
            self.recorder.store.forget(batch[0])
        return found

    def names(self) -> list[list[str]]:
        return [[event.queue_id[7:13] for event in part] for part in self.take()]


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with mock.patch("time.monotonic", clock):
        yield clock


@pytest.fixture
def node(tmp_path: pathlib.Path, clock: Clock) -> Node:
    return Node(tmp_path, clock)


def test_what_comes_within_two_seconds_is_one_batch(node: Node) -> None:
    node.complete("000001")
    assert node.recorder.turn() is True
    node.clock.now += recorder_.FLUSH_PERIOD / 2
    node.complete("000002")
    assert (node.recorder.turn(), node.names()) == (True, [])
    node.clock.now += recorder_.FLUSH_PERIOD / 2
    assert (node.recorder.turn(), node.names()) == (False, [["000001", "000002"]])
    node.clock.now += 60
    assert (node.recorder.turn(), node.names()) == (False, [])


def test_many_do_not_wait(node: Node) -> None:
    node.complete(*(f"{n:06}" for n in range(700)))
    node.recorder.turn()
    assert [len(part) for part in node.names()] == [350, 350]


def test_a_restart_repeats_what_was_not_kept_and_nothing_else(node: Node) -> None:
    node.complete("000001")
    node.turns()
    node.complete("000002")
    node.recorder.turn()
    node.restart()
    node.turns()
    node.restart()
    node.turns()
    assert node.names() == [["000001"], ["000002"]]


def test_counts_outlive_a_restart(node: Node) -> None:
    failed = "plain authenticator failed for (x) [192.0.2.1]:1: 535 Incorrect authentication data"
    node.write(*[failed] * 3)
    node.turns()
    node.restart()
    node.write(failed)
    node.turns()
    with mock.patch("time.time_ns", return_value=time.time_ns() + 70 * 10**9):
        node.turns()
    events = [event for part in node.take() for event in part]
    assert [(event.type, event.count) for event in events] == [
        (Type.LOGIN_FAILED, 1),
        (Type.LOGIN_FAILED, 3),
    ]


def test_lines_without_events_are_not_read_for_ever(node: Node) -> None:
    node.write("SMTP connection from [192.0.2.1]:1 lost D=0.1s")
    node.turns()
    first = node.recorder.store.position()
    node.write(*["SMTP connection from [192.0.2.1]:1 lost D=0.1s"] * 20_000)
    node.turns()
    last = node.recorder.store.position()
    assert first is not None
    assert last is not None
    assert last.offset > first.offset + 2**20
    assert node.take() == []


def test_a_disk_that_refuses_loses_nothing(node: Node) -> None:
    node.complete("000001")
    node.turns()
    node.complete("000002")
    refused = sqlite3.OperationalError("database or disk is full")
    with mock.patch.object(store_.Store, "keep", side_effect=refused):
        node.recorder.turn()
        node.clock.now += 10
        with pytest.raises(sqlite3.OperationalError):
            node.recorder.turn()
    node.complete("000003")
    node.turns()
    assert node.names() == [["000001"], ["000002", "000003"]]


def test_a_full_disk_is_told(tmp_path: pathlib.Path) -> None:
    """By SQLite itself, whose file may not grow."""
    store = store_.Store(tmp_path)
    position = None
    event = mail_events.Event(1, Type.COMPLETED, log_lines.ID)
    store.keep([event], position, [])
    store._run("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.keep([event] * 100_000, position, [])
    store._run("PRAGMA max_page_count = 1000000")
    store.keep([event], position, [])
    assert (store.next() or (0,))[0] == 1
    assert store.waiting()[0] == 2


def test_a_disk_that_gets_full_costs_the_oldest_events(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_, "_STORE_SIZE_MIN", 10_000)
    for batch in range(20):
        node.complete(*(f"{batch:03}{n:03}" for n in range(450)))
        node.turns()
    node.free = 0
    node.complete("999999")
    node.turns()
    _, size = node.recorder.store.waiting()
    assert size <= 10_000
    parts = node.take()
    assert len(parts) == 21
    assert [event.type for event in parts[0]] == [Type.GAP]
    assert [event.queue_id[7:13] for event in parts[-1]] == ["999999"]


def test_a_store_that_is_damaged_begins_a_stream_at_the_end_of_the_log(node: Node) -> None:
    node.complete("000001")
    node.turns()
    stream = node.recorder.store.stream
    node.recorder.store.close()
    (node.folder / store_.FILE_NAME).write_bytes(b"x" * 100_000)
    node.restart()
    node.complete("000002")
    node.turns()
    assert node.recorder.store.stream != stream
    (gap,), (event,) = node.take()
    assert (gap.type, gap.text) == (Type.GAP, "the node's store of events was damaged")
    assert event.queue_id == "1xWXbc-000002-20"


def test_a_log_that_is_gone_is_told(node: Node) -> None:
    node.complete("000001")
    node.turns()
    node.recorder.store.close()
    node.log.unlink()
    node.complete("000002")
    node.restart()
    node.turns()
    node.clock.now += 60
    for _ in range(3):
        node.turns()
    types = [event.type for part in node.take() for event in part]
    assert types == [Type.COMPLETED, Type.GAP, Type.COMPLETED]


def test_a_message_counts_once_whatever_happens(
    node: Node, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before and after each transaction, and refused by the disk in between."""
    delivered = next(text for text, _ in log_lines.LINES if " => bob@example.net" in text)
    keep = store_.Store.keep

    def refuse(*_: tp.Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for _ in range(5):
        node.write(delivered)
        node.recorder.turn()
        node.restart()
        monkeypatch.setattr(store_.Store, "keep", refuse)
        node.recorder.turn()
        clock.now += recorder_.FLUSH_PERIOD
        with pytest.raises(sqlite3.OperationalError):
            node.recorder.turn()
        monkeypatch.setattr(store_.Store, "keep", keep)
        node.turns()
        node.restart()
    events = [event for part in node.take() for event in part]
    assert len(events) == 5
    assert node.recorder.store.counters() == {
        "recipients delivered none": 5,
        "deliveries 1": 5,
        "delivery_ms": 5 * 148,
    }


def test_a_flood_is_counted_whole_before_its_events_are_told(node: Node) -> None:
    failed = next(text for text, _ in log_lines.LINES if "authenticator failed for" in text)
    node.write(*([failed] * 10))
    node.turns()
    assert [event.count for part in node.take() for event in part] == [1]
    node.restart()
    assert sum(node.recorder.store.counters().values()) == 10


def test_a_line_that_cannot_be_read_is_a_gap_and_ends_nothing(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(line: main_log.Line) -> list[mail_events.Event]:
        if "000001" in line.queue_id:
            raise ValueError(line)
        return whole(line)

    whole = mail_events.of
    monkeypatch.setattr(mail_events, "of", of)
    node.complete("000001")
    node.complete("000002")
    node.turns()
    events = [event for part in node.take() for event in part]
    assert [(event.type, event.queue_id[7:13]) for event in events] == [
        (mail_events.Type.GAP, ""),
        (mail_events.Type.COMPLETED, "000002"),
    ]
    assert node.recorder.store.counters()["gaps"] == 1


def test_what_could_not_be_read_is_a_gap_that_counts(node: Node) -> None:
    node.complete("000001")
    node.turns()
    node.recorder.store.close()
    (node.folder / store_.FILE_NAME).write_bytes(b"x" * 4096)
    node.restart()
    assert node.recorder.store.counters() == {"gaps": 1}


def test_the_log_is_read_to_its_end_once_all_of_it_is_kept(node: Node, clock: Clock) -> None:
    with mock.patch("time.time_ns", return_value=0) as now:
        node.restart()
        now.return_value = 5 * 10**9
        node.complete("000001")
        node.recorder.turn()
        node.recorder.turn()
        assert node.recorder.read_at == 0
        clock.now += recorder_.FLUSH_PERIOD
        node.recorder.turn()
        assert node.recorder.read_at == 5_000
