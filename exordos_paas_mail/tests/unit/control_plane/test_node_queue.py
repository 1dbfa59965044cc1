# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node's queue and the real Status API, on a real PostgreSQL."""

from __future__ import annotations

import itertools
import os
import threading
import time
import typing as tp
import uuid

import pytest
from gcl_sdk.agents.universal.dm import models as sdk_models

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import (
    holds,
    mail_events,
    mta_sts,
    node_commands,
    queue_reports,
    tls_policies,
)
from exordos_paas_mail.codecs.node_commands import Action, Command
from exordos_paas_mail.node import status_api
from exordos_paas_mail.node.commands import queue as command
from exordos_paas_mail.node.events import recorder
from exordos_paas_mail.node.queue import keeper as keeper_
from exordos_paas_mail.tests.unit.control_plane import status_server
from exordos_paas_mail.tests.unit.node import queue_stage

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

KEY, NODE = status_server.KEY, status_server.NODE
A, B, C = queue_stage.NAMES
BOB = "bob@one.example"


class Clock:
    """time.monotonic and time.time, which go on when they are told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Node:
    """A node's daemon, and what the control plane has of it."""

    def __init__(self, root: pathlib.Path, endpoint: str, clock: Clock) -> None:
        self.clock = clock
        self.stage = queue_stage.Spool(root)
        self.exim = queue_stage.Exim(root=str(root))
        self.root = root
        self.store = root / constants.EVENTS_DIR.lstrip("/")
        self.store.mkdir(parents=True)
        self.configuration = root / constants.EXIM_CONFIG_FILE.lstrip("/")
        self.configuration.parent.mkdir(parents=True)
        self.configuration.touch()
        self.api = status_api.StatusApi(endpoint, NODE, KEY)
        self.open()

    def open(self) -> None:
        self.keeper = keeper_.Keeper(self.exim, self.api, self.store)

    def turn(self, seconds: float = keeper_.LOOK_PERIOD) -> float:
        self.clock.now += seconds
        return self.keeper.turn()

    def hears(self) -> bool:
        """Return whether a turn a second later goes well."""
        try:
            self.turn(1)
        except status_api.StatusError:
            return False
        return True

    def rows(self) -> dict[queue_reports.Shard, queue_reports.Row]:
        rows = sdk_models.Resource.objects.get_all(filters={})
        told = [row for row in rows if row.kind == queue_reports.KIND]
        parsed = {(one := queue_reports.parse(row.value)).shard: one for row in told}
        uuids = {queue_reports.row_uuid(NODE, shard) for shard in parsed}
        assert {row.uuid for row in told} == uuids
        return parsed

    def items(self) -> dict[str, queue_reports.Item]:
        items: list[queue_reports.Item] = []
        for shard, row in self.rows().items():
            if shard != queue_reports.STATE:
                data = queue_reports.unseal(KEY, NODE, row)
                items += queue_reports.parse_items(data, shard)
        return {item.queue_id: item for item in items}

    def state(self) -> queue_reports.State:
        row = self.rows()[queue_reports.STATE]
        return queue_reports.parse_state(queue_reports.unseal(KEY, NODE, row))

    def ask(self, *commands: Command, node: uuid.UUID = NODE) -> None:
        """Put commands into the node's box, as the control plane does."""
        data = node_commands.render_commands(commands)
        row = node_commands.seal(KEY, node, 1, data)
        box = node_commands.row_uuid(NODE)
        self.api.replace(node_commands.KIND, box, node_commands.render(row))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(queue_stage.ARRIVED + 3600.0)
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(time, "time_ns", lambda: int(clock.now * 1e9))
    return clock


@pytest.fixture
def node(endpoint: str, tmp_path: pathlib.Path, clock: Clock) -> Iterator[Node]:
    node = Node(tmp_path, endpoint, clock)
    yield node
    node.keeper.close()


def test_nothing_is_tried_before_the_relay_is_configured(node: Node) -> None:
    """Exim has the configuration of its distribution then, which bounces all of it."""
    node.configuration.unlink()
    node.stage.write(A, BOB)
    node.turn()
    node.turn()
    assert node.exim.begun == []
    node.configuration.touch()
    node.turn()
    assert node.exim.begun == [[A]]


def _command(node: Node, action: Action, *queue_ids: str, **more: tp.Any) -> Command:
    not_after = int(node.clock.now * 1000) + 300_000
    return Command(uuid.uuid4(), action, not_after, queue_ids, **more)


def test_the_queue_is_told_and_told_again_when_it_changes(node: Node) -> None:
    node.stage.write(A, BOB)
    node.turn()
    first = node.rows()
    assert len(first) == queue_reports.SHARDS + 1
    assert node.items().keys() == {A}
    assert (node.state().messages, node.state().recipients) == (1, 1)
    node.stage.write(B, BOB)
    node.turn()
    assert node.items().keys() == {A, B}
    second = node.rows()
    changed = {shard for shard, row in second.items() if row != first[shard]}
    assert changed == {queue_reports.STATE, queue_reports.shard_of(B)}
    assert all(second[shard].revision > first[shard].revision for shard in changed)
    node.stage.remove(A)
    node.turn()
    assert node.items().keys() == {B}


def test_what_is_apart_is_told_and_not_tried(node: Node) -> None:
    node.stage.write(A, BOB, queue=holds.QUEUE)
    node.stage.write(B, BOB)
    node.turn()
    assert {name: (item.held, item.retry_at) for name, item in node.items().items()} == {
        A: (True, 0),
        B: (False, 0),
    }
    assert node.exim.begun == [[B]]
    held = holds.render([("alice", holds.Hold(holds.State.DELIVER, 1))], "tenant.example")
    file = node.exim.path(constants.HOLDS_FILE)
    file.write_text(held)
    deadline = time.perf_counter() + 60
    while not node.exim.tried:
        assert time.perf_counter() < deadline
        node.turn()
        node.stage.settle()
    assert (node.exim.tried, node.exim.moved) == ([A], [((A,), "")])


def test_what_has_not_changed_is_told_seldom(node: Node) -> None:
    node.turn()
    first = node.rows()
    node.turn()
    assert node.rows() == first
    node.turn()
    second = node.rows()
    assert [shard for shard in first if first[shard] != second[shard]] == [queue_reports.STATE]
    assert node.state().at == int(node.clock.now * 1000)
    node.turn(600)
    third = node.rows()
    assert all(third[shard].revision > second[shard].revision for shard in second)


def test_after_a_restart_all_is_told_with_higher_numbers(node: Node) -> None:
    node.turn()
    first = node.rows()
    node.keeper.close()
    # Also with a clock that was set back.
    node.clock.now -= 1000
    node.open()
    node.turn()
    assert all(row.revision > first[shard].revision for shard, row in node.rows().items())


_REFUSED = (
    "mx T=remote_smtp defer (111): Connection refused H=mx.one.example [192.0.2.1]:25 DT=0.100s"
)


def _deferred(node: Node, how: str = _REFUSED) -> recorder.Recorder:
    """Have the events tell that A waits for BOB."""
    log = node.root / "mainlog"
    log.write_text(f"2026-11-26 19:55:40.000 [493] {A} == {BOB} R={how}\n")
    events = recorder.Recorder(log, node.store, lambda: 2**40)
    while events.turn():
        pass
    events._keep()
    return events


def test_when_it_is_tried_again_is_told_as_soon_as_exim_has_written_it(node: Node) -> None:
    """Exim does so after the line of its log that says that it waits."""
    node.stage.write(A, BOB)
    hints = node.stage.path / "db" / "retry"
    hints.parent.mkdir()
    node.turn()
    _deferred(node).store.close()
    node.turn()
    assert (node.items()[A].attempts, node.items()[A].retry_at) == (1, 0)
    node.exim.hints["T:mx.one.example:192.0.2.1"] = "26-Nov-2026 23:00:00"
    hints.touch()
    node.turn()
    assert node.items()[A].retry_at == 1_795_734_000_000


def test_what_is_due_is_tried_soon_after_a_look_that_took_long(
    node: Node, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the first of a long queue does: nothing is due then, and is some minutes later."""

    def look(now: float) -> set[str]:
        clock.now = now + 60.0
        return set()

    monkeypatch.setattr(time, "thread_time", clock)
    monkeypatch.setattr(node.keeper._spool, "look", look)
    node.turn()
    assert node.keeper.turn() <= keeper_.LOOK_PERIOD_MAX
    scheduled = node.store / "scheduled"
    scheduled.unlink()
    node.turn(keeper_.LOOK_PERIOD_MAX)
    assert scheduled.exists()


def test_why_a_message_waits_comes_from_the_events(node: Node) -> None:
    node.stage.write(A, BOB)
    node.exim.hints["T:mx.one.example:192.0.2.1"] = "26-Nov-2026 23:00:00"
    hints = node.stage.path / "db" / "retry"
    hints.parent.mkdir()
    hints.touch()
    events = _deferred(node)
    node.turn()
    item = node.items()[A]
    assert (item.attempts, item.reason) == (1, "network")
    assert item.last_error == "Connection refused"
    assert item.retry_at == 1_795_734_000_000
    (domain,) = node.state().domains
    assert (domain.domain, domain.messages, domain.last_error) == (
        *("one.example", 1),
        "Connection refused",
    )
    events.store.keep([mail_events.Event(1, mail_events.Type.COMPLETED)], None, [])
    events.store.close()


def test_what_waited_for_its_tls_is_tried_when_its_policy_is_another(node: Node) -> None:
    node.stage.write(A, BOB)
    node.exim.hints["T:mx.one.example/0.0.0.0"] = "26-Nov-2026 23:00:00"
    hints = node.stage.path / "db" / "retry"
    hints.parent.mkdir()
    hints.touch()
    policies = node.exim.path(constants.TLS_POLICIES_FILE)
    policies.parent.mkdir()
    policies.write_text(tls_policies.render([("one.example", "verify")], [], "tenant.example"))
    why = "mx T=remote_smtp_verify defer (-38) H=mx.one.example [192.0.2.1]:25: no TLS"
    _deferred(node, why).store.close()
    node.turn()
    item = node.items()[A]
    assert (item.reason, item.last_error) == ("tls", "TLS policy verify: no TLS")
    assert item.retry_at == 1_795_734_000_000
    node.turn(60)
    assert node.exim.begun == []
    policies.write_text(tls_policies.render([("one.example", "encrypt")], [], "tenant.example"))
    node.turn()
    assert node.exim.begun == [[A]]
    assert node.items()[A].retry_at == 0


@pytest.mark.parametrize("change", ["policy", "published", "off"])
def test_what_could_go_to_no_server_is_tried_when_its_way_is_another(
    node: Node, change: str
) -> None:
    eve = "eve@two.example"
    node.stage.write(A, BOB)
    node.stage.write(B, eve)
    for address in (BOB, eve):
        node.exim.hints[f"R:{address}"] = "26-Nov-2026 23:00:00"
    hints = node.stage.path / "db" / "retry"
    hints.parent.mkdir()
    hints.touch()
    policies = node.exim.path(constants.TLS_POLICIES_FILE)
    policies.parent.mkdir()
    mode = "auto" if change == "off" else "mta_sts"
    policies.write_text(tls_policies.render([("*", mode)], [], "tenant.example"))
    published = node.store / "sts"
    published.mkdir()
    line = mta_sts.words(mta_sts.Mode.ENFORCE, until=2**32, mx=["mx.one.example"])
    shard = published / mta_sts.shard_of("one.example")
    if change == "off":
        shard.write_text(mta_sts.line("one.example", line))
    # Of the other one nothing is known: exim has the time of it.
    said = mta_sts.UNNAMED if change == "off" else "has no policy"
    _deferred(node, f"mta_sts defer (-1): MTA-STS: one.example {said}").store.close()
    node.turn()
    item = node.items()[A]
    assert (item.reason, item.last_error) == ("tls", f"MTA-STS: one.example {said}")
    assert item.retry_at == 1_795_734_000_000
    node.turn(60)
    assert node.exim.begun == []
    if change == "policy":
        rows = [("*", "mta_sts"), ("one.example", "encrypt")]
        policies.write_text(tls_policies.render(rows, [], "tenant.example"))
    elif change == "published":
        shard.write_text(mta_sts.line("one.example", line))
        os.utime(published, (0, 0))
    else:
        off = mta_sts.render_settings(mta_sts.Settings(on=False))
        node.configuration.write_text(f"{off}\n")
    node.turn()
    assert node.exim.begun == [[A]]
    assert node.items()[A].retry_at == 0
    # Nothing came of it yet, and nothing else was begun.
    node.turn()
    assert node.exim.begun == [[A]]


def test_a_retry_database_that_cannot_be_read_holds_up_nothing(node: Node) -> None:
    node.stage.write(A, BOB)
    hints = node.stage.path / "db" / "retry"
    hints.parent.mkdir()
    hints.touch()
    node.turn()
    assert (set(node.items()), node.items()[A].retry_at) == ({A}, 0)
    node.exim.hints["R:one.example"] = "26-Nov-2026 23:00:00"
    node.turn(keeper_.HINTS_PERIOD)
    assert node.items()[A].retry_at == 1_795_734_000_000


@pytest.mark.parametrize("day", [26, 28], ids=["as-it-is", "set-back"])
def test_times_from_before_the_clock_was_set_back_hold_up_nothing(node: Node, day: int) -> None:
    hints = node.stage.path / "db" / "retry"
    hints.parent.mkdir()
    hints.touch()
    node.exim.hints["R:one.example"] = f"{day}-Nov-2026 23:00:00"
    node.stage.write(A, BOB)

    node.turn()
    node.turn(keeper_.HINTS_PERIOD)

    is_set_back = day == 28
    assert hints.exists() is not is_set_back
    assert node.exim.begun == ([[A]] if is_set_back else [])


def test_a_command_is_done_and_its_result_told_as_long_as_it_is_asked_for(node: Node) -> None:
    node.stage.write(A, BOB)
    node.turn()
    retry = _command(node, Action.RETRY, A)
    node.ask(retry)
    node.turn(keeper_.POLL_PERIOD)
    assert node.exim.tried == [A]
    (result,) = node.state().results
    assert (result.id, result.done, result.error) == (retry.id, (A,), "")
    node.turn(keeper_.POLL_PERIOD)
    assert node.exim.tried == [A]
    node.ask()
    node.turn(keeper_.POLL_PERIOD)
    assert node.state().results == ()


def test_what_a_command_changes_is_told_with_its_result(node: Node) -> None:
    node.stage.write(A, BOB)
    node.turn()
    until = int(node.clock.now * 1000) + 3_600_000
    node.ask(_command(node, Action.SUSPEND, domain="one.example", until=until, reason="why"))
    node.turn(keeper_.POLL_PERIOD)
    state = node.state()
    (domain,) = state.domains
    assert (domain.suspended_until, domain.suspended_for) == (until, "why")
    assert (len(state.results), node.items()[A].retry_at) == (1, until)
    delete = _command(node, Action.DELETE, A)
    node.ask(delete)
    node.turn(keeper_.POLL_PERIOD)
    deadline = time.perf_counter() + 60
    while not node.keeper._journal.results([delete.id]):
        assert time.perf_counter() < deadline
        node.turn(0.1)
    assert (node.items(), node.state().messages) == ({}, 0)


def test_a_box_that_is_not_the_control_planes_is_none(node: Node) -> None:
    node.stage.write(A, BOB)
    node.ask(_command(node, Action.RETRY, A), node=uuid.uuid4())
    node.turn()
    assert (node.exim.tried, node.state().results) == ([], ())


def test_a_control_plane_that_does_not_answer_is_asked_more_seldom(
    node: Node, endpoint: str
) -> None:
    node.keeper.close()
    node.api = status_api.StatusApi("http://127.0.0.1:1", NODE, KEY)
    node.open()
    attempts = [node.clock.now for _ in range(200) if not node.hears()]
    gaps = [after - before for before, after in itertools.pairwise(attempts)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (1, keeper_.PAUSE_MAX)
    assert not node.keeper.is_heard
    assert node.keeper.refused_since is None


def test_who_is_refused_for_long_starts_anew(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    """By systemd, with the key that the node has then."""
    node.keeper.close()
    status_api.StatusApi(node.api._url.geturl(), NODE, KEY).create(
        node_commands.KIND, node_commands.row_uuid(NODE), {}
    )
    refused = status_api.RefusedError("the control plane answers 403")
    node.open()

    def ask(*_: object) -> tp.NoReturn:
        raise refused

    class Wake(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            node.clock.now += timeout or 0
            return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node.keeper, "_ask", ask)
        assert command.run(node.keeper, Wake()) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == ["exordos-mail-queue: the control plane answers 403"]
