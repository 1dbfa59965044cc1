# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Webhooks as the API has them, and what the node is told of them."""

from __future__ import annotations

import base64
import datetime
import logging
import typing as tp
import uuid as sys_uuid

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import webhook_config
from exordos_paas_mail.control_plane.documents import webhooks as documents
from exordos_paas_mail.control_plane.records import operations, webhooks
from exordos_paas_mail.control_plane.webhooks import follower
from exordos_paas_mail.tests.unit.control_plane import api_client

URL = "https://hooks.example.com/mail"
EVENTS = ["message.delivered", "message.failed"]
FACTS = {
    "status": "ACTIVE",
    "last_success_at": None,
    "last_error": "",
    "last_error_at": None,
    "failing_since": None,
    "waiting": 0,
    "given_up": 0,
    "lost": 0,
    "error": "",
}


def query(statement: str, *values: tp.Any) -> list[tuple[tp.Any, ...]]:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(statement, values)
        return [tuple(row.values()) for row in found.fetchall()] if found.description else []


def told(instance: str) -> webhook_config.Config:
    """Return what the node is told of the webhooks of the instance with this path."""
    with utils.transaction() as session:
        uuid = sys_uuid.UUID(instance.rpartition("/")[2])
        return webhook_config.parse(documents.content(session, uuid, "0"))


def create(
    api: api_client.Client, instance: str, **fields: tp.Any
) -> tuple[str, dict[str, tp.Any]]:
    """Make a webhook; return its path and the answer."""
    body = {"url": URL, "events": EVENTS, **fields}
    made: dict[str, tp.Any] = api.post(f"{instance}/webhooks/", body)
    return f"{instance}/webhooks/{made['uuid']}", made


def act(
    api: api_client.Client, webhook: str, action: str, body: tp.Any = None
) -> dict[str, tp.Any]:
    answer = api.call("POST", f"{webhook}/actions/{action}/invoke", body)
    assert answer.status_code == 200, answer.text
    return tp.cast("dict[str, tp.Any]", answer.json)


def test_a_webhook_is_made_and_its_secret_is_shown_once(api: api_client.Client) -> None:
    instance = api.instance()
    path, made = create(api, instance, name="orders")
    secret = made.pop("secret_key")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    (key,) = made["signing_keys"]
    assert (key["expires_at"], key.keys()) == (None, {"id", "created_at", "expires_at"})
    assert api_client.TIME.fullmatch(key["created_at"])
    assert made == {
        "uuid": path.rpartition("/")[2],
        "name": "orders",
        "description": "",
        "project_id": api.project_id,
        "instance": instance,
        "url": URL,
        "events": EVENTS,
        "active": True,
        "signing_keys": [key],
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
        **FACTS,
    }
    assert api.get(path) == made
    assert api.get(f"{instance}/webhooks/") == [made]
    assert api.patch(path, {"name": "renamed"}).keys() == made.keys()
    config = told(instance)
    assert config.requests == ()
    (hook,) = config.hooks
    assert (hook.url, hook.types, hook.secrets) == (URL, tuple(EVENTS), (secret,))
    assert (hook.active, hook.revision) == (True, 1)


def test_what_is_changed_is_told_and_has_the_node_try_again(api: api_client.Client) -> None:
    instance = api.instance()
    path, _ = create(api, instance)
    api.patch(path, {"events": ["message.bounced"]})
    (hook,) = told(instance).hooks
    assert (hook.types, hook.revision) == (("message.bounced",), 1)
    api.patch(path, {"url": "https://Hooks.Example.NET:8443/a?b=c"})
    (hook,) = told(instance).hooks
    assert (hook.url, hook.revision) == ("https://hooks.example.net:8443/a?b=c", 2)
    api.patch(path, {"active": False})
    assert [(hook.active, hook.revision) for hook in told(instance).hooks] == [(False, 3)]
    api.patch(path, {"active": False})
    assert [hook.revision for hook in told(instance).hooks] == [3]
    api.delete(path)
    assert told(instance).hooks == ()


def test_a_webhook_that_its_node_has_disabled_is_asked_for_again(api: api_client.Client) -> None:
    instance = api.instance()
    path, _ = create(api, instance)
    query("UPDATE mail_webhooks SET status = 'DISABLED', failing_since = now()")
    api.patch(path, {"name": "n"})
    assert [hook.revision for hook in told(instance).hooks] == [1]
    changed = api.patch(path, {"active": True})
    assert (changed["status"], changed["failing_since"]) == ("ACTIVE", None)
    assert api.get(path) == changed
    assert [hook.revision for hook in told(instance).hooks] == [2]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.com/", "must begin with https://"),
        ("https://user:hunter2@hooks.example.com/", "must hold no user name or password"),
        ("https://hooks.example.com/#a", "must have no fragment"),
        ("https://hooks.example.com:22/", "must have the port 443, or one from 1024 to 65535"),
        ("https://localhost/", None),
        ("https://127.0.0.1/", None),
        ("https://2130706433/", None),
        ("https://0x7f000001/", None),
        ("https://0177.0.0.1/", None),
        ("https://10.0.0.1/", None),
        ("https://169.254.169.254/latest/", None),
        ("https://[::1]/", None),
        ("https://[::ffff:10.0.0.1]/", None),
        ("https://metadata.internal/", "must name a public host"),
        ("https://hooks/", None),
        ("https://b\u00fccher.example.com/", None),
        ("https://hooks.example.com\\@10.0.0.1/", None),
        ("", None),
        (5, None),
    ],
)
def test_a_url_that_no_webhook_may_have_is_refused(
    api: api_client.Client, url: tp.Any, reason: str | None
) -> None:
    instance = api.instance()
    path, _ = create(api, instance)
    body = {"url": url, "events": EVENTS}
    for method, where, sent in (
        ("POST", f"{instance}/webhooks/", body),
        ("PATCH", path, {"url": url}),
    ):
        status, message = api.refused(method, where, sent)
        assert status == 400
        assert message.startswith("url: ")
        assert "hunter2" not in message
        if reason:
            assert message == f"url: {reason}"
    assert len(api.get(f"{instance}/webhooks/")) == 1


@pytest.mark.parametrize("events", [["message.opened"], [], "message.delivered", [1], [None]])
def test_an_unknown_type_is_refused_with_those_there_are(
    api: api_client.Client, events: tp.Any
) -> None:
    instance = api.instance()
    refused = api.refused("POST", f"{instance}/webhooks/", {"url": URL, "events": events})
    known = ", ".join(webhook_config.KNOWN)
    assert refused == (400, f"events: must be a list of one or more of {known}")


def test_what_only_the_service_says_is_refused(api: api_client.Client) -> None:
    instance = api.instance()
    path, _ = create(api, instance)
    body = {"url": URL, "events": EVENTS}
    for field in (*FACTS, "signing_keys"):
        assert api.refused("PATCH", path, {field: "x"}) == (403, f"{field}: is read-only")
    for field in ("secret_key", "secrets", "revision"):
        status, _ = api.refused("PATCH", path, {field: "x"})
        assert status == 400
        assert api.refused("POST", f"{instance}/webhooks/", {**body, field: "x"})[0] in (400, 403)
    for field in ("url", "events"):
        rest = {name: value for name, value in body.items() if name != field}
        refused = api.refused("POST", f"{instance}/webhooks/", rest)
        assert refused == (400, f"{field}: is required")


def test_an_instance_has_ten_webhooks_at_most(api: api_client.Client) -> None:
    instance = api.instance()
    for _ in range(webhook_config.HOOKS_MAX):
        create(api, instance)
    body = {"url": URL, "events": EVENTS}
    assert api.refused("POST", f"{instance}/webhooks/", body) == (
        409,
        "instance: already has 10 webhooks, the most that it can have",
    )
    create(api, api.instance())


def test_they_go_with_their_instance(api: api_client.Client) -> None:
    instance = api.instance()
    create(api, instance)
    api.delete(instance)
    assert query("SELECT * FROM mail_webhooks") == []


def test_a_rotated_secret_signs_on_until_its_end(api: api_client.Client) -> None:
    instance = api.instance()
    path, made = create(api, instance)
    before = utils.now()
    rotated = act(api, path, "rotate_secret", {"overlap_hours": 2})
    secret = rotated.pop("secret_key")
    assert secret != made["secret_key"]
    new, old = rotated["signing_keys"]
    assert (new["expires_at"], old["id"]) == (None, made["signing_keys"][0]["id"])
    ends = datetime.datetime.fromisoformat(old["expires_at"].replace("Z", "+00:00"))
    assert datetime.timedelta(0) <= ends - before - datetime.timedelta(hours=2)
    assert api.get(path) == rotated
    assert [hook.secrets for hook in told(instance).hooks] == [(secret, made["secret_key"])]
    answer = api.call("POST", f"{path}/actions/rotate_secret/invoke")
    assert (answer.status_code, answer.json["message"]) == (
        409,
        "signing_keys: 2 of them sign already, the most that can at once:"
        " wait until one ends, or give overlap_hours 0",
    )
    last = act(api, path, "rotate_secret", {"overlap_hours": 0})
    assert len(last["signing_keys"]) == 1
    assert [hook.secrets for hook in told(instance).hooks] == [(last["secret_key"],)]


def test_a_secret_ends_by_itself(api: api_client.Client) -> None:
    instance = api.instance()
    path, made = create(api, instance)
    secret = act(api, path, "rotate_secret")["secret_key"]
    end = "2026-01-01T00:00:00.000000Z"
    query(
        "UPDATE mail_webhooks SET secrets ="
        " jsonb_set(secrets, ARRAY[%s, 'expires_at'], to_jsonb(%s::text))",
        made["signing_keys"][0]["id"],
        end,
    )
    assert [key["expires_at"] for key in api.get(path)["signing_keys"]] == [None]
    follower.end_secrets()
    assert [hook.secrets for hook in told(instance).hooks] == [(secret,)]
    ((secrets,),) = query("SELECT secrets FROM mail_webhooks")
    assert [key["secret"] for key in secrets.values()] == [secret]


@pytest.mark.parametrize("overlap", [-1, 169, "2", True, None, 1.5])
def test_an_overlap_has_bounds(api: api_client.Client, overlap: tp.Any) -> None:
    path, _ = create(api, api.instance())
    refused = api.refused(
        "POST", f"{path}/actions/rotate_secret/invoke", {"overlap_hours": overlap}
    )
    assert refused == (400, "overlap_hours: must be an integer from 0 to 168")


def test_a_test_and_a_replay_are_operations_that_the_node_is_told(api: api_client.Client) -> None:
    instance = api.instance()
    path, made = create(api, instance)
    test = act(api, path, "test")
    replay = act(
        api, path, "replay", {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    )
    assert (test["action"], test["status"], test["webhook"]) == (
        operations.TEST_WEBHOOK,
        "PENDING",
        made["uuid"],
    )
    assert (test["from"], test["to"], test["until"]) == (None, None, None)
    assert (replay["action"], replay["from"], replay["to"], replay["until"]) == (
        operations.REPLAY_WEBHOOK,
        "2026-01-01T00:00:00.000000Z",
        "2026-01-02T00:00:00.000000Z",
        None,
    )
    assert api.get(f"{instance}/operations/?action=webhook_test") == [test]
    asked = [(str(one.id), str(one.hook), one.action) for one in told(instance).requests]
    assert asked == [
        (test["uuid"], made["uuid"], webhook_config.Action.TEST),
        (replay["uuid"], made["uuid"], webhook_config.Action.REPLAY),
    ]
    first, second = told(instance).requests
    assert (first.since, first.until) == (0, 0)
    assert second.until - second.since == 24 * 3600 * 1000
    until_now = act(api, path, "replay", {"from": "2026-01-01T00:00:00Z"})
    assert api_client.TIME.fullmatch(until_now["to"])


def test_a_replay_has_a_time(api: api_client.Client) -> None:
    path, _ = create(api, api.instance())
    where = f"{path}/actions/replay/invoke"
    assert api.refused("POST", where) == (400, "from: is required")
    assert api.refused("POST", where, {}) == (400, "from: is required")
    for body in (
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
        {"from": "2999-01-01T00:00:00Z"},
    ):
        refused = api.refused("POST", where, body)
        assert refused == (400, "from: must be before to, which is now if it is not given")
    for moment in ("yesterday", "1970-01-01T00:00:00+14:00"):
        assert api.refused("POST", where, {"from": moment})[1].startswith("from: must be a time")


def test_the_time_of_a_replay_may_be_said_in_any_zone(api: api_client.Client) -> None:
    instance = api.instance()
    path, _ = create(api, instance)
    body = {"from": "2026-01-01T05:00:00+05:00", "to": "2026-01-01T05:00:00"}
    replay = act(api, path, "replay", body)
    assert (replay["from"], replay["to"]) == (
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T05:00:00.000000Z",
    )
    (request,) = told(instance).requests
    assert request.until - request.since == 5 * 3600 * 1000


def test_what_nobody_answers_is_not_asked_for_any_more(api: api_client.Client) -> None:
    instance = api.instance()
    path, _ = create(api, instance)
    asked = act(api, path, "test")
    query("UPDATE mail_operations SET expires_at = now() - interval '1 second'")
    (uuid,) = operations.open_instances()
    operations.tend(uuid)
    given_up = api.get(f"{instance}/operations/{asked['uuid']}")
    assert (given_up["status"], given_up["error"]) == ("ERROR", operations.NOT_ANSWERED)
    assert told(instance).requests == ()


def test_no_log_has_a_secret(api: api_client.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path, made = create(api, api.instance())
    rotated = act(api, path, "rotate_secret")
    api.get(path)
    api.patch(path, {"url": "https://hooks.example.com/other"})
    assert "INSERT INTO" in caplog.text
    for secret in (made["secret_key"], rotated["secret_key"]):
        assert secret.removeprefix("whsec_") not in caplog.text


def test_a_list_is_asked_for_by_what_can_be_compared(api: api_client.Client) -> None:
    instance = api.instance()
    path, _ = create(api, instance)
    assert len(api.get(f"{instance}/webhooks/?active=true&status=ACTIVE")) == 1
    for name in ("secret_key", "secrets", "revision"):
        refused = api.refused("GET", f"{instance}/webhooks/?{name}=1")
        assert refused == (400, f"{name}: no such field")
    refused = api.refused("GET", f"{instance}/webhooks/?signing_keys=a")
    assert refused == (400, "signing_keys: cannot be asked for")
    assert api.get(f"{path}/deliveries/") == []
    assert api.refused("GET", f"{path}/deliveries/?page_limit=0")[0] == 400


def test_the_default_overlap_is_a_day() -> None:
    assert webhooks.OVERLAP_HOURS == 24
