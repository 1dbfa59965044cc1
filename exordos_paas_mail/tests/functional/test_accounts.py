# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts over REST: what can be said about them, and what is never said back."""

from __future__ import annotations

import typing as tp
import uuid

import pytest
from passlib import hash as passlib_hash

from clients import mail, rest

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import provisioning

HASH = passlib_hash.sha512_crypt.using(rounds=5000).hash("secret-of-a-test")
SECRETS = frozenset({"password", "password_hash"})


def test_an_account_is_created_listed_and_read_alike_without_its_secret(
    owner: rest.Api, instance: rest.Json, accounts: provisioning.Accounts, project: str
) -> None:
    account = accounts.make(description="of a test")
    read = owner.read(account.path)
    assert {key: read[key] for key in ("uuid", "username", "active", "project_id", "instance")} == {
        "uuid": account.uuid,
        "username": account.username,
        "active": True,
        "project_id": project,
        "instance": mail.instance_path(instance),
    }
    assert not SECRETS & read.keys()
    listed = owner.list(accounts.path)
    assert read in listed
    assert all(not SECRETS & it.keys() for it in listed)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param({"password": "secret-of-a-test"}, id="password"),
        pytest.param({"password_hash": HASH}, id="crypt hash"),
        pytest.param({"password_hash": "{SHA512-CRYPT}" + HASH}, id="Dovecot prefix"),
    ],
)
def test_an_account_needs_only_a_username_and_a_secret_which_no_answer_repeats(
    owner: rest.Api, accounts: provisioning.Accounts, secret: rest.Json
) -> None:
    username = f"bare-{uuid.uuid4().hex[:10]}"
    answer = owner.call("POST", accounts.path, {"username": username, **secret})
    assert answer.status_code == 201, answer.text
    path = f"{accounts.path}{answer.json()['uuid']}"
    texts = [
        answer.text,
        owner.call("GET", path).text,
        owner.call("GET", accounts.path).text,
        owner.call("PUT", path, secret).text,
        owner.call("PATCH", path, {"active": False}).text,
    ]
    owner.expect(204, "DELETE", path)
    for text in texts:
        assert "secret-of-a-test" not in text
        assert HASH not in text
        assert "password_hash" not in text


def test_a_full_body_is_accepted_too(
    owner: rest.Api, instance: rest.Json, accounts: provisioning.Accounts, project: str
) -> None:
    account = accounts.make(
        name="Full Name",
        description="all of it",
        project_id=project,
        instance=mail.instance_path(instance),
        active=False,
    )
    read = owner.read(account.path)
    assert (read["name"], read["active"]) == ("Full Name", False)


def test_an_account_is_not_put_into_another_instance_than_the_paths(
    owner: rest.Api, accounts: provisioning.Accounts, requested: dict[str, rest.Json]
) -> None:
    body = {
        "username": f"elsewhere-{uuid.uuid4().hex[:10]}",
        "password": "x" * 12,
        "instance": mail.instance_path(requested["passing"]),
    }
    answer = owner.call("POST", accounts.path, body)
    assert answer.status_code == 400, answer.text
    assert "instance" in answer.json()["message"]
    for instance in requested.values():
        assert owner.list(mail.accounts_path(instance), username=body["username"]) == []


def test_a_username_is_lower_cased_and_unique_in_its_instance(
    owner: rest.Api, accounts: provisioning.Accounts
) -> None:
    unique = uuid.uuid4().hex[:10]
    account = accounts.make(username=f"Carol.{unique}")
    assert account.username == f"carol.{unique}"
    for again in (account.username, f"CAROL.{unique}"):
        answer = owner.call("POST", accounts.path, {"username": again, "password": "x" * 12})
        assert answer.status_code == 409, answer.text
        assert "username" in answer.json()["message"]


@pytest.mark.parametrize("field", ["username", "uuid", "active"])
def test_a_list_is_filtered_by_a_field(
    owner: rest.Api, accounts: provisioning.Accounts, field: str
) -> None:
    account = accounts.make(active=False)
    value = owner.read(account.path)[field]
    found = owner.list(accounts.path, **{field: value})
    assert account.uuid in [it["uuid"] for it in found]
    assert all(it[field] == value for it in found)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "a:b"}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "a@example.com"}, "username"),
        ({"username": "a\nroot:$6$x$y"}, "username"),
        ({"username": "a%b"}, "username"),
        ({"username": "../a"}, "username"),
        ({"username": ""}, "username"),
        ({"username": "a" * 65}, "username"),
        ({"password": None, "password_hash": "plaintext"}, "password_hash"),
        ({"password": None, "password_hash": HASH + "\nroot@x:" + HASH}, "password_hash"),
        ({"password": None, "password_hash": "$6$a:b$c"}, "password_hash"),
        ({"password_hash": HASH}, "password"),
        ({"password": None}, "password"),
        ({"active": "perhaps"}, "active"),
        ({"no_such_field": 1}, "no_such_field"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, dict) else value,
)
def test_a_bad_account_is_refused_by_name_and_makes_nothing(
    owner: rest.Api, accounts: provisioning.Accounts, change: rest.Json, field: str
) -> None:
    before = owner.list(accounts.path)
    body = {"username": "mallory", "password": "x" * 12, **change}
    body = {key: value for key, value in body.items() if value is not None}
    answer = owner.call("POST", accounts.path, body)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["message"]
    assert HASH not in answer.text
    assert owner.list(accounts.path) == before


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
def test_a_username_never_changes(
    owner: rest.Api, accounts: provisioning.Accounts, verb: str
) -> None:
    account = accounts.make()
    answer = owner.call(verb, account.path, {"username": "other"})
    assert answer.status_code == 403, answer.text
    assert "username" in answer.json()["message"]
    assert owner.read(account.path)["username"] == account.username


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
def test_an_account_is_disabled_and_enabled_by_a_partial_body(
    owner: rest.Api, accounts: provisioning.Accounts, verb: str
) -> None:
    account = accounts.make()
    for active in (False, True):
        assert owner.expect(200, verb, account.path, {"active": active})["active"] is active
        assert owner.read(account.path)["active"] is active


def test_a_deleted_account_is_gone_and_its_name_free(
    owner: rest.Api, accounts: provisioning.Accounts
) -> None:
    account = accounts.make()
    owner.expect(204, "DELETE", account.path)
    for verb, body in (("GET", None), ("PATCH", {"active": False}), ("DELETE", None)):
        assert owner.call(verb, account.path, body).status_code == 404
    assert owner.list(accounts.path, username=account.username) == []
    assert accounts.make(username=account.username).uuid != account.uuid


def test_accounts_of_an_instance_that_is_not_there_are_a_404(owner: rest.Api) -> None:
    path = mail.accounts_path(str(uuid.uuid4()))
    assert owner.call("GET", path).status_code == 404
    body = {"username": "mallory", "password": "x" * 12}
    assert owner.call("POST", path, body).status_code == 404
