# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials of accounts, by the API and in what a node should hold."""

from __future__ import annotations

import datetime
import logging
import typing as tp

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import credentials, crypt_strings, mail_events
from exordos_paas_mail.tests.unit.control_plane import api_client, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

PAST, FUTURE = "2026-01-01T00:00:00Z", "2999-01-01T02:00:00+02:00"
_EPOCH_OF_FUTURE: tp.Final = 32472144000


@pytest.fixture
def account(api: api_client.Client) -> str:
    return api.account(api.instance())


def make(api: api_client.Client, account: str, **fields: tp.Any) -> tuple[str, dict[str, tp.Any]]:
    """Return the path of a new credential, and what the POST answered."""
    made = api.post(f"{account}/credentials/", fields)
    return f"{account}/credentials/{made['uuid']}", made


def expire(path: str) -> None:
    with utils.transaction() as session:
        session.execute(
            "UPDATE mail_credentials SET expires_at = created_at WHERE uuid = %s",
            (path.rpartition("/")[2],),
        )


def test_the_secret_is_in_the_answer_to_the_post_alone(
    api: api_client.Client, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path, made = make(api, account)
    secret_key = made.pop("secret_key")
    assert credentials.is_secret(secret_key)
    assert secret_key.startswith(f"{made['prefix']}_")
    assert made == {
        "uuid": path.rpartition("/")[2],
        "name": made["prefix"],
        "description": "",
        "project_id": api.project_id,
        "account": account,
        "prefix": made["prefix"],
        "active": True,
        "status": "NEW",
        "expires_at": None,
        "networks": [],
        "last_used_at": None,
        "last_used_ip": None,
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert api.get(path) == made
    assert api.get(f"{account}/credentials/") == [made]
    assert "secret_key" not in api.patch(path, {"name": "printer"})
    assert "secret_key" not in api.get(f"{path}?fields=secret_key")
    assert api.refused("GET", f"{account}/credentials/{secret_key}")[0] == 400
    with utils.transaction() as session:
        (row,) = session.execute("SELECT * FROM mail_credentials").fetchall()
    assert row["digest"] == credentials.digest(secret_key)
    assert secret_key not in str(row)
    assert secret_key not in caplog.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"expires_at": PAST}, "expires_at: must be in the future"),
        ({"expires_at": "soon"}, "expires_at: must be a time such as"),
        ({"expires_at": 1}, "expires_at: must be a time such as"),
        ({"networks": "192.0.2.0/24"}, "networks: must be a list of 20 networks at most"),
        ({"networks": ["192.0.2.0/24"] * 21}, "networks: must be a list of 20 networks"),
        ({"networks": ["192.0.2.1/24"]}, "networks: entry 1: has bits beyond its prefix: write"),
        ({"networks": ["::ffff:192.0.2.0/120"]}, "networks: entry 1: is IPv4 in the form of IPv6"),
        ({"networks": ["192.0.2.1", "192.0.2.1/32"]}, "networks: entry 2: is the same as entry 1"),
        ({"networks": ["example.com"]}, "networks: entry 1: must be a network such as"),
        ({"networks": ["*"]}, "networks: entry 1: must be a network such as"),
        ({"networks": [None]}, "networks: entry 1: must be a network such as"),
        ({"networks": None}, "networks: must not be null"),
        ({"active": None}, "active: must not be null"),
        ({"active": "yes"}, "active: must be true or false"),
        ({"name": "x" * 256}, "name: must be 0 to 255 characters"),
        ({"digest": "0" * 64}, "digest: no such field"),
        ({"secret": "x"}, "secret: no such field"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_bad_input_is_a_400_that_names_the_field(
    api: api_client.Client, account: str, method: str, body: tp.Any, said: str
) -> None:
    path = f"{account}/credentials/" if method == "POST" else make(api, account)[0]
    status, message = api.refused(method, path, body)
    assert (status, message[: len(said)]) == (400, said)


@pytest.mark.parametrize("field", ["secret_key", "prefix", "status", "last_used_at"])
def test_facts_cannot_be_written(api: api_client.Client, account: str, field: str) -> None:
    path, _ = make(api, account)
    assert api.refused("PATCH", path, {field: "mlk_0a1b2c3d"})[0] in (400, 403)
    assert api.refused("POST", f"{account}/credentials/", {field: "mlk_0a1b2c3d"})[0] == 403


def test_what_is_said_of_a_credential_has_one_spelling_and_can_be_changed(
    api: api_client.Client, account: str
) -> None:
    nets = ["192.0.2.7", "2001:DB8::/32", "0.0.0.0/0"]
    path, made = make(api, account, name="printer", networks=nets, expires_at=FUTURE)
    assert made["networks"] == ["192.0.2.7/32", "2001:db8::/32", "0.0.0.0/0"]
    assert (made["name"], made["expires_at"]) == ("printer", "2999-01-01T00:00:00.000000Z")
    changed = api.patch(path, {"expires_at": None, "networks": [], "active": False})
    assert (changed["expires_at"], changed["networks"]) == (None, [])
    assert (changed["active"], changed["status"]) == (False, "INACTIVE")
    api.delete(path)
    assert api.refused("GET", path)[0] == 404
    assert api.get(f"{account}/credentials/") == []


def test_a_sixth_credential_is_a_409_until_one_is_over(
    api: api_client.Client, account: str
) -> None:
    paths = [make(api, account)[0] for _ in range(5)]
    said = (409, "account: already has 5 credentials, the most that it can have: delete one")
    assert api.refused("POST", f"{account}/credentials/", {}) == said
    rotate = f"{paths[0]}/actions/rotate/invoke"
    assert api.refused("POST", rotate, {"overlap_hours": 1}) == said
    assert [one["expires_at"] for one in api.get(f"{account}/credentials/")] == [None] * 5
    # Without an overlap there is room: the old one is over.
    assert api.call("POST", rotate, {"overlap_hours": 0}).status_code == 200
    api.patch(paths[1], {"active": False})
    assert api.refused("POST", f"{account}/credentials/", {}) == said
    expire(paths[2])
    make(api, account)
    left = [one["uuid"] for one in api.get(f"{account}/credentials/")]
    assert len(left) == 5
    assert paths[2].rpartition("/")[2] not in left


def test_a_rotation_makes_a_new_one_and_an_end_for_the_old_one(
    api: api_client.Client, account: str
) -> None:
    path, old = make(api, account, name="printer", networks=["192.0.2.0/24"])
    before = utils.now()
    response = api.call("POST", f"{path}/actions/rotate/invoke", {"overlap_hours": 2})
    assert response.status_code == 200, response.text
    new = response.json
    assert credentials.is_secret(new["secret_key"])
    assert new["prefix"] != old["prefix"]
    assert (new["name"], new["networks"]) == ("printer", ["192.0.2.0/24"])
    assert (new["status"], new["expires_at"], new["account"]) == ("NEW", None, account)
    end = datetime.datetime.fromisoformat(api.get(path)["expires_at"].replace("Z", "+00:00"))
    assert datetime.timedelta() <= end - before - datetime.timedelta(hours=2) < _A_WHILE
    # Again: the new one ends sooner than the old one, whose end does not move away.
    sooner = api.call("POST", f"{path}/actions/rotate/invoke", {"expires_at": FUTURE})
    assert sooner.json["expires_at"] == "2999-01-01T00:00:00.000000Z"
    assert api.get(path)["expires_at"] == end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert len(api.get(f"{account}/credentials/")) == 3


_A_WHILE: tp.Final = datetime.timedelta(minutes=5)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"overlap_hours": -1}, "overlap_hours: must be an integer from 0 to 720"),
        ({"overlap_hours": 721}, "overlap_hours: must be an integer from 0 to 720"),
        ({"overlap_hours": "1"}, "overlap_hours: must be an integer from 0 to 720"),
        ({"expires_at": PAST}, "expires_at: must be in the future"),
        ({"days": 1}, "days: no such field"),
    ],
)
def test_a_bad_rotation_changes_nothing(
    api: api_client.Client, account: str, body: tp.Any, said: str
) -> None:
    path, _ = make(api, account)
    assert api.refused("POST", f"{path}/actions/rotate/invoke", body) == (400, said)
    (left,) = api.get(f"{account}/credentials/")
    assert left["expires_at"] is None


@pytest.mark.parametrize("how", ["expired", "inactive"])
def test_what_cannot_be_used_is_not_rotated(api: api_client.Client, account: str, how: str) -> None:
    path, _ = make(api, account)
    if how == "expired":
        expire(path)
    else:
        api.patch(path, {"active": False})
    assert api.get(path)["status"] == how.upper()
    assert api.refused("POST", f"{path}/actions/rotate/invoke")[0] == 409
    assert len(api.get(f"{account}/credentials/")) == 1


def test_a_credential_goes_with_its_account_and_its_instance(api: api_client.Client) -> None:
    instance = api.instance()
    account, other = api.account(instance), api.account(instance, "other")
    for path in (account, other):
        make(api, path)
    api.delete(account)
    assert count() == 1
    assert api.refused("POST", f"{account}/credentials/", {})[0] == 404
    api.delete(instance)
    assert count() == 0


def count() -> int:
    with utils.transaction() as session:
        (row,) = session.execute("SELECT count(*) AS known FROM mail_credentials").fetchall()
    return int(row["known"])


@pytest.mark.parametrize("field", ["password", "password_hash"])
def test_a_password_is_taken_away_once_there_is_a_credential(
    stage: stages.Stage, field: str
) -> None:
    api, node = stage.api, stage.serving()
    account = api.account(stage.path, "printer")
    refusal = f"{field}: cannot be removed while the account has no usable credential"
    assert api.refused("PATCH", account, {field: None}) == (400, refusal)
    path, _ = make(api, account)
    api.patch(path, {"active": False})
    assert api.refused("PATCH", account, {field: None}) == (400, refusal)
    api.patch(path, {"active": True})
    both = {"password": None, "password_hash": api_client.HASH}
    assert api.refused("PATCH", account, both)[0] == 400
    api.patch(account, {field: None})
    stage.services.paas_pass()
    lines = node.target()["passwd"].splitlines()
    assert f"printer@mail.example.com:{crypt_strings.NO_PASSWORD}" in lines
    # A release that knows of no such account has to read it.
    with utils.transaction() as session:
        query = "SELECT password_hash FROM mail_accounts WHERE username = 'printer'"
        (row,) = session.execute(query).fetchall()
    assert crypt_strings.parse(row["password_hash"])
    # It comes back as it came.
    api.patch(account, {"password_hash": api_client.HASH_2})
    stage.services.paas_pass()
    assert f"printer@mail.example.com:{api_client.HASH_2}" in node.target()["passwd"].splitlines()


def test_an_account_is_not_made_without_a_password(api: api_client.Client) -> None:
    instance = api.instance()
    bodies: tuple[tuple[dict[str, None], str], ...] = (
        ({}, "password: either password or password_hash is required"),
        ({"password": None}, "password: must not be null"),
        ({"password_hash": None}, "password_hash: must not be null"),
    )
    for more, said in bodies:
        body = {"username": "a", **more}
        assert api.refused("POST", f"{instance}/accounts/", body) == (400, said)


def test_credentials_reach_the_node_and_are_new_until_it_has_them(stage: stages.Stage) -> None:
    api, node = stage.api, stage.serving()
    account = api.account(stage.path, "printer")
    path, made = make(api, account, networks=["192.0.2.0/24", "::/0"], expires_at=FUTURE)
    off, _ = make(api, account, active=False)
    stage.services.paas_pass()
    name, digest = made["prefix"][4:], credentials.digest(made["secret_key"])
    line = f"{name}/printer@mail.example.com:{digest} {_EPOCH_OF_FUTURE} 192.0.2.0/24;::/0\n"
    assert node.target()["credentials"] == line
    assert api.get(path)["status"] == "NEW"
    node.report()
    stage.services.paas_pass()
    assert (api.get(path)["status"], api.get(off)["status"]) == ("ACTIVE", "INACTIVE")
    assert stage.shown("status", "error") == ("ACTIVE", "")
    # The node still has what it was before.
    assert api.patch(path, {"networks": []})["status"] == "NEW"
    stage.services.paas_pass()
    assert api.get(path)["status"] == "NEW"
    node.report()
    stage.services.paas_pass()
    assert api.get(path)["status"] == "ACTIVE"
    # Of an account that is switched off none is told.
    api.patch(account, {"active": False})
    stage.services.paas_pass()
    assert node.target()["credentials"] == ""


def test_an_image_without_credentials_is_told_if_there_are_any(stage: stages.Stage) -> None:
    node = stage.serving()
    account = stage.api.account(stage.path, "printer")
    node.report({"credentials"}, error="")
    stage.services.tick(2)
    assert stage.shown("error") == ("",)
    make(stage.api, account)
    stage.services.tick(2)
    assert "credentials" not in node.target()
    assert "cannot let its accounts log in by their credentials" in stage.shown("error")[0]


def test_events_say_when_and_from_where_a_credential_was_used(stage: stages.Stage) -> None:
    api, node = stage.api, stage.serving()
    account = api.account(stage.path, "printer")
    # It sends from before the test on.
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("UPDATE mail_accounts SET created_at = created_at - interval '1 day'")
    path, made = make(api, account)
    writer = sealed.Writer(node)

    def send(number: int, at: int, client: str, prefix: str = made["prefix"]) -> None:
        queue = sealed.queue_id(number)
        event = mail_events.Event(
            at,
            mail_events.Type.SUBMITTED,
            queue,
            account="printer@mail.example.com",
            recipients=1,
            credential=prefix,
            client=client,
        )
        writer.write([event])
        sealed.take_in()

    now = sealed.now()
    send(1, now - 300_000, "192.0.2.1")
    first = api.get(path)
    assert first["last_used_ip"] == "192.0.2.1"
    send(2, now - 270_000, "192.0.2.2")
    assert api.get(path) == first
    send(3, now - 200_000, "2001:db8::1")
    second = api.get(path)
    assert second["last_used_ip"] == "2001:db8::1"
    assert second["last_used_at"] > first["last_used_at"]
    assert second["updated_at"] == first["updated_at"]
    send(4, now, "192.0.2.9", prefix="mlk_nobody00")
    send(5, now, "192.0.2.9", prefix="nonsense")
    assert api.get(path) == second
    shown = api.get(f"{stage.path}/messages/?credential={made['prefix']}")
    assert [message["credential"] for message in shown] == [made["prefix"]] * 3
