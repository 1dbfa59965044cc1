# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What one instance may have: so many accounts, and so much memory a login."""

from __future__ import annotations

import pytest

from exordos_paas_mail import models
from exordos_paas_mail.control_plane.records import accounts
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice

# Of yescrypt, in MB a login.
MB_64 = "$y$jBT$abcdefgh$" + "h" * 43
MB_128 = "$y$jCT$abcdefgh$" + "h" * 43


def test_an_instance_has_so_many_accounts_and_no_more(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert accounts.ACCOUNTS_MAX == 100_000
    monkeypatch.setattr(accounts, "ACCOUNTS_MAX", 2)
    instance, other = api.instance(), api.instance()
    first = api.account(instance, "a")
    api.account(instance, "b", active=False)
    body = {"username": "c", "password_hash": api_client.HASH}
    assert api.refused("POST", f"{instance}/accounts/", body) == (
        409,
        "instance: already has 2 accounts, the most that it can have",
    )
    api.account(other, "c")
    api.delete(first)
    api.account(instance, "c")


@pytest.mark.parametrize(
    ("field", "prefix"),
    [("password_hash", ""), ("password_hash", "{CRYPT}"), ("password", "{CRYPT}")],
)
def test_a_login_takes_an_eighth_of_the_memory_of_its_instance(
    api: api_client.Client, field: str, prefix: str
) -> None:
    instance = api.instance(ram=512)
    account = api.account(instance, **{field: prefix + MB_64})
    before = gservice.row_versions()
    for method, path, body in (
        ("POST", f"{instance}/accounts/", {"username": "b"}),
        ("PATCH", account, {}),
    ):
        assert api.refused(method, path, {**body, field: prefix + MB_128}) == (
            400,
            f"{field}: must need at most 64 MB per login (an eighth of the instance's ram,"
            " and 256 MB at most), not 128 MB: choose a lower cost",
        )
    assert gservice.row_versions() == before
    api.patch(instance, {"ram": 1024})
    api.patch(account, {field: prefix + MB_128})


def test_memory_that_a_login_needs_is_not_taken_away(api: api_client.Client) -> None:
    instance = api.instance(ram=2048)
    account = api.account(instance, password_hash=MB_128, active=False)
    api.account(api.instance(ram=512), "other", password_hash=MB_64)
    before = api.get(instance)
    assert api.refused("PATCH", instance, {"ram": 1023, "cpu": 2}) == (
        400,
        "ram: cannot be reduced to 1023: a password hash of this instance needs"
        " 128 MB per login, and one login may take an eighth of ram",
    )
    assert api.get(instance) == before
    api.patch(instance, {"ram": 1024})
    api.patch(account, {"password_hash": MB_64})
    api.patch(instance, {"ram": 512})


def test_a_hash_that_was_taken_before_the_bound_stays_as_it_is(api: api_client.Client) -> None:
    instance = api.instance(ram=512)
    account = api.account(instance, password_hash=MB_64)
    with models.MailAccount._get_engine().session_manager() as session:
        session.execute("UPDATE mail_accounts SET password_hash = %s", (MB_128,))
    assert api.patch(account, {"active": False})["active"] is False
    assert api.patch(instance, {"ram": 640})["ram"] == 640


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("mail_accounts", "password_hash", "$6$salt$" + "h" * 40),
        ("mail_accounts", "username", "a!b"),
        ("mail_accounts", "name", "a\nb"),
        ("mail_instances", "domain", "my_mail.example.com"),
        ("mail_instances", "name", ""),
        ("mail_versions", "image", ""),
    ],
)
def test_what_an_earlier_release_took_hides_nothing(
    api: api_client.Client, table: str, column: str, value: str
) -> None:
    instance = api.instance()
    account = api.account(instance)
    with models.MailAccount._get_engine().session_manager() as session:
        session.execute(f"UPDATE {table} SET {column} = %s", (value,))  # noqa: S608
    assert len(api.get(api_client.INSTANCES)) == 1
    assert len(api.get(f"{instance}/accounts/")) == 1
    assert len(api.get(api_client.VERSIONS)) == 1
    assert api.patch(account, {"active": False})["active"] is False
    assert api.patch(instance, {"cpu": 2})["cpu"] == 2
