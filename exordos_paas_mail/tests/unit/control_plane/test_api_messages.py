# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What became of mail, as the API tells it: lists, filters, pages, and who sees them."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import typing as tp
import uuid as sys_uuid

import pytest

from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.tests.unit.control_plane import api_client, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

Type: tp.TypeAlias = mail_events.Type


@dataclasses.dataclass
class Log:
    """An instance with a log: a message in each state, and what is of no message."""

    api: api_client.Client
    path: str
    writer: sealed.Writer
    account: str
    queues: dict[str, str]

    def queue_ids(self, query: str = "") -> list[str]:
        return [each["queue_id"] for each in self.api.get(f"{self.path}/messages/{query}")]

    def types(self, query: str = "") -> list[str]:
        return [each["type"] for each in self.api.get(f"{self.path}/events/{query}")]

    def message(self, name: str) -> str:
        (found,) = self.api.get(f"{self.path}/messages/?queue_id={self.queues[name]}")
        return f"{self.path}/messages/{found['uuid']}"


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def log(stage: stages.Stage) -> Log:
    node = stage.serving()
    account = stage.api.account(stage.path).rpartition("/")[2]
    stage.api.account(stage.path, "shop")
    names = ("oldest", "failed", "deferred", "new")
    queues = {name: sealed.queue_id(n, seconds_ago=40 - n) for n, name in enumerate(names)}
    more: dict[str, tp.Any] = {"header_from": "N <n@x>", "message_id": "1@x", "tags": ("a", "b")}
    refused = {"code": 550, "enhanced": "5.1.1", "text": "no such user"}
    writer = sealed.Writer(node)
    writer.write(
        [
            *sealed.whole(queues["oldest"], "A@Example.org", **more),
            *sealed.arrival(queues["failed"], account="shop@mail.example.com"),
            sealed.event(
                Type.FAILED,
                queues["failed"],
                recipient="b@example.net",
                reason="recipient_unknown",
                **refused,
            ),
            *sealed.end(queues["failed"]),
            *sealed.arrival(queues["deferred"]),
            sealed.event(
                Type.DEFERRED, queues["deferred"], recipient="c@example.net", reason="network"
            ),
            *sealed.arrival(queues["new"]),
            sealed.event(Type.LOGIN_FAILED, client="192.0.2.9", count=3),
        ]
    )
    sealed.take_in()
    return Log(stage.api, stage.path, writer, account, queues)


def test_messages_are_told_newest_first_with_all_that_is_known(log: Log) -> None:
    assert log.queue_ids() == [log.queues[n] for n in ("new", "deferred", "failed", "oldest")]
    told = log.api.get(log.message("oldest"))
    for name in ("accepted_at", "completed_at"):
        assert api_client.TIME.fullmatch(told.pop(name)), name
    assert sys_uuid.UUID(told.pop("uuid")).version == 7
    assert told == {
        "queue_id": log.queues["oldest"],
        "account": log.account,
        "sender": sealed.LOGIN,
        "header_from": "N <n@x>",
        "header_message_id": "1@x",
        "tags": ["a", "b"],
        "client": "192.0.2.7",
        "credential": "",
        "size": 1000,
        "recipients_count": 1,
        "status": "DELIVERED",
        "retry_at": None,
    }


REPORT: tp.Final[dict[str, tp.Any]] = {
    "account": sealed.LOGIN,
    "recipient": "A@Example.org",
    "client": "192.0.2.25",
    "mx": "mx.example.org",
    "code": 550,
    "enhanced": "5.1.1",
    "text": "no such user",
    "reason": "recipient_unknown",
}


@pytest.mark.parametrize(
    ("queue", "message_id"), [("oldest", ""), ("oldest", "2@x"), ("", "1@x"), ("gone", "1@x")]
)
def test_a_report_is_an_event_of_the_message_and_no_word_of_its_status(
    log: Log, queue: str, message_id: str
) -> None:
    """Anybody can write a report, so that it is told as what somebody claims."""
    queue_id = log.queues.get(queue, queue and sealed.queue_id(77, seconds_ago=9))
    log.writer.write([sealed.event(Type.BOUNCED, queue_id, message_id=message_id, **REPORT)])
    sealed.take_in()
    told = log.api.get(log.message("oldest"))
    assert told["status"] == "DELIVERED"
    (bounced,) = log.api.get(f"{log.message('oldest')}/events/?type=bounced")
    shown = ("queue_id", "account", "recipient", "client", "mx", "enhanced_code", "class")
    assert [bounced[name] for name in shown] == [
        *(log.queues["oldest"], log.account, "A@Example.org", "192.0.2.25", "mx.example.org"),
        *("5.1.1", "recipient_unknown"),
    ]


def test_a_report_of_a_message_that_nobody_knows_is_the_accounts(log: Log) -> None:
    queue_id = sealed.queue_id(77, seconds_ago=9)
    log.writer.write([sealed.event(Type.BOUNCED, queue_id, message_id="77@x", **REPORT)])
    sealed.take_in()
    (bounced,) = log.api.get(f"{log.path}/events/?type=bounced")
    assert (bounced["message"], bounced["account"]) == (None, log.account)


def test_a_report_may_come_with_the_message_it_is_about(log: Log) -> None:
    queue_id = sealed.queue_id(78)
    report = sealed.event(Type.BOUNCED, message_id="78@x", **REPORT)
    log.writer.write([*sealed.whole(queue_id, message_id="78@x"), report])
    sealed.take_in()
    (bounced,) = log.api.get(f"{log.path}/events/?type=bounced")
    assert bounced["queue_id"] == queue_id


def test_the_events_of_a_message_tell_what_the_other_server_said(log: Log) -> None:
    told = log.api.get(f"{log.message('failed')}/events/")
    assert [each["type"] for each in told] == ["submitted", "accepted", "failed", "completed"]
    failed = told[2]
    assert (failed["recipient"], failed["class"], failed["attempt"]) == (
        *("b@example.net", "recipient_unknown", 1),
    )
    assert (failed["code"], failed["enhanced_code"], failed["text"]) == (
        *(550, "5.1.1", "no such user"),
    )
    (delivered,) = log.api.get(f"{log.message('oldest')}/events/?type=delivered")
    shown = ("mx", "tls", "verified", "tls_policy", "delay_ms")
    assert {name: delivered[name] for name in shown} == {
        "mx": "mx.example.org",
        "tls": "TLS1.3",
        "verified": "yes",
        "tls_policy": "auto",
        "delay_ms": 1200,
    }
    one = f"{log.message('oldest')}/events/{delivered['uuid']}"
    assert log.api.get(one) == delivered
    assert log.api.get(f"{log.path}/events/{delivered['uuid']}") == delivered
    other = f"{log.message('failed')}/events/{delivered['uuid']}"
    assert log.api.refused("GET", other)[0] == 404


def test_messages_are_found(log: Log) -> None:
    expected: list[tuple[str, list[str]]] = [
        ("account={account}", ["new", "deferred", "oldest"]),
        ("sender=SHOP@mail.example.com", ["failed"]),
        ("recipient=a@example.ORG", ["oldest"]),
        ("recipient=nobody@example.org", []),
        ("recipient_domain=Example.NET", ["deferred", "failed"]),
        ("header_message_id=%3C1@x%3E", ["oldest"]),
        ("header_message_id=1@x", ["oldest"]),
        ("queue_id={deferred}", ["deferred"]),
        ("queue_id=1vNvOk-0000Ab-0A", []),
        ("status=FAILED", ["failed"]),
        ("status=HELD", []),
        ("tag=b", ["oldest"]),
        ("tag=c", []),
        ("recipient_domain=example.net&status=DEFERRED", ["deferred"]),
        ("recipient_domain=example.net&recipient=b@example.net", ["failed"]),
        ("recipient_domain=example.net&recipient=a@example.org", []),
        ("recipient_domain=example.net&to=2026-01-01", []),
        ("recipient=b@example.net&queue_id={failed}", ["failed"]),
        ("page_limit=2", ["new", "deferred"]),
        ("from=2026-01-01&to=2999-12-31T00:00:00Z", ["new", "deferred", "failed", "oldest"]),
        ("to=2026-01-01T00:00:00.000000%2B02:00", []),
    ]
    for query, names in expected:
        asked = query.format(account=log.account, **log.queues)
        assert log.queue_ids(f"?{asked}") == [log.queues[name] for name in names], query


def test_events_are_found(log: Log) -> None:
    expected: list[tuple[str, list[str]]] = [
        ("type=failed", ["failed"]),
        ("class=network", ["deferred"]),
        ("recipient=B@example.net", ["failed"]),
        ("recipient_domain=example.net", ["failed", "deferred"]),
        ("queue_id={new}", ["submitted", "accepted"]),
        ("type=login_failed", ["login_failed"]),
        ("account={account}&type=deferred", ["deferred"]),
        ("to=2026-01-01", []),
        ("from=2026-01-01&type=gap", []),
    ]
    for query, types in expected:
        assert log.types(f"?{query.format(account=log.account, **log.queues)}") == types, query


@pytest.mark.parametrize("domain", ["m%C3%BCller.Example", "XN--mller-kva.example"])
def test_a_domain_is_found_in_either_spelling_however_mail_was_sent_to_it(
    log: Log, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    """A client may send either, and another server reports of the one that it was given."""
    # One step of the figures, whenever midnight is.
    now = sealed.now()
    monkeypatch.setattr(sealed, "now", lambda: now)
    sent = ("a@M\u00fcller.example", "a@xn--mller-kva.example")
    queues = [sealed.queue_id(number) for number in (90, 91)]
    for queue, recipient in zip(queues, sent, strict=True):
        log.writer.write(sealed.whole(queue, recipient))
    report = {**REPORT, "recipient": sent[1]}
    log.writer.write([sealed.event(Type.BOUNCED, queues[0], **report)])
    sealed.take_in()
    assert sorted(log.queue_ids(f"?recipient_domain={domain}")) == queues
    assert sorted(log.queue_ids(f"?recipient=A@{domain}")) == queues
    types = ["delivered", "delivered", "bounced"]
    assert log.types(f"?recipient=A@{domain}") == log.types(f"?recipient_domain={domain}") == types
    (told,) = log.api.get(
        f"{log.path}/stats/?step=1d&by=recipient_domain&recipient_domain={domain}"
    )
    shown = ("recipient_domain", "delivered", "bounced")
    assert [told[name] for name in shown] == ["xn--mller-kva.example", 2, 1]
    assert log.api.get(f"{log.path}/suppressions/?address=a@{domain}")
    assert log.api.get(f"{log.path}/suppressions/?domain={domain}")


def test_a_time_divides_the_messages(log: Log) -> None:
    told = log.api.get(f"{log.path}/messages/")
    latest = max(datetime.datetime.fromisoformat(each["accepted_at"][:-1]) for each in told)
    after = f"{latest + datetime.timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    assert (len(log.queue_ids(f"?to={after}")), log.queue_ids(f"?from={after}")) == (4, [])
    before = f"{latest - datetime.timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    assert (len(log.queue_ids(f"?from={before}")), log.queue_ids(f"?to={before}")) == (4, [])


def test_pages_have_each_message_once(log: Log) -> None:
    for limit in (1, 2, 3, 4, 500):
        found, marker = [], ""
        while True:
            answer = log.api.call("GET", f"{log.path}/messages/?page_limit={limit}{marker}")
            found += [each["queue_id"] for each in answer.json]
            if "X-Pagination-Marker" not in answer.headers:
                break
            marker = f"&page_marker={answer.headers['X-Pagination-Marker']}"
        assert found == log.queue_ids()


def test_a_cursor_neither_skips_nor_repeats_what_comes_meanwhile(log: Log) -> None:
    found: list[str] = []
    marker = ""
    for number in range(10, 16):
        while True:
            told = log.api.get(f"{log.path}/events/?page_limit=3{marker}")
            if not told:
                break
            found += [each["uuid"] for each in told]
            marker = f"&page_marker={told[-1]['uuid']}"
        log.writer.write(sealed.whole(sealed.queue_id(number)))
        sealed.take_in()
    found += [each["uuid"] for each in log.api.get(f"{log.path}/events/?page_limit=500{marker}")]
    everything = [each["uuid"] for each in log.api.get(f"{log.path}/events/?page_limit=500")]
    assert found == everything == sorted(set(everything))
    assert len(everything) == 14 + 6 * 4


BAD = [
    *(
        (name, value)
        for name in ("page_limit",)
        for value in ("0", "-1", "501", "x", "", "9" * 5000)
    ),
    *(("page_marker", value) for value in ("x", "", "0" * 33)),
    *(("account", value) for value in ("x", "noreply", "")),
    *(("sender", value) for value in ("", "x" * 321, "a%00b", "a%0Ab")),
    *(("recipient", value) for value in ("", "x" * 321, "%00")),
    *(("recipient_domain", value) for value in ("", "x" * 256)),
    *(("from", value) for value in ("", "yesterday", "2026-13-01", "0001-01-01", "9999-12-31")),
    *(("to", value) for value in ("x", "2026-01-01T00:00:00+99:00", "1e9", "Z")),
    *(("queue_id", value) for value in ("", "x", "1vNvOk_0000Ab_0A", "é" * 16)),
    *((name, "x") for name in ("q", "sort_key", "fields", "uuid", "instance", "nonsense", "")),
]


@pytest.mark.parametrize("collection", ["messages", "events"])
def test_a_bad_parameter_is_named(api: api_client.Client, collection: str) -> None:
    instance = api.instance()
    for name, value in BAD:
        status, message = api.refused("GET", f"{instance}/{collection}/?{name}={value}")
        assert (status, message.partition(": ")[0]) == (400, name or "query"), (name, value)


def test_a_bad_value_of_one_list_is_named(api: api_client.Client) -> None:
    instance = api.instance()
    for collection, query in (
        ("messages", "status=delivered"),
        ("messages", "tag=" + "x" * 65),
        ("messages", "header_message_id="),
        ("messages", "status=FAILED&status=FAILED"),
        ("messages", "type=failed"),
        ("events", "type=FAILED"),
        ("events", "class=unheard"),
        ("events", "message=x"),
        ("events", "status=FAILED"),
    ):
        status, message = api.refused("GET", f"{instance}/{collection}/?{query}")
        assert (status, message.partition(":")[0]) == (400, query.partition("=")[0])


def test_a_marker_of_another_instance_is_refused_and_one_that_is_gone_is_not(log: Log) -> None:
    other = log.api.instance()
    for collection in ("messages", "events"):
        marker = log.api.get(f"{log.path}/{collection}/")[0]["uuid"]
        query = f"{other}/{collection}/?page_marker={marker}"
        assert log.api.refused("GET", query) == (
            400,
            "page_marker: must be the UUID of a record of the list",
        )
        assert log.api.get(f"{other}/{collection}/?page_marker={sys_uuid.uuid4()}") == []


def test_another_instance_and_another_project_have_nothing_of_it(log: Log) -> None:
    other, stranger = log.api.instance(), log.api.of_other_project()
    mine = stranger.instance()
    message = log.message("oldest").rpartition("/")[2]
    event = log.api.get(f"{log.path}/events/")[0]["uuid"]
    for client, instance in ((log.api, other), (stranger, mine)):
        assert client.get(f"{instance}/messages/?queue_id={log.queues['oldest']}") == []
        assert client.get(f"{instance}/events/?message={message}") == []
        assert client.get(f"{instance}/messages/?account={log.account}") == []
        for path in (f"messages/{message}", f"messages/{message}/events/", f"events/{event}"):
            assert client.refused("GET", f"{instance}/{path}")[0] == 404
            assert stranger.refused("GET", f"{log.path}/{path}")[0] == 404
    assert stranger.refused("GET", f"{log.path}/events/")[0] == 404


def test_nobody_writes_what_happened(log: Log) -> None:
    event = log.api.get(f"{log.path}/events/")[0]["uuid"]
    paths = [log.message("new"), f"{log.path}/events/{event}", f"{log.path}/messages/"]
    for method, path in itertools.product(("POST", "PUT", "PATCH", "DELETE"), paths):
        assert log.api.refused(method, path, {})[0] in {403, 404, 405}
    assert len(log.queue_ids()) == 4
