# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the file of holds."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import holds
from exordos_paas_mail.node import parts
from exordos_paas_mail.tests.unit.node import agent_stage

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
FILE = holds.render([("alice", holds.Hold(holds.State.HOLD, 1_764_200_000_000))], DOMAIN)
NOBODY = holds.render([], DOMAIN)
LONG = holds.render(
    [(f"user{n:05}", holds.Hold(holds.State.HOLD, 1_764_200_000_000)) for n in range(3000)], DOMAIN
)


def path(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(constants.HOLDS_FILE)


@pytest.fixture
def settled(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.want(agent_stage.ALICE, holds=FILE)
    stage.turn()
    assert stage.turn() == []
    return stage


def test_holds_are_written_without_a_reload(settled: agent_stage.Stage) -> None:
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640
    settled.want(agent_stage.ALICE, holds=NOBODY)
    assert settled.turn() == []
    assert path(settled).read_text() == NOBODY


def test_a_node_knows_who_is_on_hold_before_anybody_can_log_in() -> None:
    order = list(parts.PARTS)
    assert order.index("holds") < order.index("passwd")


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.unlink(), id="lost"),
        pytest.param(lambda file: file.chmod(0o666), id="wrong mode"),
        pytest.param(lambda file: file.write_text(NOBODY), id="edited"),
        pytest.param(lambda file: file.write_text(FILE[:-5]), id="cut"),
        pytest.param(lambda file: file.write_bytes(b"\xff\0" * 9), id="overwritten"),
    ],
)
def test_holds_that_were_harmed_are_repaired(
    settled: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    harm(path(settled))
    assert settled.turn() == []
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("text", ["", FILE[:-5], FILE.replace(":hold", ":open")])
def test_what_is_no_file_of_holds_is_refused(settled: agent_stage.Stage, text: str) -> None:
    settled.want(agent_stage.ALICE, holds=text)
    settled.turn()
    assert path(settled).read_text() == FILE
    assert settled.fact["status"] == "ERROR"


def test_many_holds_have_an_index(settled: agent_stage.Stage) -> None:
    settled.want(agent_stage.ALICE, holds=LONG)
    settled.turn()
    assert settled.fake.path(constants.HOLDS_INDEX_FILE).exists()
    settled.want(agent_stage.ALICE, holds=FILE)
    settled.turn()
    assert not settled.fake.path(constants.HOLDS_INDEX_FILE).exists()
