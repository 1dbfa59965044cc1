# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import typing as tp

import pytest
import requests

from clients import iam, rest

if tp.TYPE_CHECKING:
    from clients.tests import fake_core

PATH: tp.Final = "/v1/things/"


def test_a_resource_is_created_read_listed_and_deleted(admin: iam.Session) -> None:
    api = admin.api()
    created = api.create(PATH, {"name": "a"})
    assert api.read(f"{PATH}{created['uuid']}") == created
    assert api.list(PATH, name="a") == [created]
    assert api.list(PATH, name="b") == []
    api.delete(f"{PATH}{created['uuid']}")
    assert api.list(PATH) == []


def test_another_status_than_expected_is_an_error_in_the_words_of_the_api(
    admin: iam.Session,
) -> None:
    with pytest.raises(requests.HTTPError, match=r"^GET /v1/things/a: 404 instead of 200: .*here"):
        admin.api().read(f"{PATH}a")


def test_nobody_has_no_token(core: fake_core.Core) -> None:
    assert rest.Api(core.url, None).call("GET", PATH).status_code == 401


def test_one_login_serves_many_calls_until_it_is_forgotten(
    core: fake_core.Core, admin: iam.Session
) -> None:
    api = admin.api()
    for _ in range(3):
        api.list(PATH)
    assert len(core.logins) == 1
    core.tokens.clear()
    assert api.call("GET", PATH).status_code == 401
    admin.forget()
    assert api.list(PATH) == []
    assert len(core.logins) == 2


def test_a_session_asks_for_its_project_and_shows_no_secret(core: fake_core.Core) -> None:
    session = iam.Session(core.url, "admin", "the administrator's", "a-project")
    token = session.token()
    assert core.logins[0]["scope"] == "project:a-project"
    assert "administrator's" not in repr(session)
    assert token not in repr(session)


def test_whoever_has_another_password_is_not_let_in(core: fake_core.Core) -> None:
    assert not iam.Session(core.url, "admin", "a guess").is_let_in()
    assert not iam.Session("http://127.0.0.1:9", "admin", "a guess").is_let_in()
