# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""From the store of events to receivers that verify what they get."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sqlite3
import threading
import time
import typing as tp
import uuid

import pytest
import standardwebhooks

from exordos_paas_mail.codecs import (
    erased,
    log_ids,
    notices,
    webhook_config,
    webhook_figures,
    webhook_messages,
    webhook_reports,
)
from exordos_paas_mail.codecs.mail_events import Event, Type
from exordos_paas_mail.node.events import store as store_
from exordos_paas_mail.node.webhooks import (
    client,
    configuration,
    dispatcher,
    history,
    lanes,
    outbox,
)
from exordos_paas_mail.node.webhooks import erased as erased_
from exordos_paas_mail.node.webhooks import notices as notices_
from exordos_paas_mail.tests.unit.node import webhook_stage

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterable, Iterator

INSTANCE = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0002")
SECRET = webhook_config.new_secret()
SOON = 2**50
QUEUE_IDS = [f"1xWfZB-00000{letter}-2E" for letter in "abc"]


def events(count: int, kind: Type = Type.DELIVERED, at: int = 1000) -> list[Event]:
    return [
        Event(at + n, kind, QUEUE_IDS[n % 3], recipient=f"{n}@example.org") for n in range(count)
    ]


class Node:
    """A node: its store of events, and who sends them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.store = store_.Store(folder)
        self.file = folder / "webhooks"
        self.hooks: list[webhook_config.Hook] = []
        self.requests: list[webhook_config.Request] = []
        self.opener = webhook_stage.opener()
        self.timeout = 60.0
        self.start()

    def start(self) -> None:
        """Begin, as after a restart."""
        self.box = outbox.Outbox(self.folder)
        self.sending = dispatcher.Dispatcher(
            configuration.Configuration(self.file),
            history.History(self.folder),
            self.box,
            lambda url: client.Client(url, self.opener, self.timeout),
            notices_.Notices(self.folder / "notices"),
            erased_.Erased(self.folder / "erased"),
        )

    def stop(self) -> None:
        self.sending.close()
        self.box.close()

    def restart(self) -> None:
        """Stop and begin, once all was told."""
        self.box.tell(webhook_reports.render_report(self.sending.report()), 1)
        self.stop()
        self.start()

    def keep(self, found: Iterable[Event], *, told: bool = True) -> None:
        """Have events happen; they may be told to the control plane."""
        self.store.keep(list(found), None, [])
        while told and (batch := self.store.next()):
            self.store.forget(batch[0])

    def hook(self, url: str, *types: str, **more: tp.Any) -> webhook_config.Hook:
        """Return a new webhook, of deliveries where nothing else is said."""
        names = types or ("message.delivered",)
        made = webhook_config.Hook(uuid.uuid4(), url, names, (SECRET,), **more)
        self.hooks.append(made)
        self.tell()
        return made

    def change(self, hook: webhook_config.Hook, **changes: tp.Any) -> webhook_config.Hook:
        """Have a webhook be another one."""
        changed = dataclasses.replace(hook, **changes)
        self.hooks[self.hooks.index(hook)] = changed
        self.tell()
        return changed

    def ask(self, hook: webhook_config.Hook, action: str, **more: tp.Any) -> uuid.UUID:
        """Ask for something; returns its identifier."""
        values = {"not_after": SOON, **more}
        made = webhook_config.Request(
            uuid.uuid4(), hook.id, webhook_config.Action(action), **values
        )
        self.requests.append(made)
        self.tell()
        return made.id

    def tell(self) -> None:
        config = webhook_config.Config(INSTANCE, tuple(self.hooks), tuple(self.requests))
        aside = self.file.with_suffix(".new")
        aside.write_bytes(webhook_config.render(config))
        aside.rename(self.file)

    def until(self, is_so: Callable[[], object]) -> None:
        """Work until something is so."""
        deadline = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline
            assert self.sending.turn() == ""

    def until_tried(self, hook: webhook_config.Hook, count: int) -> None:
        """Work until so many attempts are over."""
        self.until(lambda: len(self.state(hook).deliveries) == count)

    def state(self, hook: webhook_config.Hook) -> webhook_reports.HookState:
        """Return how a webhook fares, as the control plane reads it."""
        report = webhook_reports.parse_report(webhook_reports.render_report(self.sending.report()))
        states = {state.id: state for state in report.hooks}
        nothing = webhook_reports.HookState(hook.id, webhook_reports.Status.ACTIVE)
        return states.get(hook.id, nothing)

    def is_sending(self, hook: webhook_config.Hook) -> bool:
        """Return whether attempts are under way."""
        return bool(self.sending._lanes[hook.id]._sent)

    def result(self, request: uuid.UUID) -> webhook_reports.Result | None:
        results = {result.id: result for result in self.sending.report().results}
        return results.get(request)


@pytest.fixture
def node(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr(dispatcher, "PERIOD", 0.05)
    monkeypatch.setattr(dispatcher, "IDLE_PERIOD", 0.01)
    made = Node(tmp_path)
    yield made
    made.stop()
    made.store.close()


class Clock:
    """The clock of the dispatcher, which can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0
        self.speed = 1
        self._begun = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        passed = time.time_ns() // 1_000_000 - self._begun
        return self._begun + passed * self.speed + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(dispatcher, "_now", made)
    return made


def recipients(receiver: webhook_stage.Receiver) -> list[str]:
    return [json.loads(request.body)["data"]["recipient"] for request in receiver.requests]


def test_what_is_wanted_arrives_signed_whether_the_control_plane_has_it_or_not(node: Node) -> None:
    node.keep([Event(500, Type.DELIVERED, QUEUE_IDS[0], recipient="old@example.org")])
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), "message.delivered", "log.gap", since=1000)
        node.keep([*events(2), *events(2, Type.COMPLETED)])
        node.keep([Event(2000, Type.GAP, text="x", count=7)], told=False)
        node.until(lambda: len(receiver.requests) == 3)
    bodies = [
        standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
        for request in receiver.requests
    ]
    assert sorted(bodies, key=lambda body: body["timestamp"]) == [
        {
            "type": "message.delivered",
            "timestamp": f"1970-01-01T00:00:01.00{n}Z",
            "data": {
                "instance": str(INSTANCE),
                "message": str(log_ids.message_uuid(INSTANCE, QUEUE_IDS[n])),
                "queue_id": QUEUE_IDS[n],
                "recipient": f"{n}@example.org",
            },
        }
        for n in range(2)
    ] + [
        {
            "type": "log.gap",
            "timestamp": "1970-01-01T00:00:02.000Z",
            "data": {"instance": str(INSTANCE), "text": "x", "count": 7},
        }
    ]
    stream = node.store.stream
    assert set(receiver.ids) == {
        str(webhook_messages.event_id(stream, seq, number))
        for seq, number in ((2, 0), (2, 1), (3, 0))
    }
    node.until(lambda: node.state(hook).waiting == 0)
    state = node.state(hook)
    assert (state.status, state.given_up, state.lost) == (webhook_reports.Status.ACTIVE, 0, 0)
    assert [(one.code, one.attempt, one.error) for one in state.deliveries] == [(204, 1, "")] * 3


def test_nothing_is_sent_again_after_a_restart_and_all_that_was_not(node: Node) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url())
        node.keep(events(30))
        node.until(lambda: len(receiver.requests) >= 30 and not node.state(hook).waiting)
        node.restart()
        node.keep(events(30, at=5000))
        node.until(lambda: len(receiver.requests) >= 60 and not node.state(hook).waiting)
    assert len(receiver.requests) == 60
    assert len(set(receiver.ids)) == 60


def test_events_of_a_message_arrive_in_their_order(node: Node, clock: Clock) -> None:
    clock.speed = 50
    failures = itertools.count()

    def answer(_: webhook_stage.Request) -> webhook_stage.Answer:
        return (500, b"") if next(failures) in {1, 3, 8, 20} else (200, b"")

    with webhook_stage.receiving(answer) as receiver:
        hook = node.hook(receiver.url())
        node.keep(events(60))
        node.until(lambda: len(receiver.requests) >= 10)
        node.until(lambda: node.state(hook).waiting == 0)
    arrived = dict.fromkeys(recipients(receiver))
    for first in range(3):
        numbers = [int(name.partition("@")[0]) for name in arrived]
        of_message = [number for number in numbers if number % 3 == first]
        assert of_message == sorted(of_message)
    assert len(receiver.requests) == 64


def test_what_fails_is_tried_again_at_its_times_with_the_same_identifier(
    node: Node, clock: Clock
) -> None:
    codes = iter([500, 503, 404, 204])
    with webhook_stage.receiving(lambda _: (next(codes), b"no")) as receiver:
        hook = node.hook(receiver.url())
        node.keep(events(1))
        for count, ahead in enumerate((5_000, 60_000, 300_000), start=1):
            node.until_tried(hook, count)
            state = node.state(hook)
            assert state.status is webhook_reports.Status.FAILING
            newest = state.deliveries[0]
            assert (newest.attempt, newest.body) == (count, "no")
            assert 0 <= newest.next_at - newest.at - ahead < 5_000
            if count == 2:
                node.restart()
            clock.ahead += ahead
        node.until(lambda: node.state(hook).waiting == 0)
    assert len(set(receiver.ids)) == 1
    assert len(receiver.requests) == 4
    state = node.state(hook)
    assert (state.status, state.failing_since) == (webhook_reports.Status.ACTIVE, 0)
    assert state.last_error == "answered 404"
    assert [one.code for one in state.deliveries] == [204, 404, 503, 500]


def test_a_receiver_that_hangs_delays_no_other(node: Node) -> None:
    over = threading.Event()

    def hang(_: webhook_stage.Request) -> webhook_stage.Answer:
        over.wait(60)
        return 204, b""

    with webhook_stage.receiving(hang) as hanging, webhook_stage.receiving() as well:
        stuck = node.hook(hanging.url())
        fine = node.hook(well.url())
        node.keep(events(200))
        node.until(lambda: len(well.requests) >= 200 and not node.state(fine).waiting)
        # None of them has had an answer.
        assert hanging.requests == []
        assert (node.state(stuck).waiting, node.state(stuck).deliveries) == (200, ())
        over.set()
        node.until(lambda: node.state(stuck).waiting == 0)
    assert len(set(hanging.ids)) == len(set(well.ids)) == 200


def test_a_receiver_that_was_down_for_hours_gets_everything(node: Node, clock: Clock) -> None:
    is_down = True
    with webhook_stage.receiving(lambda _: (500 if is_down else 204, b"")) as receiver:
        hook = node.hook(receiver.url())
        for number in range(6):
            node.keep(events(250, at=1000 * (number + 1)), told=number % 2 == 0)
        for _ in range(8):
            node.until(lambda: node.state(hook).deliveries and not node.is_sending(hook))
            clock.ahead += 1_800_000
            node.sending.turn()
        assert node.state(hook).status is webhook_reports.Status.FAILING
        # What does not fit into the outbox waits in the store.
        assert node.state(hook).waiting <= lanes.WAITING_MAX
        node.restart()
        is_down = False
        refused = len(receiver.requests)
        clock.ahead += 12 * 3_600_000
        node.until(lambda: len(set(receiver.ids[refused:])) == 1500)
        node.until(lambda: node.state(hook).waiting == 0)
    assert refused < 400
    state = node.state(hook)
    assert (state.status, state.given_up, state.lost) == (webhook_reports.Status.ACTIVE, 0, 0)


def test_who_answers_410_is_sent_nothing_more_until_its_webhook_is_changed(node: Node) -> None:
    code = 410
    with webhook_stage.receiving(lambda _: (code, b"")) as receiver:
        hook = node.hook(receiver.url(), revision=3)
        node.keep(events(1))
        node.until(lambda: node.state(hook).status is webhook_reports.Status.DISABLED)
        node.keep(events(5, at=5000))
        node.restart()
        node.tell()
        node.until(lambda: node.sending._lanes)
        for _ in range(3):
            node.sending.turn()
        assert node.state(hook).status is webhook_reports.Status.DISABLED
        assert len(receiver.requests) == 1
        assert node.state(hook).revision == 3
        code = 204
        changed = node.change(hook, revision=4)
        node.until(lambda: len(receiver.requests) == 7 and not node.state(changed).waiting)
    assert len(set(receiver.ids)) == 6
    assert node.state(changed).status is webhook_reports.Status.ACTIVE


def test_a_webhook_that_is_not_active_goes_on_where_it_was(node: Node) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url())
        node.keep(events(1))
        node.until(lambda: len(receiver.requests) == 1)
        hook = node.change(hook, active=False)
        node.keep(events(2, at=3000))
        for _ in range(3):
            node.sending.turn()
        assert len(receiver.requests) == 1
        node.change(hook, active=True)
        node.until(lambda: len(receiver.requests) == 3)


def test_secrets_and_url_may_change_at_any_time(node: Node) -> None:
    new = webhook_config.new_secret()
    with webhook_stage.receiving() as first, webhook_stage.receiving() as second:
        hook = node.hook(first.url())
        node.keep(events(1))
        node.until(lambda: len(first.requests) == 1)
        hook = node.change(hook, secrets=(new, SECRET))
        node.until(lambda: node.sending._lanes[hook.id].hook == hook)
        node.keep(events(1, at=2000))
        node.until(lambda: len(first.requests) == 2)
        hook = node.change(hook, secrets=(new,), url=second.url())
        node.until(lambda: node.sending._lanes[hook.id].hook == hook)
        node.keep(events(1, at=3000))
        node.until(lambda: len(second.requests) == 1)
    for request, secret in (
        (first.requests[0], SECRET),
        (first.requests[1], SECRET),
        (first.requests[1], new),
        (second.requests[0], new),
    ):
        standardwebhooks.Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(second.requests[0].body, second.requests[0].headers)


def test_a_webhook_that_is_gone_is_forgotten_with_what_waits(node: Node) -> None:
    with webhook_stage.receiving(lambda _: (500, b"")) as receiver:
        hook = node.hook(receiver.url())
        node.keep(events(3))
        node.until(lambda: node.state(hook).waiting if node.sending._lanes else 0)
        node.hooks.clear()
        node.tell()
        node.until(lambda: not node.sending._lanes)
    assert (node.box.standings(), node.box.waiting(hook.id)) == ({}, [])
    node.file.unlink()
    node.restart()
    node.sending.turn()
    assert node.sending.report() == webhook_reports.Report(0)


def test_a_configuration_that_cannot_be_read_changes_nothing(node: Node) -> None:
    with webhook_stage.receiving() as receiver:
        node.hook(receiver.url())
        node.keep(events(1))
        node.until(lambda: len(receiver.requests) == 1)
        node.file.write_bytes(b"x")
        assert node.sending.turn() == "the webhooks cannot be read: the webhooks is no JSON"
        assert node.sending.turn() == ""
        node.keep(events(1, at=2000))
        node.until(lambda: len(receiver.requests) == 2)


def test_a_test_is_sent_once_also_where_the_webhook_is_not_active(node: Node) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), active=False)
        request = node.ask(hook, "test")
        node.until(lambda: node.result(request) if node.sending._lanes else None)
        assert node.result(request) == webhook_reports.Result(request, "", 1)
        receiver.answer = lambda _: (500, b"")
        failed = node.ask(hook, "test")
        late = node.ask(hook, "test", not_after=1)
        node.until(lambda: node.result(failed) and node.result(late))
        node.restart()
        for _ in range(3):
            node.sending.turn()
    assert node.result(failed) == webhook_reports.Result(failed, "answered 500", 1)
    assert node.result(late) == webhook_reports.Result(late, "the node has heard of it too late")
    assert receiver.ids == [str(request), str(failed)]
    body = standardwebhooks.Webhook(SECRET).verify(
        receiver.requests[0].body, receiver.requests[0].headers
    )
    assert (body["type"], body["data"]) == (
        "webhook.test",
        {"instance": str(INSTANCE), "text": "This is a test."},
    )
    node.requests.clear()
    node.tell()
    node.sending.turn()
    assert node.box.results() == {}


def test_a_replay_sends_what_happened_in_a_time_with_its_identifiers(node: Node) -> None:
    now = time.time_ns() // 1_000_000 - 60_000
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), since=now)
        for number in range(4):
            node.keep(events(300, at=now + 1000 * number), told=number < 3)
        node.until(lambda: len(receiver.requests) == 1200)
        sent = {json.loads(one.body)["timestamp"]: one.id for one in receiver.requests}
        request = node.ask(hook, "replay", since=now + 1000, until=now + 2100)
        node.until(lambda: node.result(request) and not node.state(hook).waiting)
        assert node.result(request) == webhook_reports.Result(request, "", 400)
        again = receiver.requests[1200:]
        assert len(again) == 400
        assert all(sent[json.loads(one.body)["timestamp"]] == one.id for one in again)
        nothing = node.ask(hook, "replay", since=1, until=2)
        other = webhook_config.Hook(uuid.uuid4(), hook.url, (), (SECRET,))
        unknown = node.ask(other, "replay", since=1, until=2)
        node.until(lambda: node.result(nothing) and node.result(unknown))
        assert node.result(nothing) == webhook_reports.Result(
            nothing, "the node has no such events of that time"
        )
        assert node.result(unknown) == webhook_reports.Result(
            unknown, "the node knows no such webhook"
        )


def test_what_the_node_has_no_more_is_told(node: Node) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url())
        node.keep(events(1))
        node.until(lambda: len(receiver.requests) == 1)
        hook = node.change(hook, active=False)
        for number in range(3):
            node.keep(events(1, at=2000 + number))
        node.store.prune(0, 0)
        node.keep(events(1, at=3000))
        hook = node.change(hook, active=True)
        node.until(lambda: len(receiver.requests) == 2)
        assert node.state(hook).lost == 3


def test_a_store_of_another_stream_is_read_from_its_beginning(
    node: Node, tmp_path: pathlib.Path
) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url())
        node.keep(events(2))
        node.until(lambda: len(receiver.requests) == 2)
        node.store.close()
        for path in tmp_path.glob(f"{store_.FILE_NAME}*"):
            path.unlink()
        assert "cannot be opened" in node.sending.turn()
        node.store = store_.Store(tmp_path)
        node.keep(events(2, at=2000))
        node.until(lambda: len(receiver.requests) == 4)
        assert node.state(hook).lost == 0


def test_a_store_that_is_not_there_yet_keeps_nobody_from_sending(
    node: Node, tmp_path: pathlib.Path
) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url())
        node.store.close()
        path = tmp_path / store_.FILE_NAME
        path.rename(tmp_path / "aside")
        request = node.ask(hook, "test")
        wrong = [node.sending.turn() for _ in range(3)]
        assert all("cannot be opened" in words for words in wrong)
        (tmp_path / "aside").rename(path)
        node.store = store_.Store(tmp_path)
        node.until(lambda: node.result(request))


def test_the_outbox_goes_aside_where_it_is_damaged(node: Node, tmp_path: pathlib.Path) -> None:
    with webhook_stage.receiving() as receiver:
        node.hook(receiver.url())
        node.keep(events(3))
        node.until(lambda: len(receiver.requests) == 3)
        node.stop()
        (tmp_path / outbox.FILE_NAME).write_text("no database at all" * 1000)
        node.start()
        assert list(tmp_path.glob("*.aside-*"))
        # Once more, rather than never.
        node.until(lambda: len(receiver.requests) == 6)
    assert len(set(receiver.ids)) == 3


def test_what_another_release_has_kept_is_passed_over(node: Node, tmp_path: pathlib.Path) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url())
        node.keep(events(3))
        node.until(lambda: len(receiver.requests) == 3 and not node.state(hook).waiting)
        node.stop()
        with sqlite3.connect(tmp_path / outbox.FILE_NAME) as database:
            database.execute("UPDATE state SET report = x'5b5d'")
            database.execute("UPDATE hooks SET standing = json_set(standing, '$.colour', 'red')")
        database.close()
        node.start()
        node.keep(events(1, at=5000))
        node.until(lambda: len(receiver.requests) == 4)
    assert len(set(receiver.ids)) == 4


def test_a_request_for_a_webhook_that_is_gone_is_answered_where_it_was_the_last(node: Node) -> None:
    gone = webhook_config.Hook(uuid.uuid4(), "https://hooks.example.org/", (), (SECRET,))
    request = node.ask(gone, "test")
    node.until(lambda: node.result(request))
    assert node.result(request) == webhook_reports.Result(request, "the node knows no such webhook")


def notice(number: int, kind: str = "domain.verified", **fields: tp.Any) -> notices.Notice:
    """Return a notice of the control plane, of now."""
    at = time.time_ns() // 1_000_000
    made = {"id": uuid.uuid4(), "number": number, "at": at, "type": kind, "data": {"domain": "a.b"}}
    return notices.Notice(**{**made, **fields})


def told(node: Node, *found: notices.Notice) -> None:
    """Have the control plane tell *found*, in the documents that they are in."""
    folder = node.folder / "notices"
    folder.mkdir(exist_ok=True)
    for shard in {notices.shard_of(one.number) for one in found}:
        of_it = [one for one in found if notices.shard_of(one.number) == shard]
        aside = folder / ".new"
        aside.write_bytes(notices.render(of_it))
        aside.rename(folder / shard)


def test_a_notice_arrives_signed_like_an_event_once_and_where_it_is_asked_for(node: Node) -> None:
    one, other = notice(1), notice(2, "account.created", data={"account": "x", "login": "a@b.c"})
    with webhook_stage.receiving() as receiver, webhook_stage.receiving() as elsewhere:
        hook = node.hook(receiver.url(), "domain.verified")
        both = node.hook(elsewhere.url(), "account.created", "domain.verified", "log.gap")
        told(node, one, other)
        node.until(lambda: receiver.requests and len(elsewhere.requests) == 2)
        node.until(lambda: not node.state(hook).waiting and not node.state(both).waiting)
        node.restart()
        # Told anew, and with more.
        more = notice(3)
        told(node, one, other, more)
        node.until(lambda: len(receiver.requests) >= 2 and len(elsewhere.requests) >= 3)
        node.until(lambda: not node.state(hook).waiting and not node.state(both).waiting)
    assert receiver.ids == [str(one.id), str(more.id)]
    assert sorted(elsewhere.ids) == sorted(str(each.id) for each in (one, other, more))
    first = receiver.requests[0]
    body = standardwebhooks.Webhook(SECRET).verify(first.body, first.headers)
    assert body.pop("timestamp").endswith("Z")
    assert body == {
        "type": "domain.verified",
        "data": {"instance": str(INSTANCE), "domain": "a.b"},
    }
    assert [one.type for one in node.state(hook).deliveries] == ["domain.verified"] * 2


def test_notices_need_no_store_of_events(node: Node) -> None:
    node.store.close()
    for path in node.folder.glob(f"{store_.FILE_NAME}*"):
        path.unlink()
    with webhook_stage.receiving() as receiver:
        node.hook(receiver.url(), "domain.verified")
        told(node, notice(1))
        deadline = time.monotonic() + 60
        while not receiver.requests:
            assert time.monotonic() < deadline
            assert "the store of events" in node.sending.turn()
    node.store = store_.Store(node.folder)


def test_what_is_older_than_its_webhook_or_than_a_week_is_not_sent(node: Node) -> None:
    now = time.time_ns() // 1_000_000
    week = int(notices.KEPT.total_seconds() * 1000)
    old, before, after = notice(1, at=now - week), notice(2, at=now - 5000), notice(3)
    with webhook_stage.receiving() as receiver, webhook_stage.receiving() as elsewhere:
        node.hook(receiver.url(), "domain.verified", since=now - 1000)
        node.hook(elsewhere.url(), "domain.verified")
        told(node, old, before, after)
        node.until(lambda: receiver.requests and len(elsewhere.requests) == 2)
    assert receiver.ids == [str(after.id)]
    assert sorted(elsewhere.ids) == sorted([str(before.id), str(after.id)])


def test_numbers_that_fall_back_silence_nothing_and_send_nothing_twice(node: Node) -> None:
    """The database of the control plane was restored: it counts on from what it had then."""
    kept, lost = notice(900), notice(901)
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), "domain.verified")
        told(node, kept, lost)
        node.until(lambda: len(receiver.requests) == 2)
        again = notice(901)
        told(node, kept, again)
        node.until(lambda: len(receiver.requests) == 3)
        node.until(lambda: not node.state(hook).waiting)
    assert receiver.ids == [str(one.id) for one in (kept, lost, again)]
    assert node.state(hook).lost == 0


def test_notices_that_the_node_was_away_for_are_told_as_lost(node: Node) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), "domain.verified")
        other = node.hook(receiver.url("b"), "message.delivered")
        told(node, notice(1), notice(2))
        node.until(lambda: len(receiver.requests) == 2)
        for path in (node.folder / "notices").iterdir():
            path.unlink()
        told(node, *(notice(number) for number in range(2048, 2050)))
        node.until(lambda: len(receiver.requests) == 4)
    assert (node.state(hook).lost, node.state(other).lost) == (2045, 0)


def test_more_notices_than_fit_into_the_outbox_wait_for_their_turn(node: Node) -> None:
    codes = itertools.repeat(500)
    with webhook_stage.receiving(lambda _: (next(codes), b"")) as receiver:
        hook = node.hook(receiver.url(), "domain.verified")
        sent = [notice(n, data={"domain": f"{n}.example"}) for n in range(1, 991)]
        told(node, *sent[:500])
        node.until(lambda: node.state(hook).waiting >= 500)
        told(node, *sent)
        node.until(lambda: node.state(hook).waiting > 500)
        assert node.state(hook).waiting <= lanes.WAITING_MAX
        node.restart()
        codes = itertools.repeat(204)
        node.change(hook, revision=1)
        arrived = len(receiver.requests)
        for row in node.sending._lanes.values():
            row.hurry(0, afresh=True)
        node.until(lambda: len(set(receiver.ids[arrived:])) == 990)
    assert set(receiver.ids[arrived:]) == {str(one.id) for one in sent}


def test_more_notices_than_the_node_keeps_are_told_as_lost(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "NOTICES_MAX", 100)
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), "domain.verified")
        told(node, *(notice(n) for n in range(1, 11)))
        node.until(lambda: len(receiver.requests) == 10 and not node.state(hook).waiting)
        off = node.change(hook, active=False)
        for first in (11, 64, 128):
            told(node, *(notice(n) for n in range(first, first + 50)))
            node.sending.turn()
        new = node.hook(receiver.url("b"), "domain.verified")
        node.change(off, active=True)
        node.until(lambda: len(receiver.requests) == 10 + 100 + 100)
        node.until(lambda: not node.state(hook).waiting and not node.state(new).waiting)
    assert (node.state(hook).lost, node.state(new).lost) == (50, 0)


def test_notices_of_a_time_are_replayed_with_events_by_the_same_identifiers(node: Node) -> None:
    now = time.time_ns() // 1_000_000
    first, second, third = (notice(n, at=now - 5000 + 1000 * n) for n in (1, 2, 3))
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), "domain.verified", "message.delivered")
        told(node, first, second, third)
        node.keep(events(1, at=second.at))
        node.until(lambda: len(receiver.requests) == 4)
        node.until(lambda: not node.state(hook).waiting)
        request = node.ask(hook, "replay", since=second.at, until=third.at)
        node.until(lambda: node.result(request))
        node.until(lambda: len(receiver.requests) == 6)
    assert node.result(request) == webhook_reports.Result(request, "", 2)
    of_event = str(webhook_messages.event_id(node.store.stream, 1, 0))
    assert set(receiver.ids[4:]) == {str(second.id), of_event}


def erase(node: Node, until: int, *names: str) -> None:
    """Have the control plane say that nothing of *names* is sent that was before a time."""
    folder = node.folder / "erased"
    folder.mkdir(exist_ok=True)
    for shard in {erased.shard_of(name) for name in names}:
        of_it = {name: until for name in names if erased.shard_of(name) == shard}
        aside = folder / ".new"
        aside.write_bytes(erased.render(of_it))
        aside.rename(folder / shard)


def test_nothing_of_whom_was_erased_is_replayed_and_all_of_the_others_is(node: Node) -> None:
    now = time.time_ns() // 1_000_000
    bob, alone, shared = "bob@example.org", *QUEUE_IDS[:2]
    of_bob = [
        Event(now - 9000, Type.SUBMITTED, alone, recipients=1),
        Event(now - 8000, Type.DELIVERED, alone, recipient="Bob@Example.org"),
        Event(now - 7000, Type.COMPLETED, alone),
        Event(now - 6000, Type.DELIVERED, shared, recipient=bob),
        Event(now - 5000, Type.REJECTED, text="<BOB@example.org>: no"),
    ]
    of_others = [
        Event(now - 5000, Type.SUBMITTED, shared, recipients=2),
        Event(now - 4000, Type.DELIVERED, shared, recipient="jim.bob@example.org", text=bob),
        Event(now - 3000, Type.REJECTED, text="<jim.bob@example.org>: no"),
        # What comes after it is as of anybody.
        Event(now, Type.DELIVERED, QUEUE_IDS[2], recipient=bob),
        # The control plane may not have heard of it when it forgot the message.
        Event(now - 4000, Type.DELIVERED, alone, recipient="jim.bob@example.org"),
    ]
    added = [
        notice(number, "suppression.added", at=now - 2000, data={"address": address})
        for number, address in enumerate((bob, "jim.bob@example.org"), 1)
    ]
    names = {webhook_config.NAMES[event.type] for event in of_bob} | {"suppression.added"}
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), *names)
        node.keep(of_bob)
        node.keep(of_others)
        told(node, *added)
        node.until(lambda: len(receiver.requests) == 12 and not node.state(hook).waiting)
        erase(node, now, bob, alone)
        request = node.ask(hook, "replay", since=now - 10_000, until=now + 1)
        node.until(lambda: node.result(request) and not node.state(hook).waiting)
        again = receiver.ids[12:]
    others = {
        *(str(webhook_messages.event_id(node.store.stream, 2, number)) for number in range(5)),
        str(added[1].id),
    }
    assert (len(again), {*again}) == (6, others)
    assert node.result(request) == webhook_reports.Result(request, "", 6)


def test_what_waits_of_whom_was_erased_is_sent_no_more(node: Node, clock: Clock) -> None:
    now = time.time_ns() // 1_000_000
    names = [f"{number}@example.org" for number in range(30)]
    found = [
        Event(now - 1000, Type.DELIVERED, QUEUE_IDS[number % 3], recipient=name)
        for number, name in enumerate(names)
    ]
    with webhook_stage.receiving(lambda _: (500, b"")) as receiver:
        hook = node.hook(receiver.url())
        node.keep(found)
        # The first of each message is tried, and the others wait behind it.
        node.until(lambda: len(receiver.requests) >= 3 and node.state(hook).waiting == 30)
    erase(node, now, *names[:-2])
    node.until(lambda: node.state(hook).waiting == 2)
    node.restart()
    with webhook_stage.receiving() as receiver:
        node.change(hook, url=receiver.url())
        # What is left may have been tried, more than once, since the receiver went.
        clock.ahead += 24 * 3_600_000
        node.until(lambda: len(receiver.requests) >= 2 and not node.state(hook).waiting)
    assert sorted(recipients(receiver)) == sorted(names[-2:])


def test_what_is_being_sent_of_whom_was_erased_is_not_tried_again(node: Node, clock: Clock) -> None:
    now = time.time_ns() // 1_000_000
    over = threading.Event()

    def hang(_: webhook_stage.Request) -> webhook_stage.Answer:
        over.wait(60)
        return 500, b""

    with webhook_stage.receiving(hang) as receiver:
        hook = node.hook(receiver.url())
        node.keep([Event(now - 1000, Type.DELIVERED, QUEUE_IDS[0], recipient="bob@example.org")])
        node.until(lambda: node.state(hook).waiting and node.is_sending(hook))
        erase(node, now, "bob@example.org")
        node.sending.turn()
        assert node.state(hook).waiting == 1
        over.set()
        node.until(lambda: node.state(hook).deliveries)
        clock.ahead += 3_600_000
        node.until(lambda: node.state(hook).waiting == 0)
    assert len(receiver.requests) == 1


def test_who_was_erased_is_known_though_another_document_is_none(node: Node) -> None:
    now = time.time_ns() // 1_000_000
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url())
        erase(node, now, "bob@example.org")
        (node.folder / "erased" / "zz").write_bytes(b"{}")
        node.keep(
            Event(now - 1000, Type.DELIVERED, QUEUE_IDS[0], recipient=f"{name}@example.org")
            for name in ("bob", "eve")
        )
        said = node.sending.turn()
        node.until(lambda: receiver.requests and not node.state(hook).waiting)
    assert said == "who was erased cannot be read: version of who was erased is out of its bounds"
    assert recipients(receiver) == ["eve@example.org"]


def test_a_document_that_is_none_is_told_and_the_others_are_read(node: Node) -> None:
    with webhook_stage.receiving() as receiver:
        node.hook(receiver.url(), "domain.verified")
        told(node, notice(1))
        (node.folder / "notices" / "1").write_bytes(b"{}")
        node.until(lambda: receiver.requests)
        (node.folder / "notices" / "1").write_bytes(b"{ }")
        wrong = [node.sending.turn(), node.sending.turn()]
        assert wrong == [
            "the notices cannot be read: version of the notices is out of its bounds",
            "",
        ]
        told(node, notice(64), notice(65))
        node.until(lambda: len(receiver.requests) == 3)


def test_an_outbox_of_the_release_before_goes_on(node: Node) -> None:
    with webhook_stage.receiving() as receiver:
        hook = node.hook(receiver.url(), "message.delivered", "domain.verified")
        node.keep(events(1))
        node.until(lambda: receiver.requests and not node.state(hook).waiting)
        node.stop()
        with sqlite3.connect(node.folder / outbox.FILE_NAME) as db:
            db.executescript("DROP TABLE notices; DROP TABLE notice_places")
        db.close()
        node.start()
        node.tell()
        told(node, notice(1))
        node.until(lambda: len(receiver.requests) == 2)
    assert len(set(receiver.ids)) == 2


def test_what_becomes_of_attempts_adds_up_whatever_is_restarted(node: Node, clock: Clock) -> None:
    codes = iter([500, 204, 204])
    with webhook_stage.receiving(lambda _: (next(codes), b"")) as receiver:
        hook = node.hook(receiver.url())
        node.hook(receiver.url("b"), active=False)
        at = clock() - 90_000
        node.keep([Event(at, Type.DELIVERED, QUEUE_IDS[0])])
        node.until_tried(hook, 1)
        figures = node.sending.figures()
        assert figures.states == {"active": 0, "failing": 1, "disabled": 0, "inactive": 1}
        assert (figures.waiting, figures.oldest_at) == (1, at)
        assert figures.counters == {"delivered": 0, "failed": 1, "given_up": 0}
        node.restart()
        clock.ahead += 5_000
        node.keep([Event(at + 1, Type.DELIVERED, QUEUE_IDS[1])])
        node.until(lambda: len(receiver.requests) == 3)
        node.until(lambda: not node.state(hook).waiting)
    figures = node.sending.figures()
    assert figures.states == {"active": 1, "failing": 0, "disabled": 0, "inactive": 1}
    assert (figures.waiting, figures.oldest_at) == (0, 0)
    assert figures.counters == {"delivered": 2, "failed": 1, "given_up": 0}
    assert webhook_figures.parse(webhook_figures.render(figures)) == figures
