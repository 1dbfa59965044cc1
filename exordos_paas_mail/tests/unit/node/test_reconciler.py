# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a node tells where exim's log and exim's spool disagree: all of it, and never wrongly."""

from __future__ import annotations

import sqlite3
import typing as tp

import pytest

from exordos_paas_mail.codecs import holds, mail_events, spool_findings
from exordos_paas_mail.codecs.mail_events import Type
from exordos_paas_mail.node.events import follower as follower_
from exordos_paas_mail.node.events import recorder as recorder_
from exordos_paas_mail.node.events import store as store_
from exordos_paas_mail.node.queue import reconciler as reconciler_
from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.tests.unit.node import queue_stage

if tp.TYPE_CHECKING:
    import pathlib

A, B, C = queue_stage.NAMES
ALICE, BOB = queue_stage.ALICE, "bob@elsewhere.example"
FIRST = "00000a-2E-H x Start queue run: pid=1"
OTHER_RELEASE = "UPDATE state SET next_seq = next_seq + 1"


class Node:
    """A spool and a log, and both daemons that read them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.spool = queue_stage.Spool(folder)
        self.log = folder / "mainlog"
        self.folder = folder / "store"
        self.folder.mkdir()
        self.left = self.folder / spool_findings.FILE_NAME
        self.start_events()
        self.start_queue()
        self.write(FIRST)

    def start_events(self) -> None:
        self.recorder = recorder_.Recorder(self.log, self.folder, lambda: 2**40)

    def restart_events(self, statement: str = "") -> None:
        self.recorder.store.close()
        if statement:
            with sqlite3.connect(self.folder / store_.FILE_NAME) as database:
                database.execute(statement)
            database.close()
        self.start_events()

    def start_queue(self) -> None:
        self.reconciler = reconciler_.Reconciler(self.folder, first=0, period=0)
        self.looked = spool_.Spool(str(self.spool.path))

    def write(self, *lines: str) -> None:
        with self.log.open("a") as log:
            log.writelines(f"2026-11-26 20:35:37.000 [493] {line}\n" for line in lines)

    def arrive(self, name: str) -> None:
        """Have a message be told of in the log."""
        self.write(f"{name} <= {ALICE} H=x [192.0.2.7] P=esmtpsa A=plain:{ALICE} S=900")

    def complete(self, *names: str) -> None:
        self.write(*(f"{name} Completed QT=0.100s" for name in names))

    def look(self) -> bool:
        """Look at the spool; returns whether something is left to be judged."""
        self.looked.look(self.spool.now)
        self.reconciler.turn(self.looked)
        return self.left.exists()

    def read(self) -> list[tuple[str, str]]:
        """Read all of the log, keep it and judge; returns the events."""
        while self.recorder.turn():
            pass
        # As after FLUSH_PERIOD; then the log is at its end, and all is kept.
        self.recorder._keep()
        self.recorder.turn()
        return self.told()

    def told(self) -> list[tuple[str, str]]:
        """Return the events that are kept, and were not returned before."""
        found: list[mail_events.Event] = []
        while batch := self.recorder.store.next():
            found += mail_events.parse(batch[1])
            self.recorder.store.forget(batch[0])
        return [(event.type.value, event.queue_id) for event in found]

    def adopt(self) -> None:
        assert self.look()
        self.read()
        assert not self.left.exists()

    def rounds(self, count: int = 3) -> list[tuple[str, str]]:
        """Return what is told in so many looks."""
        told = []
        for _ in range(count):
            self.look()
            told += self.read()
        return told


@pytest.fixture
def node(tmp_path: pathlib.Path) -> Node:
    return Node(tmp_path)


def test_a_message_whose_line_is_lost_is_told_once_as_found(node: Node) -> None:
    node.adopt()
    node.spool.write(A, BOB, "done@elsewhere.example")
    assert (node.look(), node.look()) == (False, True)
    while node.recorder.turn():
        pass
    (event,) = mail_events.parse((node.recorder.store.next() or (0, b""))[1])
    assert event == mail_events.Event(
        queue_stage.ARRIVED * 1000,
        Type.ACCEPTED,
        A,
        account=ALICE,
        sender=ALICE,
        recipients=2,
        size=len("010  To: x@y\nHello.\n"),
        text=mail_events.FOUND,
    )
    assert not node.left.exists()
    assert node.read() == [("accepted", A)]
    assert node.rounds() == []
    node.complete(A)
    node.spool.remove(A)
    assert node.rounds() == [("completed", A)]


@pytest.mark.parametrize(
    ("queue", "hold", "told"),
    [
        (holds.QUEUE, "reputation", ["found in the spool", "reputation"]),
        # It was moved there.
        (holds.QUEUE, "", ["found in the spool", holds.ACCOUNT]),
        # It was taken back.
        ("", "reputation", ["found in the spool"]),
    ],
)
def test_a_message_that_is_apart_is_found_to_be_held(
    node: Node, queue: str, hold: str, told: list[str]
) -> None:
    node.adopt()
    node.spool.write(A, BOB, queue=queue, hold=hold)
    assert (node.look(), node.look()) == (False, True)
    while node.recorder.turn():
        pass
    events = mail_events.parse((node.recorder.store.next() or (0, b""))[1])
    assert [(event.queue_id, event.text) for event in events] == [(A, text) for text in told]
    assert [event.type for event in events] == [Type.ACCEPTED, Type.HELD][: len(told)]
    assert {event.account for event in events} == {ALICE}
    node.read()
    assert node.rounds() == []


def test_a_message_that_is_gone_without_an_end_is_told_once(node: Node) -> None:
    node.adopt()
    node.arrive(A)
    node.spool.write(A, BOB)
    assert node.rounds() == [("accepted", A)]
    node.spool.remove(A)
    assert node.rounds() == [("unaccounted", A)]
    assert node.rounds() == []


def test_of_mail_that_comes_and_goes_nothing_is_told_beside(node: Node) -> None:
    node.adopt()
    # One that is quicker than a look, one that waits, one that is put apart and frozen.
    for name in (A, B, C):
        node.arrive(name)
    node.complete(A)
    node.spool.write(B, BOB)
    node.spool.write(C, BOB, queue=holds.QUEUE, hold="account", frozen=True)
    assert node.rounds() == [*((("accepted", name)) for name in (A, B, C)), ("completed", A)]
    assert not node.left.exists()
    node.spool.remove(B)
    node.complete(B)
    assert node.rounds() == [("completed", B)]


def test_what_was_there_before_is_taken_over_without_a_word(node: Node) -> None:
    node.spool.write(A, BOB)
    node.spool.write(B, BOB)
    assert node.rounds() == []
    node.spool.remove(A)
    node.spool.remove(B)
    node.complete(A)
    # It is known all the same.
    assert node.rounds() == [("completed", A), ("unaccounted", B)]


def test_more_than_can_be_taken_over_is_said_once_and_waited_out(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_findings, "ADOPTED_MAX", 1)
    node.spool.write(A, BOB)
    node.spool.write(B, BOB)
    with pytest.raises(OSError, match="more than 1 messages"):
        node.look()
    assert not node.look()
    node.spool.remove(B)
    node.adopt()
    assert node.recorder.store.is_adopted


def test_what_ends_while_it_is_taken_over_is_not_waited_for(node: Node) -> None:
    node.spool.write(A, BOB)
    assert node.look()
    node.spool.remove(A)
    node.complete(A)
    assert node.rounds() == [("completed", A)]
    assert node.recorder.store.is_adopted
    assert not node.recorder.store.has_message(A)


def test_all_of_the_log_is_read_before_anything_is_told(node: Node) -> None:
    node.adopt()
    node.arrive(B)
    node.spool.write(B, BOB)
    node.read()
    # The daemon reads nothing while one comes, another goes, and two looks are taken.
    node.spool.write(A, BOB)
    node.arrive(A)
    node.spool.remove(B)
    node.complete(B)
    assert (node.look(), node.look()) == (False, True)
    # Nor is another look left before that one is judged.
    before = node.left.stat().st_ino
    assert (node.look(), node.left.stat().st_ino) == (True, before)
    assert node.read() == [("accepted", A), ("completed", B)]
    assert not node.left.exists()


def test_a_line_that_is_not_whole_is_waited_for(node: Node) -> None:
    node.adopt()
    node.spool.write(A, BOB)
    with node.log.open("a") as log:
        log.write(f"2026-11-26 20:35:37.000 [493] {A} <= {ALICE} H=x [192.0.2.7]")
    assert (node.look(), node.look()) == (False, True)
    assert (node.read(), node.left.exists()) == ([], True)
    with node.log.open("a") as log:
        log.write(f" P=esmtpsa A=plain:{ALICE} S=900\n")
    assert (node.read(), node.left.exists()) == ([("accepted", A)], False)


def test_a_log_that_is_never_read_to_its_end_keeps_nothing_waiting(node: Node) -> None:
    node.adopt()
    node.arrive(B)
    node.spool.write(B, BOB)
    node.read()
    node.spool.write(A, BOB)
    node.arrive(C)
    node.spool.remove(B)
    assert (node.look(), node.look()) == (False, True)
    # More than a turn takes, and as much comes with each.
    filler = [f"{FIRST} {'y' * 4000}"] * 40
    node.write(*filler)
    for _ in range(3):
        assert node.left.exists()
        node.write(*filler)
        assert node.recorder.turn()
    # It was judged when what was there at first was read, and kept.
    assert not node.left.exists()
    assert node.told() == [("accepted", C), ("accepted", A), ("unaccounted", B)]


def test_after_a_rotation_the_new_file_is_read_first(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.adopt()
    node.spool.write(A, BOB)
    node.spool.write(B, BOB)
    node.log.rename(node.log.with_name("mainlog.1"))
    assert (node.look(), node.look()) == (False, True)
    # There is no new file yet; then there is, and it is not its turn.
    node.recorder.turn()
    assert node.left.exists()
    node.arrive(A)
    node.recorder.turn()
    assert node.left.exists()
    monkeypatch.setattr(follower_, "_GRACE", 0)
    for _ in range(3):
        node.recorder.turn()
    assert not node.left.exists()
    assert node.told() == [("accepted", A), ("accepted", B)]


def test_what_has_ended_meanwhile_is_not_found(node: Node) -> None:
    node.adopt()
    node.spool.write(A, BOB)
    assert (node.look(), node.look()) == (False, True)
    node.spool.remove(A)
    node.complete(A)
    assert node.rounds() == [("completed", A)]


def test_a_look_of_before_a_restart_is_not_judged(node: Node) -> None:
    node.adopt()
    node.spool.write(A, BOB)
    assert (node.look(), node.look()) == (False, True)
    node.restart_events()
    assert not node.left.exists()
    assert node.rounds() == [("accepted", A)]


def test_a_message_that_has_lost_its_text_alone_is_not_gone(node: Node) -> None:
    node.adopt()
    node.arrive(A)
    node.spool.write(A, BOB)
    node.read()
    (node.spool.folder / f"{A}-D").unlink()
    node.spool.settle()
    assert node.rounds() == []


def test_a_clock_that_was_ahead_hides_and_forges_nothing(node: Node) -> None:
    node.adopt()
    node.spool.write(A, BOB)
    node.arrive(B)
    node.spool.write(B, BOB)
    node.read()
    # Both came years from now.
    node.spool.now = queue_stage.ARRIVED - 10**8
    assert node.rounds() == [("accepted", A)]
    node.spool.remove(B)
    node.spool.now = queue_stage.ARRIVED - 10**8
    assert node.rounds() == [("unaccounted", B)]


@pytest.mark.parametrize("spoil", [OTHER_RELEASE, "DELETE FROM messages_state"])
def test_after_a_release_that_kept_no_messages_all_is_taken_over_again(
    node: Node, spoil: str
) -> None:
    node.adopt()
    node.arrive(A)
    node.spool.write(A, BOB)
    node.read()
    # The daemon of that release reads that it has ended, and that another came.
    node.spool.remove(A)
    node.spool.write(B, BOB)
    node.restart_events(spoil)
    assert node.rounds() == []
    assert node.recorder.store.has_message(B)
    assert not node.recorder.store.has_message(A)


def test_a_store_that_is_made_anew_takes_over_what_is_there(node: Node) -> None:
    node.adopt()
    node.spool.write(A, BOB)
    assert (node.look(), node.look()) == (False, True)
    node.recorder.store.close()
    (node.folder / store_.FILE_NAME).write_bytes(b"x" * 4096)
    node.start_events()
    assert [kind for kind, _ in node.rounds()] == ["gap"]
    assert node.recorder.store.has_message(A)


def test_nothing_is_compared_with_the_store_of_another_release(node: Node) -> None:
    node.spool.write(A, BOB)
    node.recorder.store.close()
    with sqlite3.connect(node.folder / store_.FILE_NAME) as database:
        database.execute("DROP TABLE messages_state")
    database.close()
    assert (node.look(), node.look()) == (False, False)


def test_what_is_left_and_cannot_be_read_is_dropped(node: Node) -> None:
    node.left.write_bytes(b"{")
    node.read()
    assert not node.left.exists()
