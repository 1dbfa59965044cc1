# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that say nothing: absent from their set, silent, or made again under their uuid."""

from __future__ import annotations

import typing as tp

from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.dm import filters

from exordos_paas_mail.control_plane.reconcile import status
from exordos_paas_mail.tests.unit.control_plane import gservice

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.control_plane import stage as stages


def key_of(node: gservice.Node) -> str | None:
    key = ua_models.NodeEncryptionKey.objects.get_one_or_none(
        filters={"uuid": filters.EQ(node.uuid)}
    )
    return None if key is None else str(key.private_key)


def asked_for_keys(stage: stages.Stage) -> int:
    return sum("get_private_keys" in path for _, path in stage.core.requests)


def test_a_node_that_is_absent_once_keeps_what_it_holds(stage: stages.Stage) -> None:
    node = stage.serving()
    stage.services.tick(2)
    before = (node.target(), key_of(node), dict(stage.core.configs), stage.shown("status", "ipsv4"))
    nodes = stage.core.sets[stage.uuid]["nodes"]
    stage.core.sets[stage.uuid]["nodes"] = {}
    stage.services.tick(3)
    absent = (node.target(), key_of(node), dict(stage.core.configs), stage.shown("status", "ipsv4"))
    stage.core.sets[stage.uuid]["nodes"] = nodes
    stage.services.tick(3)
    assert absent == before
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_an_account_made_while_the_node_is_absent_reaches_it_afterwards(
    stage: stages.Stage,
) -> None:
    node = stage.serving()
    nodes = stage.core.sets[stage.uuid]["nodes"]
    stage.core.sets[stage.uuid]["nodes"] = {}
    stage.services.tick(2)
    stage.api.account(stage.path)
    stage.services.tick(2)
    stage.core.sets[stage.uuid]["nodes"] = nodes
    stage.services.tick(3)
    target = node.target()
    assert target is not None
    assert target["passwd"].count("\n") == 1


def test_a_silent_agent_is_told_and_the_instance_stays_usable(stage: stages.Stage) -> None:
    node = stage.serving()
    node.beat(seconds_ago=status.PATIENCE - 5)
    stage.services.tick()
    assert stage.shown("status", "error") == ("ACTIVE", "")
    node.beat(seconds_ago=status.PATIENCE + 5)
    stage.services.tick()
    assert stage.shown("status", "error") == ("ACTIVE", status.SILENT)
    node.beat()
    stage.services.tick()
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_a_pass_over_a_silent_agent_writes_nothing_new(stage: stages.Stage) -> None:
    node = stage.serving()
    node.beat(seconds_ago=status.PATIENCE + 5)
    stage.services.tick(2)
    before = gservice.row_versions()
    stage.services.tick(3)
    assert gservice.row_versions() == before


def test_a_node_whose_image_has_no_heartbeat_is_not_called_silent(stage: stages.Stage) -> None:
    stage.serving()
    stage.services.tick(3)
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_the_key_of_a_silent_node_is_fetched_anew_once_a_minute(stage: stages.Stage) -> None:
    node = stage.serving()
    node.beat()
    asked = asked_for_keys(stage)
    stage.services.tick(2)
    assert asked_for_keys(stage) == asked
    node.beat(seconds_ago=35)
    stage.services.tick(5)
    assert asked_for_keys(stage) == asked + 1
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_a_node_made_again_under_its_uuid_comes_back_with_its_new_key(
    stage: stages.Stage,
) -> None:
    node = stage.serving()
    key = stage.core.make_node_again(node.uuid)
    node.beat(seconds_ago=35)
    stage.services.tick(2)
    assert key_of(node) == key
    assert stage.shown("status") == ("IN_PROGRESS",)
    node.beat()
    node.report(dkim_public_key="v=DKIM1; k=rsa; p=other", dkim_selector="platform")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")
