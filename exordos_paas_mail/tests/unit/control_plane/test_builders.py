# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The life of an instance, by the real services against Core and the agent of a node."""

from __future__ import annotations

import hashlib
import itertools
import logging
import typing as tp
import uuid as sys_uuid

import pytest
from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.dm import filters
from restalchemy.storage.sql import engines

from exordos_paas_mail import constants, models
from exordos_paas_mail.codecs import mail_env
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages

if tp.TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator


def test_a_new_instance_asks_core_for_one_node_set(stage: stages.Stage) -> None:
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


def owner(stage: stages.Stage) -> str:
    """Return what a node is told of whose it is."""
    return f"MAIL_INSTANCE={stage.uuid}\nMAIL_PROJECT={stage.api.project_id}\n"


def test_a_node_gets_the_file_with_its_domain(stage: stages.Stage) -> None:
    node = stage.with_node()
    (config,) = stage.core.configs.values()
    for by_core in ("status", "tags"):
        del config[by_core]
    key = hashlib.sha256(stage.core.node_keys[str(node.uuid)].encode()).hexdigest()
    assert config == {
        "uuid": str(sys_uuid.uuid5(sys_uuid.UUID(stage.uuid), f"config-{node.uuid}")),
        "name": str(node.uuid),
        "description": f"for the machine whose key has the SHA-256 digest {key}",
        "project_id": constants.METAPAAS_PROJECT_ID,
        "path": "/etc/exordos_metapaas/mail.env",
        "owner": "root",
        "group": "root",
        "mode": "0640",
        "body": {"kind": "text", "content": f"MAIL_DOMAIN=mail.example.com\n{owner(stage)}"},
        "target": {"kind": "node", "node": str(node.uuid)},
        "on_change": {
            "kind": "shell",
            "command": "systemctl restart exordos-metapaas-mail-configure",
        },
    }


def test_a_name_of_its_own_reaches_the_node_and_leaves_it(stage: stages.Stage) -> None:
    stage.serving()

    def content() -> str:
        (config,) = stage.core.configs.values()
        return str(config["body"]["content"]).removesuffix(owner(stage))

    assert content() == "MAIL_DOMAIN=mail.example.com\n"
    for hostname, told in (
        ("smtp.example.com", "MAIL_DOMAIN=mail.example.com\nMAIL_HOSTNAME=smtp.example.com\n"),
        ("mail.example.com", "MAIL_DOMAIN=mail.example.com\n"),
        (None, "MAIL_DOMAIN=mail.example.com\n"),
    ):
        stage.api.patch(stage.path, {"hostname": hostname})
        stage.services.infra_pass()
        stage.services.core_pass()
        assert content() == told
        stage.services.tick(2)
        assert stage.shown("status", "error") == ("ACTIVE", "")


def test_a_node_of_the_release_before_is_told_whose_it_is_with_the_next_change(
    stage: stages.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade alone delivers no file to all nodes at once."""
    with monkeypatch.context() as before:
        whole = mail_env.render
        before.setattr(mail_env, "render", lambda domain, hostname, _: whole(domain, hostname))
        stage.serving()

    def is_told() -> bool:
        (config,) = stage.core.configs.values()
        return str(config["body"]["content"]).endswith(owner(stage))

    stage.services.start()
    stage.services.tick(2)
    assert not is_told()
    stage.api.patch(stage.path, {"description": "another"})
    stage.services.tick(2)
    assert is_told()
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_a_late_agent_is_waited_for_without_an_error(
    stage: stages.Stage, caplog: pytest.LogCaptureFixture
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
        "passwd": f"noreply@mail.example.com:{stages.SEED}\n",
        "domains": "mail.example.com:send:platform/rsa/sign\n",
        "senders": "*:domain\n.:1\n",
        "limits": "*:\n.:1\n",
        "credentials": "",
        "holds": ".:0\n",
        "return_paths": ".:0\n",
        "tls_policies": ".:0\n",
    }


def test_the_node_is_given_nothing_before_its_set_is_active(stage: stages.Stage) -> None:
    node = stage.with_node()
    node.register()
    stage.services.tick(3)
    assert not node.is_told()
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert node.is_told()


def test_accounts_reach_the_node_and_leave_it(stage: stages.Stage) -> None:
    node = stage.serving()
    first = stage.api.account(stage.path, "b")
    second = stage.api.account(stage.path, "a", password_hash="{SHA512-CRYPT}" + api_client.HASH_2)
    stage.services.paas_pass()
    assert node.target()["passwd"] == (
        f"a@mail.example.com:{api_client.HASH_2}\nb@mail.example.com:{stages.SEED}\n"
    )
    stage.api.patch(second, {"active": False})
    stage.services.paas_pass()
    assert node.target()["passwd"] == f"b@mail.example.com:{stages.SEED}\n"
    stage.api.delete(first)
    stage.services.paas_pass()
    assert node.target()["passwd"] == ""
    assert stage.shown("status") == ("ACTIVE",)


def test_a_change_of_an_account_costs_core_and_its_builder_nothing(stage: stages.Stage) -> None:
    node = stage.serving()

    def infra() -> ua_models.TargetResource:
        return ua_models.TargetResource.objects.get_one(
            filters={
                "uuid": filters.EQ(stage.uuid),
                "kind": filters.EQ(constants.INSTANCE_INFRA_KIND),
            }
        )

    def changed_at() -> datetime.datetime:
        changed: datetime.datetime = gservice.instance(stage.path).updated_at
        return changed

    passed_on = infra()
    asked = len(stage.core.requests)
    account = stage.api.account(stage.path)
    stage.services.infra_pass()
    stage.services.core_pass()
    assert [each for each in stage.core.requests[asked:] if each[0] != "GET"] == []
    # Noted, and no more: whoever passes on an instance writes the time of that.
    assert (infra().tracked_at, infra().updated_at) == (changed_at(), passed_on.updated_at)
    stage.services.paas_pass()
    assert node.target()["passwd"] == f"noreply@mail.example.com:{api_client.HASH}\n"

    # What Core does have to hear of is no less heard where an account follows it.
    stage.api.patch(stage.path, {"cpu": 2})
    stage.api.patch(account, {"active": False})
    stage.services.tick(2)
    assert stage.core.sets[stage.uuid]["cores"] == 2
    assert (infra().tracked_at, node.target()["passwd"]) == (changed_at(), "")

    # The first change after a start: what is made of an instance may be another release's.
    stage.services.start()
    passed_on = infra()
    stage.api.patch(account, {"active": True})
    stage.services.infra_pass()
    assert infra().tracked_at == changed_at()
    assert infra().updated_at > passed_on.updated_at


def test_keys_are_fetched_once_for_each_change_of_the_node_set(stage: stages.Stage) -> None:
    def asked() -> int:
        return sum(path.endswith("get_private_keys") for _, path in stage.core.requests)

    stage.with_node()
    assert asked() == 1
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(3)
    assert asked() == 2


def test_no_key_is_fetched_while_accounts_come_and_go(stage: stages.Stage) -> None:
    node = stage.serving()
    stage.core.requests.clear()
    for name in "abc":
        stage.api.account(stage.path, name)
        stage.services.tick()
    assert [path for _, path in stage.core.requests if path.endswith("get_private_keys")] == []
    (key,) = ua_models.NodeEncryptionKey.objects.get_all()
    assert (key.uuid, key.private_key) == (node.uuid, stage.core.node_keys[str(node.uuid)])


def test_keys_and_passwords_are_not_logged(
    stage: stages.Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.asked_for()
    node = stage.core.add_node(stage.uuid, "10.0.0.5")
    stage.services.core_pass()
    caplog.clear()
    caplog.set_level(logging.INFO)
    stage.services.infra_pass()
    assert "get_private_keys" in caplog.text
    for secret in (stage.core.node_keys[str(node)], fake_core.PASSWORD, *stage.core.tokens):
        assert secret not in caplog.text


def test_a_resize_reaches_core_and_shows(stage: stages.Stage) -> None:
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
    assert stage.shown("status", "dkim_public_key") == ("ACTIVE", stages.DKIM)
    assert node.is_told()


def test_an_account_reaches_the_node_during_a_resize(stage: stages.Stage) -> None:
    node = stage.serving()
    stage.core.set_status(stage.uuid, "IN_PROGRESS")
    stage.services.tick(2)
    stage.api.account(stage.path, "late")
    stage.services.tick(2)
    assert node.target()["passwd"] == f"late@mail.example.com:{stages.SEED}\n"


def test_a_new_version_reaches_the_root_disk_and_keeps_the_rest(stage: stages.Stage) -> None:
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
    stage: stages.Stage,
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
    assert node.target()["passwd"] == f"late@mail.example.com:{stages.SEED}\n"
    assert stage.core.sets[stage.uuid]["disk_spec"]["disks"] == before
    assert stage.shown("image") == (api_client.IMAGE,)
    stage.api.patch(stage.path, {"version": version})
    stage.services.tick(2)
    assert stage.core.sets[stage.uuid]["disk_spec"]["disks"] == [
        {**before[0], "image": "https://new/image"},
        before[1],
    ]
    assert stage.shown("image") == ("https://new/image",)


def test_an_instance_written_without_an_image_gets_its_versions(stage: stages.Stage) -> None:
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("UPDATE mail_instances SET image = ''")
    stage.asked_for()
    assert stage.core.sets[stage.uuid]["disk_spec"]["disks"][0]["image"] == api_client.IMAGE


def test_a_replaced_node_is_configured_and_the_old_one_forgotten(
    stage: stages.Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.api.account(stage.path)
    old = stage.serving()
    stage.core.remove_node(stage.uuid, old.uuid)
    new = gservice.Node(stage.core.add_node(stage.uuid, "10.0.0.6"))
    stage.services.tick(3)
    new.register()
    stage.services.tick(2)
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == []
    assert new.target()["passwd"] == f"noreply@mail.example.com:{stages.SEED}\n"
    # The old one's report holds every account's hash.
    assert ua_models.Resource.objects.get_all(filters={"uuid": filters.EQ(old.agent)}) == []
    agents = {agent.uuid for agent in ua_models.UniversalAgent.objects.get_all()}
    assert (old.agent in agents, new.agent in agents) == (False, True)
    assert [c["name"] for c in stage.core.configs.values()] == [str(new.uuid)]
    assert {k.uuid for k in ua_models.NodeEncryptionKey.objects.get_all()} == {new.uuid}
    assert stage.shown("status", "ipsv4", "dkim_public_key") == (
        "IN_PROGRESS",
        ["10.0.0.6"],
        stages.DKIM,
    )


def test_a_node_of_an_active_set_without_a_key_is_asked_for_again(stage: stages.Stage) -> None:
    stage.asked_for()
    node = stage.core.add_node(stage.uuid, "10.0.0.5")
    key = stage.core.node_keys.pop(str(node))
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert ua_models.NodeEncryptionKey.objects.get_all() == []
    stage.core.node_keys[str(node)] = key
    stage.services.tick(1)
    assert [k.private_key for k in ua_models.NodeEncryptionKey.objects.get_all()] == [key]


@pytest.mark.parametrize("stages", ["asked_for", "serving"])
def test_the_uuid_of_an_instance_is_nobodys_until_its_machine_is_gone(
    stage: stages.Stage, stages: str
) -> None:
    getattr(stage, stages)()
    other = stage.api.of_other_project()
    body = other.instance_body(other.version("other"), uuid=stage.uuid)
    assert other.refused("POST", api_client.INSTANCES, body) == (409, "uuid: is already taken")
    stage.api.delete(stage.path)
    taken = (409, "uuid: belongs to an instance that is still being deleted")
    assert other.refused("POST", api_client.INSTANCES, body) == taken
    # In which order a pass removes it is the platform's.
    stage.services.infra_pass()
    stage.services.paas_pass()
    assert other.refused("POST", api_client.INSTANCES, body) == taken
    stage.services.tick(3)
    assert stage.core.sets == {}
    assert other.post(api_client.INSTANCES, body)["dkim_public_key"] == ""


@pytest.mark.parametrize("stages", ["new", "asked_for", "with_node", "infra_active", "serving"])
def test_a_deleted_instance_leaves_nothing(stage: stages.Stage, stages: str) -> None:
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


def _made(stage: stages.Stage) -> Iterator[gservice.Node | None]:
    """Bring an instance to a node that works, a pass or an answer of Core's at a time."""
    services, core = stage.services, stage.core
    for step in (services.infra_pass, services.core_pass) * 2:
        yield None
        step()
    node = gservice.Node(core.add_node(stage.uuid, "10.0.0.5"))
    yield node
    core.set_status(stage.uuid, "ACTIVE")
    for step in (services.core_pass, services.infra_pass, services.paas_pass):
        yield node
        step()
    node.register()
    node.beat()
    yield node
    services.paas_pass()
    yield node
    node.report()
    yield node
    services.tick()
    yield node


def test_an_instance_that_is_deleted_at_each_step_of_its_making_is_made_again(
    stage: stages.Stage,
) -> None:
    body = stage.api.instance_body(stage.api.version("again"), uuid=stage.uuid)
    steps = sum(1 for _ in _made(stage))
    assert steps > 10
    for ended_at in range(steps):
        stage.api.account(stage.path, f"life{ended_at}")
        stage.api.delete(stage.path)
        for _ in range(3):
            stage.services.tick()
        assert (stage.core.sets, stage.core.configs, gservice.target_kinds()) == ({}, {}, [])
        assert ua_models.Resource.objects.get_all() == []
        stage.api.post(api_client.INSTANCES, body)
        for _ in itertools.islice(_made(stage), ended_at + 1):
            pass

    assert stage.shown("status", "error", "ipsv4") == ("ACTIVE", "", ["10.0.0.5"])
    (node,) = stage.core.sets[stage.uuid]["nodes"]
    stage.api.account(stage.path, "last")
    stage.services.tick()
    told = gservice.Node(sys_uuid.UUID(node)).target()["passwd"]
    assert told == f"last@mail.example.com:{api_client.HASH}\n"
    assert {str(key.uuid) for key in ua_models.NodeEncryptionKey.objects.get_all()} == {node}
    assert (len(stage.core.sets), len(stage.core.configs)) == (1, 1)
    # That of gservice, and the node's.
    assert len(ua_models.UniversalAgent.objects.get_all()) == 2
