# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What nodes, or others in their name, tell of webhooks."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
import typing as tp
import uuid as sys_uuid

import psycopg
import pytest
from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.storage.sql import engines

from exordos_paas_mail.codecs import node_documents, webhook_config, webhook_reports
from exordos_paas_mail.control_plane.documents import writer
from exordos_paas_mail.control_plane.runtime import threads as threads_
from exordos_paas_mail.control_plane.webhooks import follower
from exordos_paas_mail.tests.unit.control_plane import gservice, queue_rows, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

EVENT = sys_uuid.UUID("7d0b6a2e-5c3f-4d0e-9f1b-36a1c2e84f57")
AT = 1_767_225_600_000
WHEN = "2026-01-01T00:00:00.000000Z"
State: tp.TypeAlias = webhook_reports.HookState
Status: tp.TypeAlias = webhook_reports.Status


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


class Teller:
    """The daemon of a node that tells of its webhooks."""

    def __init__(self, node: gservice.Node) -> None:
        self.node = node.uuid
        self._writer = sealed.Writer(node)
        self.revision = int(time.time() * 1000)

    def row(self, content: bytes, **changes: tp.Any) -> webhook_reports.Row:
        seal = {"key": self._writer.key(), "node": self.node, "revision": self.revision, **changes}
        return webhook_reports.seal(**seal, content=content)

    def tell(self, *states: State, **report: tp.Any) -> None:
        """Tell how webhooks fare, and have it taken over."""
        self.revision += 1
        told = webhook_reports.Report(at=AT, hooks=states, **report)
        row = self.row(webhook_reports.render_report(told))
        self.put(webhook_reports.render(row))
        follower.Follower().run_once()

    def put(self, value: tp.Any, uuid: sys_uuid.UUID | None = None) -> None:
        """Write a row, whatever it is, in the place of the one before it."""
        where = str(uuid or webhook_reports.row_uuid(self.node))
        resource = ua_models.Resource.from_value({"uuid": where}, webhook_reports.KIND, ("uuid",))
        resource.node = self.node
        with engines.engine_factory.get_engine().session_manager() as session:
            session.execute(
                "DELETE FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
                (where, webhook_reports.KIND),
            )
            resource.insert(session=session)
            session.execute(
                "UPDATE ua_actual_resources SET value = %s::jsonb WHERE uuid = %s AND kind = %s",
                (json.dumps(value), where, webhook_reports.KIND),
            )


@dataclasses.dataclass
class Scene:
    """An instance with a node and a webhook."""

    stage: stages.Stage
    teller: Teller
    path: str
    uuid: sys_uuid.UUID

    def state(self, status: Status = Status.ACTIVE, **fields: tp.Any) -> State:
        return State(**{"id": self.uuid, "status": status, "revision": 1, **fields})

    def shown(self, *fields: str) -> tuple[tp.Any, ...]:
        webhook = self.stage.api.get(self.path)
        return tuple(webhook[field] for field in fields)


def webhook(stage: stages.Stage) -> tuple[str, sys_uuid.UUID]:
    body = {"url": "https://hooks.example.com/mail", "events": ["message.delivered"]}
    made = stage.api.post(f"{stage.path}/webhooks/", body)
    return f"{stage.path}/webhooks/{made['uuid']}", sys_uuid.UUID(made["uuid"])


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def scene(stage: stages.Stage) -> Scene:
    teller = Teller(stage.serving())
    return Scene(stage, teller, *webhook(stage))


def failure(**fields: tp.Any) -> webhook_reports.Delivery:
    return webhook_reports.Delivery(
        **{
            "id": EVENT,
            "type": "message.delivered",
            "at": AT,
            "attempt": 2,
            "code": 500,
            "ms": 35,
            "error": "the answer was 500",
            "body": "out of order",
            "next_at": AT + 60_000,
            **fields,
        }
    )


def test_what_a_node_tells_of_a_webhook_is_shown(scene: Scene) -> None:
    success = failure(attempt=1, code=204, error="", body="", next_at=0, at=AT - 1000)
    scene.teller.tell(
        scene.state(
            Status.FAILING,
            last_success_at=AT,
            last_error_at=AT,
            last_error="the answer was 500",
            failing_since=AT,
            waiting=3,
            given_up=2,
            lost=1,
            deliveries=(failure(), success),
        )
    )
    facts = ("status", "last_success_at", "last_error_at", "last_error", "failing_since")
    assert scene.shown(*facts) == ("FAILING", WHEN, WHEN, "the answer was 500", WHEN)
    assert scene.shown("waiting", "given_up", "lost") == (3, 2, 1)
    newest, oldest = scene.stage.api.get(f"{scene.path}/deliveries/")
    assert scene.stage.api.get(f"{scene.path}/deliveries/{newest['uuid']}") == newest
    assert newest.pop("uuid")
    assert newest == {
        "event": str(EVENT),
        "type": "message.delivered",
        "at": "2026-01-01T00:00:00.000000Z",
        "attempt": 2,
        "code": 500,
        "ms": 35,
        "error": "the answer was 500",
        "answer": "out of order",
        "retry_at": "2026-01-01T00:01:00.000000Z",
    }
    assert (oldest["code"], oldest["error"], oldest["retry_at"]) == (204, "", None)


def test_deliveries_are_those_that_were_told_last(scene: Scene) -> None:
    scene.teller.tell(scene.state(deliveries=(failure(), failure(attempt=1, at=AT - 5))))
    other = sys_uuid.uuid4()
    scene.teller.tell(
        scene.state(
            deliveries=(
                failure(id=other, type="message.failed", code=0),
                failure(),
                # Told twice.
                failure(),
            )
        )
    )
    told = scene.stage.api.get(f"{scene.path}/deliveries/")
    attempts = {(each["event"], each["code"]) for each in told}
    assert attempts == {(str(EVENT), 500), (str(other), None)}
    (one,) = scene.stage.api.get(f"{scene.path}/deliveries/?event={other}")
    (same,) = scene.stage.api.get(f"{scene.path}/deliveries/?type=message.failed")
    assert one == same
    (first,) = scene.stage.api.get(f"{scene.path}/deliveries/?page_limit=1")
    (second,) = scene.stage.api.get(f"{scene.path}/deliveries/?page_marker={first['uuid']}")
    assert [first, second] == told


def test_the_node_is_told_its_webhooks_in_a_sealed_document(scene: Scene) -> None:
    place = (webhook_config.COLLECTION, "0")
    node = queue_rows.Queue(gservice.Node(scene.teller.node))

    def told() -> webhook_config.Config:
        writer.Writer().run_once()
        ((value,),) = query(
            "SELECT value FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
            str(node_documents.row_uuid(node.node, *place)),
            node_documents.KIND,
        )
        row = node_documents.parse(value)
        return webhook_config.parse(node_documents.unseal(node.key(), node.node, row))

    (hook,) = told().hooks
    assert (hook.id, hook.types) == (scene.uuid, ("message.delivered",))
    asked = scene.stage.api.call("POST", f"{scene.path}/actions/test/invoke").json
    assert [str(request.id) for request in told().requests] == [asked["uuid"]]
    done = webhook_reports.Result(sys_uuid.UUID(asked["uuid"]))
    scene.teller.tell(scene.state(), results=(done,))
    assert told().requests == ()
    scene.stage.api.delete(scene.path)
    assert told().hooks == ()


def test_a_second_look_writes_nothing(scene: Scene) -> None:
    scene.teller.tell(scene.state(deliveries=(failure(),)))
    before = gservice.row_versions()
    following = follower.Follower()
    following.run_once()
    following.run_once()
    assert gservice.row_versions() == before


def test_how_it_was_before_a_change_does_not_say_how_it_fares_now(scene: Scene) -> None:
    scene.teller.tell(scene.state(Status.DISABLED, failing_since=AT))
    assert scene.shown("status", "failing_since") == ("DISABLED", WHEN)
    scene.stage.api.patch(scene.path, {"active": True})
    scene.teller.tell(scene.state(Status.DISABLED, failing_since=AT, waiting=4))
    assert scene.shown("status", "failing_since", "waiting") == ("ACTIVE", None, 4)
    scene.teller.tell(scene.state(Status.FAILING, failing_since=AT, revision=2))
    assert scene.shown("status", "failing_since") == ("FAILING", WHEN)


def test_an_older_report_is_not_believed(scene: Scene) -> None:
    scene.teller.tell(scene.state(waiting=1))
    scene.teller.revision -= 1
    scene.teller.tell(scene.state(waiting=2))
    assert scene.shown("waiting") == (1,)
    scene.teller.tell(scene.state(waiting=3))
    assert scene.shown("waiting") == (3,)


@pytest.mark.parametrize("fault", ["key", "node", "revision", "content", "empty", "list"])
def test_what_is_not_the_nodes_is_deleted(
    scene: Scene, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    report = webhook_reports.Report(at=AT, hooks=(scene.state(waiting=9),))
    content, teller = webhook_reports.render_report(report), scene.teller
    values: dict[str, tp.Any] = {
        "key": webhook_reports.render(teller.row(content, key=bytes(32))),
        "node": webhook_reports.render(teller.row(content, node=sys_uuid.uuid4())),
        "revision": {**webhook_reports.render(teller.row(content)), "revision": 2**50},
        "content": webhook_reports.render(teller.row(b'{"hooks": 5}')),
        "empty": {},
        "list": [],
    }
    teller.put(values[fault])
    follower.Follower().run_once()
    assert f"What the node {teller.node} tells of webhooks is refused" in caplog.text
    kind = webhook_reports.KIND
    assert query("SELECT * FROM ua_actual_resources WHERE kind = %s", kind) == []
    assert scene.shown("waiting") == (0,)


def test_a_report_that_the_node_has_written_meanwhile_is_not_deleted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.teller.put({})
    parse = webhook_reports.parse
    told = webhook_reports.Report(at=AT, hooks=(scene.state(waiting=3),))

    def late(value: tp.Any) -> webhook_reports.Row:
        monkeypatch.undo()
        content = webhook_reports.render_report(told)
        scene.teller.put(webhook_reports.render(scene.teller.row(content)))
        return parse(value)

    monkeypatch.setattr(webhook_reports, "parse", late)
    follower.Follower().run_once()
    follower.Follower().run_once()
    assert scene.shown("waiting") == (3,)


def test_a_node_tells_of_no_other_instances_webhooks(scene: Scene) -> None:
    other = stages.Stage(scene.stage.api, scene.stage.core, scene.stage.services)
    thief = Teller(other.serving())
    asked = scene.stage.api.call("POST", f"{scene.path}/actions/test/invoke").json["uuid"]
    done = webhook_reports.Result(sys_uuid.UUID(asked))
    thief.tell(scene.state(waiting=9, deliveries=(failure(),)), results=(done,))
    assert scene.shown("waiting") == (0,)
    assert scene.stage.api.get(f"{scene.path}/deliveries/") == []
    shown = scene.stage.api.get(f"{scene.stage.path}/operations/{asked}")
    assert shown["status"] == "PENDING"


def test_a_report_of_a_webhook_that_is_gone_is_no_error(scene: Scene) -> None:
    scene.stage.api.delete(scene.path)
    scene.teller.tell(scene.state(deliveries=(failure(),)))
    assert query("SELECT * FROM mail_webhook_deliveries") == []


def test_results_end_operations(scene: Scene) -> None:
    api = scene.stage.api
    test, replay = (
        api.call("POST", f"{scene.path}/actions/{action}/invoke", body).json["uuid"]
        for action, body in (("test", None), ("replay", {"from": WHEN}))
    )
    scene.teller.tell(
        scene.state(),
        results=(
            webhook_reports.Result(sys_uuid.UUID(test), error="the answer was 500"),
            webhook_reports.Result(sys_uuid.UUID(replay), count=7),
        ),
    )
    failed, done = (api.get(f"{scene.stage.path}/operations/{uuid}") for uuid in (test, replay))
    assert (failed["status"], failed["error"]) == ("ERROR", "the answer was 500")
    assert (done["status"], done["result"]["count"]) == ("DONE", 7)


def test_commands_of_the_queue_have_none_for_a_webhook(scene: Scene) -> None:
    queue = queue_rows.Queue(gservice.Node(scene.teller.node))
    scene.stage.api.call("POST", f"{scene.path}/actions/test/invoke")
    scene.stage.api.call("POST", f"{scene.stage.path}/actions/queue_retry/invoke")
    assert [command.action.value for command in queue.commands()] == ["retry"]


@pytest.mark.parametrize("minutes", [-11, 11])
def test_a_row_of_no_node_is_kept_for_a_while(scene: Scene, minutes: int) -> None:
    stranger = Teller(gservice.Node(sys_uuid.uuid4()))
    stranger.put(webhook_reports.render(webhook_reports.Row(1, "")))
    rows = "SELECT count(*) FROM ua_actual_resources WHERE kind = %s"
    follower.Follower().run_once()
    assert query(rows, webhook_reports.KIND) == [(1,)]
    query(
        "UPDATE ua_actual_resources SET updated_at = updated_at + %s * interval '1 minute'",
        minutes,
    )
    follower.Follower().run_once()
    assert query(rows, webhook_reports.KIND) == [(0,)]


def test_the_thread_outlives_a_database_that_goes_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    second = threading.Event()

    class Failing(follower.Follower):
        def run_once(self) -> None:
            calls.append(1)
            if len(calls) == 2:
                second.set()
            raise psycopg.OperationalError

    monkeypatch.setattr(follower, "PERIOD", 0.01)
    keeper = threads_.ThreadKeeper("a-test", Failing().run)
    keeper._iteration()
    assert second.wait(60)
    keeper.stop()
