# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who may see and change what: nobody, a stranger, an owner."""

from __future__ import annotations

import typing as tp

import pytest

from clients import mail, rest
from exordos_paas_mail.tests.functional import provisioning

WRITES: tp.Final = [("PATCH", {"name": "x"}), ("PUT", {"name": "x"}), ("DELETE", None)]
ACCOUNT: tp.Final = {"username": "mallory", "password": "x" * 12}


@pytest.mark.parametrize(("access", "status"), [(None, 403), ("not-a-token", 401)])
def test_without_a_good_token_nothing_is_answered(
    url: str, instance: rest.Json, alice: provisioning.Account, access: str | None, status: int
) -> None:
    nobody = rest.Api(url, (lambda: access) if access else None)
    for path in (
        mail.INSTANCES,
        mail.VERSIONS,
        mail.instance_path(instance),
        mail.accounts_path(instance),
        alice.path,
    ):
        answer = nobody.call("GET", path)
        assert (path, answer.status_code) == (path, status)
        assert instance["domain"] not in answer.text
    assert nobody.call("POST", mail.accounts_path(instance), ACCOUNT).status_code == status
    assert nobody.call("DELETE", alice.path).status_code == status


def test_a_stranger_sees_none_of_it_in_lists(stranger: rest.Api, instance: rest.Json) -> None:
    assert stranger.list(mail.INSTANCES) == []
    assert stranger.list(mail.INSTANCES, uuid=instance["uuid"]) == []
    assert stranger.list(mail.INSTANCES, domain=instance["domain"]) == []


@pytest.mark.parametrize(("verb", "body"), [("GET", None), *WRITES])
def test_a_stranger_finds_no_instance(
    stranger: rest.Api, instance: rest.Json, verb: str, body: rest.Json | None
) -> None:
    answer = stranger.call(verb, mail.instance_path(instance), body)
    assert answer.status_code == 404, answer.text
    assert instance["domain"] not in answer.text


@pytest.mark.parametrize(("verb", "body"), [("GET", None), ("POST", ACCOUNT)])
def test_a_stranger_finds_no_accounts(
    owner: rest.Api,
    stranger: rest.Api,
    instance: rest.Json,
    verb: str,
    body: rest.Json | None,
) -> None:
    answer = stranger.call(verb, mail.accounts_path(instance), body)
    assert answer.status_code in {403, 404}, answer.text
    assert owner.list(mail.accounts_path(instance), username="mallory") == []


@pytest.mark.parametrize(("verb", "body"), [("GET", None), *WRITES])
def test_a_stranger_finds_no_account(
    owner: rest.Api,
    stranger: rest.Api,
    alice: provisioning.Account,
    verb: str,
    body: rest.Json | None,
) -> None:
    assert stranger.call(verb, alice.path, body).status_code == 404
    assert owner.read(alice.path)["username"] == alice.username


def test_nobody_puts_an_instance_into_another_project(
    stranger: rest.Api, project: str, version: rest.Json
) -> None:
    body = provisioning.instance_body(project, version, "foreign")
    assert stranger.call("POST", mail.INSTANCES, body).status_code == 403


def test_an_account_is_found_under_its_own_instance_only(
    owner: rest.Api, requested: dict[str, rest.Json], alice: provisioning.Account
) -> None:
    other = mail.accounts_path(requested["passing"])
    assert owner.call("GET", f"{other}{alice.uuid}").status_code == 404
    assert owner.call("DELETE", f"{other}{alice.uuid}").status_code == 404
    assert owner.read(alice.path)["uuid"] == alice.uuid


def test_the_api_lists_its_own_routes(owner: rest.Api) -> None:
    document = owner.expect(200, "GET", "/specifications/3.0.3")
    verbs = {
        path: set(operations) & {"get", "post", "put", "patch", "delete"}
        for path, operations in document["paths"].items()
        if "/types/mail/" in path
    }
    assert any({"put", "patch", "delete"} <= found for found in verbs.values()), verbs
