# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What happens between the steps of a builder is not lost."""

from __future__ import annotations

import contextlib
import threading
import typing as tp

import pytest
from restalchemy.storage.sql import engines

from exordos_paas_mail import infra_models, paas_models
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages


@contextlib.contextmanager
def _pass_while_core_hangs(stage: stages.Stage) -> tp.Iterator[None]:
    """Hold a pass of the infra builder where it asks Core for the keys of a new node."""
    hangs, released = threading.Event(), threading.Event()

    def hang(_method: str, path: str) -> None:
        if path.endswith("get_private_keys"):
            hangs.set()
            assert released.wait(60)

    stage.core.before = hang
    stage.core.add_node(stage.uuid, "10.0.0.5")
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.core_pass()
    builder = threading.Thread(target=stage.services.infra_pass)
    builder.start()
    try:
        assert hangs.wait(60)
        yield
        assert builder.is_alive(), "Core stopped hanging before the test was over"
    finally:
        released.set()
        builder.join()


def test_a_core_that_hangs_keeps_no_worker_of_the_api_waiting(
    stage: stages.Stage,
    api: api_client.Client,
    core: fake_core.FakeCore,
    services: gservice.GService,
) -> None:
    others = [stages.Stage(api, core, services) for _ in range(4)]
    for other in others:
        other.serving()
        core.set_status(other.uuid, "ERROR")
    stage.asked_for()
    # The pass writes what it has seen of each, and locks it until its end.
    for other in others:
        core.set_status(other.uuid, "ACTIVE")
    with _pass_while_core_hangs(stage):
        for other in others:
            api.patch(other.path, {"cpu": 8})
    services.tick(2)
    assert {core.sets[other.uuid]["cores"] for other in others} == {8}


def test_a_patch_while_core_hangs_is_not_lost(stage: stages.Stage) -> None:
    stage.asked_for()
    with _pass_while_core_hangs(stage):
        stage.api.patch(stage.path, {"cpu": 8, "name": "renamed"})
    assert stage.shown("cpu", "name", "ipsv4") == (8, "renamed", ["10.0.0.5"])
    # Nor is it taken for something that has been passed on already.
    stage.services.tick(2)
    assert stage.core.sets[stage.uuid]["cores"] == 8


def test_an_account_made_between_the_steps_of_a_pass_is_not_lost(
    stage: stages.Stage, monkeypatch: pytest.MonkeyPatch
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
    assert node.target()["passwd"] == f"between@mail.example.com:{stages.SEED}\n"
    assert stage.shown("dkim_public_key") == ("v=DKIM1; k=rsa; p=NEW",)


def test_a_patch_made_between_the_steps_of_a_pass_is_not_lost(
    stage: stages.Stage, monkeypatch: pytest.MonkeyPatch
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


def test_an_instance_deleted_while_core_hangs_is_no_error(
    stage: stages.Stage, caplog: pytest.LogCaptureFixture
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


def test_a_silent_core_is_waited_for_once_a_pass(
    stage: stages.Stage,
    api: api_client.Client,
    core: fake_core.FakeCore,
    services: gservice.GService,
) -> None:
    every = [stage, *(stages.Stage(api, core, services) for _ in range(3))]
    services.tick(3)
    for one in every:
        core.add_node(one.uuid, "10.0.0.5")
        core.set_status(one.uuid, "ACTIVE")
    services.core_pass()
    asked = []

    def cut(_method: str, path: str) -> None:
        if path.endswith("get_private_keys"):
            asked.append(path)
            raise ConnectionResetError

    core.before = cut
    services.infra_pass()
    assert len(asked) == 1
    services.infra_pass()
    assert len(asked) == 2
    core.before = lambda _method, _path: None
    services.tick(2)
    assert [one.shown("ipsv4") for one in every] == [(["10.0.0.5"],)] * 4


def test_an_instance_that_cannot_be_rendered_blocks_no_other(
    stage: stages.Stage,
    api: api_client.Client,
    core: fake_core.FakeCore,
    services: gservice.GService,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = stages.Stage(api, core, services)
    nodes = stage.serving(), other.serving()
    api.account(stage.path, "broken")
    # As after a release whose rule a stored value breaks.
    rewrite = "UPDATE mail_accounts SET password_hash = %s WHERE username = 'broken'"
    engine = engines.engine_factory.get_engine()
    with engine.session_manager() as session:
        session.execute(rewrite, ("a:b",))
    api.account(other.path, "sound")
    services.tick()
    assert [node.target()["passwd"] for node in nodes] == [
        "",
        f"sound@mail.example.com:{stages.SEED}\n",
    ]
    errors = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert f"Error updating instance(mail_instance) resource {stage.uuid}" in errors
    assert "a:b" not in caplog.text
    with engine.session_manager() as session:
        session.execute(rewrite, (stages.SEED,))
    services.tick()
    assert nodes[0].target()["passwd"] == f"broken@mail.example.com:{stages.SEED}\n"


def test_two_instances_do_not_meet(
    stage: stages.Stage,
    api: api_client.Client,
    core: fake_core.FakeCore,
    services: gservice.GService,
) -> None:
    other = stages.Stage(api, core, services)
    first, second = stage.serving(), other.serving()
    api.account(stage.path, "one")
    api.account(other.path, "two")
    services.tick(2)
    assert first.target()["passwd"] == f"one@mail.example.com:{stages.SEED}\n"
    assert second.target()["passwd"] == f"two@mail.example.com:{stages.SEED}\n"


@pytest.mark.parametrize(
    "model", [infra_models.MailInstance, paas_models.MailInstance], ids=["infra", "paas"]
)
def test_instances_that_wait_do_not_keep_others_from_being_looked_at(
    stage: stages.Stage, model: type[tp.Any]
) -> None:
    paths = {stage.path, *(stage.api.instance() for _ in range(4))}
    uuids = {path.rpartition("/")[2] for path in paths}

    def looked_at(some: tp.Callable[..., list[tp.Any]]) -> set[str]:
        draws = [some(limit=2) for _ in range(60)]
        assert {len(draw) for draw in draws} == {2}
        return {str(instance.uuid) for draw in draws for instance in draw}

    # Left out with a chance of (3/5)**60.
    assert looked_at(model.get_new_instances) == uuids
    assert model.get_updated_instances() == []
    for instance in model.objects.get_all():
        resource = instance.to_ua_resource()
        resource.tracked_at = instance.updated_at
        resource.insert()
    assert (model.get_new_instances(), model.get_updated_instances()) == ([], [])
    for path in paths:
        stage.api.patch(path, {"cpu": 2})
    assert looked_at(model.get_updated_instances) == uuids
