# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The queue as the API tells it, and what may be done with it."""

from __future__ import annotations

import datetime
import typing as tp
import uuid as sys_uuid

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail.codecs import mail_events, node_commands, queue_reports
from exordos_paas_mail.control_plane.records import operations, queues
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice, queue_rows, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

SUMMARY = ("queue_messages", "queue_oldest_at", "queue_reported_at")


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def queue(stage: stages.Stage) -> queue_rows.Queue:
    node = stage.serving()
    stage.api.account(stage.path)
    return queue_rows.Queue(node)


def moment(milliseconds: int) -> str:
    since = datetime.datetime.fromtimestamp(0, datetime.timezone.utc) + datetime.timedelta(
        milliseconds=milliseconds
    )
    return f"{since:%Y-%m-%dT%H:%M:%S.%fZ}"


def ask(stage: stages.Stage, action: str, body: tp.Any = None) -> dict[str, tp.Any]:
    answer = stage.api.call("POST", f"{stage.path}/actions/{action}/invoke", body)
    assert answer.status_code == 200, answer.text
    return tp.cast("dict[str, tp.Any]", answer.json)


def ids(stage: stages.Stage, filters: str = "") -> list[str]:
    return [each["queue_id"] for each in stage.api.get(f"{stage.path}/queue/{filters}")]


def test_a_suspension_may_end_at_a_time_of_any_zone(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5))
    until = datetime.datetime.now(zone) + datetime.timedelta(hours=1)
    body = {"recipient_domain": "example.org", "until": until.isoformat(), "reason": "r"}
    asked = ask(stage, "queue_suspend", body)
    (command,) = queue.commands()
    assert asked["until"] == f"{until.astimezone(datetime.timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"
    assert command.until == int(until.timestamp() * 1000)


def test_what_waits_is_told_with_its_reason(stage: stages.Stage, queue: queue_rows.Queue) -> None:
    told = queue_rows.item(
        sealed.queue_id(1, 60),
        recipients=("a@example.org", "b@example.net"),
        recipients_count=2,
        frozen=True,
        held=True,
    )
    queue.tell(told, messages=3, oldest_at=told.arrived_at, recipients=4)
    queue_rows.follow()
    (account,) = stage.api.get(f"{stage.path}/accounts/")
    (shown,) = stage.api.get(f"{stage.path}/queue/")
    assert sys_uuid.UUID(shown["uuid"]).version == 7
    assert stage.api.get(f"{stage.path}/queue/{shown['uuid']}") == shown
    del shown["uuid"]
    assert shown == {
        "queue_id": told.queue_id,
        "account": account["uuid"],
        "sender": sealed.LOGIN,
        "recipients": ["a@example.org", "b@example.net"],
        "recipients_count": 2,
        "size": 900,
        "arrived_at": moment(told.arrived_at),
        "frozen": True,
        "held": True,
        "attempts": 2,
        "last_error": "Connection refused",
        "class": "network",
        "last_attempt_at": moment(told.last_attempt_at),
        "retry_at": moment(told.retry_at),
    }
    messages, oldest, reported = stage.shown(*SUMMARY)
    assert (messages, oldest) == (3, moment(told.arrived_at))
    assert api_client.TIME.fullmatch(reported)


def test_a_message_tells_when_it_is_tried_next_as_long_as_it_waits(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    told = queue_rows.item(sealed.queue_id(1, 60))
    sealed.Writer(gservice.Node(queue.node)).write(sealed.arrival(told.queue_id))
    sealed.take_in()
    queue.tell(told)
    queue_rows.follow()
    (message,) = stage.api.get(f"{stage.path}/messages/")
    (item,) = stage.api.get(f"{stage.path}/queue/")
    assert (message["uuid"], message["retry_at"]) == (item["uuid"], moment(told.retry_at))
    assert stage.api.get(f"{stage.path}/messages/{message['uuid']}") == message
    queue.put(queue_reports.shard_of(told.queue_id), queue_reports.render_items([]))
    queue_rows.follow()
    (message,) = stage.api.get(f"{stage.path}/messages/")
    assert message["retry_at"] is None


def test_the_last_attempt_tells_when_the_next_one_is(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    told = queue_rows.item(sealed.queue_id(1, 60))
    writer = sealed.Writer(gservice.Node(queue.node))
    attempts = [
        sealed.event(kind, told.queue_id, recipient=recipient, reason="network")
        for kind, recipient in (
            (mail_events.Type.DEFERRED, "a@example.org"),
            (mail_events.Type.DEFERRED, "b@example.org"),
            (mail_events.Type.DEFERRED, "a@example.org"),
            (mail_events.Type.DELIVERED, "b@example.org"),
        )
    ]
    writer.write([*sealed.arrival(told.queue_id), *attempts])
    sealed.take_in()
    queue.tell(told)
    queue_rows.follow()
    (message,) = stage.api.get(f"{stage.path}/messages/")
    for path in (f"{stage.path}/events/", f"{stage.path}/messages/{message['uuid']}/events/"):
        shown = stage.api.get(path)
        last = [each["retry_at"] for each in shown[-len(attempts) :]]
        assert last == [None, None, moment(told.retry_at), None]
        assert stage.api.get(f"{path}{shown[-2]['uuid']}") == shown[-2]
    queue.put(queue_reports.shard_of(told.queue_id), queue_reports.render_items([]))
    queue_rows.follow()
    assert {each["retry_at"] for each in stage.api.get(f"{stage.path}/events/")} == {None}


def test_a_message_is_found_by_whom_it_waits_for_before_it_is_tried(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    names = {name: sealed.queue_id(n, 90 - n) for n, name in enumerate(("past", "both", "held"))}
    sealed.Writer(gservice.Node(queue.node)).write(
        [
            *sealed.whole(names["past"], "a@example.org"),
            *sealed.arrival(names["both"], recipients=2),
            *sealed.delivery(names["both"], "a@example.org"),
            *sealed.arrival(names["held"]),
        ]
    )
    sealed.take_in()
    queue.tell(
        queue_rows.item(names["both"], recipients=("b@Example.net",)),
        queue_rows.item(names["held"], recipients=("A@example.org",), held=True, attempts=0),
    )
    queue_rows.follow()
    expected = [
        ("recipient=a@example.ORG", ["held", "both", "past"]),
        ("recipient=a@example.org&page_limit=1", ["held"]),
        ("recipient=a@example.org&status=DELIVERED", ["past"]),
        ("recipient=b@example.net", ["both"]),
        ("recipient_domain=Example.org", ["held", "both", "past"]),
        ("recipient_domain=example.net", ["both"]),
        # Of one there is an event, and the other is waited for.
        ("recipient_domain=example.net&recipient=a@example.org", ["both"]),
        ("recipient_domain=example.org&recipient=b@example.net", ["both"]),
        ("recipient_domain=example.org&recipient=a@example.org", ["held", "both", "past"]),
        ("recipient=c@example.org", []),
    ]
    for filters, found in expected:
        shown = stage.api.get(f"{stage.path}/messages/?{filters}")
        assert [each["queue_id"] for each in shown] == [names[name] for name in found], filters
    answer = stage.api.call("GET", f"{stage.path}/messages/?recipient=a@example.org&page_limit=2")
    rest = f"recipient=a@example.org&page_marker={answer.headers['X-Pagination-Marker']}"
    assert [each["queue_id"] for each in stage.api.get(f"{stage.path}/messages/?{rest}")] == [
        names["past"]
    ]
    # Nobody else's.
    other = stage.api.instance(domain="other.example")
    assert stage.api.get(f"{other}/messages/?recipient=a@example.org") == []
    erase = f"{stage.path}/actions/erase/invoke"
    assert stage.api.call("POST", erase, {"recipient": "a@example.org"}).status_code == 200
    sealed.take_in()
    assert stage.api.get(f"{stage.path}/messages/?recipient=a@example.org") == []


def test_messages_in_the_queue_are_found_oldest_first(
    stage: stages.Stage, queue: queue_rows.Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {name: sealed.queue_id(n, 90 - n) for n, name in enumerate(("old", "role", "new"))}
    queue.tell(
        queue_rows.item(names["new"], recipients=("A@Example.net", "c@M\u00fcller.example")),
        queue_rows.item(names["role"], account="", sender=""),
        queue_rows.item(names["old"], recipients=("x@example.org", "b@sub.example.net")),
    )
    queue_rows.follow()
    (account,) = stage.api.get(f"{stage.path}/accounts/")
    answer = stage.api.call("GET", f"{stage.path}/queue/?page_limit=1")
    marker = answer.headers["X-Pagination-Marker"]
    expected: list[tuple[str, list[str]]] = [
        ("", ["old", "role", "new"]),
        ("page_limit=2", ["old", "role"]),
        (f"account={account['uuid']}", ["old", "new"]),
        (f"account={sys_uuid.uuid4()}", []),
        ("sender=NOREPLY@mail.example.com", ["old", "new"]),
        ("recipient=a@example.NET", ["new"]),
        ("recipient=%25@example.net", []),
        ("recipient_domain=Example.net", ["new"]),
        ("recipient_domain=xn--mller-kva.example", ["new"]),
        ("recipient_domain=m%C3%BCller.example", ["new"]),
        ("recipient=C@m%C3%BCller.example", ["new"]),
        ("recipient_domain=example.org", ["old", "role"]),
        ("recipient_domain=example.org&page_limit=1", ["old"]),
        (f"recipient_domain=example.org&page_marker={marker}", ["role"]),
        (f"recipient_domain=example.net&page_marker={marker}&page_limit=1", ["new"]),
        (f"recipient_domain=example.org&account={account['uuid']}", ["old"]),
        ("recipient_domain=example.org&sender=noreply@mail.example.com", ["old"]),
        (f"queue_id={names['role']}", ["role"]),
        ("queue_id=1vNvOk-0000Ab-0A", []),
    ]
    # By words the first of the queue are looked at, and then all.
    for first in (1, 2, 4_000):
        monkeypatch.setattr(queues, "_FIRST", first)
        for filters, found in expected:
            assert ids(stage, f"?{filters}") == [names[name] for name in found], filters
    assert ids(stage, f"?page_marker={marker}") == [names["role"], names["new"]]


def test_a_bad_parameter_of_the_queue_is_named(api: api_client.Client) -> None:
    instance = api.instance()
    for path, name, value in (
        ("queue", "account", "noreply"),
        ("queue", "sender", ""),
        ("queue", "recipient", "x" * 321),
        ("queue", "recipient_domain", "a%00b"),
        ("queue", "queue_id", "1vNvOk_0000Ab_0A"),
        ("queue", "page_limit", "501"),
        ("operations", "page_limit", "101"),
        ("queue", "class", "network"),
        ("queue", "shard", "1"),
        ("operations", "status", "done"),
        ("operations", "action", "queue_retry"),
        ("operations", "page_marker", "x"),
        ("queue_domains", "domain", "example.org"),
        ("queue_domains", "page_limit", "1"),
    ):
        status, message = api.refused("GET", f"{instance}/{path}/?{name}={value}")
        assert (status, message.partition(": ")[0]) == (400, name), (path, name)


def test_the_queue_is_told_by_domain(stage: stages.Stage, queue: queue_rows.Queue) -> None:
    now = sealed.now()
    queue.tell_state(
        messages=9,
        domains=(
            queue_reports.Domain("b.example", 2, now - 9_000, "Connection refused", "network", now),
            queue_reports.Domain("a.example", 5, now - 8_000, "busy", "rate"),
            queue_reports.Domain("c.example", suspended_until=now, suspended_for="their wish"),
        ),
        others=queue_reports.Domain("", 2, now - 7_000),
    )
    queue_rows.follow()
    nothing = {
        "messages": 0,
        "oldest_at": None,
        "last_error": "",
        "class": None,
        "retry_at": None,
        "suspended_until": None,
        "suspended_reason": None,
    }
    assert stage.api.get(f"{stage.path}/queue_domains/") == [
        {**nothing, **told}
        for told in (
            {
                "domain": "a.example",
                "messages": 5,
                "oldest_at": moment(now - 8_000),
                "last_error": "busy",
                "class": "rate",
            },
            {
                "domain": "b.example",
                "messages": 2,
                "oldest_at": moment(now - 9_000),
                "last_error": "Connection refused",
                "class": "network",
                "retry_at": moment(now),
            },
            {
                "domain": "c.example",
                "suspended_until": moment(now),
                "suspended_reason": "their wish",
            },
            {"domain": "", "messages": 2, "oldest_at": moment(now - 7_000)},
        )
    ]
    queue.tell_state()
    queue_rows.follow()
    assert stage.api.get(f"{stage.path}/queue_domains/") == []


def test_a_queue_in_which_nothing_happens_costs_no_write_of_its_instance(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    oldest_at = sealed.now()
    queue.tell_state(messages=4, oldest_at=oldest_at)
    queue_rows.follow()

    def written() -> list[tp.Any]:
        return query("SELECT xmin::text FROM mail_instances")

    def told() -> list[tp.Any]:
        return query("SELECT told_at FROM mail_queues")

    before = written(), told(), stage.shown(*SUMMARY)
    queue.tell_state(messages=4, oldest_at=oldest_at)
    queue_rows.follow()
    assert (written(), stage.shown(*SUMMARY)) == (before[0], before[2])
    assert told() > before[1]


def test_a_node_that_is_silent_tells_nothing_of_its_queue(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    assert stage.shown(*SUMMARY) == (None, None, None)
    queue.tell_state(messages=4, oldest_at=sealed.now())
    queue_rows.follow()
    before = stage.shown("updated_at", *SUMMARY)
    assert before[1] == 4
    query("UPDATE mail_queues SET told_at = told_at - interval '31 s'")
    queue_rows.follow()
    messages, oldest, reported = stage.shown(*SUMMARY)
    assert (messages, oldest) == (None, None)
    assert reported < before[3]
    queue.tell_state()
    queue_rows.follow()
    messages, oldest, reported = stage.shown(*SUMMARY)
    assert (messages, oldest) == (0, None)
    assert reported > before[3]
    # No user has asked for it.
    assert stage.shown("updated_at") == before[:1]


def test_an_action_on_a_message_is_an_operation_that_the_node_ends(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    told = queue_rows.item(sealed.queue_id(1, 60))
    queue.tell(told)
    queue_rows.follow()
    (shown,) = stage.api.get(f"{stage.path}/queue/")
    for action in ("retry", "bounce", "delete"):
        path = f"{stage.path}/queue/{shown['uuid']}/actions/{action}/invoke"
        answer = stage.api.call("POST", path)
        assert answer.status_code == 200, answer.text
        asked = answer.json
        one = f"{stage.path}/operations/{asked['uuid']}"
        assert stage.api.get(one) == asked
        assert api_client.TIME.fullmatch(asked["created_at"])
        assert asked == {
            "uuid": asked["uuid"],
            "action": action,
            "status": "PENDING",
            "queue_ids": [told.queue_id],
            "recipient_domain": None,
            "until": None,
            "reason": None,
            **dict.fromkeys(("webhook", "from", "to")),
            "result": None,
            "error": "",
            "finished_at": None,
            "created_at": asked["created_at"],
            "expires_at": asked["expires_at"],
        }
        (command,) = queue.commands()
        assert command == node_commands.Command(
            sys_uuid.UUID(asked["uuid"]),
            node_commands.Action(action),
            command.not_after,
            (told.queue_id,),
        )
        assert 200_000 < command.not_after - sealed.now() <= 300_000
        result = queue_reports.Result(command.id, done=(told.queue_id,), count=1)
        queue.tell_state(results=(result,))
        queue_rows.follow()
        done = stage.api.get(one)
        assert (done["status"], done["error"]) == ("DONE", "")
        assert done["result"] == {
            "done": [told.queue_id],
            "count": 1,
            "failed": {},
            "failed_count": 0,
        }
        assert api_client.TIME.fullmatch(done["finished_at"])
        assert queue.commands() == []
    found = [each["action"] for each in stage.api.get(f"{stage.path}/operations/")]
    assert found == ["delete", "bounce", "retry"]


def test_messages_and_domains_are_named_in_a_body(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    one, other = sealed.queue_id(1), sealed.queue_id(2)
    ask(stage, "queue_retry")
    ask(stage, "queue_retry", {"queue_ids": [one, other, one]})
    ask(stage, "queue_bounce", {"recipient_domain": "Example.ORG"})
    ask(stage, "queue_delete", {"queue_ids": [other]})
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    suspension = {
        "recipient_domain": "bücher.example",
        "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        "reason": "they asked",
    }
    suspended = ask(stage, "queue_suspend", suspension)
    assert suspended["until"] == f"{until:%Y-%m-%dT%H:%M:%S}.000000Z"
    ask(stage, "queue_resume", {"recipient_domain": "example.org"})
    told = [(c.action, c.queue_ids, c.domain, c.until, c.reason) for c in queue.commands()]
    assert told == [
        (node_commands.Action.RETRY, (), "", 0, ""),
        (node_commands.Action.RETRY, (one, other), "", 0, ""),
        (node_commands.Action.BOUNCE, (), "example.org", 0, ""),
        (node_commands.Action.DELETE, (other,), "", 0, ""),
        (
            *(node_commands.Action.SUSPEND, (), "xn--bcher-kva.example"),
            *(int(until.timestamp()) * 1000, "they asked"),
        ),
        (node_commands.Action.RESUME, (), "example.org", 0, ""),
    ]
    path = f"{stage.path}/operations/"
    assert [each["action"] for each in stage.api.get(f"{path}?action=bounce")] == ["bounce"]
    assert len(stage.api.get(f"{path}?status=PENDING")) == 6
    assert stage.api.get(f"{path}?status=DONE") == []


def test_a_bad_field_of_an_action_is_named(api: api_client.Client) -> None:
    instance = api.instance()
    queue_id, domain = "1vNvOk-0000Ab-0A", "example.org"
    soon = f"{datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1):%FT%TZ}"
    whole = {"recipient_domain": domain, "until": soon, "reason": "r"}
    bad: list[tuple[str, tp.Any, str]] = [
        *(
            (action, body, field)
            for action in ("queue_bounce", "queue_delete")
            for body, field in (
                (None, "queue_ids"),
                ({}, "queue_ids"),
                ({"queue_ids": []}, "queue_ids"),
                ({"queue_ids": queue_id}, "queue_ids"),
                ({"queue_ids": [queue_id, "x"]}, "queue_ids"),
                ({"queue_ids": [5]}, "queue_ids"),
                ({"queue_ids": None}, "queue_ids"),
                ({"queue_ids": [queue_id] * 501}, "queue_ids"),
                ({"recipient_domain": ""}, "recipient_domain"),
                ({"recipient_domain": "*"}, "recipient_domain"),
                ({"recipient_domain": domain, "queue_ids": [queue_id]}, "recipient_domain"),
                ({"recipient": "a@example.org"}, "recipient"),
            )
        ),
        ("queue_retry", {"queue_ids": []}, "queue_ids"),
        ("queue_suspend", None, "recipient_domain"),
        ("queue_resume", None, "recipient_domain"),
        ("queue_resume", {"recipient_domain": "a b"}, "recipient_domain"),
        *(
            ("queue_suspend", {name: each for name, each in whole.items() if name != field}, field)
            for field in whole
        ),
        *(
            ("queue_suspend", {**whole, field: value}, field)
            for field, value in (
                ("until", "tomorrow"),
                ("until", "2026-01-01T00:00:00Z"),
                ("until", "2999-01-01T00:00:00Z"),
                ("until", 5),
                ("reason", ""),
                ("reason", "x" * 201),
                ("reason", "a\nb"),
            )
        ),
    ]
    for action, body, field in bad:
        path = f"{instance}/actions/{action}/invoke"
        status, message = api.refused("POST", path, body)
        assert (status, message.partition(": ")[0]) == (400, field), (action, body, message)
    assert query("SELECT * FROM mail_operations") == []


def test_a_node_is_told_only_so_much_at_once(stage: stages.Stage, queue: queue_rows.Queue) -> None:
    long = [f"1vNvOk-{number:011}-{number:04}" for number in range(node_commands.IDS_MAX)]
    for _ in range(operations.OPEN_MAX):
        ask(stage, "queue_retry", {"queue_ids": long})
    assert len(queue.commands()) == operations.OPEN_MAX
    path = f"{stage.path}/actions/queue_retry/invoke"
    status, message = stage.api.refused("POST", path, {})
    ends = min(row[0] for row in query("SELECT expires_at FROM mail_operations"))
    assert (status, message) == (
        429,
        "retry: 50 operations are not done yet: may be asked for again when one is,"
        f" or is given up at {ends:%Y-%m-%dT%H:%M:%SZ}",
    )
    results = [queue_reports.Result(each.id) for each in queue.commands()]
    queue.tell_state(results=tuple(results))
    queue_rows.follow()
    ask(stage, "queue_retry")


def test_an_action_on_a_message_that_is_gone_or_anothers_is_a_404(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    queue.tell(queue_rows.item(sealed.queue_id(1, 60)))
    queue_rows.follow()
    (shown,) = stage.api.get(f"{stage.path}/queue/")
    other, stranger = stage.api.instance(), stage.api.of_other_project()
    action = f"queue/{shown['uuid']}/actions/delete/invoke"
    assert stage.api.refused("POST", f"{other}/{action}")[0] == 404
    assert stranger.refused("POST", f"{stage.path}/{action}")[0] == 404
    assert stage.api.refused("DELETE", f"{stage.path}/queue/{shown['uuid']}")[0] in {403, 404, 405}
    ask(stage, "queue_retry")
    (asked,) = stage.api.get(f"{stage.path}/operations/")
    for client, instance in ((stage.api, other), (stranger, stage.path)):
        assert client.refused("GET", f"{instance}/operations/{asked['uuid']}")[0] == 404
    assert stage.api.get(f"{other}/queue/") == stage.api.get(f"{other}/operations/") == []
    assert stage.api.refused("GET", f"{other}/queue/?page_marker={shown['uuid']}")[0] == 400
    assert queue.commands()[0].queue_ids == ()
    shard = queue_reports.shard_of(shown["queue_id"])
    queue.put(shard, queue_reports.render_items([]))
    queue_rows.follow()
    assert stage.api.refused("POST", f"{stage.path}/{action}")[0] == 404


def test_what_is_known_of_a_recipient_is_erased_from_the_queue(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    alone, shared, other = (sealed.queue_id(number, 60 - number) for number in range(3))
    said, of_another = "no such user Gone@example.org", "no such user be.gone@example.org"
    queue.tell(
        queue_rows.item(alone, recipients=("gone@example.org",), last_error=said),
        queue_rows.item(
            shared,
            recipients=("z@example.org", "Gone@example.org", "a@example.org"),
            recipients_count=3,
            last_error=said,
        ),
        queue_rows.item(other),
        domains=(queue_reports.Domain("example.org", 3, last_error=said),),
    )
    kept = ask(stage, "queue_retry", {"queue_ids": [shared]})
    asked = ask(stage, "queue_retry", {"queue_ids": [other]})
    queue.tell_state(
        results=tuple(
            queue_reports.Result(sys_uuid.UUID(one["uuid"]), failed={other: words})
            for one, words in ((asked, said), (kept, of_another))
        ),
        domains=(
            queue_reports.Domain("example.org", 3, last_error=said),
            queue_reports.Domain("example.net", 1, last_error=of_another),
        ),
    )
    queue_rows.follow()
    erase = f"{stage.path}/actions/erase/invoke"
    assert stage.api.call("POST", erase, {"recipient": "gone@EXAMPLE.org"}).status_code == 200
    sealed.take_in()
    found = stage.api.get(f"{stage.path}/queue/")
    assert [(each["queue_id"], each["recipients"], each["last_error"]) for each in found] == [
        (shared, ["z@example.org", "a@example.org"], ""),
        (other, ["a@example.org"], "Connection refused"),
    ]
    domains = {each["domain"]: each for each in stage.api.get(f"{stage.path}/queue_domains/")}
    assert {name: (each["messages"], each["last_error"]) for name, each in domains.items()} == {
        "example.org": (3, ""),
        "example.net": (1, of_another),
    }
    found = stage.api.get(f"{stage.path}/operations/{kept['uuid']}")
    assert found["result"]["failed"] == {other: of_another}
    ended = stage.api.get(f"{stage.path}/operations/{asked['uuid']}")
    assert (ended["status"], ended["result"]) == ("DONE", None)


def test_the_queue_goes_with_the_instance_and_forgets_an_account(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    queue.tell(queue_rows.item(sealed.queue_id(1, 60)), domains=(queue_reports.Domain("a.b", 1),))
    queue_rows.follow()
    ask(stage, "queue_retry")
    (account,) = stage.api.get(f"{stage.path}/accounts/")
    stage.api.delete(f"{stage.path}/accounts/{account['uuid']}")
    sealed.take_in()
    assert [each["account"] for each in stage.api.get(f"{stage.path}/queue/")] == [None]
    stage.api.delete(stage.path)
    for table in ("mail_queues", "mail_queue_items", "mail_queue_domains", "mail_operations"):
        assert query(f"SELECT * FROM {table}") == [], table  # noqa: S608
