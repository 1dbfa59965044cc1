# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the file of TLS policies."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import tls_policies
from exordos_paas_mail.node import parts
from exordos_paas_mail.tests.unit.node import agent_stage

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
FILE = tls_policies.render([("bank.example", "verify"), ("*", "encrypt")], ["alice"], DOMAIN)
NOTHING = tls_policies.render([], [], DOMAIN)
LONG = tls_policies.render([], [f"user{number:05}" for number in range(5000)], DOMAIN)


def path(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(constants.TLS_POLICIES_FILE)


@pytest.fixture
def settled(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.want(agent_stage.ALICE, tls_policies=FILE)
    stage.turn()
    assert stage.turn() == []
    return stage


def test_policies_are_written_without_a_reload(settled: agent_stage.Stage) -> None:
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640
    settled.want(agent_stage.ALICE, tls_policies=NOTHING)
    assert settled.turn() == []
    assert path(settled).read_text() == NOTHING


def test_a_node_knows_how_mail_leaves_before_anybody_can_log_in() -> None:
    order = list(parts.PARTS)
    assert order.index("tls_policies") < order.index("passwd")


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.unlink(), id="lost"),
        pytest.param(lambda file: file.chmod(0o666), id="wrong mode"),
        pytest.param(lambda file: file.write_text(NOTHING), id="edited"),
        pytest.param(lambda file: file.write_text(FILE[:-5]), id="cut"),
        pytest.param(lambda file: file.write_bytes(b"\xff\0" * 9), id="overwritten"),
    ],
)
def test_policies_that_were_harmed_are_repaired(
    settled: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    harm(path(settled))
    assert settled.turn() == []
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("text", ["", FILE[:-5], FILE.replace(":verify", ":open")])
def test_what_is_no_file_of_policies_is_refused(settled: agent_stage.Stage, text: str) -> None:
    settled.want(agent_stage.ALICE, tls_policies=text)
    settled.turn()
    assert path(settled).read_text() == FILE
    assert settled.fact["status"] == "ERROR"


def test_many_policies_have_an_index(settled: agent_stage.Stage) -> None:
    settled.want(agent_stage.ALICE, tls_policies=LONG)
    settled.turn()
    assert settled.fake.path(constants.TLS_POLICIES_INDEX_FILE).exists()
    settled.want(agent_stage.ALICE, tls_policies=FILE)
    settled.turn()
    assert not settled.fake.path(constants.TLS_POLICIES_INDEX_FILE).exists()
