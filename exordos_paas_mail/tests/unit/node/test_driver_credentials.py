# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the credentials of accounts and their index."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import cdb, credentials, exim_conf
from exordos_paas_mail.node import parts
from exordos_paas_mail.node.parts import lookup_file
from exordos_paas_mail.tests.unit.node import agent_stage

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
ONE = credentials.Credential("mlk_0a1b2c3d", "alice", "0" * 64)
FILE = credentials.render([ONE], DOMAIN)
OTHER = credentials.render([ONE._replace(ends=1798761600)], DOMAIN)
LONG = credentials.render([ONE._replace(prefix=f"mlk_{n:08}") for n in range(1500)], DOMAIN)


def path(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(constants.CREDENTIALS_FILE)


@pytest.fixture
def settled(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.want(agent_stage.ALICE, credentials=FILE)
    stage.turn()
    assert stage.turn() == []
    return stage


def test_the_credentials_are_written_without_a_reload(settled: agent_stage.Stage) -> None:
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640
    for text in (OTHER, ""):
        settled.want(agent_stage.ALICE, credentials=text)
        assert settled.turn() == []
        assert path(settled).read_text() == text
        value = settled.fact["value"]
        assert (value["credentials"], value["status"]) == (text, "ACTIVE")


def test_a_password_goes_after_the_credential_in_its_place_has_come() -> None:
    order = list(parts.PARTS)
    assert order.index("credentials") < order.index("passwd")


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.unlink(), id="lost"),
        pytest.param(lambda file: file.chmod(0o666), id="wrong mode"),
        pytest.param(lambda file: file.write_text(OTHER), id="edited"),
        pytest.param(lambda file: file.write_text(""), id="emptied"),
    ],
)
def test_credentials_that_were_harmed_are_repaired(
    settled: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    harm(path(settled))
    assert settled.turn() == []
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640


def test_a_target_that_has_no_credentials_in_it_changes_nothing(
    settled: agent_stage.Stage,
) -> None:
    settled.want(agent_stage.ALICE, credentials=FILE.replace(" *", " ${run{x}}"))
    settled.turn()
    assert path(settled).read_text() == FILE
    assert settled.fact["value"]["status"] == "ERROR"
    assert settled.fact["value"]["error"].startswith("credentials: line 1")


def test_many_credentials_have_an_index_tied_to_their_file(settled: agent_stage.Stage) -> None:
    index = settled.fake.path(constants.CREDENTIALS_INDEX_FILE)
    assert not index.exists()
    assert len(LONG) >= lookup_file.INDEX_CHARACTERS_MIN

    settled.want(agent_stage.ALICE, credentials=LONG)
    settled.turn()
    found = path(settled).stat()
    tie = exim_conf.index_tie(inode=found.st_ino, size=found.st_size, mtime=int(found.st_mtime))
    lines = [line.partition(":")[::2] for line in LONG.splitlines()]
    assert cdb.parse(index.read_bytes()) == [(exim_conf.INDEX_TIE_KEY, tie), *lines]

    settled.want(agent_stage.ALICE, credentials=FILE)
    settled.turn()
    assert not index.exists()
