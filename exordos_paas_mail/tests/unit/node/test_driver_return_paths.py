# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the file of return paths, and the key they are made with."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import return_paths
from exordos_paas_mail.tests.unit.node import agent_stage

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
FILE = return_paths.render([(DOMAIN, return_paths.FORWARD)])
NONE = return_paths.render([])


def path(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(constants.RETURN_PATHS_FILE)


def keys(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(constants.RETURN_PATH_KEYS_FILE)


@pytest.fixture
def settled(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.want(agent_stage.ALICE, return_paths=FILE)
    stage.turn()
    assert stage.turn() == []
    return stage


def test_the_file_is_written_without_a_reload_and_a_key_is_made(
    settled: agent_stage.Stage,
) -> None:
    assert path(settled).read_text() == FILE
    assert return_paths.are_keys(keys(settled).read_text())
    for file in (path(settled), keys(settled)):
        assert file.stat().st_mode & 0o7777 == 0o640
    assert keys(settled).read_text().strip() not in str(settled.value)


def test_a_second_pass_does_nothing(settled: agent_stage.Stage) -> None:
    before = [file.stat() for file in (path(settled), keys(settled))]
    assert settled.turn() == []
    after = [file.stat() for file in (path(settled), keys(settled))]
    assert [(s.st_ino, s.st_ctime_ns) for s in after] == [(s.st_ino, s.st_ctime_ns) for s in before]


def test_a_node_that_needs_no_return_paths_has_no_key(stage: agent_stage.Stage) -> None:
    stage.fake.configured(DOMAIN)
    stage.want(agent_stage.ALICE, return_paths=NONE)
    stage.turn()
    assert stage.turn() == []
    assert (path(stage).read_text(), keys(stage).exists()) == (NONE, False)


def test_a_key_stays_when_the_last_domain_goes(settled: agent_stage.Stage) -> None:
    before = keys(settled).read_text()
    settled.want(agent_stage.ALICE, return_paths=NONE)
    settled.turn()
    assert (path(settled).read_text(), keys(settled).read_text()) == (NONE, before)
    settled.want(agent_stage.ALICE, return_paths=FILE)
    settled.turn()
    assert keys(settled).read_text() == before


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.unlink(), id="lost"),
        pytest.param(lambda file: file.chmod(0o666), id="wrong mode"),
        pytest.param(lambda file: file.write_text(NONE), id="edited"),
        pytest.param(lambda file: file.write_text(FILE[:-5]), id="cut"),
        pytest.param(lambda file: file.write_bytes(b"\xff\0" * 9), id="overwritten"),
    ],
)
def test_a_file_that_was_harmed_is_repaired_and_the_key_stays(
    settled: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    before = keys(settled).read_text()
    harm(path(settled))
    assert settled.turn() == []
    assert path(settled).read_text() == FILE
    assert path(settled).stat().st_mode & 0o7777 == 0o640
    assert keys(settled).read_text() == before


@pytest.mark.parametrize(
    ("harm", "is_kept"),
    [
        pytest.param(lambda file: file.unlink(), False, id="lost"),
        pytest.param(lambda file: file.chmod(0o666), True, id="wrong mode"),
        pytest.param(lambda file: file.write_text(""), False, id="empty"),
        pytest.param(lambda file: file.write_text("\n\n"), False, id="lines without a key"),
        pytest.param(lambda file: file.write_bytes(b"\xff\0" * 9), False, id="overwritten"),
    ],
)
def test_a_key_that_was_harmed_is_made_anew(
    settled: agent_stage.Stage,
    harm: tp.Callable[[pathlib.Path], object],
    is_kept: bool,  # noqa: FBT001
) -> None:
    before = keys(settled).read_text()
    harm(keys(settled))
    assert settled.turn() == []
    assert settled.turn() == []
    after = keys(settled).read_text()
    assert return_paths.are_keys(after)
    assert keys(settled).stat().st_mode & 0o7777 == 0o640
    assert (after == before) is is_kept


def test_an_operator_may_put_another_key_before_the_one_that_is_there(
    settled: agent_stage.Stage,
) -> None:
    both = "ab" * 32 + "\n" + keys(settled).read_text()
    keys(settled).write_text(both)
    assert settled.turn() == []
    assert keys(settled).read_text() == both


@pytest.mark.parametrize("text", ["", FILE[:-5], FILE.replace(":forward", ":bounce")])
def test_what_is_no_file_of_return_paths_is_refused(settled: agent_stage.Stage, text: str) -> None:
    settled.want(agent_stage.ALICE, return_paths=text)
    settled.turn()
    assert path(settled).read_text() == FILE
    assert settled.fact["status"] == "ERROR"
