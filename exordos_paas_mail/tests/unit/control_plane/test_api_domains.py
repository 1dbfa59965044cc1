# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The domains of an instance, and their DKIM keys, by the API."""

from __future__ import annotations

import datetime
import typing as tp
import uuid as sys_uuid

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import dkim_keys, domains
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice

HOUR = datetime.timedelta(hours=1)
RSA = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"
RSA_2 = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8B"
ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def session() -> tp.Any:
    return engines.engine_factory.get_engine().session_manager()


def uuid_of(path: str) -> sys_uuid.UUID:
    return sys_uuid.UUID(path.rpartition("/")[2])


def tell(domain: str, **keys: str) -> None:
    """Take over public keys by their selectors, as a node of the domain's instance tells them."""
    with session() as active:
        (row,) = active.execute(
            "SELECT instance, domain FROM mail_domains WHERE uuid = %s", (str(uuid_of(domain)),)
        ).fetchall()
        told = [
            (row["domain"], selector, "ed25519" if "e" in selector[1:3] else "rsa", public_key)
            for selector, public_key in keys.items()
        ]
        dkim_keys.report(active, row["instance"], told)


def look(
    domain: str,
    visible: tp.Collection[str] = (),
    absent: tp.Collection[str] = (),
    at: datetime.datetime | None = None,
    negative_ttl: float = 300,
) -> None:
    """Take over what the checker sees of the keys of the domain, and of its proof."""
    now = at or utils.now()
    uuid = uuid_of(domain)
    with session() as active:
        domains.observe(active, uuid, True if visible else False if absent else None, now)
        dkim_keys.observe(active, uuid, set(visible), set(absent), negative_ttl, now)


def states(api: api_client.Client, domain: str) -> dict[str, str]:
    return {selector: key["state"] for selector, key in api.dkim_keys(domain).items()}


def publish(api: api_client.Client, domain: str, at: datetime.datetime | None = None) -> str:
    """Have the node make the domain's first key and DNS show it; returns the selector."""
    (selector,) = api.dkim_keys(domain)
    tell(domain, **{selector: RSA})
    look(domain, {selector}, at=at)
    return selector


def test_a_domain_is_shown_as_it_was_made(api: api_client.Client) -> None:
    instance = api.instance()
    made = api.post(f"{instance}/domains/", {"domain": "Example.ORG", "dkim_rotation_days": 90})
    domain = f"{instance}/domains/{made['uuid']}"
    assert made == {
        "uuid": made["uuid"],
        "name": "example.org",
        "description": "",
        "project_id": api.project_id,
        "instance": instance,
        "domain": "example.org",
        "primary": False,
        "active": True,
        "status": "PENDING",
        "error": "",
        "dns": {"kind": "none"},
        "dns_status": "INCOMPLETE",
        "bounce_handling": {"kind": "none"},
        "return_path": "",
        "dkim_rotation_days": 90,
        "dkim_public_key": "",
        "dkim_selector": made["dkim_selector"],
        "verified_at": None,
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert api.get(domain) == made
    shown = api.get(f"{instance}/domains/")
    assert [(d["domain"], d["primary"], d["status"]) for d in shown if d["primary"]] == [
        ("mail.example.com", True, "VERIFIED")
    ]
    assert made in shown


def test_an_internationalised_domain_is_stored_as_a_labels(api: api_client.Client) -> None:
    instance = api.instance()
    made = api.post(f"{instance}/domains/", {"domain": "Почта.рф"})
    assert (made["domain"], made["name"]) == ("xn--80a1acny.xn--p1ai",) * 2
    again = api.refused("POST", f"{instance}/domains/", {"domain": "xn--80a1acny.xn--p1ai"})
    assert again == (409, "domain: is already a domain of the instance")


@pytest.mark.parametrize("spelling", ["mail.example.com", "MAIL.example.com"])
def test_the_primary_domain_is_not_added_again(api: api_client.Client, spelling: str) -> None:
    instance = api.instance()
    assert api.refused("POST", f"{instance}/domains/", {"domain": spelling}) == (
        409,
        "domain: is already a domain of the instance",
    )


def test_a_domain_may_be_of_two_instances_and_each_proves_its_own(api: api_client.Client) -> None:
    mine, theirs = api.instance(), api.of_other_project()
    other = theirs.instance()
    domain, claimed = api.domain(mine), theirs.domain(other)
    selector = publish(api, domain)
    assert (api.get(domain)["status"], theirs.get(claimed)["status"]) == ("VERIFIED", "PENDING")
    assert selector not in theirs.dkim_keys(claimed)


def test_the_primary_domain_neither_goes_nor_stops(api: api_client.Client) -> None:
    instance = api.instance()
    primary = api.primary(instance)
    before = gservice.row_versions()
    assert api.refused("DELETE", primary) == (
        409,
        "primary: the primary domain cannot be deleted",
    )
    assert api.refused("PATCH", primary, {"active": False}) == (
        409,
        "active: the primary domain cannot be switched off",
    )
    assert gservice.row_versions() == before
    assert api.patch(primary, {"description": "d", "active": True})["description"] == "d"


def test_an_instance_has_fifty_domains_beside_its_primary(
    api: api_client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert domains.DOMAINS_MAX == 50
    monkeypatch.setattr(domains, "DOMAINS_MAX", 2)
    instance = api.instance()
    first, _ = (api.domain(instance, name) for name in ("a.example", "b.example"))
    assert api.refused("POST", f"{instance}/domains/", {"domain": "c.example"}) == (
        409,
        "instance: already has 2 domains beside its primary one, the most that it can have",
    )
    api.delete(first)
    api.domain(instance, "c.example")


@pytest.mark.parametrize(
    ("change", "wakes"),
    [
        ({"active": False}, True),
        ({"active": True}, False),
        ({"name": "n", "description": "d"}, False),
        ({"dkim_rotation_days": 30}, False),
    ],
)
def test_a_change_wakes_the_builders_if_the_node_is_to_hold_something_else(
    api: api_client.Client, change: dict[str, tp.Any], *, wakes: bool
) -> None:
    instance = api.instance()
    domain = api.domain(instance)
    before = api.get(instance)["updated_at"]
    assert change.items() <= api.patch(domain, change).items()
    assert (api.get(instance)["updated_at"] > before) == wakes


def test_a_domain_goes_with_its_keys_and_with_its_instance(api: api_client.Client) -> None:
    instance = api.instance()
    domain = api.domain(instance)
    api.domain(instance, "second.example")
    before = api.get(instance)["updated_at"]
    api.delete(domain)
    assert api.get(instance)["updated_at"] > before
    assert api.refused("GET", f"{domain}/dkim_keys/")[0] == 404
    api.delete(instance)
    with session() as active:
        for table in ("mail_domains", "mail_dkim_keys"):
            assert active.execute(f"SELECT uuid FROM {table}").fetchall() == []  # noqa: S608


def test_a_new_domain_has_a_key_that_no_other_instance_publishes(api: api_client.Client) -> None:
    keys = [api.dkim_keys(api.domain(api.instance())) for _ in range(2)]
    selectors = [selector for selector, *_ in keys]
    assert len(set(selectors)) == 2
    (key,) = keys[0].values()
    assert key == {
        "uuid": key["uuid"],
        "project_id": api.project_id,
        "domain": key["domain"],
        "selector": selectors[0],
        "algorithm": "rsa",
        "state": "PENDING",
        "public_key": "",
        "record": {
            "name": f"{selectors[0]}._domainkey.example.org",
            "type": "TXT",
            "value": "",
        },
        "visible_at": None,
        "activated_at": None,
        "retiring_at": None,
        "revoked_at": None,
        "safe_to_remove_at": None,
        "safe_to_remove": False,
        "created_at": key["created_at"],
        "updated_at": key["updated_at"],
    }


def test_the_first_key_of_the_primary_domain_is_platform_and_signs(api: api_client.Client) -> None:
    primary = api.primary(api.instance())
    assert states(api, primary) == {"platform": "ACTIVE"}


def test_a_key_tells_its_record_once_the_node_has_made_it(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    (selector,) = api.dkim_keys(domain)
    tell(domain, **{selector: RSA})
    shown = api.dkim_keys(domain)[selector]
    assert (shown["public_key"], shown["record"]["value"]) == (RSA, f"v=DKIM1; k=rsa; p={RSA}")
    assert [api.get(domain)[f] for f in ("dkim_public_key", "dkim_selector")] == [
        f"v=DKIM1; k=rsa; p={RSA}",
        selector,
    ]


def test_a_domain_sends_once_its_key_is_seen(api: api_client.Client) -> None:
    instance = api.instance()
    domain = api.domain(instance)
    before = api.get(instance)["updated_at"]
    selector = publish(api, domain)
    shown = api.get(domain)
    assert (shown["status"], states(api, domain)) == ("VERIFIED", {selector: "ACTIVE"})
    assert api_client.TIME.fullmatch(shown["verified_at"])
    assert api.get(instance)["updated_at"] > before
    again = gservice.row_versions()
    look(domain, {selector})
    look(domain, {selector})
    look(domain)
    settled = gservice.row_versions()
    look(domain, {selector})
    look(domain)
    assert gservice.row_versions() == settled
    assert again["mail_domains"] == settled["mail_domains"]


def test_a_key_of_ed25519_signs_beside_rsa(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    rsa = publish(api, domain)
    made = api.post(f"{domain}/dkim_keys/", {"algorithm": "ed25519"})
    assert (made["state"], made["selector"][:3]) == ("PENDING", "m2e")
    assert api.refused("POST", f"{domain}/dkim_keys/", {"algorithm": "ed25519"}) == (
        409,
        f"algorithm: the ed25519 key {made['selector']} is prepared already",
    )
    tell(domain, **{made["selector"]: ED25519})
    now = utils.now()
    for minutes in (0, 10):
        look(domain, {rsa, made["selector"]}, at=now + datetime.timedelta(minutes=minutes))
    assert states(api, domain) == {rsa: "ACTIVE", made["selector"]: "ACTIVE"}


def test_a_rotation_goes_on_once_the_new_key_is_visible(api: api_client.Client) -> None:
    instance = api.instance()
    domain = api.primary(instance)
    tell(domain, platform=RSA)
    rotated = api.call("POST", f"{domain}/actions/rotate/invoke")
    assert (rotated.status_code, rotated.json) == (200, api.get(domain))
    (new,) = api.dkim_keys(domain).keys() - {"platform"}
    assert states(api, domain) == {"platform": "ACTIVE", new: "PENDING"}
    assert api.refused("POST", f"{domain}/actions/rotate/invoke") == (
        409,
        f"dkim_keys: a rotation is under way: the record of {new} is not visible yet",
    )
    tell(domain, **{new: RSA_2})
    now = utils.now()
    look(domain, {"platform", new}, at=now)
    look(domain, {"platform", new}, at=now + datetime.timedelta(seconds=200))
    assert states(api, domain) == {"platform": "ACTIVE", new: "PENDING"}
    look(domain, {"platform", new}, at=now + datetime.timedelta(seconds=301))
    assert states(api, domain) == {"platform": "RETIRING", new: "ACTIVE"}
    for path in (domain, instance):
        shown = api.get(path)
        assert shown["dkim_selector"] == new
        assert shown["dkim_public_key"] == f"v=DKIM1; k=rsa; p={RSA_2}"


def test_a_key_that_is_prepared_waits_for_the_rotation(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    old = publish(api, domain)
    new = api.post(f"{domain}/dkim_keys/", {})["selector"]
    tell(domain, **{new: RSA_2})
    now = utils.now()
    for hours in range(3):
        look(domain, {old, new}, at=now + hours * HOUR)
    assert states(api, domain) == {old: "ACTIVE", new: "VISIBLE"}
    assert api.call("POST", f"{domain}/actions/rotate/invoke", {}).status_code == 200
    assert states(api, domain) == {old: "RETIRING", new: "ACTIVE"}


def test_a_key_that_vanishes_hands_back_to_one_that_is_visible(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    old = publish(api, domain)
    api.call("POST", f"{domain}/actions/rotate/invoke")
    (new,) = api.dkim_keys(domain).keys() - {old}
    tell(domain, **{new: RSA_2})
    now = utils.now()
    for hours in (0, 1):
        look(domain, {old, new}, at=now + hours * HOUR)
    assert states(api, domain) == {old: "RETIRING", new: "ACTIVE"}
    look(domain, {old}, {new}, at=now + 2 * HOUR)
    assert states(api, domain) == {old: "RETIRING", new: "ACTIVE"}, "one look is not enough"
    look(domain, {old}, {new}, at=now + 3 * HOUR)
    assert states(api, domain) == {old: "ACTIVE", new: "PENDING"}
    for hours in (4, 5):
        look(domain, {old, new}, at=now + hours * HOUR)
    assert states(api, domain) == {old: "RETIRING", new: "ACTIVE"}


def test_a_key_goes_when_nothing_it_signed_is_on_its_way(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    old = publish(api, domain)
    api.call("POST", f"{domain}/actions/rotate/invoke")
    (new,) = api.dkim_keys(domain).keys() - {old}
    tell(domain, **{new: RSA_2})
    start = utils.now() - datetime.timedelta(days=11)
    for hours in (0, 1):
        look(domain, {old, new}, at=start + hours * HOUR)
    shown = api.dkim_keys(domain)
    keys = {selector: f"{domain}/dkim_keys/{shown[selector]['uuid']}" for selector in shown}
    assert api.refused("DELETE", keys[new]) == (
        409,
        "state: the key is ACTIVE: without it the domain's mail would be unsigned",
    )
    assert api.refused("DELETE", keys[old]) == (
        409,
        "state: the key is RETIRING: mail it has signed may still be on its way",
    )
    assert api.get(keys[old])["safe_to_remove"] is False
    look(domain, {old, new}, at=utils.now())
    retired = api.get(keys[old])
    assert (retired["state"], retired["safe_to_remove"]) == ("REVOKED", True)
    api.delete(keys[old])
    assert states(api, domain) == {new: "ACTIVE"}


def test_the_only_key_of_a_domain_stays(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    (key,) = api.dkim_keys(domain).values()
    assert api.refused("DELETE", f"{domain}/dkim_keys/{key['uuid']}") == (
        409,
        "state: the key is the domain's only RSA key that is not REVOKED",
    )
    assert api.refused("POST", f"{domain}/actions/rotate/invoke") == (
        409,
        "dkim_keys: no key of the domain signs yet",
    )


def test_a_selector_is_never_used_again(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    seen = set(api.dkim_keys(domain))
    publish(api, domain)
    for _ in range(3):
        made = api.post(f"{domain}/dkim_keys/", {})
        assert made["selector"] not in seen
        seen.add(made["selector"])
        api.delete(f"{domain}/dkim_keys/{made['uuid']}")


def test_keys_are_rotated_by_their_age_where_that_is_asked_for(api: api_client.Client) -> None:
    domain = api.domain(api.instance(), dkim_rotation_days=30)
    now = utils.now()
    old = publish(api, domain, at=now)
    look(domain, {old}, at=now + datetime.timedelta(days=29))
    assert states(api, domain) == {old: "ACTIVE"}
    look(domain, {old}, at=now + datetime.timedelta(days=30))
    (new,) = api.dkim_keys(domain).keys() - {old}
    look(domain, {old}, at=now + datetime.timedelta(days=200))
    # Nobody has published the new one.
    assert states(api, domain) == {old: "ACTIVE", new: "PENDING"}


def test_a_proof_that_is_lost_stops_the_domain_after_72_hours(api: api_client.Client) -> None:
    instance = api.instance()
    domain = api.domain(instance)
    now = utils.now()
    selector = publish(api, domain, at=now)
    before = api.get(instance)["updated_at"]
    look(domain, absent={selector}, at=now + HOUR)
    look(domain, at=now + 60 * HOUR)
    shown = api.get(domain)
    assert (shown["status"], api.get(instance)["updated_at"]) == ("DEGRADED", before)
    assert shown["error"].startswith("no DKIM record of the domain is in its DNS since ")
    look(domain, at=now + 100 * HOUR)
    assert api.get(domain)["status"] == "DEGRADED", "no answer is no absence"
    look(domain, absent={selector}, at=now + 100 * HOUR)
    assert api.get(domain)["status"] == "PENDING"
    assert api.get(instance)["updated_at"] > before
    look(domain, {selector}, at=now + 101 * HOUR)
    shown = api.get(domain)
    assert (shown["status"], shown["error"]) == ("VERIFIED", "")


def test_the_primary_domain_is_told_and_goes_on(api: api_client.Client) -> None:
    domain = api.primary(api.instance())
    tell(domain, platform=RSA)
    now = utils.now()
    look(domain, absent={"platform"}, at=now)
    assert api.get(domain)["status"] == "VERIFIED", "it was never there"
    look(domain, {"platform"}, at=now)
    for hours in (1, 100):
        look(domain, absent={"platform"}, at=now + hours * HOUR)
        assert api.get(domain)["status"] == "DEGRADED"
    assert states(api, domain) == {"platform": "ACTIVE"}


def test_a_key_that_was_lost_gets_a_successor_of_another_name(api: api_client.Client) -> None:
    instance = api.instance()
    domain = api.domain(instance)
    old = publish(api, domain)
    tell(domain, **{old: RSA_2})
    (new,) = api.dkim_keys(domain).keys() - {old}
    assert states(api, domain) == {old: "REVOKED", new: "PENDING"}
    shown = api.dkim_keys(domain)[old]
    assert (shown["public_key"], shown["safe_to_remove"]) == (RSA, False)
    assert (api.get(domain)["status"], api.get(domain)["error"]) == (
        "PENDING",
        "the private keys of the domain were lost and made anew: the domain sends again once"
        " the record of the new key is published",
    )
    tell(domain, **{old: RSA_2, new: RSA_2})
    look(domain, {new}, {old})
    assert (api.get(domain)["status"], states(api, domain)) == (
        "VERIFIED",
        {old: "REVOKED", new: "ACTIVE"},
    )


def test_a_key_that_was_lost_hands_back_to_one_that_is_published(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    old = publish(api, domain)
    api.call("POST", f"{domain}/actions/rotate/invoke")
    (new,) = api.dkim_keys(domain).keys() - {old}
    tell(domain, **{new: RSA_2})
    now = utils.now()
    for hours in (0, 1):
        look(domain, {old, new}, at=now + hours * HOUR)
    tell(domain, **{new: RSA})
    (third,) = api.dkim_keys(domain).keys() - {old, new}
    assert states(api, domain) == {old: "ACTIVE", new: "REVOKED", third: "PENDING"}
    assert api.get(domain)["status"] == "VERIFIED"


def test_what_is_observed_of_a_domain_that_is_gone_is_no_error(api: api_client.Client) -> None:
    domain = api.domain(api.instance())
    selector = publish(api, domain)
    api.delete(domain)
    before = gservice.row_versions()
    look(domain, {selector})
    look(domain, absent={selector})
    assert gservice.row_versions() == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"algorithm": "dsa"}, "algorithm: must be one of rsa, ed25519"),
        ({"algorithm": ""}, "algorithm: must be one of rsa, ed25519"),
        ({"algorithm": 5}, "algorithm: must be one of rsa, ed25519"),
        ({"algorithm": None}, "algorithm: must not be null"),
        ({"private_key": "x"}, "private_key: no such field"),
        ({"instance": "x"}, "instance: no such field"),
        ({"domain": "x"}, "domain: must be the URI of an existing record"),
    ],
)
def test_a_bad_field_of_a_key_is_named(
    api: api_client.Client, body: dict[str, tp.Any], message: str
) -> None:
    domain = api.domain(api.instance())
    before = gservice.row_versions()
    assert api.refused("POST", f"{domain}/dkim_keys/", body) == (400, message)
    assert gservice.row_versions() == before


@pytest.mark.parametrize("field", ["selector", "state", "public_key", "record", "safe_to_remove"])
def test_what_a_node_and_dns_tell_of_a_key_is_not_written(
    api: api_client.Client, field: str
) -> None:
    domain = api.domain(api.instance())
    status, message = api.refused("POST", f"{domain}/dkim_keys/", {field: "x"})
    assert (status, message) == (403, f"{field}: is read-only")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"algorithm": "rsa"}, "algorithm: no such field"),
        ({"name": "x"}, "name: no such field"),
        ([], "The body must be a JSON object."),
    ],
)
def test_a_rotation_takes_nothing_else(api: api_client.Client, body: tp.Any, message: str) -> None:
    domain = api.primary(api.instance())
    before = gservice.row_versions()
    assert api.refused("POST", f"{domain}/actions/rotate/invoke", body) == (400, message)
    assert gservice.row_versions() == before


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body", "status"),
    [
        ("GET", "rotate", "application/json", b"", 405),
        ("GET", "rotate/invoke", "application/json", b"", 405),
        ("PUT", "rotate/invoke", "application/json", b"", 405),
        ("POST", "rotate", "application/json", b"", 404),
        ("POST", "rotate/now", "application/json", b"", 404),
        ("POST", "nothing/invoke", "application/json", b"", 404),
        ("POST", "", "application/json", b"", 404),
        ("POST", "rotate/invoke", "application/json", b'{"resource": 1, "self": 2}', 400),
        ("POST", "rotate/invoke", "application/json", b"{", 400),
        ("POST", "rotate/invoke?resource=1", "text/plain", b"", 400),
        ("POST", "rotate/invoke", "application/x-www-form-urlencoded", b"controller=1", 400),
    ],
)
def test_an_action_that_makes_no_sense_does_nothing(
    api: api_client.Client, method: str, path: str, content_type: str, body: bytes, status: int
) -> None:
    domain = api.primary(api.instance())
    before = gservice.row_versions()
    answer = api.raw(method, f"{domain}/actions/{path}", body, **{"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert gservice.row_versions() == before


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *(("dkim_rotation_days", bad) for bad in (-1, 1, 29, 731, True, "30", 1.5, None)),
        *(("active", bad) for bad in ("true", 1, None)),
        *(("name", bad) for bad in ("n" * 256, "a\x00b", 5)),
    ],
)
def test_a_bad_value_of_a_domain_is_named(api: api_client.Client, field: str, bad: tp.Any) -> None:
    instance = api.instance()
    domain = api.domain(instance)
    before = gservice.row_versions()
    for status, message in (
        api.refused("PATCH", domain, {field: bad}),
        api.refused("POST", f"{instance}/domains/", {"domain": "new.example", field: bad}),
    ):
        assert (status, message.partition(": ")[0]) == (400, field), message
    assert gservice.row_versions() == before


@pytest.mark.parametrize(
    "field",
    ["primary", "status", "error", "verified_at", "dns_status", "dkim_public_key", "domain"],
)
def test_a_fact_of_a_domain_is_not_written(api: api_client.Client, field: str) -> None:
    domain = api.domain(api.instance())
    status, message = api.refused("PATCH", domain, {field: api.get(domain)[field] or "x"})
    assert (status, message) == (403, f"{field}: is read-only")


def test_domains_are_filtered_by_what_the_api_calls_their_fields(api: api_client.Client) -> None:
    instance = api.instance()
    api.domain(instance)
    for query in ("primary=false", "q=primary%3Dfalse", "domain=EXAMPLE.org", "status=PENDING"):
        shown = api.get(f"{instance}/domains/?{query}")
        assert [d["domain"] for d in shown] == ["example.org"]
    assert api.refused("GET", f"{instance}/domains/?is_primary=true")[0] == 400
    assert api.refused("GET", f"{instance}/domains/?declaration_error=")[0] == 400
    shown = api.get(f"{instance}/domains/?sort_key=primary&sort_dir=desc")
    assert [d["domain"] for d in shown] == ["mail.example.com", "example.org"]
