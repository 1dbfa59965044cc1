# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the file of limits and its index."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import cdb, exim_conf, limits
from exordos_paas_mail.node import parts
from exordos_paas_mail.node.parts import lookup_file
from exordos_paas_mail.tests.unit.node import agent_stage

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
FILE = limits.render({"recipients_per_hour": 500}, [("alice", {}, "hold")], DOMAIN)
LONG = limits.render(
    limits.NONE,
    [(f"user{n:05}", {"recipients_per_hour": n}, "hold") for n in range(1, 4000)],
    DOMAIN,
)


def path(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(constants.LIMITS_FILE)


@pytest.fixture
def settled(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.want(agent_stage.ALICE, limits=FILE)
    stage.turn()
    assert stage.turn() == []
    return stage


def test_the_limits_are_written_without_a_reload(settled: agent_stage.Stage) -> None:
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640

    other = FILE.replace("500", "400")
    settled.want(agent_stage.ALICE, limits=other)
    assert settled.turn() == []
    assert path(settled).read_text() == other
    assert (settled.fact["value"]["limits"], settled.fact["value"]["status"]) == (other, "ACTIVE")


def test_a_node_knows_how_much_an_account_may_send_before_it_can_log_in() -> None:
    order = list(parts.PARTS)
    assert order.index("limits") < order.index("passwd")


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.unlink(), id="lost"),
        pytest.param(lambda file: file.chmod(0o666), id="wrong mode"),
        pytest.param(lambda file: file.write_text(FILE.replace("500", "50000")), id="edited"),
        pytest.param(lambda file: file.write_bytes(b"\xff\0" * 9), id="overwritten"),
    ],
)
def test_limits_that_were_harmed_are_repaired(
    settled: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    harm(path(settled))
    assert settled.turn() == []
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("text", ["", FILE.replace(".:2\n", ""), FILE.replace("500", "none")])
def test_a_target_that_is_no_file_of_limits_changes_nothing(
    settled: agent_stage.Stage, text: str
) -> None:
    settled.want(agent_stage.ALICE, limits=text)
    settled.turn()
    assert path(settled).read_text() == FILE
    assert settled.fact["value"]["status"] == "ERROR"
    assert settled.fact["value"]["error"].startswith("limits: ")


def test_long_limits_have_an_index_tied_to_their_file(settled: agent_stage.Stage) -> None:
    index = settled.fake.path(constants.LIMITS_INDEX_FILE)
    assert not index.exists()
    assert len(LONG) >= lookup_file.INDEX_CHARACTERS_MIN

    settled.want(agent_stage.ALICE, limits=LONG)
    settled.turn()
    found = path(settled).stat()
    tie = exim_conf.index_tie(inode=found.st_ino, size=found.st_size, mtime=int(found.st_mtime))
    lines = [line.partition(":")[::2] for line in LONG.splitlines()]
    assert cdb.parse(index.read_bytes()) == [(exim_conf.INDEX_TIE_KEY, tie), *lines]

    settled.want(agent_stage.ALICE, limits=FILE)
    settled.turn()
    assert not index.exists()
