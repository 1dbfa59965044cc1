# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that nodes, or others in their name, wrote of their queues; and what nodes are told."""

from __future__ import annotations

import datetime
import logging
import threading
import typing as tp
import uuid as sys_uuid

import psycopg
import pytest
from psycopg.types import json
from restalchemy.storage.sql import engines

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import node_commands, queue_reports
from exordos_paas_mail.control_plane.queue import follower, tables
from exordos_paas_mail.control_plane.records import command_boxes, nodes, operations
from exordos_paas_mail.control_plane.runtime import threads as threads_
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice, queue_rows
from exordos_paas_mail.tests.unit.control_plane import stage as stages


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


def stored() -> list[str]:
    return [queue_id for (queue_id,) in query("SELECT queue_id FROM mail_queue_items ORDER BY 1")]


def rows() -> int:
    ((count,),) = query(
        "SELECT count(*) FROM ua_actual_resources WHERE kind = %s", queue_reports.KIND
    )
    return int(count)


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def queue(stage: stages.Stage) -> queue_rows.Queue:
    node = stage.serving()
    stage.api.account(stage.path)
    return queue_rows.Queue(node)


def ask(stage: stages.Stage) -> str:
    answer = stage.api.call("POST", f"{stage.path}/actions/queue_retry/invoke")
    assert answer.status_code == 200, answer.text
    return f"{stage.path}/operations/{answer.json['uuid']}"


ONE, TWO = "1vNvOk-0000Ab-0A", "1vNvOk-0000Ab-0C"
SHARD = queue_reports.shard_of(ONE)
CONTENT = queue_reports.render_items([queue_rows.item(ONE)])


def test_a_row_replaces_what_the_one_before_it_told(queue: queue_rows.Queue) -> None:
    following = follower.Follower()
    queue.tell(queue_rows.item(ONE), queue_rows.item(TWO))
    following.run_once()
    assert (stored(), rows()) == (sorted([ONE, TWO]), 3 - (queue_reports.shard_of(TWO) == SHARD))
    queue.put(SHARD, queue_reports.render_items([queue_rows.item(ONE, attempts=9)]))
    following.run_once()
    assert query("SELECT attempts FROM mail_queue_items WHERE queue_id = %s", ONE) == [(9,)]
    queue.put(SHARD, queue_reports.render_items([]))
    following.run_once()
    assert ONE not in stored()


def test_whether_mail_can_leave_is_told_and_the_status_does_not_follow_it(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    def told(**state: tp.Any) -> tuple[str, str, str]:
        queue.tell(**state)
        queue_rows.follow()
        found = stage.api.get(stage.path)
        return found["status"], found["outbound"], found["outbound_error"]

    # An image that says nothing of it, and a node before its first message.
    assert told() == ("ACTIVE", "UNKNOWN", "")
    why = "no mail server answers: mx.example [192.0.2.1]:25"
    assert told(outbound="BLOCKED", outbound_error=why) == ("ACTIVE", "BLOCKED", why)
    assert told() == ("ACTIVE", "BLOCKED", why)
    # All goes by another way than before, by which nothing was tried yet.
    assert told(outbound_unknown=True) == ("ACTIVE", "UNKNOWN", "")
    assert told(outbound="OK") == ("ACTIVE", "OK", "")


def test_a_second_look_writes_nothing(queue: queue_rows.Queue) -> None:
    queue.tell(queue_rows.item(ONE), domains=(queue_reports.Domain("a.b", 1),))
    following = follower.Follower()
    following.run_once()
    before = gservice.row_versions()
    following.run_once()
    # Another process begins anew.
    queue_rows.follow()
    assert gservice.row_versions() == before


def test_an_older_row_is_not_believed(queue: queue_rows.Queue) -> None:
    queue.put(SHARD, CONTENT, revision=7)
    queue_rows.follow()
    empty = queue_reports.render_items([])
    for revision in (6, 7):
        queue.put(SHARD, empty, revision=revision)
        queue_rows.follow()
        assert stored() == [ONE]
    queue.put(SHARD, empty, revision=8)
    queue_rows.follow()
    assert stored() == []


def _unsealed(queue: queue_rows.Queue, **changes: tp.Any) -> dict[str, tp.Any]:
    row = queue_reports.seal(
        changes.pop("key", queue.key()),
        changes.pop("node", queue.node),
        changes.pop("shard", SHARD),
        changes.pop("revision", 5),
        changes.pop("content", CONTENT),
    )
    return {**queue_reports.render(row), **changes}


@pytest.mark.parametrize("fault", ["key", "node", "shard", "revision", "content", "empty", "list"])
def test_what_is_not_the_nodes_is_deleted(
    queue: queue_rows.Queue, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    uuid = queue.put(SHARD, queue_reports.render_items([]))
    queue_rows.follow()
    higher = queue._revision + 1
    (elsewhere,) = {0, 1} - {SHARD} if SHARD < 2 else {0}
    values: dict[str, tp.Any] = {
        "key": _unsealed(queue, key=bytes(32), revision=higher),
        "node": _unsealed(queue, node=sys_uuid.uuid4(), revision=higher),
        "shard": _unsealed(queue, shard=elsewhere, revision=higher),
        "revision": {**_unsealed(queue, revision=5), "revision": higher},
        "content": _unsealed(queue, content=b'[{"queue_id": "x"}]', revision=higher),
        "empty": {},
        "list": [],
    }
    queue.put_value(uuid, values[fault])
    queue_rows.follow()
    assert (stored(), rows()) == ([], 0)
    assert f"of the node {queue.node} is refused" in caplog.text
    queue.put(SHARD, CONTENT)
    queue_rows.follow()
    assert stored() == [ONE]


def test_a_row_that_the_node_has_written_meanwhile_is_not_deleted(
    queue: queue_rows.Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.put_value(queue_reports.row_uuid(queue.node, SHARD), {})
    parse = queue_reports.parse

    def late(value: tp.Any) -> queue_reports.Row:
        monkeypatch.undo()
        queue.put(SHARD, CONTENT)
        return parse(value)

    monkeypatch.setattr(queue_reports, "parse", late)
    queue_rows.follow()
    queue_rows.follow()
    assert stored() == [ONE]


def test_a_node_tells_no_other_nodes_queue(stage: stages.Stage, queue: queue_rows.Queue) -> None:
    other = stages.Stage(stage.api, stage.core, stage.services)
    thief = queue_rows.Queue(other.serving())
    queue.put(SHARD, CONTENT)
    queue_rows.follow()
    row = queue_reports.seal(
        thief.key(), thief.node, SHARD, queue._revision + 1, queue_reports.render_items([])
    )
    thief.put_value(queue_reports.row_uuid(queue.node, SHARD), queue_reports.render(row))
    queue_rows.follow()
    assert stored() == [ONE]
    assert [each["queue_id"] for each in stage.api.get(f"{stage.path}/queue/")] == [ONE]
    assert stage.api.get(f"{other.path}/queue/") == []


@pytest.mark.parametrize("minutes", [-11, 11])
def test_a_row_of_no_node_is_kept_for_a_while(stage: stages.Stage, minutes: int) -> None:
    node = stage.with_node()
    queue = queue_rows.Queue(node)
    queue.put(SHARD, CONTENT)
    stranger = queue_rows.Queue(gservice.Node(sys_uuid.uuid4()))
    row = queue_reports.Row(SHARD, 1, "")
    uuid = queue_reports.row_uuid(stranger.node, SHARD)
    stranger.put_value(uuid, queue_reports.render(row))
    following = follower.Follower()
    following.run_once()
    assert rows() >= 1
    query(
        "UPDATE ua_actual_resources SET updated_at = updated_at + %s * interval '1 minute'"
        " WHERE uuid = %s",
        minutes,
        str(uuid),
    )
    queue_rows.follow()
    assert query("SELECT * FROM ua_actual_resources WHERE uuid = %s", str(uuid)) == []


def test_what_a_deleted_namesake_has_left_is_not_the_new_accounts(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    (old,) = stage.api.get(f"{stage.path}/accounts/")
    stage.api.delete(f"{stage.path}/accounts/{old['uuid']}")
    account = stage.api.account(stage.path).rpartition("/")[2]
    now = utils.milliseconds(utils.now())
    queue.tell(queue_rows.item(ONE, arrived_at=now - 60_000), queue_rows.item(TWO, arrived_at=now))
    queue_rows.follow()
    found = query("SELECT queue_id, account::text FROM mail_queue_items")
    assert sorted(found) == [(ONE, None), (TWO, account)]


def test_another_node_begins_anew(stage: stages.Stage, queue: queue_rows.Queue) -> None:
    queue.put(SHARD, CONTENT, revision=2**50)
    queue_rows.follow()
    # As if another one had told all of it.
    query("UPDATE mail_queues SET node = %s", str(sys_uuid.uuid4()))
    other = queue_reports.shard_of(TWO)
    assert other != SHARD
    queue.put(other, queue_reports.render_items([queue_rows.item(TWO)]))
    following = follower.Follower()
    following.run_once()
    assert TWO in stored()
    assert query("SELECT node FROM mail_queues") == [(queue.node,)]
    assert stage.api.get(stage.path)["queue_messages"] is None


def test_times_and_classes_of_a_wrong_node_are_kept_in_bounds(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    far = 2**53
    queue.tell(
        queue_rows.item(ONE, arrived_at=far, retry_at=far, reason="unheard", attempts=far, size=far)
    )
    queue.tell_state(messages=far, oldest_at=far, frozen=far, recipients=far)
    queue_rows.follow()
    (shown,) = stage.api.get(f"{stage.path}/queue/")
    assert (shown["arrived_at"][:4], shown["class"], shown["attempts"]) == ("9999", "other", far)
    assert stage.shown("queue_messages") == (far,)


def test_what_the_node_does_not_do_in_time_is_given_up_and_done_if_it_says_so(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    path = ask(stage)
    (command,) = queue.commands()
    query("UPDATE mail_operations SET expires_at = expires_at - interval '5 minutes 1 second'")
    queue_rows.follow()
    ended = stage.api.get(path)
    assert (ended["status"], ended["error"]) == ("ERROR", "the node has not answered")
    assert ended["finished_at"] is not None
    assert queue.commands() == []
    queue.tell_state(results=(queue_reports.Result(command.id, count=3),))
    queue_rows.follow()
    done = stage.api.get(path)
    assert (done["status"], done["error"], done["result"]["count"]) == ("DONE", "", 3)
    queue.tell_state(results=(queue_reports.Result(command.id, error="again"),))
    queue_rows.follow()
    assert stage.api.get(path) == done


def test_what_the_node_cannot_do_is_an_error_with_its_words(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    path = ask(stage)
    (command,) = queue.commands()
    queue.tell_state(results=(queue_reports.Result(command.id, error="the disk is full"),))
    queue_rows.follow()
    ended = stage.api.get(path)
    assert (ended["status"], ended["error"]) == ("ERROR", "the disk is full")


def test_a_node_ends_no_operation_of_another(stage: stages.Stage, queue: queue_rows.Queue) -> None:
    path = ask(stage)
    (command,) = queue.commands()
    other = stages.Stage(stage.api, stage.core, stage.services)
    thief = queue_rows.Queue(other.serving())
    thief.tell_state(results=(queue_reports.Result(command.id, count=1),))
    queue_rows.follow()
    assert stage.api.get(path)["status"] == "PENDING"


def test_what_a_node_is_told_is_repaired(stage: stages.Stage, queue: queue_rows.Queue) -> None:
    uuid, where = node_commands.row_uuid(queue.node), "uuid = %s AND kind = %s"
    key = (str(uuid), node_commands.KIND)
    ask(stage)
    ((old,),) = query(f"SELECT value FROM ua_actual_resources WHERE {where}", *key)  # noqa: S608
    ask(stage)
    told = queue.commands()
    assert len(told) == 2
    another = str(sys_uuid.uuid4())
    for statement, *values in (
        (f"DELETE FROM ua_actual_resources WHERE {where}", *key),  # noqa: S608
        (f"UPDATE ua_actual_resources SET value = '[]' WHERE {where}", *key),  # noqa: S608
        (f"UPDATE ua_actual_resources SET res_uuid = '{another}' WHERE {where}", *key),  # noqa: S608
        (
            f"UPDATE ua_actual_resources SET value = %s WHERE {where}",  # noqa: S608
            json.Jsonb(old),
            *key,
        ),
    ):
        ((before,),) = query("SELECT commands_revision FROM mail_queues")
        query(statement, *values)
        queue_rows.follow()
        assert queue.commands() == told, statement
        ((revision,),) = query("SELECT commands_revision FROM mail_queues")
        assert revision >= before
    before_versions = gservice.row_versions()
    queue_rows.follow()
    assert {**gservice.row_versions(), "mail_instances": None} == {
        **before_versions,
        "mail_instances": None,
    }


def test_the_revision_of_what_a_node_is_told_grows_when_the_clock_goes_back(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    ask(stage)
    query("UPDATE mail_queues SET commands_revision = %s", 2**50)
    ask(stage)
    assert query("SELECT commands_revision FROM mail_queues") == [(2**50 + 1,)]
    assert len(queue.commands()) == 2


def test_an_instance_without_a_node_is_told_when_it_has_one(
    api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService
) -> None:
    stage = stages.Stage(api, core, services)
    path = ask(stage)
    assert query("SELECT * FROM ua_actual_resources WHERE kind = %s", node_commands.KIND) == []
    queue = queue_rows.Queue(stage.serving())
    queue_rows.follow()
    assert [str(each.id) for each in queue.commands()] == [path.rpartition("/")[2]]


def test_an_agent_that_says_it_is_on_another_node_is_not_believed(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    other = stages.Stage(stage.api, stage.core, stage.services)
    thief = queue_rows.Queue(other.serving())
    agent = gservice.Node(queue.node).agent
    query("UPDATE ua_agents SET node = %s WHERE uuid = %s", str(thief.node), str(agent))
    ask(stage)
    assert query("SELECT * FROM ua_actual_resources WHERE kind = %s", node_commands.KIND) == []
    query("UPDATE ua_agents SET node = %s WHERE uuid = %s", str(queue.node), str(agent))
    queue_rows.follow()
    assert len(queue.commands()) == 1
    assert thief.commands() == []


def test_operations_are_kept_for_a_while_and_not_too_many(
    stage: stages.Stage, queue: queue_rows.Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [ask(stage) for _ in range(4)]
    results = [queue_reports.Result(each.id) for each in queue.commands()[:3]]
    queue.tell_state(results=tuple(results))
    monkeypatch.setattr(operations, "ROWS_MAX", 2)
    queue_rows.follow()
    found = [
        f"{stage.path}/operations/{e['uuid']}" for e in stage.api.get(f"{stage.path}/operations/")
    ]
    assert found == [paths[3], paths[2]]
    later = utils.now() + operations.RETENTION + datetime.timedelta(seconds=1)
    operations.keep_in_bounds(later)
    assert [each["status"] for each in stage.api.get(f"{stage.path}/operations/")] == ["PENDING"]


def test_what_a_node_was_told_long_ago_is_forgotten(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    ask(stage)
    (command,) = queue.commands()
    queue.tell_state(results=(queue_reports.Result(command.id),))
    queue_rows.follow()
    with utils.transaction() as session:
        command_boxes.forget(session, utils.now() + datetime.timedelta(seconds=1))
    assert query("SELECT * FROM ua_actual_resources WHERE kind = %s", node_commands.KIND) == []


def test_a_row_that_makes_the_program_fail_keeps_no_other_waiting(
    queue: queue_rows.Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writing = tables.replace_items

    def fail(session: tp.Any, instance: tp.Any, shard: int, items: tp.Any) -> None:
        if shard == SHARD:
            raise LookupError(ONE)
        writing(session, instance, shard, items)

    monkeypatch.setattr(tables, "replace_items", fail)
    queue.tell(queue_rows.item(ONE), queue_rows.item(TWO))
    following = follower.Follower()
    with caplog.at_level(logging.ERROR):
        following.run_once()
        following.run_once()
    assert stored() == [TWO]
    (told,) = caplog.messages
    assert "cannot be taken over: LookupError in line" in told
    assert ONE not in told


def test_a_database_that_is_away_is_waited_for(
    queue: queue_rows.Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    following = follower.Follower()
    running = follower.Follower.run_once
    looks: list[bool] = []

    def away(self: follower.Follower) -> None:
        looks.append(True)
        if len(looks) < 3:
            raise psycopg.OperationalError("server closed the connection")
        running(self)

    monkeypatch.setattr(follower, "PERIOD", 0.01)
    monkeypatch.setattr(follower.Follower, "run_once", away)
    queue.put(SHARD, CONTENT)
    stop = threading.Event()
    thread = threading.Thread(target=following.run, args=(stop,))
    thread.start()
    waiting = threading.Event()
    for _ in range(600):
        if stored():
            break
        waiting.wait(0.05)
    stop.set()
    thread.join()
    assert stored() == [ONE]
    assert caplog.text.count("cannot be used: OperationalError") == 1


def test_gservice_keeps_a_thread_of_it(stage: stages.Stage) -> None:
    keeper = stage.services.queue
    assert isinstance(keeper, threads_.ThreadKeeper)
    assert keeper._name == "mailaas-queue"


def test_a_nodes_key_opens_its_own_rows_alone(queue: queue_rows.Queue) -> None:
    with utils.transaction() as session:
        node = nodes.find(session, queue.node)
        assert node is not None
        assert nodes.of_instance(session, node.instance) == node
        assert nodes.find(session, sys_uuid.uuid4()) is None
    assert node.key == queue.key()
