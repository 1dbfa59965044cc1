# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes for the tests of driver and configure."""

from __future__ import annotations

import typing as tp

import pytest
from oslo_config import cfg

from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

if tp.TYPE_CHECKING:
    import pathlib


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process no agent, though the stand's tests load the agent's options into it."""
    monkeypatch.setattr(cfg, "CONF", cfg.ConfigOpts())


@pytest.fixture
def fake(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> fake_node.FakeNode:
    """Return a node as it comes out of the image, its commands on PATH."""
    fake = fake_node.FakeNode(tmp_path)
    monkeypatch.setenv("PATH", fake.search_path)
    return fake


@pytest.fixture
def stage(fake: fake_node.FakeNode) -> agent_stage.Stage:
    """Return a node with its agent, without a target."""
    return agent_stage.Stage(fake)


@pytest.fixture
def settled(stage: agent_stage.Stage) -> agent_stage.Stage:
    """Return a node that serves alice and has nothing left to do."""
    stage.fake.configured(agent_stage.DOMAIN)
    stage.want(agent_stage.ALICE)
    stage.turn()
    assert stage.turn() == []
    return stage
