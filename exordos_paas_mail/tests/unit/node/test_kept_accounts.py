# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""node.kept_accounts: accounts that were told by reference are kept by their shards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import account_shards, kept_target, passwd
from exordos_paas_mail.node import kept, kept_accounts
from exordos_paas_mail.node.commands import keep
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN, RELOAD = agent_stage.DOMAIN, agent_stage.RELOAD
STATE = f"{constants.AGENT_STATE_DIR}/{constants.AGENT_STATE_FILE}"
# A shard of them fills more than one page of the file.
SECRET = "$6$saltsaltsaltsalt$" + "S" * 86
MANY = {f"user{number}": f"$6$saltsaltsaltsalt${number:086}" for number in range(4000)}
FEW = {"alice": "$6$salt$one", "bob": "$6$salt$two"}


def file(accounts: dict[str, str]) -> str:
    return passwd.render(accounts.items(), DOMAIN)


def kept_file(stage: agent_stage.Stage) -> pathlib.Path:
    return stage.fake.path(constants.KEPT_ACCOUNTS_FILE)


def rows(stage: agent_stage.Stage) -> list[tuple[tp.Any, ...]]:
    with contextlib.closing(sqlite3.connect(kept_file(stage))) as db:
        found = db.execute("SELECT * FROM shards ORDER BY shard").fetchall()
        return found + db.execute("SELECT * FROM file").fetchall()


def whole(stage: agent_stage.Stage) -> str:
    """Return what is kept of the accounts, as whoever repairs the node reads it."""
    known = kept.Kept(stage.fake.machine)
    target = known.read()
    assert target is not None
    index = known.index(target)
    assert index is not None
    return known.accounts.text(index)


def target(stage: agent_stage.Stage) -> kept_target.Target:
    return kept_target.parse(stage.fake.path(constants.KEPT_TARGET_FILE).read_text())


@pytest.fixture
def referred(stage: agent_stage.Stage) -> agent_stage.Stage:
    stage.fake.configured(DOMAIN)
    stage.want(file(FEW))
    stage.turn()
    agent_stage.refer(stage, FEW)
    stage.turn()
    return stage


def test_what_was_told_by_reference_is_kept_by_shards_for_root_alone(
    stage: agent_stage.Stage,
) -> None:
    stage.fake.configured(DOMAIN)
    stage.want(file(MANY))
    stage.turn()
    assert (target(stage).texts["passwd"], kept_file(stage).exists()) == (file(MANY), False)
    agent_stage.refer(stage, MANY)
    assert stage.turn() == []
    assert (set(target(stage).texts), whole(stage)) == (set(), file(MANY))
    assert kept_file(stage).stat().st_mode & 0o777 == 0o600
    # All of it was written once, with no more beside it.
    assert kept_file(stage).stat().st_size < 1.5 * len(file(MANY))
    before = fake_node.signature(kept_file(stage))
    assert (stage.turn(), stage.settled) == ([], True)
    assert fake_node.signature(kept_file(stage)) == before


@pytest.mark.parametrize("booted", [False, True], ids=["running", "booted"])
def test_a_change_writes_the_shard_of_the_account_alone(
    stage: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch, *, booted: bool
) -> None:
    stage.fake.configured(DOMAIN)
    stage.want(file(MANY))
    stage.turn()
    agent_stage.refer(stage, MANY)
    stage.turn()
    before = rows(stage)
    asked: list[list[int]] = []
    ensure = kept_accounts.KeptAccounts.ensure

    def ensured(
        self: kept_accounts.KeptAccounts,
        domain: str,
        reading: account_shards.Reading,
        find: account_shards.Finding,
    ) -> str:
        def found(shards: tp.Collection[int]) -> tp.Any:
            asked.append(list(shards))
            return find(shards)

        return ensure(self, domain, reading, found)

    monkeypatch.setattr(kept_accounts.KeptAccounts, "ensure", ensured)
    if booted:
        stage.boot()
    after = {**MANY, "user7": SECRET}
    agent_stage.refer(stage, after, "user7")
    assert stage.turn() == [RELOAD]
    shard = account_shards.shard_of("user7")
    changed = [
        n for n, (was, is_) in enumerate(zip(before, rows(stage), strict=True)) if was != is_
    ]
    # The last row has the sum of all.
    assert (asked, changed) == ([[shard]], [shard, account_shards.COUNT])
    assert (whole(stage), stage.file.read_text(), stage.settled) == (file(after), file(after), True)


def test_no_hash_of_an_account_that_is_gone_stays(stage: agent_stage.Stage) -> None:
    accounts = {**MANY, "gone": SECRET}
    stage.fake.configured(DOMAIN)
    stage.want(file(accounts))
    stage.turn()
    agent_stage.refer(stage, accounts)
    stage.turn()
    assert SECRET.encode() in kept_file(stage).read_bytes()
    again = {"user1": SECRET}
    steps: list[dict[str, str]] = [MANY, again, {}, again, {"user2": MANY["user2"]}]
    for after in steps:
        agent_stage.refer(stage, after, *accounts, *after)
        stage.turn()
        assert (whole(stage), stage.settled) == (file(after), True)
        is_there = SECRET in after.values()
        left = [path for path in kept_file(stage).parent.iterdir() if path.is_file()]
        # The agent's own report of the target has lines no more once it is settled.
        held = [path.name for path in left if SECRET.encode() in path.read_bytes()]
        assert ("accounts.sqlite" in held) == is_there, held
        assert not any(path.name.startswith("accounts.sqlite-") for path in left)


def in_database(statement: str) -> tp.Callable[[pathlib.Path], object]:
    def harm(path: pathlib.Path) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(statement)

    return harm


def put_pipe(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


HARMS = [
    pytest.param(lambda path: path.write_bytes(b""), id="emptied"),
    pytest.param(lambda path: path.write_bytes(b"SQLite format 3\0" * 600), id="no database"),
    pytest.param(lambda path: os.truncate(path, path.stat().st_size // 2), id="cut short"),
    pytest.param(lambda path: path.unlink(), id="removed"),
    pytest.param(lambda path: path.chmod(0o644), id="others may read it"),
    pytest.param(lambda path: (path.unlink(), path.mkdir()), id="directory"),
    pytest.param(lambda path: (path.unlink(), path.symlink_to("x")), id="link"),
    pytest.param(put_pipe, id="pipe"),
    pytest.param(in_database("UPDATE shards SET lines = lines || 'x:$6$s$h\n'"), id="lines"),
    pytest.param(in_database("UPDATE shards SET digest = 1 - digest"), id="digests"),
    pytest.param(in_database("UPDATE shards SET lines = x'ff', sum = 1"), id="no text"),
    pytest.param(in_database("DELETE FROM shards WHERE shard = 7"), id="a shard less"),
    pytest.param(in_database("DELETE FROM file"), id="of no domain"),
    pytest.param(in_database("UPDATE file SET sum = 'x'"), id="of another file"),
    pytest.param(in_database("DROP TABLE shards"), id="a table less"),
    pytest.param(in_database("PRAGMA user_version = 2"), id="of a later release"),
]


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_harmed_is_not_believed_and_kept_anew(
    referred: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    before = rows(referred)
    harm(kept_file(referred))
    # Nobody takes it for what was told, with the file on the root disk lost as well.
    text = referred.file.read_text()
    referred.file.unlink()
    assert keep.Keeper(referred.fake.machine).turn() == []
    assert not referred.file.exists()
    referred.file.write_text(text)
    referred.file.chmod(0o640)
    referred.turn()
    assert (rows(referred), kept_file(referred).stat().st_mode & 0o777) == (before, 0o600)
    assert (referred.file.read_text(), whole(referred)) == (text, text)
    assert (referred.turn(), referred.settled) == ([], True)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.write_text(""), id="emptied"),
        pytest.param(lambda path: path.write_text(file({**FEW, "eve": SECRET})), id="added"),
        pytest.param(lambda path: path.unlink(), id="removed"),
        pytest.param(lambda path: path.chmod(0o600), id="another mode"),
    ],
)
def test_accounts_are_repaired_with_nobody_to_ask(
    referred: agent_stage.Stage, harm: tp.Callable[[pathlib.Path], object]
) -> None:
    keeper = keep.Keeper(referred.fake.machine)
    assert keeper.turn() == []
    harm(referred.file)
    assert keeper.turn() == ["accounts repaired"]
    assert (referred.file.read_text(), referred.file.stat().st_mode & 0o777) == (file(FEW), 0o640)
    assert (referred.fake.calls(), keeper.turn()) == ([RELOAD], [])
    assert (referred.turn(), referred.settled) == ([], True)


def test_a_power_cut_within_a_write_leaves_what_was_kept(referred: agent_stage.Stage) -> None:
    path = kept_file(referred)
    journal = path.with_name(f"{path.name}-journal")
    before = rows(referred)
    left = path.with_name("left")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        # So small a cache has the file written before the transaction ends.
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE shards SET lines = hex(zeroblob(4000)), sum = 'x'")
        shutil.copyfile(path, left)
        shutil.copyfile(journal, left.with_name("left-journal"))
        db.execute("ROLLBACK")
    assert left.read_bytes() != path.read_bytes()
    left.chmod(0o600)
    left.rename(path)
    left.with_name("left-journal").rename(journal)
    referred.file.unlink()
    assert keep.Keeper(referred.fake.machine).turn() == ["accounts repaired"]
    assert (rows(referred), journal.exists(), referred.fake.calls()) == (before, False, [RELOAD])
    assert (referred.turn(), referred.settled) == ([], True)


@pytest.mark.parametrize("back", ["accounts", "target"])
def test_a_power_cut_between_two_files_loses_no_account(
    referred: agent_stage.Stage, back: str
) -> None:
    names = {
        "accounts": [constants.KEPT_ACCOUNTS_FILE],
        "target": [constants.KEPT_TARGET_FILE, STATE],
    }[back]
    state = {path: path.read_bytes() for path in map(referred.fake.path, names)}
    after = {**FEW, "carol": "$6$salt$three"}
    agent_stage.refer(referred, after, "carol")
    referred.turn()
    # What is told next has lines no more.
    agent_stage.refer(referred, after)
    for path, data in state.items():
        path.write_bytes(data)
    assert keep.Keeper(referred.fake.machine).turn() == []
    referred.boot()
    assert referred.turn() == []
    assert (referred.file.read_text(), whole(referred)) == (file(after), file(after))
    assert (referred.turn(), referred.settled) == ([], True)


def test_what_the_release_before_has_kept_since_is_not_undone(
    referred: agent_stage.Stage,
) -> None:
    """It knows the accounts by their text alone, and leaves the file of shards where it is."""
    text = file({"alice": SECRET})
    told = json.dumps({"domain": DOMAIN, "texts": {"passwd": text}}, sort_keys=True) + "\n"
    referred.fake.path(constants.KEPT_TARGET_FILE).write_text(told)
    state = json.loads(referred.fake.path(STATE).read_text())
    (entry,) = state[constants.INSTANCE_NODE_KIND]["resources"].values()
    entry[kept.STATE_FIELD] = {kept.DIGEST: kept_target.digest(told)}
    referred.fake.path(STATE).write_text(json.dumps(state))
    referred.file.unlink()
    assert keep.Keeper(referred.fake.machine).turn() == ["accounts repaired"]
    assert referred.file.read_text() == text
    referred.boot()
    after = {"alice": SECRET, "carol": SECRET}
    agent_stage.refer(referred, after, "carol")
    referred.turn()
    assert (referred.file.read_text(), whole(referred)) == (file(after), file(after))


def test_the_release_before_reads_all_but_the_accounts(referred: agent_stage.Stage) -> None:
    agent_stage.refer(referred, FEW, senders="*:domain\n.:1\n")
    referred.turn()
    kept_json = json.loads(referred.fake.path(constants.KEPT_TARGET_FILE).read_text())
    assert kept_json.pop("accounts") == target(referred).accounts != ""
    assert kept_json == {"domain": DOMAIN, "texts": {"senders": "*:domain\n.:1\n"}}


def test_a_text_ends_what_was_kept_by_shards(referred: agent_stage.Stage) -> None:
    referred.want(file(FEW))
    referred.turn()
    assert (target(referred).texts["passwd"], target(referred).accounts) == (file(FEW), "")
    assert not kept_file(referred).exists()
    assert (referred.turn(), referred.settled) == ([], True)


def test_accounts_that_are_not_told_any_more_stay_kept(referred: agent_stage.Stage) -> None:
    before = rows(referred)
    referred.tell({})
    referred.turn()
    assert (rows(referred), whole(referred)) == (before, file(FEW))
    referred.file.write_text("")
    assert keep.Keeper(referred.fake.machine).turn() == ["accounts repaired"]
    assert referred.file.read_text() == file(FEW)
    # What is no longer there is no longer named.
    kept_file(referred).write_bytes(b"")
    referred.tell({"senders": "*:domain\n.:1\n"})
    referred.turn()
    assert (target(referred).accounts, kept_file(referred).exists()) == ("", False)
    assert referred.file.read_text() == file(FEW)
    referred.turn()
    assert referred.settled


def test_those_of_another_domain_are_not_kept(referred: agent_stage.Stage) -> None:
    referred.tell({}, "other.example")
    referred.turn()
    assert target(referred) == kept_target.Target("other.example", {})
    assert not kept_file(referred).exists()


def test_a_disk_that_refuses_is_told_and_the_accounts_are_written_all_the_same(
    referred: agent_stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = {**FEW, "carol": "$6$salt$three"}
    with monkeypatch.context() as patch:
        patch.setattr(kept_accounts, "_SCHEMA", ("SELECT refused",))
        kept_file(referred).unlink()
        agent_stage.refer(referred, after, "carol")
        assert referred.turn() == [RELOAD]
        assert referred.file.read_text() == file(after)
        assert "the target is not kept: accounts: " in referred.value["error"]
        assert "$6$" not in referred.value["error"]
    agent_stage.refer(referred, after)
    referred.turn()
    assert (whole(referred), referred.value["error"], referred.settled) == (file(after), "", True)
