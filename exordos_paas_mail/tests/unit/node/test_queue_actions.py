# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Commands, each done once, and what becomes of them."""

from __future__ import annotations

import concurrent.futures
import itertools
import sqlite3
import typing as tp
import uuid

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import holds, queue_reports, suspensions
from exordos_paas_mail.codecs.node_commands import Action, Command
from exordos_paas_mail.codecs.queue_reports import Result
from exordos_paas_mail.node.queue import actions as actions_
from exordos_paas_mail.node.queue import journal as journal_
from exordos_paas_mail.node.queue import listing as listing_
from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.node.queue import suspended as suspended_
from exordos_paas_mail.tests.unit.node import queue_stage

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

A, B, C = queue_stage.NAMES
NOW = 1_800_000_000.0
LATER = int(NOW * 1000) + 60_000
_numbers = itertools.count(1)


def command(action: Action, *queue_ids: str, not_after: int = LATER, **more: tp.Any) -> Command:
    return Command(uuid.UUID(int=next(_numbers)), action, not_after, queue_ids, **more)


class Node:
    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.stage = queue_stage.Spool(root)
        self.exim = queue_stage.Exim(root=str(root))
        self.open()

    def open(self) -> None:
        self.journal = journal_.Journal(self.root)
        self.spool = spool_.Spool(str(self.stage.path))
        self.suspended = suspended_.Suspended(self.root / "suspended")
        self.actions = actions_.Actions(self.exim, self.journal, self.spool, self.suspended)

    def close(self) -> None:
        self.actions.close()
        self.journal.close()

    def listing(self) -> listing_.Listing:
        self.spool.look(self.stage.now)
        listing = listing_.Listing()
        for message in self.spool.messages.values():
            listing.put(message, listing_.waits(message, {}, {}, {}))
        return listing

    def take(self, *commands: Command) -> bool:
        return self.actions.take(commands, self.listing(), NOW)

    def do(self, one: Command) -> Result:
        assert self.take(one)
        concurrent.futures.wait(self.actions._running)
        self.actions.turn()
        (result,) = self.journal.results([one.id])
        return result


@pytest.fixture
def node(tmp_path: pathlib.Path) -> Iterator[Node]:
    node = Node(tmp_path)
    node.stage.write(A, "x@one.example")
    node.stage.write(B, "x@one.example", "y@two.example")
    node.stage.write(C, "z@two.example")
    yield node
    node.close()


def test_messages_are_retried_by_id_by_domain_and_all(node: Node) -> None:
    one = command(Action.RETRY, A, A, "1xWfZB-00000d-2E")
    assert node.do(one) == Result(
        *(one.id, "", (A,), 1, {"1xWfZB-00000d-2E": "not in the queue"}, 1)
    )
    assert node.exim.tried == [A]
    by_domain = node.do(command(Action.RETRY, domain="two.example"))
    assert set(by_domain.done) == {B, C}
    assert set(node.do(command(Action.RETRY)).done) == {A, B, C}
    assert len(node.exim.tried) == 6


@pytest.mark.parametrize("action", [Action.DELETE, Action.BOUNCE])
def test_messages_are_ended(node: Node, action: Action) -> None:
    node.exim.locked.add(B)
    one = command(action, A, B)
    assert node.do(one) == Result(
        *(one.id, "", (A,), 1, {B: "it is being delivered: try again"}, 1)
    )
    assert node.exim.reported == ([A] if action is Action.BOUNCE else [])
    by_domain = command(action, domain="two.example")
    assert node.do(by_domain) == Result(*(by_domain.id, "", (C,), 1, {B: actions_.MIXED}, 1))
    assert node.spool.read(C) is None


def test_what_is_apart_is_tried_only_when_its_account_is_not_on_hold(node: Node) -> None:
    held = holds.render([("alice", holds.Hold(holds.State.HOLD, 1))], "tenant.example")
    file = node.exim.path(constants.HOLDS_FILE)
    file.parent.mkdir(parents=True)
    file.write_text(held)
    node.exim.move_messages([A], "", holds.QUEUE)
    one = command(Action.RETRY, A, B)
    failed = dict.fromkeys((A, B), actions_.ON_HOLD)
    assert node.do(one) == Result(one.id, failed=failed, failed_count=2)
    assert node.exim.tried == []
    file.unlink()
    assert node.do(command(Action.RETRY, A, B)).done == (A, B)
    assert node.exim.moved[1:] == [((A,), "")]
    assert node.exim.tried == [A, B]


@pytest.mark.parametrize("action", [Action.DELETE, Action.BOUNCE])
def test_what_is_apart_is_ended(node: Node, action: Action) -> None:
    node.exim.move_messages([A, B], "", holds.QUEUE)
    one = command(action, A, C)
    assert node.do(one) == Result(one.id, done=(A, C), count=2)
    # The report is to be sent.
    assert node.exim.moved[1:] == ([((A,), "")] if action is Action.BOUNCE else [])
    apart = node.spool.read(B)
    assert apart is not None
    assert apart.held


def test_a_command_is_done_once(node: Node) -> None:
    one = command(Action.RETRY, A)
    assert (node.take(one, one), node.take(one)) == (True, False)
    node.close()
    node.open()
    assert not node.take(one)
    assert node.exim.tried == [A]
    assert [result.done for result in node.journal.results([one.id])] == [(A,)]


def test_a_command_whose_time_is_over_is_not_begun(node: Node) -> None:
    late = command(Action.DELETE, A, not_after=int(NOW * 1000) - 1)
    assert not node.take(late)
    assert node.journal.results([late.id]) == []
    assert node.spool.read(A) is not None


def test_what_a_restart_has_interrupted_is_an_error_and_not_done_again(node: Node) -> None:
    one = command(Action.DELETE, A)
    assert node.journal.begin(one.id, one.not_after)
    node.close()
    node.open()
    (result,) = node.journal.results([one.id])
    assert "restarted" in result.error
    assert not node.take(one)
    assert node.spool.read(A) is not None


def test_a_domain_is_suspended_and_resumed(node: Node) -> None:
    until = int(NOW) + 3600
    suspend = command(Action.SUSPEND, domain="two.example", until=until * 1000, reason="why")
    assert node.do(suspend) == Result(suspend.id)
    expected = suspensions.Suspension("two.example", until, "why")
    assert suspensions.parse((node.root / "suspended").read_text()) == [expected]
    retry = command(Action.RETRY)
    failed = dict.fromkeys((B, C), "delivery to two.example is suspended")
    assert node.do(retry) == Result(retry.id, "", (A,), 1, failed, 2)
    assert set(node.do(command(Action.RESUME, domain="two.example")).done) == {B, C}
    assert (node.root / "suspended").read_text() == ""
    assert node.do(command(Action.RESUME, domain="one.example")).error == ""


def test_what_is_suspended_outlives_a_restart_and_ends_in_time(node: Node) -> None:
    node.do(command(Action.SUSPEND, domain="two.example", until=LATER))
    node.close()
    node.open()
    assert node.suspended.now(NOW).keys() == {"two.example"}
    assert node.suspended.now(LATER / 1000) == {}
    assert (node.root / "suspended").read_text() == ""


def test_no_more_domains_are_suspended_than_may_be(node: Node) -> None:
    for number in range(suspensions.MAX):
        until = int(NOW) + 5
        node.suspended.add(suspensions.Suspension(f"d{number}.example", until))
    result = node.do(command(Action.SUSPEND, domain="two.example", until=LATER))
    assert result.error == "100 domains are suspended already"
    assert node.do(command(Action.SUSPEND, domain="d7.example", until=LATER)).error == ""


def test_a_disk_that_refuses_is_told(node: Node) -> None:
    node.suspended._path = node.root / "missing" / "suspended"
    result = node.do(command(Action.SUSPEND, domain="two.example", until=LATER))
    assert "No such file" in result.error


def test_a_long_result_names_the_first(node: Node) -> None:
    outcome = actions_._Outcome([str(n) for n in range(600)], {str(n): "x" for n in range(600)})
    result = actions_._result(command(Action.RETRY), outcome)
    limit = queue_reports.IDS_MAX
    assert (len(result.done), result.count) == (limit, 600)
    assert (len(result.failed), result.failed_count) == (limit, 600)


def test_deliveries_are_few_at_a_time(node: Node) -> None:
    going: list[list[str]] = []

    class Going:
        def __init__(self, queue_ids: tp.Sequence[str]) -> None:
            self.queue_ids = list(queue_ids)
            going.append(self.queue_ids)

        def is_over(self) -> bool:
            return self.queue_ids not in going

    class Slow(queue_stage.Exim):
        def begin_delivery(self, queue_ids: tp.Sequence[str]) -> tp.Any:
            return Going(queue_ids)

    deliveries = actions_.Deliveries(Slow())
    deliveries.add(str(number) for number in range(5))
    deliveries.add(["3"])
    assert deliveries.turn()
    assert sorted(len(one) for one in going) == [1, 1, 1, 2]
    deliveries.add(str(number) for number in range(1000))
    assert deliveries.turn()
    assert len(going) == 4
    going.pop()
    deliveries.turn()
    assert [len(one) for one in going][-1] == 50


def test_a_journal_that_is_damaged_is_moved_aside(tmp_path: pathlib.Path) -> None:
    (tmp_path / journal_.FILE_NAME).write_bytes(b"no database" * 1000)
    journal = journal_.Journal(tmp_path)
    assert journal.begin(uuid.uuid4(), 5)
    journal.close()
    assert list(tmp_path.glob("*.aside-*"))
    with sqlite3.connect(tmp_path / journal_.FILE_NAME) as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    journal_.Journal(tmp_path).close()
    assert len(list(tmp_path.glob("queue.sqlite.aside-*"))) == 2


def test_a_journal_forgets_and_its_numbers_grow(tmp_path: pathlib.Path) -> None:
    journal = journal_.Journal(tmp_path)
    old, new = uuid.uuid4(), uuid.uuid4()
    assert journal.begin(old, 1000)
    assert journal.begin(new, 2000 + journal_.KEPT)
    journal.forget(1001 + journal_.KEPT)
    assert journal.interrupted() == [new]
    assert [journal.next_revision(now) for now in (500, 400, 900)] == [500, 501, 900]
    journal.close()
    assert journal_.Journal(tmp_path).next_revision(0) == 901
