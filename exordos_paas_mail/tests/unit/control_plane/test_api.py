# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the API does with good input."""

from __future__ import annotations

import uuid as sys_uuid

import pytest
from passlib import hash as schemes
from restalchemy.dm import filters
from restalchemy.storage.sql import engines

from exordos_paas_mail import models
from exordos_paas_mail.codecs import limits, password_hashes
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice

PASSWORD = "Tr0ub4dor&3"
NO_LIMITS = dict(limits.NONE)


def stored_hash(account: str) -> str:
    uuid = sys_uuid.UUID(account.rpartition("/")[2])
    found = models.MailAccount.objects.get_one(filters={"uuid": filters.EQ(uuid)})
    assert isinstance(found.password_hash, str)
    return found.password_hash


def test_an_instance_is_shown_as_it_was_made(api: api_client.Client) -> None:
    version = api.version()
    body = api.instance_body(version, domain="Mail.Example.COM", description="two\nlines")
    made = api.post(api_client.INSTANCES, body)
    uuid, created, updated = made["uuid"], made["created_at"], made["updated_at"]
    assert made == {
        "uuid": uuid,
        "name": "relay",
        "description": "two\nlines",
        "project_id": api.project_id,
        "domain": "mail.example.com",
        "hostname": None,
        "sender_policy": "domain",
        "limits": NO_LIMITS,
        "reputation": {
            "enabled": True,
            "days": 7,
            "recipients_min": 200,
            "bounce_warn_percent": 4,
            "bounce_hold_percent": 8,
            "complaints_min": 3,
            "complaint_warn_percent": 0.08,
            "complaint_hold_percent": 0.3,
        },
        "suppression": {
            "on_hard_bounce": True,
            "after": 1,
            "expires_days": 90,
            "action": "reject",
        },
        "log": {"level": "all", "retention_days": 14, "max_rows": 1_000_000},
        "tls": {"kind": "self_signed"},
        "smarthost": {"kind": "none"},
        "outbound": "UNKNOWN",
        "outbound_error": "",
        "tls_status": "PENDING",
        "tls_error": "",
        "tls_certificate": "",
        "tls_fingerprint_sha256": "",
        "tls_names": [],
        "tls_expires_at": None,
        "cpu": 1,
        "ram": 1024,
        "disk_size": 10,
        "version": version,
        "image": api_client.IMAGE,
        "status": "NEW",
        "error": "",
        "ipsv4": [],
        "dkim_public_key": "",
        "dns": {"kind": "none"},
        "dns_status": "INCOMPLETE",
        "dkim_selector": "platform",
        "sent_24h": 0,
        "failed_24h": 0,
        "deferred_24h": 0,
        "queue_messages": None,
        "queue_oldest_at": None,
        "queue_reported_at": None,
        "created_at": created,
        "updated_at": updated,
    }
    assert api.get(f"{api_client.INSTANCES}{uuid}") == made
    assert api.get(api_client.INSTANCES) == [made]


def test_a_new_record_says_where_it_is(api: api_client.Client) -> None:
    instance = api.call("POST", api_client.INSTANCES, api.instance_body(api.version()))
    path = f"{api_client.INSTANCES}{instance.json['uuid']}"
    account = api.call(
        "POST", f"{path}/accounts/", {"username": "a", "password_hash": api_client.HASH}
    )
    assert [instance.headers["Location"], account.headers["Location"]] == [
        f"http://localhost{path}",
        f"http://localhost{path}/accounts/{account.json['uuid']}",
    ]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_update_changes_what_it_names(api: api_client.Client, method: str) -> None:
    instance = api.instance()
    before = api.get(instance)
    changes = {"cpu": 2, "ram": 2048, "disk_size": 20, "name": "renamed", "description": "d"}
    answer = api.call(method, instance, changes)
    assert (answer.status_code, answer.json) == (200, api.get(instance))
    assert {**answer.json, "updated_at": before["updated_at"]} == {**before, **changes}
    assert answer.json["updated_at"] > before["updated_at"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_the_name_of_a_relay_is_given_changed_and_taken_back(
    api: api_client.Client, method: str
) -> None:
    instance = api.instance(hostname="SMTP.Example.com")
    assert api.get(instance)["hostname"] == "smtp.example.com"
    before = gservice.row_versions()
    for given, kept in (
        ("m\N{LATIN SMALL LETTER U WITH DIAERESIS}nchen.example.com", "xn--mnchen-3ya.example.com"),
        ("xn--mnchen-3ya.example.com", "xn--mnchen-3ya.example.com"),
        ("mail.example.com", "mail.example.com"),
        (None, None),
    ):
        answer = api.call(method, instance, {"hostname": given})
        assert (answer.status_code, answer.json["hostname"]) == (200, kept)
        assert api.get(instance)["hostname"] == kept
    assert gservice.row_versions() != before
    assert api.get(api.instance(hostname=None))["hostname"] is None


def test_instances_are_found_by_their_name(api: api_client.Client) -> None:
    named = api.instance(hostname="smtp.example.com")
    unnamed = api.instance()
    for query, found in (
        ("hostname=SMTP.example.com", named),
        ("q=hostname%3D%22smtp.example.com%22", named),
        ("q=hostname%3Dnull", unnamed),
    ):
        shown = api.get(f"{api_client.INSTANCES}?{query}")
        assert [instance["uuid"] for instance in shown] == [found.rpartition("/")[2]], query


def test_an_update_to_another_version_is_taken(api: api_client.Client) -> None:
    instance = api.instance()
    version = api.version("exim4_2")
    assert api.patch(instance, {"version": version})["version"] == version


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_update_that_changes_nothing_writes_nothing(api: api_client.Client, method: str) -> None:
    instance = api.instance()
    account = api.account(instance, password=PASSWORD)
    shown = api.get(instance)
    before = gservice.row_versions()
    for path, body in (
        (instance, {}),
        (instance, {"cpu": 1, "name": "relay", "version": shown["version"]}),
        (account, {}),
        (account, {"active": True}),
        (account, {"password": PASSWORD}),
        (account, {"password_hash": stored_hash(account)}),
        (account, {"password_hash": "{SHA512-CRYPT}" + stored_hash(account)}),
    ):
        assert api.call(method, path, body).status_code == 200
    assert gservice.row_versions() == before


def test_an_account_shows_neither_password_nor_hash(api: api_client.Client) -> None:
    instance = api.instance()
    body = {"username": "NoReply", "password": PASSWORD}
    made = api.post(f"{instance}/accounts/", body)
    account = f"{instance}/accounts/{made['uuid']}"
    expected = {
        "uuid": made["uuid"],
        "name": "noreply",
        "description": "",
        "project_id": api.project_id,
        "instance": instance,
        "username": "noreply",
        "active": True,
        "senders": None,
        "limits": NO_LIMITS,
        "on_limit": "defer",
        "require_tls": False,
        "hold": {
            "active": False,
            "by": None,
            "reason": "",
            "since": None,
            "release": None,
            "released_at": None,
        },
        "error": "",
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert made == expected
    assert [api.get(account), *api.get(f"{instance}/accounts/")] == [expected, expected]
    for changes in ({"password": "another one"}, {"password_hash": api_client.HASH}):
        assert api.patch(account, changes).keys() == expected.keys()


def test_a_password_is_hashed_as_cheaply_as_a_login_may_cost(api: api_client.Client) -> None:
    account = api.account(api.instance(), password=PASSWORD)
    found = stored_hash(account)
    # No rounds in it: the 5,000 of the scheme.
    _, scheme, salt, digest = found.split("$")
    assert (scheme, len(salt), len(digest)) == ("6", 16, 86)
    assert password_hashes.verify(PASSWORD, found)
    api.patch(account, {"password": "another one"})
    assert not password_hashes.verify(PASSWORD, stored_hash(account))
    assert password_hashes.verify("another one", stored_hash(account))


def test_a_password_whose_hash_is_dear_to_verify_gets_a_cheap_one_once(
    api: api_client.Client,
) -> None:
    dear = schemes.sha512_crypt.using(rounds=100_000).hash(PASSWORD)
    account = api.account(api.instance(), password_hash=dear)
    api.patch(account, {"password": PASSWORD})
    cheap = stored_hash(account)
    assert cheap != dear
    assert password_hashes.verify(PASSWORD, cheap)
    api.patch(account, {"password": PASSWORD})
    assert stored_hash(account) == cheap


def test_a_hash_is_stored_without_its_prefix(api: api_client.Client) -> None:
    account = api.account(api.instance(), password_hash="{SHA512-CRYPT}" + api_client.HASH)
    assert stored_hash(account) == api_client.HASH


def test_a_hash_that_was_taken_before_the_rule_hides_no_account(api: api_client.Client) -> None:
    instance = api.instance()
    account = api.account(instance)
    dear = "$y$jFT$abcdefgh$" + "h" * 43
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("UPDATE mail_accounts SET password_hash = %s", (dear,))
    assert api.get(f"{instance}/accounts/") == [api.get(account)]
    api.patch(account, {"active": False, "password_hash": dear})
    assert stored_hash(account) == dear
    api.patch(account, {"password": PASSWORD})
    assert password_hashes.verify(PASSWORD, stored_hash(account))


def test_no_table_holds_a_password(api: api_client.Client) -> None:
    account = api.account(api.instance(), password=PASSWORD)
    api.patch(account, {"password": PASSWORD + "2"})
    with engines.engine_factory.get_engine().session_manager() as session:
        for table in ("mail_accounts", "mail_instances", "ua_target_resources"):
            rows = session.execute(f"SELECT t::text AS row FROM {table} t").fetchall()  # noqa: S608
            assert [row for row in rows if PASSWORD in row["row"]] == []


def updated_at(api: api_client.Client, path: str) -> str:
    return str(api.get(path)["updated_at"])


def test_a_change_of_an_account_touches_its_instance_and_nothing_else_of_it(
    api: api_client.Client,
) -> None:
    instance, other = api.instance(), api.instance()
    account = api.account(instance)
    before = api.get(instance), api.get(other)
    seen = {before[0]["updated_at"]}
    for act in (
        lambda: api.account(instance, "second"),
        lambda: api.patch(account, {"active": False}),
        lambda: api.patch(account, {"password_hash": api_client.HASH_2}),
        lambda: api.patch(account, {"password": PASSWORD}),
        lambda: api.delete(account),
    ):
        act()
        seen.add(updated_at(api, instance))
    assert len(seen) == 6
    assert {**api.get(instance), "updated_at": None} == {**before[0], "updated_at": None}
    assert api.get(other) == before[1]


def test_what_the_node_does_not_hold_touches_nothing(api: api_client.Client) -> None:
    instance = api.instance()
    account = api.account(instance)
    before = updated_at(api, instance)
    api.patch(account, {"name": "the shop", "description": "d"})
    assert updated_at(api, instance) == before


def test_a_refused_account_does_not_touch_its_instance(api: api_client.Client) -> None:
    instance = api.instance()
    api.account(instance, "noreply")
    before = updated_at(api, instance)
    body = {"username": "noreply", "password_hash": api_client.HASH}
    assert api.refused("POST", f"{instance}/accounts/", body)[0] == 409
    assert updated_at(api, instance) == before


def test_an_instance_takes_its_accounts_with_it(api: api_client.Client) -> None:
    instance, other = api.instance(), api.instance()
    api.account(instance)
    kept = api.account(other)
    api.delete(instance)
    assert api.refused("GET", instance)[0] == 404
    assert [str(a.uuid) for a in models.MailAccount.objects.get_all()] == [kept.rpartition("/")[2]]


def test_a_version_in_use_stays(api: api_client.Client) -> None:
    version = api.version()
    api.instance(version=version)
    admin = api.admin()
    assert admin.refused("DELETE", version) == (
        409,
        "version: does not exist, or is in use by an instance",
    )
    assert admin.refused("POST", api_client.VERSIONS, {"name": "exim4_1", "image": "i"}) == (
        409,
        "name: is already taken by another version",
    )
    assert [v["name"] for v in api.get(api_client.VERSIONS)] == ["exim4_1"]
    other = api.version("exim4_2")
    assert admin.refused("PATCH", other, {"name": "exim4_1"}) == (
        409,
        "name: is already taken by another version",
    )


def test_lists_are_filtered_sorted_and_paged(api: api_client.Client) -> None:
    instance = api.instance()
    for name in "dbeac":
        api.account(instance, name, active=name != "e")
    accounts = f"{instance}/accounts/"

    def names(query: str) -> list[str]:
        return [a["username"] for a in api.get(f"{accounts}?{query}")]

    assert names("sort_key=username") == list("abcde")
    assert names("sort_key=username&sort_dir=desc&active=true") == list("dcba")
    assert sorted(names("username=A&username=b")) == ["a", "b"]
    assert names('q=username="a" OR username="b"&sort_key=username') == ["a", "b"]
    pages, marker = [], ""
    while True:
        page = api.call("GET", f"{accounts}?sort_key=username&page_limit=2{marker}")
        assert page.headers["X-Pagination-Limit"] == "2"
        pages.append([a["username"] for a in page.json])
        if "X-Pagination-Marker" not in page.headers:
            break
        marker = f"&page_marker={page.headers['X-Pagination-Marker']}"
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_the_routes_are_listed(api: api_client.Client) -> None:
    assert sorted(api.get(f"{api_client.ROOT}/")) == ["instances", "versions"]


def test_a_token_of_no_project_sees_all_and_keeps_projects_apart(api: api_client.Client) -> None:
    admin = api.admin()
    version = api.version()
    instance = api.instance(version=version)
    account, domain = api.account(instance), api.domain(instance)
    another = {"username": "new", "password": PASSWORD}
    assert [i["uuid"] for i in admin.get(api_client.INSTANCES)] == [instance.rpartition("/")[2]]
    for collection, body in (
        (f"{instance}/accounts/", another),
        (f"{instance}/domains/", {"domain": "new.example"}),
        (f"{domain}/dkim_keys/", {"algorithm": "ed25519"}),
    ):
        foreign = {**body, "project_id": api.of_other_project().project_id}
        assert admin.refused("POST", collection, foreign) == (
            400,
            "project_id: must be the project of the instance",
        )
    made = admin.post(f"{instance}/accounts/", another)
    assert made["project_id"] == api.project_id
    for record in (instance, account, domain):
        moved = {"project_id": api.of_other_project().project_id}
        assert admin.refused("PATCH", record, moved) == (400, "project_id: cannot be changed")
    without = admin.instance_body(version)
    assert admin.refused("POST", api_client.INSTANCES, without)[0] == 400


def test_a_disk_does_not_shrink(api: api_client.Client) -> None:
    instance = api.instance(disk_size=20)
    before = api.get(instance)
    assert api.refused("PATCH", instance, {"disk_size": 19, "cpu": 2}) == (
        400,
        "disk_size: cannot be reduced",
    )
    assert api.get(instance) == before
    assert api.patch(instance, {"disk_size": 21})["disk_size"] == 21


@pytest.mark.parametrize("field", ["password", "password_hash"])
@pytest.mark.parametrize("prefix", ["{SHA512-CRYPT}", "{sha512-crypt}", "{CRYPT}"])
def test_a_hash_behind_a_prefix_is_a_hash_in_either_field(
    api: api_client.Client, field: str, prefix: str
) -> None:
    account = api.account(api.instance(), **{field: prefix + api_client.HASH})
    uuid = account.rpartition("/")[2]

    def stored() -> str:
        return str(models.MailAccount.objects.get_one(filters={"uuid": uuid}).password_hash)

    assert stored() == api_client.HASH
    before = gservice.row_versions()
    api.patch(account, {field: prefix + api_client.HASH})
    assert gservice.row_versions() == before
    api.patch(account, {field: prefix + api_client.HASH_2})
    assert stored() == api_client.HASH_2


def test_braces_alone_make_no_hash_of_a_password(api: api_client.Client) -> None:
    for username, password in (
        ("a", "{SHA512-CRYPT}secret"),
        ("b", "{}$6$"),
        ("c", "$6$salt$hash"),
    ):
        api.account(instance := api.instance(), username, password=password)
        (account,) = models.MailAccount.objects.get_all(filters={"username": username})
        assert password_hashes.verify(password, account.password_hash), instance


def test_a_body_names_the_instance_of_the_path_or_none(api: api_client.Client) -> None:
    instance, other = api.instance(), api.instance()
    body = {"username": "a", "password_hash": api_client.HASH}
    assert api.refused("POST", f"{instance}/accounts/", {**body, "instance": other}) == (
        400,
        "instance: must be the instance in the path",
    )
    assert api.post(f"{instance}/accounts/", {**body, "instance": instance})["instance"] == instance
