# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""TLS policies of an instance, and accounts that require TLS."""

from __future__ import annotations

import typing as tp
import uuid

import pytest

from exordos_paas_mail import models, utils
from exordos_paas_mail.codecs import tls_policies
from exordos_paas_mail.control_plane.reconcile import losses
from exordos_paas_mail.control_plane.targets import tls_policies as target

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.control_plane import api_client


def path(instance: str) -> str:
    return f"{instance}/tls_policies/"


def row(instance: str) -> models.MailInstance:
    found = models.MailInstance.objects.get_one(filters={"uuid": instance.rpartition("/")[2]})
    return tp.cast("models.MailInstance", found)


def text(instance: str) -> str:
    return target.text(None, row(instance))


def test_a_policy_lives_from_post_to_delete(api: api_client.Client) -> None:
    instance = api.instance()
    made = api.post(path(instance), {"domain": "*.Bank.Example", "mode": "verify"})
    policy = path(instance) + made["uuid"]
    assert made == {
        "uuid": made["uuid"],
        "name": "",
        "description": "",
        "project_id": api.project_id,
        "instance": instance,
        "domain": "*.bank.example",
        "mode": "verify",
        "error": "",
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert api.get(policy) == made
    assert api.get(path(instance)) == [made]
    assert api.get(path(instance) + "?mode=verify&domain=*.BANK.example") == [made]
    assert api.get(path(instance) + "?mode=dane") == []
    changed = api.patch(policy, {"mode": "dane", "name": "the bank"})
    assert (changed["mode"], changed["name"]) == ("dane", "the bank")
    assert text(instance) == ".bank.example:dane\n.:1\n"
    assert api.call("DELETE", policy).status_code == 204
    assert api.call("GET", policy).status_code == 404
    assert text(instance) == ".:0\n"


def test_the_builders_wake_for_what_a_node_is_to_hold_and_for_nothing_else(
    api: api_client.Client,
) -> None:
    instance = api.instance()
    account = api.account(instance)

    def wakes(act: tp.Callable[[], object]) -> bool:
        before = row(instance).updated_at
        act()
        return bool(row(instance).updated_at > before)

    made: list[str] = []

    def create() -> None:
        answer = api.post(path(instance), {"domain": "bank.example", "mode": "verify"})
        made.append(path(instance) + answer["uuid"])

    assert wakes(create)
    assert wakes(lambda: api.patch(made[0], {"mode": "dane"}))
    assert not wakes(lambda: api.patch(made[0], {"mode": "dane"}))
    assert not wakes(lambda: api.patch(made[0], {"name": "x"}))
    assert wakes(lambda: api.call("DELETE", made[0]))
    assert wakes(lambda: api.patch(account, {"require_tls": True}))
    assert not wakes(lambda: api.patch(account, {"require_tls": True}))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mode": "verify"}, "domain"),
        ({"domain": "bank.example"}, "mode"),
        ({"domain": "bank.example", "mode": "strict"}, "mode"),
        ({"domain": "bank.example", "mode": None}, "mode"),
        ({"domain": "*.*", "mode": "verify"}, "domain"),
        ({"domain": "192.0.2.1", "mode": "verify"}, "domain"),
        ({"domain": None, "mode": "verify"}, "domain"),
        ({"domain": ["bank.example"], "mode": "verify"}, "domain"),
        ({"domain": "x" * 5000, "mode": "verify"}, "domain"),
    ],
)
def test_what_is_no_policy_is_refused_by_its_field(
    api: api_client.Client, body: dict[str, tp.Any], field: str
) -> None:
    status, message = api.refused("POST", path(api.instance()), body)
    assert (status, message.partition(":")[0]) == (400, field)


def test_a_domain_has_one_policy_and_keeps_it(api: api_client.Client) -> None:
    instance = api.instance()
    made = api.post(path(instance), {"domain": "bank.example", "mode": "verify"})
    again = {"domain": "BANK.example", "mode": "dane"}
    assert api.refused("POST", path(instance), again) == (409, "domain: has a TLS policy already")
    taken = {"uuid": made["uuid"], "domain": "other.example", "mode": "dane"}
    assert api.refused("POST", path(instance), taken) == (409, "uuid: is already taken")
    status, message = api.refused(
        "PATCH", path(instance) + made["uuid"], {"domain": "other.example"}
    )
    assert (status, message.partition(":")[0]) == (403, "domain")
    # Another instance has its own.
    api.post(path(api.instance()), again)


def test_an_instance_has_no_more_than_it_can_have(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_policies, "POLICIES_MAX", 2)
    instance = api.instance()
    for name in ("a.example", "b.example"):
        api.post(path(instance), {"domain": name, "mode": "verify"})
    status, message = api.refused("POST", path(instance), {"domain": "*", "mode": "verify"})
    assert (status, message.partition(":")[0]) == (409, "instance")


def test_policies_go_with_their_instance(api: api_client.Client) -> None:
    instance = api.instance()
    api.post(path(instance), {"domain": "*", "mode": "encrypt"})
    assert api.call("DELETE", instance).status_code == 204
    with utils.transaction() as session:
        rows = session.execute("SELECT FROM mail_tls_policies", ()).fetchall()
    assert rows == []


def test_an_account_that_requires_tls_is_in_the_file_while_it_is_active(
    api: api_client.Client,
) -> None:
    instance = api.instance()
    account = api.account(instance, "app", require_tls=True)
    api.account(instance, "web")
    domain = api.get(instance)["domain"]
    assert api.get(account)["require_tls"] is True
    assert text(instance) == f"app@{domain}:required\n.:1\n"
    api.patch(account, {"active": False})
    assert text(instance) == ".:0\n"
    status, message = api.refused("PATCH", account, {"require_tls": "yes"})
    assert (status, message.partition(":")[0]) == (400, "require_tls")


def test_an_image_that_knows_no_policies_is_told_of_where_there_are_any(
    api: api_client.Client,
) -> None:
    instance = api.instance()
    known = frozenset(losses.LOSSES) - {"tls_policies"}
    uuid_ = uuid.UUID(instance.rpartition("/")[2])
    assert losses.told(uuid_, known) == ""
    made = api.post(path(instance), {"domain": "*", "mode": "encrypt"})
    assert "cannot keep its TLS policies" in losses.told(uuid_, known)
    assert losses.told(uuid_, frozenset(losses.LOSSES)) == ""
    api.patch(path(instance) + made["uuid"], {"mode": "auto"})
    assert losses.told(uuid_, known) == ""
    api.account(instance, require_tls=True)
    assert "cannot keep its TLS policies" in losses.told(uuid_, known)
