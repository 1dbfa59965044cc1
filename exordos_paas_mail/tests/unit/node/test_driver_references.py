# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""driver: an account file that is told by reference, the lines of some of its shards beside."""

from __future__ import annotations

import errno
import os
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import account_shards, passwd
from exordos_paas_mail.node.parts import senders
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

DOMAIN, RELOAD = agent_stage.DOMAIN, agent_stage.RELOAD
HASH, OTHER = "$6$salt$one", "$6$salt$two"
FEW = {f"user{number}": HASH for number in range(5)}


def file(accounts: dict[str, str]) -> str:
    return passwd.render(accounts.items(), DOMAIN)


def digests(accounts: dict[str, str]) -> str:
    return account_shards.render(account_shards.read(file(accounts), DOMAIN).digests)


def shown(stage: agent_stage.Stage) -> tuple[tp.Any, ...]:
    return (stage.value["passwd"], stage.value["passwd_shards"], stage.settled)


def assert_settled(stage: agent_stage.Stage, accounts: dict[str, str]) -> None:
    before = fake_node.signatures(stage.fake)
    assert stage.turn() == []
    assert fake_node.signatures(stage.fake) == before
    assert stage.file.read_text() == file(accounts)
    assert shown(stage) == (None, digests(accounts), True)
    assert (stage.value["status"], stage.value["error"]) == ("ACTIVE", "")


@pytest.fixture
def referred(stage: agent_stage.Stage) -> agent_stage.Stage:
    """Return a node that has FEW, was told them as a text, and is told them by reference."""
    stage.fake.configured(DOMAIN)
    stage.want(file(FEW))
    stage.turn()
    agent_stage.refer(stage, FEW)
    stage.turn()
    return stage


def test_a_node_that_has_what_is_referred_to_writes_no_account(stage: agent_stage.Stage) -> None:
    stage.fake.configured(DOMAIN)
    stage.want(file(FEW))
    assert stage.turn() == [RELOAD]
    before = fake_node.signature(stage.file)
    agent_stage.refer(stage, FEW)
    assert stage.turn() == []
    assert fake_node.signature(stage.file) == before
    assert_settled(stage, FEW)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param({**FEW, "user2": OTHER}, id="changed"),
        pytest.param({**FEW, "user9": HASH}, id="added"),
        pytest.param({n: h for n, h in FEW.items() if n != "user2"}, id="removed"),
    ],
)
def test_told_lines_are_written_and_settle(
    referred: agent_stage.Stage, after: dict[str, str]
) -> None:
    agent_stage.refer(referred, after, "user2", "user9")
    assert referred.turn() == [RELOAD]
    assert_settled(referred, after)


@pytest.mark.parametrize("booted", [False, True], ids=["running", "booted"])
def test_no_account_is_lost_whose_hash_was_told_with_a_prefix(
    stage: agent_stage.Stage, *, booted: bool
) -> None:
    stage.fake.configured(DOMAIN)
    stage.want(file(FEW).replace(f":{HASH}", f":{{SHA512-CRYPT}}{HASH}"))
    stage.turn()
    if booted:
        stage.boot()
    after = {**FEW, "user2": OTHER}
    agent_stage.refer(stage, after, "user2")
    assert stage.turn() == [RELOAD]
    assert_settled(stage, after)


def test_what_has_no_lines_stays_and_is_told_until_they_come(referred: agent_stage.Stage) -> None:
    after = {"user1": HASH, "user2": OTHER, "user9": HASH}
    agent_stage.refer(referred, after)
    for _ in range(2):
        assert referred.turn() == []
        assert referred.file.read_text() == file(FEW)
        assert shown(referred) == (None, digests(FEW), False)
        assert (referred.value["status"], referred.value["error"]) == ("ACTIVE", "")
    agent_stage.refer(referred, after, "user9")
    referred.turn()
    held = {**FEW, "user9": HASH}
    assert (referred.file.read_text(), shown(referred)) == (
        file(held),
        (None, digests(held), False),
    )
    agent_stage.refer(referred, after, *FEW)
    referred.turn()
    assert_settled(referred, after)


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param(file({**FEW, "evil": HASH}), id="an account more"),
        pytest.param(file({"user1": HASH}), id="accounts less"),
        pytest.param(file({**FEW, "user2": OTHER}), id="another hash"),
        pytest.param(file(FEW) * 3, id="three times"),
        pytest.param("# mine\n" + file(FEW), id="a remark"),
        pytest.param("".join(reversed(file(FEW).splitlines(keepends=True))), id="another order"),
        pytest.param("", id="emptied"),
        pytest.param(None, id="lost"),
    ],
)
@pytest.mark.parametrize("is_booted", [False, True])
def test_what_was_edited_by_hand_is_repaired_without_a_line(
    referred: agent_stage.Stage, edited: str | None, *, is_booted: bool
) -> None:
    if edited is None:
        referred.file.unlink()
    else:
        referred.file.write_text(edited)
    if is_booted:
        referred.boot()
    assert referred.turn() == [RELOAD]
    assert_settled(referred, FEW)


def test_a_kept_target_that_is_lost_is_made_of_the_file(referred: agent_stage.Stage) -> None:
    kept = referred.fake.path(constants.KEPT_TARGET_FILE)
    before = kept.read_bytes()
    kept.unlink()
    assert referred.turn() == []
    assert kept.read_bytes() == before
    assert_settled(referred, FEW)


def test_a_node_that_lost_all_has_no_account_file_rather_than_an_empty_one(
    referred: agent_stage.Stage,
) -> None:
    referred.fake.path(constants.KEPT_TARGET_FILE).unlink()
    referred.file.unlink()
    for _ in range(2):
        assert referred.turn() == []
        assert not referred.file.exists()
        said = referred.value["passwd_shards"]
        assert (account_shards.parse(said), referred.settled) == (account_shards.NONE, False)
    agent_stage.refer(referred, FEW, *FEW)
    assert referred.turn() == [RELOAD]
    assert_settled(referred, FEW)


@pytest.fixture
def empty(stage: agent_stage.Stage) -> agent_stage.Stage:
    """Return a node that has no account, and was told one of FEW."""
    stage.fake.configured(DOMAIN)
    agent_stage.refer(stage, FEW)
    assert stage.turn() == []
    assert_gathering(stage)
    agent_stage.refer(stage, FEW, "user1")
    assert stage.turn() == []
    assert_gathering(stage, "user1")
    return stage


def assert_gathering(stage: agent_stage.Stage, *gathered: str) -> None:
    said = {name: FEW[name] for name in gathered}
    assert account_shards.parse(stage.value["passwd_shards"]) == account_shards.parse(digests(said))
    assert (stage.value["status"], stage.value["error"]) == ("IN_PROGRESS", "")
    assert (stage.file.exists(), stage.settled) == (False, False)


def test_first_accounts_are_gathered_before_there_is_a_file(empty: agent_stage.Stage) -> None:
    before = fake_node.signatures(empty.fake)
    assert empty.turn() == []
    assert fake_node.signatures(empty.fake) == before
    assert_gathering(empty, "user1")
    agent_stage.refer(empty, FEW, "user2", "user3")
    assert empty.turn() == []
    assert_gathering(empty, "user1", "user2", "user3")
    agent_stage.refer(empty, FEW, "user0", "user4")
    assert empty.turn() == [RELOAD]
    assert_settled(empty, FEW)


def test_an_account_that_changes_while_they_are_gathered_is_gathered_anew(
    empty: agent_stage.Stage,
) -> None:
    after = {**FEW, "user1": OTHER}
    agent_stage.refer(empty, after, *(FEW.keys() - {"user1"}))
    assert empty.turn() == []
    assert_gathering(empty, *FEW)
    agent_stage.refer(empty, after, "user1")
    assert empty.turn() == [RELOAD]
    assert_settled(empty, after)


def test_a_node_that_restarts_while_it_gathers_begins_again(empty: agent_stage.Stage) -> None:
    empty.boot()
    agent_stage.refer(empty, FEW, "user2")
    assert empty.turn() == []
    assert_gathering(empty, "user2")
    agent_stage.refer(empty, FEW, *(FEW.keys() - {"user2"}))
    assert empty.turn() == [RELOAD]
    assert_settled(empty, FEW)


def test_what_was_gathered_is_written_when_the_disk_takes_it(
    empty: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fake_node.full_root_disk(patch)
        agent_stage.refer(empty, FEW, *FEW)
        empty.turn()
        assert (empty.value["status"], empty.settled) == ("ERROR", False)
    assert not empty.file.exists()
    agent_stage.refer(empty, FEW)
    assert empty.turn() == [RELOAD]
    assert_settled(empty, FEW)


@pytest.mark.parametrize("held", ["# mine\n", "user1@other.example:$6$salt$one\n", ""])
def test_a_file_without_any_of_the_accounts_stays_until_all_are_there(
    stage: agent_stage.Stage, held: str
) -> None:
    stage.fake.configured(DOMAIN)
    stage.want("")
    stage.turn()
    stage.fake.path(constants.KEPT_TARGET_FILE).unlink()
    stage.file.write_text(held)
    agent_stage.refer(stage, FEW, "user1")
    stage.turn()
    assert (stage.file.read_text(), stage.settled) == (held, False)
    agent_stage.refer(stage, FEW, *(FEW.keys() - {"user1"}))
    assert stage.turn() == [RELOAD]
    assert_settled(stage, FEW)


def test_no_account_is_awaited_where_there_is_none(empty: agent_stage.Stage) -> None:
    agent_stage.refer(empty, {}, *FEW)
    assert empty.turn() == [RELOAD]
    assert_settled(empty, {})


def test_a_text_that_comes_while_they_are_gathered_is_written(empty: agent_stage.Stage) -> None:
    empty.want(file(FEW))
    assert empty.turn() == [RELOAD]
    assert shown(empty) == (file(FEW), None, True)
    agent_stage.refer(empty, FEW)
    assert empty.turn() == []
    assert_settled(empty, FEW)


def test_accounts_are_taken_away_by_lines_alone(referred: agent_stage.Stage) -> None:
    agent_stage.refer(referred, {})
    referred.turn()
    assert (referred.file.read_text(), referred.settled) == (file(FEW), False)
    agent_stage.refer(referred, {}, *FEW)
    assert referred.turn() == [RELOAD]
    assert_settled(referred, {})


def test_another_part_that_cannot_be_read_claims_no_account(
    referred: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: senders.Senders) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(senders.Senders, "read", read)
    agent_stage.refer(referred, {**FEW, "user9": HASH}, senders="*:domain\n.:1\n")
    for _ in range(2):
        referred.turn()
        assert account_shards.parse(referred.value["passwd_shards"]) == account_shards.parse(
            digests(FEW)
        )
        assert referred.value["status"] == "ERROR"


def test_an_error_is_told_while_lines_are_awaited(referred: agent_stage.Stage) -> None:
    after = {**FEW, "user2": OTHER, "user9": HASH}
    referred.fake.fail("systemctl", "reload", "no")
    agent_stage.refer(referred, after, "user2")
    for _ in range(2):
        referred.turn()
        assert (referred.value["status"], referred.settled) == ("ERROR", False)
        assert "no" in referred.value["error"]
    held = {**FEW, "user2": OTHER}
    assert account_shards.parse(referred.value["passwd_shards"]) == account_shards.parse(
        digests(held)
    )
    referred.fake.heal("systemctl", "reload")
    agent_stage.refer(referred, after, "user9")
    assert referred.turn() == [RELOAD]
    assert_settled(referred, after)


def test_a_text_takes_the_place_of_references_and_the_other_way_round(
    referred: agent_stage.Stage,
) -> None:
    referred.want(file({"user1": HASH}))
    assert referred.turn() == [RELOAD]
    assert shown(referred) == (file({"user1": HASH}), None, True)
    agent_stage.refer(referred, FEW, *FEW)
    assert referred.turn() == [RELOAD]
    assert_settled(referred, FEW)


@pytest.mark.parametrize("field", ["passwd_shards", "passwd_lines"])
def test_what_is_no_reference_is_refused_and_changes_nothing(
    referred: agent_stage.Stage, field: str
) -> None:
    agent_stage.refer(referred, FEW)
    (target,) = referred.orchestrator.target
    target.value[field] = "secret"
    target.hash = "another"
    referred.turn()
    assert referred.file.read_text() == file(FEW)
    assert referred.value["status"] == "ERROR"
    assert "accounts: " in referred.value["error"]
    assert "secret" not in referred.value["error"]


def test_a_node_that_is_set_back_in_time_tells_what_it_has(referred: agent_stage.Stage) -> None:
    state = {
        path: path.read_bytes()
        for path in (
            referred.file,
            referred.fake.path(constants.KEPT_TARGET_FILE),
            referred.fake.path(f"{constants.AGENT_STATE_DIR}/{constants.AGENT_STATE_FILE}"),
        )
    }
    after = {**FEW, "user2": OTHER}
    agent_stage.refer(referred, after, "user2")
    referred.turn()
    # What is told next has lines no more.
    agent_stage.refer(referred, after)
    assert_settled(referred, after)
    for path, data in state.items():
        path.write_bytes(data)
    referred.boot()
    referred.turn()
    assert account_shards.parse(referred.value["passwd_shards"]) == account_shards.parse(
        digests(FEW)
    )
    assert not referred.settled
    agent_stage.refer(referred, after, "user2")
    referred.turn()
    assert_settled(referred, after)


def test_a_long_file_has_its_index(referred: agent_stage.Stage) -> None:
    many = {f"user{number}": HASH for number in range(1500)}
    referred.want(file(many))
    referred.turn()
    after = {**many, "user2": OTHER}
    agent_stage.refer(referred, after, "user2")
    assert referred.turn() == [RELOAD]
    assert referred.fake.path(constants.PASSWD_INDEX_FILE).exists()
    assert_settled(referred, after)
