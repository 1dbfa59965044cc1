# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every route, with every way of not being allowed to use it."""

from __future__ import annotations

import dataclasses
import re
import typing as tp

import pytest

from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice

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
    Route("DELETE", "{account}", "account", "delete"),
    Route("GET", "{versions}", "mail_version", "read"),
    Route("GET", "{version}", "mail_version", "read"),
    Route("POST", "{versions}", "mail_version", "create", {"name": "n", "image": "i"}),
    Route("PUT", "{version}", "mail_version", "update", {"image": "evil"}),
    Route("PATCH", "{version}", "mail_version", "update", {"image": "evil"}),
    Route("DELETE", "{version}", "mail_version", "delete"),
]
OF_A_PROJECT = [r for r in ROUTES if r.policy != "mail_version"]
WRITES_THE_CATALOGUE = [r for r in ROUTES if r.policy == "mail_version" and r.action != "read"]


class World:
    """An instance with an account and a hash, and the requests on it."""

    def __init__(self, api: api_client.Client) -> None:
        self.api = api
        self.version = api.version()
        self.instance = api.instance(version=self.version)
        self.account = api.account(self.instance, password_hash=api_client.HASH)
        self._before = gservice.row_versions()

    def path(self, route: Route, **paths: str) -> str:
        where = {
            "instances": api_client.INSTANCES,
            "versions": api_client.VERSIONS,
            "version": self.version,
            "instance": self.instance,
            "account": self.account,
            **paths,
        }
        return route.path.format(**where)

    def answer(self, client: api_client.Client, route: Route, **paths: str) -> tuple[int, tp.Any]:
        body = client.instance_body(self.version) if route.body == "instance" else route.body
        response = client.call(route.method, self.path(route, **paths), body)
        assert api_client.HASH not in response.text
        assert SECRET not in response.text
        return response.status_code, response.json if response.body else None

    def is_untouched(self) -> bool:
        return gservice.row_versions() == self._before


@pytest.fixture
def world(api: api_client.Client) -> World:
    return World(api)


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


@pytest.mark.parametrize("route", [r for r in ROUTES if "{account}" in r.path], ids=str)
def test_an_account_is_not_found_under_another_instance(world: World, route: Route) -> None:
    other = world.api.instance()
    account = f"{other}/accounts/{world.account.rpartition('/')[2]}"
    before = gservice.row_versions()
    status, answer = world.answer(world.api, route, account=account)
    assert (status, answer["type"]) == (404, "RecordNotFound")
    assert gservice.row_versions() == before


@pytest.mark.parametrize("route", [r for r in ROUTES if "{account}" in r.path], ids=str)
def test_an_account_is_not_found_under_an_instance_of_mine(world: World, route: Route) -> None:
    stranger = world.api.of_other_project()
    mine = stranger.instance(version=world.version)
    account = f"{mine}/accounts/{world.account.rpartition('/')[2]}"
    status, answer = world.answer(stranger, route, account=account)
    assert (status, answer) == (
        404,
        {
            "type": "RecordNotFound",
            "code": 404,
            "message": f"uuid: there is no record {account.rpartition('/')[2]}",
        },
    )


@pytest.mark.parametrize("route", WRITES_THE_CATALOGUE, ids=str)
def test_a_project_does_not_write_the_catalogue_of_all(world: World, route: Route) -> None:
    status, _ = world.answer(world.api, route)
    assert (status, world.is_untouched()) == (403, True)


def test_a_foreign_project_in_the_body_is_a_403(world: World) -> None:
    stranger = world.api.of_other_project()
    body = world.api.instance_body(world.version, project_id=stranger.project_id)
    assert world.api.refused("POST", api_client.INSTANCES, body)[0] == 403
    for record in (world.instance, world.account):
        assert world.api.refused("PATCH", record, {"project_id": stranger.project_id})[0] == 403
    account = {**_ACCOUNT, "project_id": stranger.project_id}
    assert world.api.refused("POST", f"{world.instance}/accounts/", account)[0] == 403
    assert world.is_untouched()


def test_a_token_of_no_project_sees_all_and_keeps_projects_apart(world: World) -> None:
    admin = world.api.admin()
    assert [i["uuid"] for i in admin.get(api_client.INSTANCES)] == [
        world.instance.rpartition("/")[2]
    ]
    account = {**_ACCOUNT, "project_id": world.api.of_other_project().project_id}
    assert admin.refused("POST", f"{world.instance}/accounts/", account) == (
        400,
        "project_id: must be the project of the instance",
    )
    made = admin.post(f"{world.instance}/accounts/", _ACCOUNT)
    assert made["project_id"] == world.api.project_id
    for record in (world.instance, world.account):
        moved = {"project_id": world.api.of_other_project().project_id}
        assert admin.refused("PATCH", record, moved) == (400, "project_id: cannot be changed")
    without = admin.instance_body(world.version)
    assert admin.refused("POST", api_client.INSTANCES, without)[0] == 400


def test_iam_out_of_order_is_a_401(world: World) -> None:
    def down(_method: str, _path: str) -> None:
        raise ConnectionAbortedError

    world.api.core.before = down
    assert world.api.call("GET", world.instance).status_code == 401
