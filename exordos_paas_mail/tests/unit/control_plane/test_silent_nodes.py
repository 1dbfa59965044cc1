# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that say nothing: absent from their set, silent, or made again under their uuid."""

from __future__ import annotations

import typing as tp

import pytest
from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.dm import filters

from exordos_paas_mail.control_plane.reconcile import status
from exordos_paas_mail.tests.unit.control_plane import gservice
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


@pytest.mark.parametrize("reports", [False, True])
def test_an_account_made_while_the_node_is_absent_reaches_it_afterwards(
    stage: stages.Stage, *, reports: bool
) -> None:
    node = stage.serving()
    nodes = stage.core.sets[stage.uuid]["nodes"]
    stage.core.sets[stage.uuid]["nodes"] = {}
    stage.services.tick(2)
    stage.api.account(stage.path)
    stage.services.tick(2)
    if reports:
        node.report(status="ERROR", error="a fault")
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


def test_a_clock_that_is_set_back_neither_hides_nor_makes_a_silent_agent(
    stage: stages.Stage,
) -> None:
    node = stage.serving()
    # Two days ahead is what was written before.
    node.beat(seconds_ago=-2 * 86400)
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


def test_a_node_that_went_back_to_an_image_without_heartbeat_is_not_called_silent(
    stage: stages.Stage,
) -> None:
    node = stage.serving()
    node.beat(seconds_ago=status.PATIENCE + 5)
    stage.services.tick()
    assert stage.shown("status", "error") == ("ACTIVE", status.SILENT)
    node.report(lacking={"heartbeat"}, dkim_public_key="v=DKIM1; k=rsa; p=other")
    stage.services.tick()
    assert stage.shown("status", "error") == ("ACTIVE", "")
    asked = asked_for_keys(stage)
    before = gservice.row_versions()
    stage.services.tick(2)
    assert (gservice.row_versions(), asked_for_keys(stage)) == (before, asked)
    # And forth again: it is heard, and can fall silent.
    node.report(dkim_public_key="v=DKIM1; k=rsa; p=other")
    node.beat(seconds_ago=status.PATIENCE + 5)
    stage.services.tick()
    assert stage.shown("status", "error") == ("ACTIVE", status.SILENT)


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
    key = stage.core.flash(node.uuid)
    node.beat(seconds_ago=35)
    stage.services.tick(2)
    assert key_of(node) == key
    assert stage.shown("status") == ("IN_PROGRESS",)
    node.beat()
    node.report(dkim_public_key="v=DKIM1; k=rsa; p=other", dkim_selector="platform")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_a_node_made_again_under_its_uuid_is_given_its_file_once_more(
    stage: stages.Stage,
) -> None:
    def written() -> list[dict[str, tp.Any]]:
        """Return the configs as they are, one for each time that one was written."""
        puts = [p for m, p in stage.core.requests if (m, "configs" in p) == ("PUT", True)]
        return [stage.core.configs[path.rpartition("/")[2]] for path in puts]

    node = stage.serving()
    (before,) = (dict(config) for config in stage.core.configs.values())
    stage.core.requests.clear()
    stage.core.flash(node.uuid)
    node.beat(seconds_ago=35)
    stage.services.tick(3)
    (config,) = written()
    changed = {name for name, value in config.items() if value != before[name]}
    assert changed - {"status"} == {"description"}
    node.report(dkim_public_key=stages.DKIM, dkim_selector="platform")
    node.beat()
    stage.services.tick(3)
    assert len(written()) == 1


def test_a_new_node_that_is_flashed_after_its_key_was_fetched_is_understood(
    stage: stages.Stage,
) -> None:
    node = stage.with_node()
    assert key_of(node) == stage.core.node_keys[str(node.uuid)]
    key = stage.core.flash(node.uuid)
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert key_of(node) == key


def test_a_node_with_a_new_image_is_understood_and_believed_once_it_reports(
    stage: stages.Stage,
) -> None:
    node = stage.serving()
    stage.core.set_status(stage.uuid, "IN_PROGRESS")
    stage.services.tick(2)
    key = stage.core.flash(node.uuid)
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert key_of(node) == key
    assert stage.shown("status", "error") == ("IN_PROGRESS", "")
    node.report(dkim_public_key=stages.DKIM, dkim_selector="platform")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_a_node_set_that_changes_and_keeps_its_key_keeps_its_status(stage: stages.Stage) -> None:
    stage.serving()
    stage.core.set_status(stage.uuid, "IN_PROGRESS")
    stage.services.tick(2)
    stage.core.set_status(stage.uuid, "ACTIVE")
    stage.services.tick(2)
    assert stage.shown("status", "error") == ("ACTIVE", "")
