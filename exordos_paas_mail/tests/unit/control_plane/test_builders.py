# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The life of an instance, by the real services against Core and the agent of a node."""

from __future__ import annotations

import logging
import threading
import typing as tp
import uuid as sys_uuid

import pytest
from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.storage.sql import engines

from exordos_paas_mail import constants, models
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice

DKIM = "v=DKIM1; k=rsa; p=MIIBIjANBgkq"
SEED = api_client.HASH


class Stage:
    """An instance brought to a stage of its life, and the hands to bring it further."""

    def __init__(
        self, api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService
    ) -> None:
        self.api, self.core, self.services = api, core, services
        self.path = api.instance()
        self.uuid = self.path.rpartition("/")[2]

    def asked_for(self) -> Stage:
        self.services.tick(3)
        assert self.uuid in self.core.sets
        return self

    def with_node(self, ipv4: str | None = "10.0.0.5") -> gservice.Node:
        self.asked_for()
        node = self.core.add_node(self.uuid, ipv4)
        self.core.set_status(self.uuid, "IN_PROGRESS")
        self.services.tick(3)
        return gservice.Node(node)

    def infra_active(self) -> gservice.Node:
        node = self.with_node()
        self.core.set_status(self.uuid, "ACTIVE")
        self.services.tick(3)
        return node

    def serving(self) -> gservice.Node:
        node = self.infra_active()
        node.register()
        self.services.tick(2)
        node.report(dkim_public_key=DKIM, dkim_selector="platform")
        self.services.tick(2)
        return node

    def shown(self, *fields: str) -> tuple[tp.Any, ...]:
        instance = self.api.get(self.path)
        return tuple(instance[field] for field in fields)


@pytest.fixture
def stage(api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService) -> Stage:
    return Stage(api, core, services)


def test_a_new_instance_asks_core_for_one_node_set(stage: Stage) -> None:
    stage.asked_for()
    asked = dict(stage.core.sets[stage.uuid])
    for by_core in ("status", "nodes", "tags", "description", "default_network"):
        del asked[by_core]
    assert asked == {
        "uuid": stage.uuid,
        "name": f"mailaas-dp-{stage.uuid}",
        "cores": 1,
        "ram": 1024,
        "replicas": 1,
        "node_type": "VM",
        "set_type": "SET",
        "project_id": constants.METAPAAS_PROJECT_ID,
        "disk_spec": {
            "kind": "disks",
            "disks": [
                {"size": 6, "image": api_client.IMAGE, "label": "root"},
                {"size": 10, "label": "data"},
            ],
        },
    }
    assert stage.shown("status", "error", "ipsv4") == ("IN_PROGRESS", "", [])


def test_a_node_set_without_nodes_is_waited_for(stage: Stage) -> None:
    stage.asked_for()
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(3)
    assert stage.shown("status", "ipsv4") == ("IN_PROGRESS", [])
    assert stage.core.configs == {}
    assert gservice.target_kinds() == ["mail_instance_iaas", "node_set"]


def test_a_node_without_an_address_is_configured_and_not_shown(stage: Stage) -> None:
    node = stage.with_node(ipv4=None)
    assert stage.shown("status", "ipsv4") == ("IN_PROGRESS", [])
    assert [c["target"] for c in stage.core.configs.values()] == [
        {"kind": "node", "node": str(node.uuid)}
    ]
    stage.core.set_address(stage.uuid, node.uuid, "10.0.0.9")
    stage.services.tick(2)
    assert stage.shown("ipsv4") == (["10.0.0.9"],)


def test_a_node_gets_the_file_with_its_domain(stage: Stage) -> None:
    node = stage.with_node()
    (config,) = stage.core.configs.values()
    for by_core in ("status", "tags", "description"):
        del config[by_core]
    assert config == {
        "uuid": str(sys_uuid.uuid5(sys_uuid.UUID(stage.uuid), f"config-{node.uuid}")),
        "name": str(node.uuid),
        "project_id": constants.METAPAAS_PROJECT_ID,
        "path": "/etc/exordos_metapaas/mail.env",
        "owner": "root",
        "group": "root",
        "mode": "0640",
        "body": {"kind": "text", "content": "MAIL_DOMAIN=mail.example.com\n"},
        "target": {"kind": "node", "node": str(node.uuid)},
        "on_change": {
            "kind": "shell",
            "command": "systemctl restart exordos-metapaas-mail-configure",
        },
    }


def test_a_late_agent_is_waited_for_without_an_error(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    node = stage.infra_active()
    stage.api.account(stage.path)
    stage.services.tick(3)
    assert "mail_instance_node" not in gservice.target_kinds()
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == []
    node.register()
    stage.services.tick(1)
    assert node.target() == {
        "uuid": str(node.agent),
        "name": "relay",
        "domain": "mail.example.com",
        "passwd": f"noreply@mail.example.com:{SEED}\n",
    }


def test_the_node_is_given_nothing_before_its_set_is_active(stage: Stage) -> None:
    node = stage.with_node()
    node.register()
    stage.services.tick(3)
    assert node.target() is None
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert node.target() is not None


def test_an_active_instance_stays_so_when_its_targets_are_made_anew(stage: Stage) -> None:
    stage.serving()
    # As after a restore of a database that lacks them.
    for target in ua_models.TargetResource.objects.get_all():
        if target.kind in ("mail_instance", "mail_instance_node"):
            target.delete()
    seen = []
    for _ in range(3):
        for one_pass in ("core_pass", "infra_pass", "paas_pass"):
            getattr(stage.services, one_pass)()
            seen.append(stage.shown("status", "dkim_public_key"))
    assert set(seen) == {("ACTIVE", DKIM)}
    assert "mail_instance_node" in gservice.target_kinds()


def test_an_instance_is_active_once_its_node_has_applied_it(stage: Stage) -> None:
    seen = []
    node = stage.infra_active()
    seen.append(stage.shown("status"))
    node.register()
    stage.services.tick(2)
    seen.append(stage.shown("status"))
    node.report(dkim_public_key=DKIM, dkim_selector="platform")
    stage.services.tick(2)
    assert seen == [("IN_PROGRESS",), ("IN_PROGRESS",)]
    assert stage.shown("status", "error", "ipsv4", "dkim_public_key", "dkim_selector") == (
        "ACTIVE",
        "",
        ["10.0.0.5"],
        DKIM,
        "platform",
    )


def test_the_status_never_falls_back_on_the_way(stage: Stage) -> None:
    seen = [stage.shown("status")[0]]

    def note() -> None:
        status = stage.shown("status")[0]
        if status != seen[-1]:
            seen.append(status)

    for one_pass in ("core_pass", "infra_pass", "paas_pass") * 3:
        getattr(stage.services, one_pass)()
        note()
    node = gservice.Node(stage.core.add_node(stage.uuid, "10.0.0.5"))
    stage.core.set_status(stage.uuid, "ACTIVE")
    for rounds in range(12):
        for one_pass in ("core_pass", "infra_pass", "paas_pass"):
            getattr(stage.services, one_pass)()
            note()
        if rounds == 3:
            node.register()
        if rounds == 6:
            node.report(dkim_public_key=DKIM)
        if rounds == 8:
            stage.api.account(stage.path)
    assert seen == ["NEW", "IN_PROGRESS", "ACTIVE"]


def test_accounts_reach_the_node_and_leave_it(stage: Stage) -> None:
    node = stage.serving()
    first = stage.api.account(stage.path, "b")
    second = stage.api.account(stage.path, "a", password_hash="{SHA512-CRYPT}" + api_client.HASH_2)
    stage.services.paas_pass()
    assert node.target()["passwd"] == (
        f"a@mail.example.com:{api_client.HASH_2}\nb@mail.example.com:{SEED}\n"
    )
    stage.api.patch(second, {"active": False})
    stage.services.paas_pass()
    assert node.target()["passwd"] == f"b@mail.example.com:{SEED}\n"
    stage.api.delete(first)
    stage.services.paas_pass()
    assert node.target()["passwd"] == ""
    assert stage.shown("status") == ("ACTIVE",)


def test_a_settled_instance_costs_no_write_and_no_request(stage: Stage) -> None:
    node = stage.serving()
    stage.api.account(stage.path)
    stage.services.tick(2)
    node.report(dkim_public_key=DKIM)
    stage.services.tick(2)
    before = gservice.row_versions()
    stage.services.infra_pass()
    stage.services.paas_pass()
    stage.core.requests.clear()
    stage.services.infra_pass()
    stage.services.paas_pass()
    assert gservice.row_versions() == before
    assert stage.core.requests == []


def test_a_pass_for_an_account_writes_no_column_of_the_instance(stage: Stage) -> None:
    stage.serving()
    stage.api.account(stage.path)
    before = gservice.row_versions()["mail_instances"]
    stage.services.infra_pass()
    stage.services.paas_pass()
    assert gservice.row_versions()["mail_instances"] == before


def test_facts_leave_the_time_of_the_last_wish_alone(stage: Stage) -> None:
    wished = stage.shown("updated_at")
    stage.serving()
    assert stage.shown("status", "updated_at") == ("ACTIVE", *wished)


def test_keys_are_fetched_once_a_node(stage: Stage) -> None:
    node = stage.serving()
    for name in "abc":
        stage.api.account(stage.path, name)
        stage.services.tick()
    asked = [path for _, path in stage.core.requests if path.endswith("get_private_keys")]
    assert len(asked) == 1
    (key,) = ua_models.NodeEncryptionKey.objects.get_all()
    assert (key.uuid, key.private_key) == (node.uuid, stage.core.node_keys[str(node.uuid)])


def test_keys_and_passwords_are_not_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.asked_for()
    node = stage.core.add_node(stage.uuid, "10.0.0.5")
    stage.services.core_pass()
    caplog.clear()
    caplog.set_level(logging.INFO)
    stage.services.infra_pass()
    assert "get_private_keys" in caplog.text
    for secret in (stage.core.node_keys[str(node)], fake_core.PASSWORD, *stage.core.tokens):
        assert secret not in caplog.text


def test_a_resize_reaches_core_and_shows(stage: Stage) -> None:
    node = stage.serving()
    stage.api.patch(stage.path, {"cpu": 4, "ram": 4096, "disk_size": 50})
    stage.services.infra_pass()
    stage.services.core_pass()
    asked = stage.core.sets[stage.uuid]
    assert (asked["cores"], asked["ram"], asked["disk_spec"]["disks"][1]["size"]) == (4, 4096, 50)
    stage.services.tick(2)
    assert stage.shown("status") == ("IN_PROGRESS",)
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert stage.shown("status", "dkim_public_key") == ("ACTIVE", DKIM)
    assert node.target() is not None


def test_an_account_reaches_the_node_during_a_resize(stage: Stage) -> None:
    node = stage.serving()
    stage.core.set_status(stage.uuid, "IN_PROGRESS")
    stage.services.tick(2)
    stage.api.account(stage.path, "late")
    stage.services.tick(2)
    assert node.target()["passwd"] == f"late@mail.example.com:{SEED}\n"


def test_a_new_version_reaches_the_root_disk_and_keeps_the_rest(stage: Stage) -> None:
    stage.serving()
    before = stage.core.sets[stage.uuid]["disk_spec"]["disks"]
    stage.api.patch(stage.path, {"version": stage.api.version("exim4_2", "https://new/image")})
    stage.services.tick(2)
    assert stage.core.sets[stage.uuid]["disk_spec"]["disks"] == [
        {**before[0], "image": "https://new/image"},
        before[1],
    ]
    assert len(stage.core.configs) == 1


def test_an_image_that_the_catalogue_gets_later_waits_until_the_version_is_asked_for(
    stage: Stage,
) -> None:
    # An element's upgrade changes the image under a version's name.
    node = stage.serving()
    before = stage.core.sets[stage.uuid]["disk_spec"]["disks"]
    version = stage.api.get(stage.path)["version"]
    catalogued = models.MailVersion.objects.get_one()
    catalogued.image = "https://new/image"
    catalogued.update()
    stage.api.account(stage.path, "late")
    stage.api.patch(stage.path, {"cpu": 2})
    stage.services.tick(2)
    assert node.target()["passwd"] == f"late@mail.example.com:{SEED}\n"
    assert stage.core.sets[stage.uuid]["disk_spec"]["disks"] == before
    assert stage.shown("image") == (api_client.IMAGE,)
    stage.api.patch(stage.path, {"version": version})
    stage.services.tick(2)
    assert stage.core.sets[stage.uuid]["disk_spec"]["disks"] == [
        {**before[0], "image": "https://new/image"},
        before[1],
    ]
    assert stage.shown("image") == ("https://new/image",)


def test_an_instance_written_without_an_image_gets_its_versions(stage: Stage) -> None:
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("UPDATE mail_instances SET image = ''")
    stage.asked_for()
    assert stage.core.sets[stage.uuid]["disk_spec"]["disks"][0]["image"] == api_client.IMAGE


def test_an_error_of_core_is_shown_and_recovers(stage: Stage) -> None:
    stage.serving()
    stage.core.set_status(stage.uuid, "ERROR")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ERROR", "the node set is in the ERROR status")
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_an_error_of_the_node_is_shown_and_recovers(stage: Stage) -> None:
    node = stage.serving()
    node.report(status="ERROR", error="exim4 did not reload", dkim_public_key=DKIM)
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ERROR", "exim4 did not reload")
    # A pass of the other builder computes the same, whatever wakes it.
    stage.api.patch(stage.path, {"cpu": 2})
    stage.services.infra_pass()
    assert stage.shown("status", "error") == ("ERROR", "exim4 did not reload")
    node.report(dkim_public_key=DKIM)
    stage.services.tick(2)
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_the_dkim_key_survives_a_report_without_it(stage: Stage) -> None:
    node = stage.serving()
    node.report(dkim_public_key="", dkim_selector="")
    stage.services.tick(2)
    assert stage.shown("dkim_public_key", "dkim_selector") == (DKIM, "platform")


def test_a_new_dkim_key_replaces_the_old(stage: Stage) -> None:
    node = stage.serving()
    node.report(dkim_public_key="v=DKIM1; k=rsa; p=NEW", dkim_selector="second")
    stage.services.tick(2)
    assert stage.shown("dkim_public_key", "dkim_selector") == ("v=DKIM1; k=rsa; p=NEW", "second")


def test_a_replaced_node_is_configured_and_the_old_one_forgotten(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.api.account(stage.path)
    old = stage.serving()
    stage.core.remove_node(stage.uuid, old.uuid)
    new = gservice.Node(stage.core.add_node(stage.uuid, "10.0.0.6"))
    stage.services.tick(3)
    new.register()
    stage.services.tick(2)
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == []
    assert new.target()["passwd"] == f"noreply@mail.example.com:{SEED}\n"
    assert old.target() is None
    assert [c["name"] for c in stage.core.configs.values()] == [str(new.uuid)]
    assert {k.uuid for k in ua_models.NodeEncryptionKey.objects.get_all()} == {new.uuid}
    assert stage.shown("status", "ipsv4", "dkim_public_key") == (
        "IN_PROGRESS",
        ["10.0.0.6"],
        DKIM,
    )


def test_a_patch_while_core_hangs_is_not_lost(stage: Stage) -> None:
    stage.asked_for()
    hangs, released = threading.Event(), threading.Event()

    def hang(_method: str, path: str) -> None:
        if path.endswith("get_private_keys"):
            hangs.set()
            assert released.wait(20)

    stage.core.before = hang
    stage.core.add_node(stage.uuid, "10.0.0.5")
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.core_pass()
    builder = threading.Thread(target=stage.services.infra_pass)
    builder.start()
    try:
        assert hangs.wait(20)
        stage.api.patch(stage.path, {"cpu": 8, "name": "renamed"})
    finally:
        released.set()
        builder.join()
    assert stage.shown("cpu", "name", "ipsv4") == (8, "renamed", ["10.0.0.5"])
    # Nor is it taken for something that has been passed on already.
    stage.services.tick(2)
    assert stage.core.sets[stage.uuid]["cores"] == 8


def test_an_account_made_between_the_steps_of_a_pass_is_not_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = stage.serving()
    node.report(dkim_public_key="v=DKIM1; k=rsa; p=NEW")
    step = stage.services.paas._actualize_outdated_instances

    def after_an_account() -> None:
        worker = threading.Thread(target=stage.api.account, args=(stage.path, "between"))
        worker.start()
        worker.join()
        step()

    monkeypatch.setattr(stage.services.paas, "_actualize_outdated_instances", after_an_account)
    stage.services.paas_pass()
    monkeypatch.undo()
    stage.services.tick(2)
    assert node.target()["passwd"] == f"between@mail.example.com:{SEED}\n"
    assert stage.shown("dkim_public_key") == ("v=DKIM1; k=rsa; p=NEW",)


def test_a_patch_made_between_the_steps_of_a_pass_is_not_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.serving()
    stage.core.set_status(stage.uuid, "ERROR")
    stage.services.core_pass()
    step = stage.services.infra._actualize_outdated_instances

    def after_a_patch() -> None:
        worker = threading.Thread(target=stage.api.patch, args=(stage.path, {"cpu": 16}))
        worker.start()
        worker.join()
        step()

    monkeypatch.setattr(stage.services.infra, "_actualize_outdated_instances", after_a_patch)
    stage.services.infra_pass()
    monkeypatch.undo()
    stage.services.tick(2)
    assert stage.core.sets[stage.uuid]["cores"] == 16


def test_a_node_of_an_active_set_without_a_key_is_asked_for_again(stage: Stage) -> None:
    stage.asked_for()
    node = stage.core.add_node(stage.uuid, "10.0.0.5")
    key = stage.core.node_keys.pop(str(node))
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert ua_models.NodeEncryptionKey.objects.get_all() == []
    stage.core.node_keys[str(node)] = key
    stage.services.tick(1)
    assert [k.private_key for k in ua_models.NodeEncryptionKey.objects.get_all()] == [key]


@pytest.mark.parametrize("stages", ["new", "asked_for", "with_node", "infra_active", "serving"])
def test_a_deleted_instance_leaves_nothing(stage: Stage, stages: str) -> None:
    stage.api.account(stage.path)
    if stages != "new":
        getattr(stage, stages)()
    stage.api.delete(stage.path)
    stage.services.tick(3)
    assert (stage.core.sets, stage.core.configs) == ({}, {})
    assert gservice.target_kinds() == []
    assert models.MailAccount.objects.get_all() == []
    assert ua_models.NodeEncryptionKey.objects.get_all() == []
    assert ua_models.Resource.objects.get_all() == []
    assert len(ua_models.UniversalAgent.objects.get_all()) == 1, "the one of gservice itself"


def test_an_instance_deleted_while_core_hangs_is_no_error(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.asked_for()
    node = stage.core.add_node(stage.uuid, "10.0.0.5")
    del node

    def delete(_method: str, path: str) -> None:
        if path.endswith("get_private_keys"):
            stage.core.before = lambda _method, _path: None
            stage.api.delete(stage.path)

    stage.core.before = delete
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(4)
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == []
    assert (stage.core.sets, stage.core.configs) == ({}, {})
    assert gservice.target_kinds() == []


def test_two_instances_do_not_meet(
    stage: Stage, api: api_client.Client, core: fake_core.FakeCore, services: gservice.GService
) -> None:
    other = Stage(api, core, services)
    first, second = stage.serving(), other.serving()
    api.account(stage.path, "one")
    api.account(other.path, "two")
    services.tick(2)
    assert first.target()["passwd"] == f"one@mail.example.com:{SEED}\n"
    assert second.target()["passwd"] == f"two@mail.example.com:{SEED}\n"
