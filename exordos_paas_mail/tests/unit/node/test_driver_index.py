# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: the index beside a long account file."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import cdb, exim_conf, passwd
from exordos_paas_mail.node.parts import accounts
from exordos_paas_mail.tests.unit.node import agent_stage

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = agent_stage.DOMAIN
RELOAD = agent_stage.RELOAD


def many(count: int) -> str:
    return passwd.render(((f"user{n:06}", "$6$salt$hash") for n in range(count)), DOMAIN)


def index_of(stage: agent_stage.Stage) -> list[tuple[str, str]]:
    return cdb.parse(stage.fake.path(constants.PASSWD_INDEX_FILE).read_bytes())


def tied_index(stage: agent_stage.Stage) -> list[tuple[str, str]]:
    found = stage.file.stat()
    tie = exim_conf.index_tie(inode=found.st_ino, size=found.st_size, mtime=int(found.st_mtime))
    lines = [line.partition(":")[::2] for line in stage.file.read_text().splitlines()]
    return [(exim_conf.INDEX_TIE_KEY, tie), *lines]


@pytest.fixture
def indexed(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.want(many(accounts.INDEX_ACCOUNTS_MIN))
    stage.turn()
    assert stage.turn() == []
    return stage


def test_many_accounts_have_an_index_tied_to_their_file(indexed: agent_stage.Stage) -> None:
    index = indexed.fake.path(constants.PASSWD_INDEX_FILE)

    assert index_of(indexed) == tied_index(indexed)
    assert index.stat().st_mode & 0o7777 == 0o640


def test_the_index_follows_the_file_and_goes_when_the_accounts_are_few(
    indexed: agent_stage.Stage,
) -> None:
    indexed.want(many(accounts.INDEX_ACCOUNTS_MIN + 1))
    assert indexed.turn() == [RELOAD]
    assert index_of(indexed) == tied_index(indexed)

    indexed.want(many(accounts.INDEX_ACCOUNTS_MIN - 1))
    assert indexed.turn() == [RELOAD]
    assert not indexed.fake.path(constants.PASSWD_INDEX_FILE).exists()
    assert indexed.turn() == []


@pytest.mark.parametrize("boot", [False, True], ids=["same agent", "new agent"])
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.unlink(), id="lost"),
        pytest.param(lambda path: path.chmod(0o600), id="wrong mode"),
        pytest.param(lambda path: path.write_bytes(b"\0" * 4096), id="overwritten"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes().replace(b"$hash", b"$evil", 1)),
            id="a hash replaced",
        ),
    ],
)
def test_a_harmed_index_is_built_again_without_a_reload(
    indexed: agent_stage.Stage,
    harm: tp.Callable[[pathlib.Path], object],
    boot: bool,  # noqa: FBT001
) -> None:
    harm(indexed.fake.path(constants.PASSWD_INDEX_FILE))
    if boot:
        indexed.boot()

    assert indexed.turn() == []
    assert index_of(indexed) == tied_index(indexed)
    assert indexed.fake.path(constants.PASSWD_INDEX_FILE).stat().st_mode & 0o7777 == 0o640


def test_a_crash_between_file_and_index_leaves_an_index_exim_does_not_believe(
    indexed: agent_stage.Stage,
) -> None:
    # What is on the disk after the first of the two renames.
    indexed.fake.machine.ensure_file(constants.RELOAD_PENDING_FILE, b"", 0o600)
    indexed.fake.machine.ensure_file(
        constants.PASSWD_FILE, many(accounts.INDEX_ACCOUNTS_MIN + 1).encode(), 0o640, exim=True
    )
    assert index_of(indexed)[0] != tied_index(indexed)[0]
    indexed.want(many(accounts.INDEX_ACCOUNTS_MIN + 1))
    indexed.boot()

    assert indexed.turn() == [RELOAD]
    assert index_of(indexed) == tied_index(indexed)
