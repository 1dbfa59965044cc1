# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Instances: what a user asks for is what comes up, and what it then is."""

from __future__ import annotations

import ipaddress
import uuid

import pytest

from clients import mail, rest, waiting
from exordos_paas_mail.tests.functional import provisioning


def test_the_catalogue_has_a_version_with_an_image(owner: rest.Api) -> None:
    versions = owner.list(mail.VERSIONS)
    assert versions
    for version in versions:
        assert owner.read(f"{mail.VERSIONS}{version['uuid']}") == version
        assert version["name"]
        assert version["image"]


def test_a_new_instance_is_new_and_has_what_was_asked(
    requested: dict[str, rest.Json], project: str, version: rest.Json
) -> None:
    created = requested["shared"]
    told = {key: created[key] for key in ("cpu", "ram", "disk_size", "project_id", "version")}
    assert told == {
        "cpu": 1,
        "ram": 1024,
        "disk_size": 10,
        "project_id": project,
        "version": f"{mail.VERSIONS}{version['uuid']}",
    }
    assert created["status"] == "NEW"


def test_an_instance_becomes_active_with_an_address_and_a_key(instance: rest.Json) -> None:
    assert instance["status"] == "ACTIVE"
    (address,) = instance["ipsv4"]
    assert ipaddress.IPv4Address(address)
    assert instance["dkim_selector"] == "platform"
    assert instance["dkim_public_key"].startswith("v=DKIM1; k=rsa; p=")
    assert '"' not in instance["dkim_public_key"]


def test_an_active_instance_is_listed_as_it_is_read(
    owner: rest.Api, instance: rest.Json, poll: waiting.Poll
) -> None:
    # A fact of its node may come in between.
    def both() -> tuple[list[rest.Json], list[rest.Json]]:
        listed = [it for it in owner.list(mail.INSTANCES) if it["uuid"] == instance["uuid"]]
        return listed, [owner.read(mail.instance_path(instance))]

    poll.until("the list shows what is read", both, lambda found: found[0] == found[1])


@pytest.mark.parametrize("field", ["uuid", "name", "domain"])
def test_a_list_is_filtered_by_a_field(
    owner: rest.Api, requested: dict[str, rest.Json], field: str
) -> None:
    shared = requested["shared"]
    found = owner.list(mail.INSTANCES, **{field: shared[field]})
    assert [it["uuid"] for it in found] == [shared["uuid"]]
    other = f"{uuid.uuid4()}.example.com" if field == "domain" else str(uuid.uuid4())
    assert owner.list(mail.INSTANCES, **{field: other}) == []


def test_core_shows_the_node_where_the_instance_says_it_is(
    core: rest.Api, instance: rest.Json
) -> None:
    (node_set,) = core.list("/v1/compute/sets/", name=f"mailaas-dp-{instance['uuid']}")
    assert (node_set["cores"], node_set["ram"], node_set["replicas"]) == (1, 1024, 1)
    addresses = [node["ipv4"] for node in node_set["nodes"].values()]
    assert addresses == instance["ipsv4"]
    nodes = core.list("/v1/compute/nodes/")
    assert set(addresses) <= {node["default_network"].get("ipv4") for node in nodes}


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
def test_name_and_description_change(owner: rest.Api, instance: rest.Json, verb: str) -> None:
    wanted = {"name": f"renamed by {verb}", "description": f"told by {verb}"}
    owner.expect(200, verb, mail.instance_path(instance), wanted)
    found = owner.read(mail.instance_path(instance))
    assert {key: found[key] for key in wanted} == wanted


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domain", "other.example.org"),
        ("status", "ERROR"),
        ("ipsv4", ["192.0.2.1"]),
        ("dkim_public_key", "v=DKIM1; p="),
        ("dkim_selector", "other"),
    ],
)
def test_what_is_not_the_users_to_change_is_refused(
    owner: rest.Api, instance: rest.Json, verb: str, field: str, value: object
) -> None:
    before = owner.read(mail.instance_path(instance))
    answer = owner.call(verb, mail.instance_path(instance), {field: value})
    assert answer.status_code == 403, answer.text
    assert field in answer.json()["message"]
    assert owner.read(mail.instance_path(instance))[field] == before[field]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"domain": "localhost"}, "domain"),
        ({"domain": "a.example.com;reboot"}, "domain"),
        ({"domain": "a.example.com\nMAIL_DOMAIN=b.example.com"}, "domain"),
        ({"domain": "$(reboot).example.com"}, "domain"),
        ({"domain": ".".join(["a" * 60] * 5)}, "domain"),
        ({"domain": ""}, "domain"),
        ({"cpu": 0}, "cpu"),
        ({"cpu": 129}, "cpu"),
        ({"cpu": "many"}, "cpu"),
        ({"ram": 511}, "ram"),
        ({"disk_size": 7}, "disk_size"),
        ({"version": None}, "version"),
        ({"no_such_field": 1}, "no_such_field"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, dict) else value,
)
def test_a_bad_request_is_refused_by_name_and_makes_nothing(
    owner: rest.Api, project: str, version: rest.Json, change: rest.Json, field: str
) -> None:
    body = {**provisioning.instance_body(project, version, "bad"), **change}
    answer = owner.call("POST", mail.INSTANCES, body)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["message"]
    assert owner.list(mail.INSTANCES, name=body["name"]) == []


@pytest.mark.parametrize("field", ["domain"])
def test_a_field_that_is_needed_is_named_when_it_is_missing(
    owner: rest.Api, project: str, version: rest.Json, field: str
) -> None:
    body = provisioning.instance_body(project, version, "bad")
    del body[field]
    answer = owner.call("POST", mail.INSTANCES, body)
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["message"]


def test_an_unknown_version_is_refused(owner: rest.Api, project: str, version: rest.Json) -> None:
    body = provisioning.instance_body(project, version, "bad")
    body["version"] = f"{mail.VERSIONS}{uuid.uuid4()}"
    answer = owner.call("POST", mail.INSTANCES, body)
    assert 400 <= answer.status_code < 500, answer.text
    assert owner.list(mail.INSTANCES, name=body["name"]) == []


def test_a_body_that_is_not_json_is_refused(owner: rest.Api) -> None:
    answer = owner.call("POST", mail.INSTANCES, b"{")
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("verb", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_instance_that_is_not_there_is_a_404(owner: rest.Api, verb: str) -> None:
    body = {"name": "x"} if verb in {"PATCH", "PUT"} else None
    answer = owner.call(verb, mail.instance_path(str(uuid.uuid4())), body)
    assert answer.status_code == 404, answer.text


def test_a_disk_grows_and_never_shrinks(
    owner: rest.Api,
    core: rest.Api,
    instance: rest.Json,
    accounts: provisioning.Accounts,
    alice: provisioning.Account,
    poll: waiting.Poll,
) -> None:
    path = mail.instance_path(instance)
    grown = owner.read(path)["disk_size"] + 2
    owner.expect(200, "PATCH", path, {"disk_size": grown})
    poll.until(
        "the data disk has grown in Core",
        lambda: core.list("/v1/compute/sets/", name=f"mailaas-dp-{instance['uuid']}"),
        lambda sets: [disk["size"] for disk in sets[0]["disk_spec"]["disks"]][1:] == [grown],
    )
    provisioning.wait_active(owner, instance, poll)
    for smaller in (grown - 1, 8):
        answer = owner.call("PUT", path, {"disk_size": smaller})
        assert answer.status_code == 400, answer.text
        assert "disk_size" in answer.json()["message"]
    found = owner.read(path)
    assert (found["disk_size"], found["dkim_public_key"]) == (grown, instance["dkim_public_key"])
    # A platform may boot the machine for it.
    accounts.wait_login(alice)
