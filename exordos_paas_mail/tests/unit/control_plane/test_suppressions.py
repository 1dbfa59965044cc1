# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Recipients that nothing is sent to: asked for, found in events, and told to the node."""

from __future__ import annotations

import datetime
import itertools
import threading
import typing as tp
import urllib.parse
import uuid as sys_uuid

import psycopg
import pytest

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import (
    log_ids,
    node_commands,
    node_documents,
    suppression_lists,
    suppressions,
)
from exordos_paas_mail.control_plane.documents import writer
from exordos_paas_mail.control_plane.events import suppressing
from exordos_paas_mail.control_plane.imports import importer
from exordos_paas_mail.control_plane.records import (
    operations,
    suppression_imports,
    suppression_rows,
)
from exordos_paas_mail.control_plane.runtime import threads as threads_
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice, queue_rows, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages
from exordos_paas_mail.tests.unit.control_plane.sealed import Type

BOB = "bob@elsewhere.example"
GONE = {"code": 550, "enhanced": "5.1.1", "text": "No such user", "reason": "recipient_unknown"}
DAY = datetime.timedelta(days=1)


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with utils.transaction() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


class World:
    """An instance with an account, whose node tells events."""

    def __init__(self, stage: stages.Stage) -> None:
        self.stage, self.api, self.path = stage, stage.api, f"{stage.path}/suppressions/"
        self.node = stage.serving()
        self.account = stage.api.account(stage.path).rpartition("/")[2]
        self.writer = sealed.Writer(self.node)
        self._number = 0

    def listed(self, query: str = "") -> list[str]:
        return [each["address"] for each in self.api.get(f"{self.path}{query}")]

    def fail(self, recipient: str = BOB, kind: Type = Type.FAILED, **fields: tp.Any) -> str:
        """Tell of a message that did not reach *recipient*; return its queue id."""
        self._number += 1
        queue = sealed.queue_id(self._number)
        failure = sealed.event(kind, queue, recipient=recipient, **{**GONE, **fields})
        self.tell(*sealed.arrival(queue), failure, *sealed.end(queue))
        return queue

    def tell(self, *events: tp.Any) -> None:
        self.writer.write(events)
        sealed.take_in()

    def policy(self, **changes: tp.Any) -> None:
        self.api.patch(self.stage.path, {"suppression": changes})

    def told(self) -> dict[str, list[suppressions.Entry]]:
        """Return what the node is told, by shard."""
        writer.Writer().run_once()
        key, documents = self.writer.key(), {}
        for (value,) in query(
            "SELECT value FROM ua_actual_resources WHERE kind = %s", node_documents.KIND
        ):
            row = node_documents.parse(value)
            if row.collection != suppressions.COLLECTION:
                continue
            raw = node_documents.unseal(key, self.node.uuid, row)
            documents[row.shard] = raw
        self.settings = documents.pop(suppressions.SETTINGS, b"")
        return {shard: suppressions.parse(raw, shard) for shard, raw in documents.items()}


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def world(stage: stages.Stage) -> World:
    return World(stage)


def test_what_a_user_suppresses_is_shown_and_told(world: World) -> None:
    made = world.api.post(world.path, {"address": "Bob@Elsewhere.Example", "detail": "asked to"})
    shown = world.api.get(f"{world.path}{made['uuid']}")
    assert made == shown
    assert api_client.TIME.fullmatch(shown.pop("created_at"))
    assert shown == {
        "uuid": made["uuid"],
        "address": BOB,
        "scope": "instance",
        "account": None,
        "reason": "MANUAL",
        "origin": "USER",
        "detail": "asked to",
        "message": None,
        "hits": 0,
        "last_hit_at": None,
        "expires_at": None,
        "error": "",
    }
    shard = suppressions.shard_of(BOB)
    ((entry,),) = world.told().values()
    assert (entry.address, entry.until, entry.reason, entry.login) == (BOB, 0, "MANUAL", "")
    world.api.delete(f"{world.path}{made['uuid']}")
    assert world.listed() == []
    assert world.told() == {shard: []}
    assert world.api.refused("GET", f"{world.path}{made['uuid']}")[0] == 404
    assert world.api.refused("DELETE", f"{world.path}{made['uuid']}")[0] == 404


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("BOB@ELSEWHERE.EXAMPLE", BOB),
        ('"bob"@elsewhere.example', BOB),
        ("bob+Tag@elsewhere.example", "bob+tag@elsewhere.example"),
        ("bob@b\u00fccher.example", "bob@xn--bcher-kva.example"),
    ],
)
def test_an_address_has_one_spelling(world: World, given: str, kept: str) -> None:
    world.api.post(world.path, {"address": given})
    assert world.listed() == [kept]
    assert world.api.refused("POST", world.path, {"address": kept})[0] == 409
    assert world.listed(f"?address={urllib.parse.quote(given)}") == [kept]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "address"),
        ({"address": "bob"}, "address"),
        ({"address": "bob@elsewhere.example."}, "address"),
        ({"address": "a\tb@elsewhere.example"}, "address"),
        ({"address": None}, "address"),
        ({"address": BOB, "reason": "BORED"}, "reason"),
        ({"address": BOB, "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"address": BOB, "expires_at": "soon"}, "expires_at"),
        ({"address": BOB, "scope": "account"}, "account"),
        ({"address": BOB, "scope": "galaxy"}, "scope"),
        ({"address": BOB, "account": str(sys_uuid.uuid4())}, "account"),
        ({"address": BOB, "account": "x"}, "account"),
        ({"address": BOB, "detail": "x" * 513}, "detail"),
        ({"address": BOB, "detail": "a\nb"}, "detail"),
    ],
)
def test_what_cannot_be_suppressed_is_refused_by_its_field(
    world: World, body: dict[str, tp.Any], field: str
) -> None:
    status, message = world.api.refused("POST", world.path, body)
    assert (status, message.split(":")[0]) == (400, field)
    assert world.listed() == []


def test_facts_are_not_a_users_to_say(world: World) -> None:
    for field, value in (("origin", "AUTO"), ("hits", 7), ("shard", "00"), ("size", 1)):
        body = {"address": BOB, field: value}
        assert world.api.refused("POST", world.path, body)[0] in {400, 403}
    assert world.listed() == []


def test_an_entry_may_be_of_one_account(world: World) -> None:
    body = {"address": BOB, "scope": "account", "account": world.account}
    made = world.api.post(world.path, body)
    assert (made["scope"], made["account"]) == ("account", world.account)
    world.api.post(world.path, {"address": BOB})
    assert world.api.refused("POST", world.path, body) == (
        409,
        "address: is already suppressed in this scope",
    )
    (entries,) = world.told().values()
    assert [entry.login for entry in entries] == ["", sealed.LOGIN]
    assert world.listed(f"?account={world.account}") == world.listed("?scope=instance") == [BOB]


def test_a_list_is_filtered(world: World) -> None:
    for number in range(3):
        world.api.post(world.path, {"address": f"a{number}@one.example", "reason": "COMPLAINT"})
    world.api.post(world.path, {"address": BOB})
    assert len(world.listed("?domain=One.example&reason=COMPLAINT&origin=USER")) == 3
    first = world.api.get(f"{world.path}?page_limit=2")
    rest = world.api.get(f"{world.path}?page_limit=2&page_marker={first[-1]['uuid']}")
    assert [each["address"] for each in first + rest] == world.listed()
    assert world.listed("?origin=AUTO") == []


def test_one_that_is_over_is_none(world: World) -> None:
    later = utils.now() + DAY
    body = {"address": BOB, "expires_at": f"{later:%Y-%m-%dT%H:%M:%SZ}"}
    made = world.api.post(world.path, body)
    assert world.told() != {}
    query("UPDATE mail_suppressions SET expires_at = expires_at - interval '1 day 1 second'")
    assert world.listed() == []
    assert world.api.refused("GET", f"{world.path}{made['uuid']}")[0] == 404
    world.api.post(world.path, {"address": BOB})
    assert query("SELECT entries FROM mail_suppression_shards") == [(1,)]
    ((entry,),) = world.told().values()
    assert entry.until == 0
    query("UPDATE mail_suppressions SET expires_at = now() - interval '1 day'")
    suppressing.keep_in_bounds(utils.now())
    assert query("SELECT * FROM mail_suppressions") == []
    assert query("SELECT entries, size FROM mail_suppression_shards") == [(0, 0)]


@pytest.mark.parametrize("reason", ["recipient_unknown", "recipient_disabled", "domain_unknown"])
def test_a_mailbox_that_does_not_exist_is_suppressed_with_its_evidence(
    world: World, reason: str
) -> None:
    queue = world.fail("Bob@Elsewhere.example", reason=reason)
    (shown,) = world.api.get(world.path)
    instance = sys_uuid.UUID(world.stage.uuid)
    assert (shown["address"], shown["reason"], shown["origin"]) == (BOB, "HARD_BOUNCE", "AUTO")
    assert shown["detail"] == "550 5.1.1 No such user"
    assert shown["message"] == str(log_ids.message_uuid(instance, queue))
    until = datetime.datetime.fromisoformat(shown["expires_at"].replace("Z", "+00:00"))
    assert abs(until - utils.now() - 90 * DAY) < datetime.timedelta(minutes=5)
    ((entry,),) = world.told().values()
    assert (entry.address, entry.reason) == (BOB, "HARD_BOUNCE")


@pytest.mark.parametrize(
    "reason",
    [
        *("mailbox_full", "policy", "reputation", "content", "rate", "auth", "tls", "network"),
        *("expired", "other", ""),
    ],
)
def test_what_is_not_about_the_mailbox_suppresses_nobody(world: World, reason: str) -> None:
    world.fail(reason=reason)
    world.fail(kind=Type.DEFERRED)
    assert world.listed() == []
    assert world.told() == {}


def test_a_removal_beats_what_happened_before_it(world: World) -> None:
    world.fail()
    (shown,) = world.api.get(world.path)
    before = sealed.now()
    world.api.delete(f"{world.path}{shown['uuid']}")
    world.fail(at=before - 1000)
    assert world.listed() == []
    query("UPDATE mail_suppression_history SET removed_at = removed_at - interval '1 minute'")
    world.fail()
    assert world.listed() == [BOB]


def test_an_entry_of_a_users_is_left_alone_by_events(world: World) -> None:
    made = world.api.post(world.path, {"address": BOB})
    world.fail()
    assert world.api.get(world.path) == [made]


def test_it_may_take_several_failures_without_a_delivery(world: World) -> None:
    world.policy(after=3, expires_days=0)
    world.fail()
    world.fail()
    queue = sealed.queue_id(900)
    world.tell(*sealed.whole(queue, BOB))
    world.fail()
    world.fail()
    assert world.listed() == []
    world.fail()
    (shown,) = world.api.get(world.path)
    assert (shown["address"], shown["expires_at"]) == (BOB, None)


def test_an_instance_may_have_no_automatic_entries(world: World) -> None:
    world.policy(on_hard_bounce=False)
    world.fail()
    assert world.listed() == []


def test_nothing_kept_of_the_log_suppresses_all_the_same(world: World) -> None:
    world.api.patch(world.stage.path, {"log": {"level": "none"}})
    world.fail()
    assert world.listed() == [BOB]


def test_a_report_suppresses_whom_the_message_had_reached_alone(world: World) -> None:
    queue = sealed.queue_id(1)
    world.tell(*sealed.arrival(queue), *sealed.delivery(queue, BOB), *sealed.end(queue))
    report = {**GONE, "message_id": ""}
    world.tell(sealed.event(Type.BOUNCED, queue, recipient="eve@elsewhere.example", **report))
    stranger = sealed.queue_id(7)
    world.tell(sealed.event(Type.BOUNCED, stranger, recipient=BOB, **report))
    assert world.listed() == []
    world.tell(sealed.event(Type.BOUNCED, queue, recipient="bob@ELSEWHERE.example", **report))
    assert world.listed() == [BOB]


def test_what_is_reported_of_a_recipient_is_one_failure_of_a_message(world: World) -> None:
    world.policy(after=2)
    report = {**GONE, "recipient": BOB}
    queues = [sealed.queue_id(number) for number in (1, 2)]
    for queue in queues:
        world.tell(*sealed.arrival(queue), *sealed.delivery(queue, BOB))
    for queue, listed in zip(queues, ([], [BOB]), strict=True):
        for times in (3, 1):
            world.tell(*[sealed.event(Type.BOUNCED, queue, **report)] * times)
            assert world.listed() == listed


def complaint(queue: str, recipient: str = "", **fields: tp.Any) -> tp.Any:
    text = "abuse by Loop/1.0"
    return sealed.event(Type.COMPLAINED, queue, recipient=recipient, text=text, **fields)


@pytest.mark.parametrize("recipient", ["bob@ELSEWHERE.example", "", "redacted@operator.example"])
def test_who_complains_is_suppressed_without_an_end(world: World, recipient: str) -> None:
    """Where nobody else was reached, whoever the report names."""
    world.policy(on_hard_bounce=False)
    queue = sealed.queue_id(1)
    world.tell(*sealed.arrival(queue), *sealed.delivery(queue, BOB), *sealed.end(queue))
    world.tell(complaint(queue, recipient))
    (entry,) = world.api.get(world.path)
    assert (entry["address"], entry["reason"], entry["origin"], entry["expires_at"]) == (
        *(BOB, "COMPLAINT", "AUTO", None),
    )
    (event,) = world.api.get(f"{world.stage.path}/events/?type=complained")
    assert (event["account"], event["message"], event["text"]) == (
        *(world.account, entry["message"], entry["detail"]),
    )


def test_a_complaint_counts_for_whom_the_message_has_reached_alone(world: World) -> None:
    queue, stranger = sealed.queue_id(1), sealed.queue_id(7)
    eve = "eve@elsewhere.example"
    world.tell(*sealed.arrival(queue, 2), *sealed.delivery(queue, BOB))
    world.tell(*sealed.delivery(queue, eve), *sealed.end(queue))
    world.tell(complaint(queue), complaint(queue, "mallory@elsewhere.example"))
    world.tell(complaint(stranger, BOB), complaint("", BOB))
    world.tell(sealed.event(Type.COMPLAINT_IGNORED, text="abuse"))
    assert world.listed() == []
    world.tell(complaint(queue, eve))
    assert world.listed() == [eve]


def test_a_user_who_takes_a_complaint_out_is_heard_before_the_log(world: World) -> None:
    queue = sealed.queue_id(1)
    world.tell(*sealed.arrival(queue), *sealed.delivery(queue, BOB), *sealed.end(queue))
    before = sealed.now()
    world.tell(complaint(queue, BOB))
    (entry,) = world.api.get(world.path)
    world.api.delete(f"{world.path}{entry['uuid']}")
    # Later than the removal, whatever the millisecond leaves out.
    after = sealed.now() + 1
    for number, at, listed in ((1, before, []), (2, before, []), (3, after, [BOB])):
        other = sealed.queue_id(number)
        world.tell(*sealed.whole(other, BOB), complaint(other, BOB, at=at))
        assert world.listed() == listed, number


@pytest.mark.parametrize(
    "policy",
    [
        {"after": 0},
        {"after": 6},
        {"after": True},
        {"expires_days": -1},
        {"expires_days": 3651},
        {"on_hard_bounce": 1},
        {"action": "explode"},
        {"colour": "red"},
        [],
    ],
)
def test_a_policy_that_is_none_is_refused(world: World, policy: tp.Any) -> None:
    status, message = world.api.refused("PATCH", world.stage.path, {"suppression": policy})
    assert (status, message.split(":")[0]) == (400, "suppression")


def test_the_node_is_told_what_to_answer(world: World) -> None:
    world.policy(action="accept_and_drop")
    assert world.api.get(world.stage.path)["suppression"] == {
        "on_hard_bounce": True,
        "after": 1,
        "expires_days": 90,
        "action": "accept_and_drop",
    }
    assert world.told() == {}
    told = suppressions.parse_settings(world.settings)
    assert told.action is suppressions.Action.ACCEPT_AND_DROP


def test_an_account_takes_its_entries_along(world: World) -> None:
    world.api.post(world.path, {"address": BOB, "account": world.account})
    world.api.post(world.path, {"address": "a@one.example"})
    assert len(world.told()) == 2
    world.api.delete(f"{world.stage.path}/accounts/{world.account}")
    sealed.take_in()
    assert world.listed() == ["a@one.example"]
    assert sorted(map(len, world.told().values())) == [0, 1]


def test_an_instance_takes_its_entries_along(world: World) -> None:
    body = world.api.get(world.stage.path)
    world.api.post(world.path, {"address": BOB})
    world.fail("a@one.example")
    (shown,) = world.api.get(f"{world.path}?origin=AUTO")
    world.api.delete(f"{world.path}{shown['uuid']}")
    world.api.delete(world.stage.path)
    again = world.api.instance_body(body["version"], uuid=world.stage.uuid)
    query("DELETE FROM ua_target_resources")
    query("DELETE FROM ua_actual_resources")
    assert world.api.refused("POST", api_client.INSTANCES, again)[0] == 409
    sealed.take_in()
    for table in ("suppressions", "suppression_shards", "suppression_history"):
        assert query(f"SELECT * FROM mail_{table}") == []  # noqa: S608
    world.api.post(api_client.INSTANCES, again)


def test_an_account_that_went_just_before_its_instance_holds_up_nothing(world: World) -> None:
    world.api.post(world.path, {"address": BOB, "account": world.account})
    world.api.delete(f"{world.stage.path}/accounts/{world.account}")
    world.api.delete(world.stage.path)
    sealed.take_in()
    for table in ("suppressions", "erasures", "documents"):
        assert query(f"SELECT * FROM mail_{table}") == []  # noqa: S608


def test_whoever_is_erased_leaves_a_users_wish_alone(world: World) -> None:
    world.fail()
    world.api.post(world.path, {"address": BOB, "account": world.account, "detail": "by phone"})
    world.api.call(
        "POST", f"{world.stage.path}/actions/erase/invoke", {"recipient": "BOB@elsewhere.example"}
    )
    sealed.take_in()
    (shown,) = world.api.get(world.path)
    assert (shown["account"], shown["detail"], shown["origin"]) == (world.account, "", "USER")
    ((entry,),) = world.told().values()
    assert entry.login == sealed.LOGIN


def test_no_other_project_sees_or_writes_them(world: World) -> None:
    made = world.api.post(world.path, {"address": BOB})
    other = world.api.of_other_project()
    for method, path in (
        ("GET", world.path),
        ("POST", world.path),
        ("GET", f"{world.path}{made['uuid']}"),
        ("DELETE", f"{world.path}{made['uuid']}"),
    ):
        assert other.refused(method, path, {"address": "a@b.example"})[0] in {403, 404}
    sibling = stages.Stage(world.api, world.stage.core, world.stage.services)
    elsewhere = f"{sibling.path}/suppressions/{made['uuid']}"
    assert world.api.refused("GET", elsewhere)[0] == 404
    assert world.api.refused("DELETE", elsewhere)[0] == 404
    assert world.listed() == [BOB]


def act(world: World, name: str, body: tp.Any = None, path: str = "") -> tp.Any:
    path = path or world.stage.path
    return world.api.call("POST", f"{path}/actions/suppressions_{name}/invoke", body)


def ask(world: World, path: str = "", **body: tp.Any) -> str:
    """Have a text be imported; return the path of the operation."""
    answer = act(world, "import", body, path)
    assert (answer.status_code, answer.json["status"]) == (200, "PENDING"), answer.text
    assert (answer.json["result"], answer.json["finished_at"]) == (None, None)
    return f"{path or world.stage.path}/operations/{answer.json['uuid']}"


def run(*, times: int = 99) -> int:
    """Have the thread take in what waits; return how many times there was something."""
    taking, stop = importer.Importer(), threading.Event()
    return sum(1 for _ in itertools.takewhile(bool, map(taking.run_once, times * [stop])))


def imported(world: World, **body: tp.Any) -> dict[str, tp.Any]:
    """Have a text be imported; return the result."""
    path = ask(world, **body)
    assert run() == 1
    ended = world.api.get(path)
    assert (ended["status"], ended["error"]) == ("DONE", "")
    assert api_client.TIME.fullmatch(ended["finished_at"])
    result: dict[str, tp.Any] = ended["result"]
    return result


def test_a_list_is_taken_in_line_by_line(world: World) -> None:
    world.api.post(world.path, {"address": BOB})
    text = (
        "# a comment\r\n\r\nBob@elsewhere.example\r\na@one.example,COMPLAINT\nnobody\n"
        "b@one.example,,2999-01-31T12:00:00Z\nc@one.example,BORED\nA@one.example\n"
        "d@one.example,MANUAL,2020-01-31T12:00:00Z\ne@one.example,MANUAL,,x,y\n"
        "f@one.example,MANUAL,9999-12-31T23:59:59-14:00\n"
        f"g@one.example,,,{world.account}\nh@one.example,,,{sys_uuid.uuid4()}\n"
        f"i@one.example,,,x\n{2000 * 'j'}\nk\x0b@one.example"
    )
    result = imported(world, text=text, reason="HARD_BOUNCE")
    said = {number: why.partition(" must")[0] for number, why in result["failed"].items()}
    assert said == {
        "5": "must be an address local@domain of at most 254 characters",
        "7": "reason",
        "9": "expires_at",
        "10": "must be address,reason,expires_at,account",
        "11": "expires_at",
        "13": "account",
        "14": "account",
        "15": "must have at most 1000 characters",
        "16": "must be an address local@domain of at most 254 characters",
    }
    assert (result["count"], result["existing"], result["failed_count"]) == (3, 1, 9)
    found = {each["address"]: each for each in world.api.get(world.path)}
    assert {address: (each["reason"], each["account"]) for address, each in found.items()} == {
        BOB: ("MANUAL", None),
        "a@one.example": ("HARD_BOUNCE", None),
        "b@one.example": ("HARD_BOUNCE", None),
        "g@one.example": ("HARD_BOUNCE", world.account),
    }
    assert found["b@one.example"]["expires_at"].startswith("2999-01-31T12:00:00")
    assert len([e for entries in world.told().values() for e in entries]) == 4
    assert query("SELECT * FROM mail_suppression_imports") == []


def test_a_list_that_is_too_long_is_refused(world: World) -> None:
    for body in ({}, {"text": ""}, {"text": 7}, {"text": "\n" * 100_001}, {"text": "\x00"}):
        assert act(world, "import", body).status_code == 400
    assert act(world, "import", {"text": "a@b.example", "reason": 7}).status_code == 400
    assert act(world, "import", {"text": "a@b.example", "account": 7}).status_code == 400
    stranger = str(sys_uuid.uuid4())
    assert act(world, "import", {"text": "a@b.example", "account": stranger}).status_code == 400
    assert act(world, "import", {"text": "x" * (16 * 1024 * 1024)}).status_code == 413
    assert (run(), world.listed()) == (0, [])


def test_a_text_as_long_as_can_be_is_taken(world: World) -> None:
    text = "x" * (16 * 1024 * 1024 - 100)
    result = imported(world, text=text)
    assert (result["failed"], result["failed_count"]) == (
        {"1": "must have at most 1000 characters"},
        1,
    )
    result = imported(world, text="\n" * 99_999 + BOB)
    assert (result["count"], world.listed()) == (1, [BOB])


def test_lines_that_are_refused_are_counted_and_the_first_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "SLICE", 7)
    over = "".join(f"a{n}@one.example,,2020-01-31T12:00:00Z\n" for n in range(400))
    result = imported(world, text=200 * "nobody\n" + over)
    assert result["failed_count"] == 600
    assert list(map(int, result["failed"])) == list(range(1, 501))


def test_what_is_exported_can_be_imported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"a{n}@one.example,COMPLAINT,2999-01-31T12:00:00Z\n" for n in range(24))
    assert imported(world, text=text)["count"] == 24
    world.api.post(world.path, {"address": BOB, "account": world.account})
    monkeypatch.setattr(suppression_lists, "PAGE_LINES_MAX", 10)
    told, after = "", None
    for _ in range(3):
        answer = act(world, "export", {"after": after} if after else None)
        assert answer.content_type == "text/plain"
        lines, _, after = answer.text.partition("# after: ")
        told, after = told + lines, after.strip()
        # What comes meanwhile is told, too, and nothing twice.
    lines = [*text.splitlines(), f"{BOB},MANUAL,,{world.account}"]
    assert sorted(told.splitlines()) == sorted(lines)
    assert after == ""
    world.told()
    before = gservice.row_versions()
    result = imported(world, text=told)
    assert (result["count"], result["existing"], result["failed_count"]) == (0, 25, 0)
    after_it = gservice.row_versions()
    assert {name for name, rows in before.items() if after_it[name] != rows} == {
        # The operation, and that the instance and the account were held.
        *("mail_operations", "mail_instances", "mail_accounts"),
    }


def test_an_import_goes_on_where_it_was_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f"a{n}@one.example\n" for n in range(25)) + "nobody\n"
    path = ask(world, text=text, account=world.account)
    monkeypatch.setattr(importer, "SLICE", 10)
    put = suppression_imports.put
    done: list[int | None] = []

    def killed(*arguments: tp.Any) -> int | None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(put(*arguments))
        return done[-1]

    monkeypatch.setattr(suppression_imports, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert (done, len(world.listed())) == ([10, 20], 20)
    assert world.api.get(path)["status"] == "PENDING"
    stopped = threading.Event()
    stopped.set()
    monkeypatch.setattr(suppression_imports, "put", put)
    importer.Importer().run_once(stopped)
    assert world.api.get(path)["status"] == "PENDING"
    assert run() == 1
    result = world.api.get(path)["result"]
    assert (result["count"], result["existing"], result["failed_count"]) == (25, 0, 1)
    assert len(world.listed()) == 25
    # Who has lost its place does nothing.
    with utils.transaction() as session:
        assert session.execute("SELECT FROM mail_suppression_imports").fetchall() == []


def test_a_slice_is_put_once_whoever_puts_it(world: World) -> None:
    ask(world, text=BOB)
    waiting = suppression_imports.find_next(None)
    assert waiting is not None
    lines = [(1, suppression_lists.Line(BOB))]
    assert suppression_imports.put(waiting, 0, lines) == 1
    assert suppression_imports.put(waiting, 0, lines) is None
    suppression_imports.finish(waiting, {}, 0)
    suppression_imports.finish(waiting, {}, 0)
    suppression_imports.fail(waiting, "late")
    shown = world.api.get(f"{world.stage.path}/operations/{waiting.operation}")
    assert (shown["status"], shown["result"]["count"]) == ("DONE", 1)
    assert suppression_imports.put(waiting, 1, lines) is None


def test_so_many_imports_wait_and_no_node_is_told_of_them(world: World) -> None:
    paths = [ask(world, text=f"a{n}@one.example") for n in range(5)]
    answer = act(world, "import", {"text": BOB})
    assert (answer.status_code, answer.json["message"]) == (
        409,
        "instance: already has 5 imports that wait: ask again later",
    )
    instance = sys_uuid.UUID(world.stage.uuid)
    assert operations.open_instances() == []
    query("UPDATE mail_operations SET expires_at = now() - interval '1 day'")
    operations.tend(instance)
    operations.ask(instance, operations.Request(node_commands.Action.RETRY))
    told = [command.action for command in queue_rows.Queue(world.node).commands()]
    assert told == [node_commands.Action.RETRY]
    assert {world.api.get(path)["status"] for path in paths} == {"PENDING"}
    assert run() == 5
    assert {world.api.get(path)["status"] for path in paths} == {"DONE"}
    ask(world, text=BOB)


def test_texts_have_a_bound_in_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(world, text=BOB)
    monkeypatch.setattr(suppression_imports, "KEPT_SIZE_MAX", 2 * len(BOB) - 1)
    assert act(world, "import", {"text": BOB}).status_code == 503
    run()
    ask(world, text=BOB)


def test_instances_take_turns(world: World) -> None:
    first, second = ask(world, text="a@one.example"), ask(world, text="b@one.example")
    sibling = stages.Stage(world.api, world.stage.core, world.stage.services)
    theirs = ask(world, path=sibling.path, text="c@one.example")
    taking, stop = importer.Importer(), threading.Event()
    ended: list[set[str]] = []
    for _ in range(3):
        taking.run_once(stop)
        done = {p for p in (first, second, theirs) if world.api.get(p)["status"] == "DONE"}
        ended.append(done - {p for before in ended for p in before})
    assert ended == [{first}, {theirs}, {second}]
    (shown,) = world.api.get(f"{sibling.path}/suppressions/")
    assert shown["address"] == "c@one.example"


def test_an_import_that_fails_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = ask(world, text="evil@one.example"), ask(world, text=BOB)
    parse = suppression_lists.parse

    def broken(line: str) -> tp.Any:
        if "evil" in line:
            raise OverflowError(line)
        return parse(line)

    monkeypatch.setattr(suppression_lists, "parse", broken)
    assert run() == 2
    failed = world.api.get(bad)
    assert (failed["status"], failed["error"]) == ("ERROR", importer.FAILED)
    assert failed["result"] == {"count": 0, "existing": 0, "failed": {}, "failed_count": 0}
    assert (world.api.get(good)["status"], world.listed()) == ("DONE", [BOB])
    assert "OverflowError" in caplog.text
    assert "evil" not in caplog.text


def test_a_database_that_is_away_is_told_once_and_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = ask(world, text=BOB)
    read, stop = suppression_imports.read, threading.Event()
    seen: list[str] = []

    def away(waiting: tp.Any) -> str | None:
        seen.append(world.api.get(path)["status"])
        if len(seen) < 3:
            raise psycopg.OperationalError
        # Of this one all is taken in, and no other is looked for.
        monkeypatch.setattr(importer.Importer, "_take_all", lambda *_: stop.set())
        return read(waiting)

    monkeypatch.setattr(importer, "PERIOD", 0.01)
    monkeypatch.setattr(suppression_imports, "read", away)
    importer.Importer().run(stop)
    assert seen == ["PENDING"] * 3
    assert caplog.text.count("cannot be used: OperationalError") == 1
    assert world.api.get(path)["status"] == "DONE"


@pytest.mark.parametrize("gone", ["account", "instance"])
def test_what_is_deleted_ends_its_imports(
    world: World, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    text = "".join(f"a{n}@one.example\n" for n in range(25))
    path = ask(world, text=text, account=world.account)
    ask(world, text=text)
    monkeypatch.setattr(importer, "SLICE", 10)
    put = suppression_imports.put

    def deleted(waiting: tp.Any, position: int, lines: tp.Any) -> int | None:
        if position == 10 and query("SELECT uuid FROM mail_accounts"):
            account = f"/accounts/{world.account}" if gone == "account" else ""
            world.api.delete(f"{world.stage.path}{account}")
        return put(waiting, position, lines)

    monkeypatch.setattr(suppression_imports, "put", deleted)
    run()
    sealed.take_in()
    assert query("SELECT * FROM mail_suppression_imports") == []
    if gone == "instance":
        assert query("SELECT * FROM mail_suppressions") == []
        return
    failed = world.api.get(path)
    assert (failed["status"], failed["error"]) == (
        "ERROR",
        "account: must be the UUID of an account of the instance",
    )
    assert failed["result"]["count"] == 10
    assert len(world.listed()) == len(world.listed("?scope=instance")) == 25


def test_gservice_keeps_a_thread_of_imports(world: World) -> None:
    keepers = [
        keeper._name
        for keeper in world.stage.services.threads
        if isinstance(keeper, threads_.ThreadKeeper)
    ]
    assert "mailaas-imports" in keepers


def test_there_is_room_for_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.api.post(world.path, {"address": BOB})
    for limit in ("ENTRIES_MAX", "SHARD_ENTRIES_MAX"):
        with monkeypatch.context() as patch:
            patch.setattr(suppression_rows, limit, 1)
            body = {"address": BOB, "account": world.account}
            status, message = world.api.refused("POST", world.path, body)
            assert (status, message.split(":")[0]) == (409, "address")
    monkeypatch.setattr(suppressions, "SIZE_MAX", 150)
    assert world.api.refused("POST", world.path, body)[0] == 409
    assert world.listed() == [BOB]


def test_an_entry_needs_no_more_room_than_is_counted() -> None:
    address, login = f"{'a' * 60}@{'b' * 60}.example", f"{'c' * 64}@{'d' * 60}.example"
    for of_account in ("", login):
        last = 2**40 - 1
        entry = suppressions.Entry(address, last, last, suppressions.Reason.HARD_BOUNCE, of_account)
        counted = suppression_rows.Entry(address, "HARD_BOUNCE", "AUTO", login=of_account)
        assert len(suppressions.render([entry])) <= counted.size
