# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the senders file and its index."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import cdb, exim_conf, senders
from exordos_paas_mail.node import parts
from exordos_paas_mail.node.parts import lookup_file
from exordos_paas_mail.tests.unit.node import agent_stage

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
LINES = [("alice", "noreply@example.com;own")]
FILE = senders.render(senders.POLICY_DOMAIN, LINES, DOMAIN)
OTHER = senders.render(senders.POLICY_ACCOUNT, LINES, DOMAIN)
LONG = senders.render(
    senders.POLICY_DOMAIN,
    [(f"user{n:05}", "noreply@example.com;own") for n in range(3000)],
    DOMAIN,
)


def path(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(constants.SENDERS_FILE)


@pytest.fixture
def settled(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.want(agent_stage.ALICE, senders=FILE)
    stage.turn()
    assert stage.turn() == []
    return stage


def test_the_senders_are_written_without_a_reload(settled: agent_stage.Stage) -> None:
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640

    settled.want(agent_stage.ALICE, senders=OTHER)
    assert settled.turn() == []
    assert path(settled).read_text() == OTHER
    assert (settled.fact["value"]["senders"], settled.fact["value"]["status"]) == (OTHER, "ACTIVE")


def test_a_node_knows_what_an_account_may_send_as_before_it_can_log_in() -> None:
    order = list(parts.PARTS)
    assert order.index("senders") < order.index("passwd")


@pytest.mark.parametrize("boot", [False, True], ids=["same agent", "new agent"])
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.unlink(), id="lost"),
        pytest.param(lambda file: file.chmod(0o666), id="wrong mode"),
        pytest.param(lambda file: file.write_text(FILE.replace(":own", ":*@*")), id="edited"),
        pytest.param(
            lambda file: file.write_text("".join(FILE.splitlines(keepends=True)[:1])),
            id="cut at the end of a line",
        ),
        pytest.param(lambda file: file.write_bytes(b"\xff\0" * 9), id="overwritten"),
    ],
)
def test_senders_that_were_harmed_are_repaired(
    settled: agent_stage.Stage,
    harm: tp.Callable[[pathlib.Path], object],
    boot: bool,  # noqa: FBT001
) -> None:
    harm(path(settled))
    if boot:
        settled.boot()

    assert settled.turn() == []
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(FILE.replace(".:2\n", ""), id="without an end mark"),
        pytest.param(FILE.replace("own", "${run{x}}@example.com"), id="an expansion"),
    ],
)
def test_a_target_that_is_no_senders_file_changes_nothing(
    settled: agent_stage.Stage, text: str
) -> None:
    settled.want(agent_stage.ALICE, senders=text)
    settled.turn()

    assert path(settled).read_text() == FILE
    assert settled.fact["value"]["status"] == "ERROR"
    assert settled.fact["value"]["error"].startswith("senders: ")


def test_long_senders_have_an_index_tied_to_their_file(settled: agent_stage.Stage) -> None:
    index = settled.fake.path(constants.SENDERS_INDEX_FILE)
    assert not index.exists()
    assert len(LONG) >= lookup_file.INDEX_CHARACTERS_MIN

    settled.want(agent_stage.ALICE, senders=LONG)
    settled.turn()
    found = path(settled).stat()
    tie = exim_conf.index_tie(inode=found.st_ino, size=found.st_size, mtime=int(found.st_mtime))
    lines = [line.partition(":")[::2] for line in LONG.splitlines()]
    assert cdb.parse(index.read_bytes()) == [(exim_conf.INDEX_TIE_KEY, tie), *lines]

    index.write_bytes(index.read_bytes().replace(b"noreply", b"nobody!", 1))
    settled.boot()
    settled.turn()
    assert cdb.parse(index.read_bytes()) == [(exim_conf.INDEX_TIE_KEY, tie), *lines]

    settled.want(agent_stage.ALICE, senders=FILE)
    settled.turn()
    assert not index.exists()
