# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every route, with every way of not being allowed to use it."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as tp
import uuid

import openapi_schema_validator
import pytest

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids, node_commands, queue_reports, webhook_reports
from exordos_paas_mail.control_plane.dns import results
from exordos_paas_mail.control_plane.events import ingester, rows, taking
from exordos_paas_mail.control_plane.queue import tables
from exordos_paas_mail.control_plane.records import dns_checks, locks, operations
from exordos_paas_mail.control_plane.webhooks import tables as webhook_tables
from exordos_paas_mail.tests.unit.control_plane import (
    api_client,
    fake_core,
    gservice,
    queue_rows,
    sealed,
)

SECRET = "Tr0ub4dor&3"


@dataclasses.dataclass(frozen=True)
class Route:
    method: str
    path: str
    policy: str
    action: str
    body: tp.Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


_ACCOUNT = {"username": "new", "password": SECRET}
_WAITING = {"recipient_domain": "example.org"}
_SUSPENSION = {**_WAITING, "until": "2999-01-01T00:00:00Z", "reason": "r"}
_TLS_POLICY = {"domain": "bank.example", "mode": "verify"}
_WEBHOOK = {"url": "https://hooks.example.com/mail", "events": ["message.delivered"]}
_REPLAY = {"from": "2026-01-01T00:00:00Z"}
_RELEASE = {"messages": "deliver"}
_ACTIONS = "{instance}/actions"
ROUTES = [
    Route("GET", "{instances}", "mail_instance", "read"),
    Route("POST", "{instances}", "mail_instance", "create", "instance"),
    Route("GET", "{instance}", "mail_instance", "read"),
    Route("PUT", "{instance}", "mail_instance", "update", {"cpu": 2}),
    Route("PATCH", "{instance}", "mail_instance", "update", {"cpu": 2}),
    Route("DELETE", "{instance}", "mail_instance", "delete"),
    Route("GET", "{instance}/accounts/", "account", "read"),
    Route("POST", "{instance}/accounts/", "account", "create", _ACCOUNT),
    Route("GET", "{account}", "account", "read"),
    Route("PUT", "{account}", "account", "update", {"password": SECRET}),
    Route("PATCH", "{account}", "account", "update", {"active": False}),
    Route("POST", "{account}/actions/hold/invoke", "account", "hold", {"reason": "r"}),
    Route("POST", "{account}/actions/release/invoke", "account", "release", _RELEASE),
    Route("DELETE", "{account}", "account", "delete"),
    Route("GET", "{account}/usage/", "account", "read"),
    Route("GET", "{account}/credentials/", "credential", "read"),
    Route("POST", "{account}/credentials/", "credential", "create", {"name": "printer"}),
    Route("GET", "{credential}", "credential", "read"),
    Route("PUT", "{credential}", "credential", "update", {"active": False}),
    Route("PATCH", "{credential}", "credential", "update", {"networks": []}),
    Route("POST", "{credential}/actions/rotate/invoke", "credential", "update"),
    Route("POST", "{credential}/actions/rotate/invoke", "credential", "create"),
    Route("DELETE", "{credential}", "credential", "delete"),
    Route("GET", "{instance}/usage/", "mail_instance", "read"),
    Route("GET", "{instance}/domains/", "domain", "read"),
    Route("POST", "{instance}/domains/", "domain", "create", {"domain": "new.example"}),
    Route("GET", "{domain}", "domain", "read"),
    Route("PUT", "{domain}", "domain", "update", {"active": False}),
    Route("PATCH", "{domain}", "domain", "update", {"active": False}),
    Route("POST", "{domain}/actions/rotate/invoke", "domain", "update"),
    Route("POST", "{domain}/actions/check/invoke", "domain", "update"),
    Route("GET", "{domain}/actions/zone_file", "domain", "read"),
    Route("GET", "{domain}/records/", "dns_record", "read"),
    Route("GET", "{dns_record}", "dns_record", "read"),
    Route("DELETE", "{domain}", "domain", "delete"),
    Route("GET", "{instance}/messages/", "message", "read"),
    Route("GET", "{message}", "message", "read"),
    Route("GET", "{message}/events/", "event", "read"),
    Route("GET", "{message}/events/{event}", "event", "read"),
    Route("GET", "{instance}/events/", "event", "read"),
    Route("POST", "{instance}/actions/erase/invoke", "message", "delete", {"recipient": "a@b"}),
    Route("GET", "{instance}/events/{event}", "event", "read"),
    Route("GET", "{instance}/stats/", "stat", "read"),
    Route("GET", "{instance}/queue/", "queue", "read"),
    Route("GET", "{queue_item}", "queue", "read"),
    Route("POST", "{queue_item}/actions/retry/invoke", "queue", "retry"),
    Route("POST", "{queue_item}/actions/bounce/invoke", "queue", "bounce"),
    Route("POST", "{queue_item}/actions/delete/invoke", "queue", "delete"),
    Route("GET", "{instance}/queue_domains/", "queue", "read"),
    Route("POST", "{instance}/actions/queue_retry/invoke", "queue", "retry"),
    Route("POST", "{instance}/actions/queue_bounce/invoke", "queue", "bounce", _WAITING),
    Route("POST", "{instance}/actions/queue_delete/invoke", "queue", "delete", _WAITING),
    Route("POST", "{instance}/actions/queue_suspend/invoke", "queue", "suspend", _SUSPENSION),
    Route("POST", "{instance}/actions/queue_resume/invoke", "queue", "suspend", _WAITING),
    Route("GET", "{instance}/operations/", "operation", "read"),
    Route("GET", "{operation}", "operation", "read"),
    Route("GET", "{instance}/webhooks/", "webhook", "read"),
    Route("POST", "{instance}/webhooks/", "webhook", "create", _WEBHOOK),
    Route("GET", "{webhook}", "webhook", "read"),
    Route("PUT", "{webhook}", "webhook", "update", {"active": False}),
    Route("PATCH", "{webhook}", "webhook", "update", {"active": False}),
    Route("POST", "{webhook}/actions/rotate_secret/invoke", "webhook", "rotate"),
    Route("POST", "{webhook}/actions/test/invoke", "webhook", "test"),
    Route("POST", "{webhook}/actions/replay/invoke", "webhook", "replay", _REPLAY),
    Route("DELETE", "{webhook}", "webhook", "delete"),
    Route("GET", "{webhook}/deliveries/", "webhook_delivery", "read"),
    Route("GET", "{delivery}", "webhook_delivery", "read"),
    Route("GET", "{instance}/suppressions/", "suppression", "read"),
    Route("POST", "{instance}/suppressions/", "suppression", "create", {"address": "x@b.example"}),
    Route("POST", f"{_ACTIONS}/suppressions_import/invoke", "suppression", "create", {"text": "x"}),
    Route("POST", f"{_ACTIONS}/suppressions_export/invoke", "suppression", "read"),
    Route("GET", "{suppression}", "suppression", "read"),
    Route("DELETE", "{suppression}", "suppression", "delete"),
    Route("GET", "{instance}/tls_policies/", "tls_policy", "read"),
    Route("POST", "{instance}/tls_policies/", "tls_policy", "create", _TLS_POLICY),
    Route("GET", "{tls_policy}", "tls_policy", "read"),
    Route("PUT", "{tls_policy}", "tls_policy", "update", {"mode": "dane"}),
    Route("PATCH", "{tls_policy}", "tls_policy", "update", {"mode": "dane"}),
    Route("DELETE", "{tls_policy}", "tls_policy", "delete"),
    Route("GET", "{domain}/dkim_keys/", "dkim_key", "read"),
    Route("POST", "{domain}/dkim_keys/", "dkim_key", "create", {"algorithm": "ed25519"}),
    Route("GET", "{dkim_key}", "dkim_key", "read"),
    Route("DELETE", "{dkim_key}", "dkim_key", "delete"),
    Route("GET", "{versions}", "mail_version", "read"),
    Route("GET", "{version}", "mail_version", "read"),
    Route("POST", "{versions}", "mail_version", "create", {"name": "n", "image": "i"}),
    Route("PUT", "{version}", "mail_version", "update", {"image": "evil"}),
    Route("PATCH", "{version}", "mail_version", "update", {"image": "evil"}),
    Route("DELETE", "{version}", "mail_version", "delete"),
]
# The records that World has, and what each is of. A path that begins with one is under an instance.
PARENTS = {
    "account": "instance",
    "credential": "account",
    "domain": "instance",
    "dkim_key": "domain",
    "dns_record": "domain",
    "message": "instance",
    "queue_item": "instance",
    "operation": "instance",
    "webhook": "instance",
    "delivery": "webhook",
    "suppression": "instance",
    "tls_policy": "instance",
}
OF_A_PROJECT = [r for r in ROUTES if r.policy != "mail_version"]
WRITES_THE_CATALOGUE = [r for r in ROUTES if r.policy == "mail_version" and r.action != "read"]


class World:
    """An instance with an account and a hash, and the requests on it."""

    def __init__(self, api: api_client.Client) -> None:
        self.api = api
        self.version = api.version()
        self.instance = api.instance(version=self.version)
        self.account = api.account(self.instance, password_hash=api_client.HASH)
        made = api.post(f"{self.account}/credentials/", {})
        self.credential = f"{self.account}/credentials/{made['uuid']}"
        held = api.call("POST", f"{self.account}/actions/hold/invoke", {"reason": "r"})
        assert held.status_code == 200, held.text
        self.domain = api.domain(self.instance)
        (key,) = api.dkim_keys(self.domain).values()
        self.dkim_key = f"{self.domain}/dkim_keys/{key['uuid']}"
        with utils.transaction() as session:
            for due in dns_checks.due(session, utils.now(), 9, []):
                results.begin(session, due, utils.now())
        (record,) = api.get(f"{self.domain}/records/")
        self.dns_record = f"{self.domain}/records/{record['uuid']}"
        queue = sealed.queue_id(1)
        instance = uuid.UUID(self.instance.rpartition("/")[2])
        with utils.transaction() as session:
            taken = taking.take(
                session,
                taking.Instance(instance, "mail.example.com"),
                sealed.whole(queue),
                rows.lock(session),
                utils.now(),
            )
            ingester.Ingester().write(session, taken)
            locks.hold_instance(session, instance)
            told = queue_rows.item(queue)
            tables.replace_items(session, instance, queue_reports.shard_of(queue), [told])
        self.message = f"{self.instance}/messages/{log_ids.message_uuid(instance, queue)}"
        self.queue_item = f"{self.instance}/queue/{log_ids.message_uuid(instance, queue)}"
        asked = operations.ask(instance, operations.Request(node_commands.Action.RETRY))
        self.operation = f"{self.instance}/operations/{asked.uuid}"
        self.event = taken.events[0]["uuid"]
        webhook = api.post(f"{self.instance}/webhooks/", _WEBHOOK)["uuid"]
        self.webhook = f"{self.instance}/webhooks/{webhook}"
        attempt = webhook_reports.Delivery(uuid.uuid4(), "message.delivered", sealed.now())
        status = webhook_reports.Status.ACTIVE
        state = webhook_reports.HookState(uuid.UUID(webhook), status, deliveries=(attempt,))
        with utils.transaction() as session:
            webhook_tables.tell(session, instance, state)
        (delivery,) = api.get(f"{self.webhook}/deliveries/")
        self.delivery = f"{self.webhook}/deliveries/{delivery['uuid']}"
        made = api.post(f"{self.instance}/suppressions/", {"address": "a@b.example"})
        self.suppression = f"{self.instance}/suppressions/{made['uuid']}"
        made = api.post(f"{self.instance}/tls_policies/", {"domain": "*", "mode": "encrypt"})
        self.tls_policy = f"{self.instance}/tls_policies/{made['uuid']}"

    def path(self, route: Route, **paths: str) -> str:
        where = {
            "instances": api_client.INSTANCES,
            "versions": api_client.VERSIONS,
            "version": self.version,
            "instance": self.instance,
            "event": self.event,
            **self._records(),
            **paths,
        }
        return route.path.format(**where)

    def answer(self, client: api_client.Client, route: Route, **paths: str) -> tuple[int, tp.Any]:
        body = client.instance_body(self.version) if route.body == "instance" else route.body
        response = client.call(route.method, self.path(route, **paths), body)
        assert api_client.HASH not in response.text
        assert SECRET not in response.text
        return response.status_code, response.json if response.body else None

    def under(self, instance: str) -> dict[str, str]:
        """Return the paths of the records as they would be under another instance."""
        return {n: path.replace(self.instance, instance) for n, path in self._records().items()}

    def _records(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in PARENTS}

    def remember(self) -> None:
        self._before = gservice.row_versions()

    def is_untouched(self) -> bool:
        return gservice.row_versions() == self._before


@pytest.fixture(scope="module")
def _world(standing_api: api_client.Client) -> World:
    return World(standing_api)


@pytest.fixture
def world(_world: World) -> World:
    _world.remember()
    return _world


def test_no_route_is_left_out(world: World) -> None:
    document = world.api.admin().get("/specifications/3.0.3")
    served = {
        (verb.upper(), re.sub(r"\{\w+\}", "*", path))
        for path, operations in document["paths"].items()
        # The list of the resources is nobody's.
        if path.startswith(f"{api_client.ROOT}/") and path != f"{api_client.ROOT}/"
        for verb in operations
    }
    a_uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    assert {(r.method, re.sub(a_uuid, "*", world.path(r))) for r in ROUTES} == served


def test_answers_are_as_the_document_says(world: World) -> None:
    document = world.api.admin().get("/specifications/3.1.0")
    wrong = []
    for route in ROUTES:
        if route.method != "GET" or route.path.endswith("/zone_file"):
            continue
        path = world.path(route)
        (described,) = (
            operations["get"]
            for name, operations in document["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", name), path) and "get" in operations
        )
        schema = described["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        answer = world.api.get(path)
        faults = openapi_schema_validator.OAS31Validator(whole).iter_errors(answer)
        wrong += [(str(route), *fault.absolute_path, fault.message) for fault in faults]
        # Each time with its fraction, as the format that the document names has it.
        times = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', json.dumps(answer))
        wrong += [(str(route), each) for each in times if not api_client.TIME.fullmatch(each)]
    assert wrong == []


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_no_token_is_a_403(world: World, route: Route) -> None:
    status, answer = world.answer(world.api.with_token(None), route)
    assert (status, answer["type"], world.is_untouched()) == (403, "PolicyNotAuthorized", True)


@pytest.mark.parametrize("route", ROUTES, ids=str)
@pytest.mark.parametrize("fault", ["garbage", "expired", "audience", "signature", "unknown"])
def test_a_bad_token_is_a_401(world: World, route: Route, fault: str) -> None:
    core, project = world.api.core, world.api.project_id
    tokens: dict[str, tp.Callable[[], str]] = {
        "garbage": lambda: "garbage",
        "expired": lambda: core.token(project, api_client.OWNER, lifetime=-5),
        "audience": lambda: core.token(project, api_client.OWNER, audience="other"),
        "signature": lambda: core.token(project, api_client.OWNER, key="k" * 32),
        "unknown": lambda: _forgotten(core, project),
    }
    status, answer = world.answer(world.api.with_token(tokens[fault]()), route)
    assert (status, answer["error"], world.is_untouched()) == (401, "invalid_token", True)


def _forgotten(core: fake_core.FakeCore, project: str | None) -> str:
    token = core.token(project, api_client.OWNER)
    del core.tokens[token]
    return token


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_missing_permission_is_a_403(world: World, route: Route) -> None:
    missing = f"exordos_mail.{route.policy}.{route.action}"
    rest = [p for p in api_client.OWNER if p != missing]
    status, answer = world.answer(world.api.with_permissions(*rest), route)
    assert (status, answer["type"], world.is_untouched()) == (403, "PolicyNotAuthorized", True)


@pytest.mark.parametrize("route", OF_A_PROJECT, ids=str)
def test_another_project_sees_nothing(world: World, route: Route) -> None:
    stranger = world.api.of_other_project()
    status, answer = world.answer(stranger, route)
    if route.path == "{instances}":
        expected: tuple[int, tp.Any] = (200, []) if route.method == "GET" else (201, answer)
        assert (status, answer) == expected
        return
    assert (status, answer["type"], world.is_untouched()) == (404, "RecordNotFound", True)


def _subject(route: Route) -> str:
    """Return what the path of *route* begins with."""
    return route.path[1:].partition("}")[0]


# Told by what is left: a route of a record that PARENTS lacks has no path, and its tests fail.
OF_AN_INSTANCE = [
    r for r in ROUTES if _subject(r) not in ("instances", "instance", "versions", "version")
]


@pytest.mark.parametrize("route", OF_AN_INSTANCE, ids=str)
def test_a_record_is_not_found_under_another_instance(world: World, route: Route) -> None:
    other = world.api.instance()
    before = gservice.row_versions()
    status, answer = world.answer(world.api, route, **world.under(other))
    assert (status, answer["type"]) == (404, "RecordNotFound")
    assert gservice.row_versions() == before


@pytest.mark.parametrize("route", [r for r in ROUTES if "{credential}" in r.path], ids=str)
def test_a_credential_is_not_found_under_another_account(world: World, route: Route) -> None:
    other = world.api.account(world.instance, f"u{uuid.uuid4().hex}")
    before = gservice.row_versions()
    credential = f"{other}/credentials/{world.credential.rpartition('/')[2]}"
    status, answer = world.answer(world.api, route, credential=credential)
    assert (status, answer["type"]) == (404, "RecordNotFound")
    assert gservice.row_versions() == before


@pytest.mark.parametrize("route", [r for r in ROUTES if "{dkim_key}" in r.path], ids=str)
def test_a_key_is_not_found_under_another_domain(world: World, route: Route) -> None:
    other = world.api.domain(world.instance, f"{uuid.uuid4()}.example")
    before = gservice.row_versions()
    key = f"{other}/dkim_keys/{world.dkim_key.rpartition('/')[2]}"
    status, answer = world.answer(world.api, route, dkim_key=key)
    assert (status, answer["type"]) == (404, "RecordNotFound")
    assert gservice.row_versions() == before


@pytest.mark.parametrize("route", OF_AN_INSTANCE, ids=str)
def test_a_record_is_not_found_under_an_instance_of_mine(world: World, route: Route) -> None:
    stranger = world.api.of_other_project()
    mine = stranger.instance(version=world.version)
    paths = world.under(mine)
    # What is looked for first: of a key, its domain.
    kind = _subject(route)
    while PARENTS[kind] != "instance":
        kind = PARENTS[kind]
    status, answer = world.answer(stranger, route, **paths)
    assert (status, answer) == (
        404,
        {
            "type": "RecordNotFound",
            "code": 404,
            "message": f"uuid: there is no record {paths[kind].rpartition('/')[2]}",
        },
    )


@pytest.mark.parametrize("route", WRITES_THE_CATALOGUE, ids=str)
def test_a_project_does_not_write_the_catalogue_of_all(world: World, route: Route) -> None:
    status, _ = world.answer(world.api, route)
    assert (status, world.is_untouched()) == (403, True)


def test_a_foreign_project_in_the_body_is_a_403(world: World) -> None:
    stranger = world.api.of_other_project()
    instance = world.api.instance_body(world.version, project_id=stranger.project_id)
    assert world.api.refused("POST", api_client.INSTANCES, instance)[0] == 403
    records = (
        *(world.instance, world.account, world.credential, world.domain, world.webhook),
        world.tls_policy,
    )
    for record in records:
        assert world.api.refused("PATCH", record, {"project_id": stranger.project_id})[0] == 403
    for collection, body in (
        (f"{world.instance}/accounts/", _ACCOUNT),
        (f"{world.instance}/domains/", {"domain": "new.example"}),
        (f"{world.instance}/webhooks/", _WEBHOOK),
        (f"{world.instance}/tls_policies/", _TLS_POLICY),
        (f"{world.account}/credentials/", {}),
        (f"{world.domain}/dkim_keys/", {"algorithm": "ed25519"}),
    ):
        foreign = {**body, "project_id": stranger.project_id}
        assert world.api.refused("POST", collection, foreign)[0] == 403
    assert world.is_untouched()


def test_iam_out_of_order_is_a_401(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_method: str, _path: str) -> None:
        raise ConnectionAbortedError

    monkeypatch.setattr(world.api.core, "before", down)
    assert world.api.call("GET", world.instance).status_code == 401
