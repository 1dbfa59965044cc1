# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Documents of nodes: what they are told, when again, and what others write in their place."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import typing as tp
import uuid as sys_uuid

import psycopg
import pytest

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import node_commands, node_documents
from exordos_paas_mail.control_plane.documents import collections, writer
from exordos_paas_mail.control_plane.records import command_boxes, document_marks, locks, nodes
from exordos_paas_mail.control_plane.runtime import threads as threads_
from exordos_paas_mail.node import status_api
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice, queue_rows
from exordos_paas_mail.tests.unit.control_plane import stage as stages

NAMES = "names"


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with utils.transaction() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


class Source:
    """What the documents of the collection ``names`` are made of."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.made: list[str] = []
        self.meanwhile: tp.Callable[[], None] = lambda: None

    def render(self, session: tp.Any, instance: sys_uuid.UUID, shard: str) -> bytes:
        assert session.execute("SELECT %s::uuid AS it", (str(instance),)).fetchone()
        self.made.append(shard)
        content = self.contents[shard]
        self.meanwhile()
        return content


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    source = Source()
    monkeypatch.setattr(collections, "RENDERERS", {NAMES: source.render})
    return source


@pytest.fixture
def node(stage: stages.Stage) -> queue_rows.Queue:
    return queue_rows.Queue(stage.serving())


def put(stage: stages.Stage, source: Source, **contents: bytes) -> None:
    source.contents |= contents
    with utils.transaction() as session:
        assert locks.hold_instance(session, stage.uuid)
        document_marks.mark(session, sys_uuid.UUID(stage.uuid), NAMES, contents)


def box(node: queue_rows.Queue) -> node_commands.Row | None:
    found = query(
        "SELECT value FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
        str(node_commands.row_uuid(node.node)),
        node_commands.KIND,
    )
    return node_commands.parse(found[0][0]) if found else None


def index(node: queue_rows.Queue) -> dict[str, dict[str, int]]:
    told = box(node)
    if told is None or not told.documents:
        return {}
    return node_documents.unseal_index(node.key(), node.node, told.revision, told.documents)


def held(node: queue_rows.Queue) -> dict[str, bytes]:
    """Return what a node holds that takes what the index names."""
    contents = {}
    for shard, revision in index(node).get(NAMES, {}).items():
        ((value,),) = query(
            "SELECT value FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
            str(node_documents.row_uuid(node.node, NAMES, shard)),
            node_documents.KIND,
        )
        row = node_documents.parse(value)
        assert row[:3] == (NAMES, shard, revision)
        contents[shard] = node_documents.unseal(node.key(), node.node, row)
    return contents


def is_applied(stage: stages.Stage) -> bool:
    with utils.transaction() as session:
        return document_marks.is_applied(session, sys_uuid.UUID(stage.uuid), NAMES)


def test_a_node_is_told_what_is_marked_and_nothing_else(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    writing = writer.Writer()
    writing.run_once()
    assert box(node) is None
    put(stage, source, a=b"one", b=b"")
    writing.run_once()
    assert held(node) == {"a": b"one", "b": b""}
    before = index(node)[NAMES]
    put(stage, source, b=b"two")
    writing.run_once()
    after = index(node)[NAMES]
    assert held(node) == {"a": b"one", "b": b"two"}
    assert source.made == ["a", "b", "b"]
    assert after["a"] == before["a"] < after["b"]


def test_a_second_look_writes_nothing(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    put(stage, source, a=b"one")
    writer.Writer().run_once()
    before, told = gservice.row_versions(), box(node)
    writer.Writer().run_once()
    assert (gservice.row_versions(), box(node), source.made) == (before, told, ["a"])


def test_many_shards_are_told_in_turns(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    contents = {f"{number:02x}": bytes([number]) for number in range(40)}
    put(stage, source, **contents)
    writer.Writer().run_once()
    assert held(node) == contents
    assert sorted(source.made) == sorted(contents)


def test_what_is_written_while_it_is_read_is_told_too(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    put(stage, source, a=b"one")

    def write() -> None:
        source.meanwhile = lambda: None
        put(stage, source, a=b"two")

    source.meanwhile = write
    writing = writer.Writer()
    writing.run_once()
    assert held(node) == {"a": b"one"}
    writing.run_once()
    assert held(node) == {"a": b"two"}


def test_commands_and_documents_share_a_box(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    put(stage, source, a=b"one")
    writer.Writer().run_once()
    answer = stage.api.call("POST", f"{stage.path}/actions/queue_retry/invoke")
    assert answer.status_code == 200
    assert (len(node.commands()), held(node)) == (1, {"a": b"one"})
    put(stage, source, a=b"two")
    writer.Writer().run_once()
    assert (len(node.commands()), held(node)) == (1, {"a": b"two"})
    with utils.transaction() as session:
        command_boxes.forget(session, utils.now())
    assert held(node) == {"a": b"two"}


def test_what_others_write_in_a_documents_place_is_written_anew(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    put(stage, source, a=b"old", b=b"other")
    writer.Writer().run_once()
    where = "uuid = %s AND kind = %s"
    key = (str(node_documents.row_uuid(node.node, NAMES, "a")), node_documents.KIND)
    box_key = (str(node_commands.row_uuid(node.node)), node_commands.KIND)
    ((old,),) = query(f"SELECT value FROM ua_actual_resources WHERE {where}", *key)  # noqa: S608
    ((old_box,),) = query(
        f"SELECT value FROM ua_actual_resources WHERE {where}",  # noqa: S608
        *box_key,
    )
    put(stage, source, a=b"new")
    writer.Writer().run_once()
    changes = (
        ("DELETE FROM ua_actual_resources", key),
        ("UPDATE ua_actual_resources SET value = '[]'", key),
        ("UPDATE ua_actual_resources SET value = %s::jsonb", (json.dumps(old), *key)),
        ("UPDATE ua_actual_resources SET uuid = gen_random_uuid()", key),
        ("UPDATE ua_actual_resources SET status = status", key),
        ("DELETE FROM ua_actual_resources", box_key),
        ("UPDATE ua_actual_resources SET value = %s::jsonb", (json.dumps(old_box), *box_key)),
    )
    for statement, values in changes:
        before = index(node)[NAMES]
        query(f"{statement} WHERE {where}", *values)
        writer.Writer().run_once()
        assert held(node) == {"a": b"new", "b": b"other"}, statement
        assert index(node)[NAMES]["b"] == before["b"]
    assert source.made.count("b") == 1
    rows = query("SELECT uuid FROM ua_actual_resources WHERE kind = %s", node_documents.KIND)
    assert len(rows) == 2


def test_a_node_with_another_key_is_told_anew(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    put(stage, source, a=b"one")
    writer.Writer().run_once()
    before = index(node)[NAMES]["a"]
    query(
        "UPDATE ua_node_encryption_keys SET private_key = %s WHERE uuid = %s",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        str(node.node),
    )
    writer.Writer().run_once()
    assert held(node) == {"a": b"one"}
    assert index(node)[NAMES]["a"] > before


def test_another_node_is_told_all_of_it(
    api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService, source: Source
) -> None:
    stage = stages.Stage(api, core, services)
    put(stage, source, a=b"one", b=b"two")
    writer.Writer().run_once()
    assert source.made == []
    assert not is_applied(stage)
    node = queue_rows.Queue(stage.serving())
    writer.Writer().run_once()
    assert held(node) == {"a": b"one", "b": b"two"}
    # As if it had been another one.
    query("UPDATE mail_documents SET node = %s, sealed_for = 'x'", str(sys_uuid.uuid4()))
    assert index(node) != {}
    writer.Writer().run_once()
    assert held(node) == {"a": b"one", "b": b"two"}
    assert sorted(source.made) == ["a", "a", "b", "b"]


def test_rows_of_an_instance_that_is_gone_are_deleted(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    put(stage, source, a=b"one")
    writer.Writer().run_once()
    stage.api.delete(stage.path)
    writer.Writer().run_once()
    kind = node_documents.KIND
    assert query("SELECT uuid FROM ua_actual_resources WHERE kind = %s", kind) == []
    assert query("SELECT * FROM mail_documents") == []


def test_a_node_says_what_it_holds(
    stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    assert is_applied(stage)
    put(stage, source, a=b"one")
    assert not is_applied(stage)
    writer.Writer().run_once()
    revision = index(node)[NAMES]["a"]
    for told, expected in (({}, False), ({NAMES: revision - 1}, False), ({NAMES: revision}, True)):
        node.tell_state(documents=told)
        queue_rows.follow()
        assert is_applied(stage) is expected
    put(stage, source, a=b"two")
    assert not is_applied(stage)


def test_what_cannot_be_made_keeps_nothing_else_waiting(
    stage: stages.Stage, node: queue_rows.Queue, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    put(stage, source, a=b"one", b=b"x" * (node_documents.RAW_SIZE_MAX + 1), c=b"three")
    del source.contents["c"]
    writing = writer.Writer()
    with caplog.at_level(logging.ERROR):
        writing.run_once()
        writing.run_once()
    assert held(node) == {"a": b"one"}
    assert [text.split(" in line")[0].split(": ")[1] for text in caplog.messages] == [
        "ValueError",
        "KeyError",
    ]
    assert not is_applied(stage)
    source.contents["c"] = b"three"
    writer.Writer().run_once()
    assert held(node).keys() >= {"a", "c"}


def test_a_database_that_is_away_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop, passes = threading.Event(), itertools.count(1)

    def away(_self: writer.Writer) -> None:
        if next(passes) == 2:
            stop.set()
        raise psycopg.OperationalError("server closed the connection")

    monkeypatch.setattr(writer, "PERIOD", 0.01)
    monkeypatch.setattr(writer.Writer, "run_once", away)
    writer.Writer().run(stop)
    assert next(passes) == 3
    assert caplog.text.count("cannot be used: OperationalError") == 1


def test_gservice_keeps_a_thread_of_it(stage: stages.Stage) -> None:
    keeper = stage.services.documents
    assert isinstance(keeper, threads_.ThreadKeeper)
    assert keeper._name == "mailaas-documents"


def test_a_node_reads_its_documents_through_the_status_api(
    endpoint: str, stage: stages.Stage, node: queue_rows.Queue, source: Source
) -> None:
    content = b"".join(b"%07d" % number for number in range(140_000))
    put(stage, source, a=content)
    writer.Writer().run_once()
    api = status_api.StatusApi(endpoint, node.node, node.key())
    uuid = node_documents.row_uuid(node.node, NAMES, "a")
    value = api.read(node_documents.KIND, uuid)
    assert value is not None
    row = node_documents.parse(value)
    assert node_documents.unseal(node.key(), node.node, row) == content
    with utils.transaction() as session:
        found = nodes.find(session, node.node)
        assert found is not None
        assert document_marks.index(session, found) == {NAMES: {"a": row.revision}}
