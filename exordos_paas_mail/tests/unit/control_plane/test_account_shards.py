# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts by reference: digests that triggers keep, and what a node is told of them."""

from __future__ import annotations

import logging
import threading
import typing as tp
import uuid as sys_uuid

import pytest
from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.dm import filters
from restalchemy.storage.sql import engines

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import account_shards, crypt_strings, passwd
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.control_plane.reconcile import shard_keeper
from exordos_paas_mail.control_plane.records import account_shards as rows
from exordos_paas_mail.control_plane.targets import account_shards as references
from exordos_paas_mail.tests.unit.control_plane import api_client, gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages

DOMAIN = "mail.example.com"
MANY = 2 * references.ACCOUNTS_MIN + 20
OTHER = api_client.HASH_2
PREFIX = "{SHA512-CRYPT}"


def execute(statement: str, *values: tp.Any) -> tp.Any:
    with engines.engine_factory.get_engine().session_manager() as session:
        return session.execute(statement, values)


def fill(stage: stages.Stage, count: int = MANY) -> None:
    """Give the instance so many accounts and touch it, past the API, which hashes passwords."""
    execute(
        "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash,"
        " created_at, updated_at) SELECT gen_random_uuid(), i.project_id, i.uuid, 'user' || n,"
        " %s, now(), now() FROM mail_instances i, generate_series(1, %s) n WHERE i.uuid = %s",
        *(api_client.HASH, count, stage.uuid),
    )
    touch(stage)


def touch(stage: stages.Stage) -> None:
    execute(
        "UPDATE mail_instances SET updated_at = timezone('utc', clock_timestamp()) WHERE uuid = %s",
        stage.uuid,
    )


def accounts(stage: stages.Stage) -> dict[str, str]:
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(
            "SELECT username, password_hash FROM mail_accounts WHERE instance = %s AND active",
            (stage.uuid,),
        ).fetchall()
    return {row["username"]: row["password_hash"].removeprefix(PREFIX) for row in found}


def digests(pairs: dict[str, str]) -> account_shards.Digests:
    return account_shards.read(passwd.render(pairs.items(), DOMAIN), DOMAIN).digests


def known(stage: stages.Stage) -> rows.Known:
    with engines.engine_factory.get_engine().session_manager() as session:
        return rows.known(session, sys_uuid.UUID(stage.uuid))


def assert_kept(stage: stages.Stage) -> None:
    held = accounts(stage)
    assert known(stage).digests == digests(held)
    assert sum(known(stage).accounts) == len(held)
    assert rows.wrong() == []


class Holder:
    """A node that has what it was told, by reference too, as the driver of its image."""

    def __init__(self, node: gservice.Node) -> None:
        self.node = node
        self.text = ""

    @property
    def lines(self) -> dict[int, list[account_shards.Pair]]:
        return account_shards.parse_lines(self.node.target().get("passwd_lines", ""))

    def turn(self, **facts: tp.Any) -> None:
        target = self.node.target()
        if "passwd" in target:
            self.text = target["passwd"]
            self.node.report(**facts)
            return
        merged = account_shards.merge(
            account_shards.read(self.text, DOMAIN),
            DOMAIN,
            account_shards.parse(target["passwd_shards"]),
            self.lines,
        )
        self.text = merged.text
        self.say(merged.digests, **facts)

    def say(self, held: account_shards.Digests, **facts: tp.Any) -> None:
        """Report these digests."""
        target = self.node.target()
        said = {**target, "passwd_shards": account_shards.render(held)}
        del said["passwd_lines" if "passwd_lines" in said else "name"]
        hash_of = {name: value for name, value in target.items() if name != "passwd_lines"}
        hash_of["passwd_shards"] = said["passwd_shards"]
        resource = ua_models.Resource.from_value(
            hash_of, constants.INSTANCE_NODE_KIND, tuple(hash_of)
        )
        self.node.report(passwd_shards=said["passwd_shards"], **facts)
        execute(
            "UPDATE ua_actual_resources SET hash = %s WHERE uuid = %s AND kind = %s",
            *(resource.hash, str(self.node.agent), constants.INSTANCE_NODE_KIND),
        )


@pytest.fixture
def holder(stage: stages.Stage) -> Holder:
    """Return the node of an instance of many accounts, which has them and is told by reference."""
    fill(stage)
    holder = Holder(stage.serving())
    for _ in range(3):
        holder.turn()
        stage.services.paas_pass()
    assert holder.text == passwd.render(accounts(stage).items(), DOMAIN)
    assert "passwd" not in holder.node.target()
    assert (holder.lines, is_settled(holder)) == ({}, True)
    return holder


def is_settled(holder: Holder) -> bool:
    pair = {"uuid": filters.EQ(holder.node.agent), "kind": filters.EQ(constants.INSTANCE_NODE_KIND)}
    target = ua_models.TargetResource.objects.get_one(filters=pair)
    actual = ua_models.Resource.objects.get_one(filters=pair)
    return bool((target.hash, target.full_hash) == (actual.hash, actual.full_hash))


def shard(name: str) -> int:
    return account_shards.shard_of(name)


WRITES = [
    pytest.param("UPDATE mail_accounts SET password_hash = %s WHERE username = 'user7'", id="hash"),
    pytest.param(
        "UPDATE mail_accounts SET active = %s = '' WHERE username LIKE 'user1%%'", id="off"
    ),
    pytest.param(
        "UPDATE mail_accounts SET username = 'b' || length(%s) WHERE username = 'user2'", id="name"
    ),
    pytest.param("DELETE FROM mail_accounts WHERE password_hash <> %s", id="all"),
    pytest.param("UPDATE mail_accounts SET name = %s", id="nothing of a line"),
]


@pytest.mark.parametrize("write", WRITES)
def test_each_write_keeps_the_digests(stage: stages.Stage, write: str) -> None:
    fill(stage, 40)
    # Without a password, and as a release long before stored it.
    for name, value in (("user3", crypt_strings.NO_PASSWORD), ("user4", f"{PREFIX}{OTHER}")):
        execute("UPDATE mail_accounts SET password_hash = %s WHERE username = %s", value, name)
    assert_kept(stage)
    execute(write, OTHER)
    assert_kept(stage)


def test_a_write_of_nothing_that_a_line_has_writes_no_digest(stage: stages.Stage) -> None:
    fill(stage, 5)
    before = gservice.row_versions()["mail_account_shards"]
    execute("UPDATE mail_accounts SET name = 'another', hold = hold")
    assert gservice.row_versions()["mail_account_shards"] == before


def test_accounts_that_are_written_at_once_are_all_in_the_digests(stage: stages.Stage) -> None:
    fill(stage, 60)
    start = threading.Barrier(4)

    def write(seed: int) -> None:
        start.wait(60)
        for step in range(10):
            name = f"user{(17 * seed + 7 * step) % 60 + 1}"
            execute("UPDATE mail_accounts SET active = NOT active WHERE username = %s", name)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_kept(stage)


def test_a_transaction_that_is_taken_back_leaves_the_digests(stage: stages.Stage) -> None:
    fill(stage, 5)
    before = known(stage)
    with engines.engine_factory.get_engine().session_manager() as session:
        session.execute("SAVEPOINT before", ())
        session.execute("DELETE FROM mail_accounts", ())
        session.execute("ROLLBACK TO before", ())
    assert known(stage) == before
    assert_kept(stage)


def test_few_accounts_are_told_as_a_text(stage: stages.Stage) -> None:
    fill(stage, references.ACCOUNTS_MIN - 1)
    holder = Holder(stage.serving())
    holder.turn()
    stage.services.paas_pass()
    assert holder.node.target()["passwd"] == passwd.render(accounts(stage).items(), DOMAIN)
    assert "passwd_shards" not in holder.node.target()


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE mail_accounts SET password_hash = %s WHERE username = 'user7'",
        "UPDATE mail_accounts SET active = %s = '' WHERE username = 'user7'",
        "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash,"
        " created_at, updated_at) SELECT gen_random_uuid(), project_id, uuid, 'user7.x', %s,"
        " now(), now() FROM mail_instances",
    ],
)
def test_a_change_is_told_by_the_lines_of_its_shard(
    stage: stages.Stage, holder: Holder, write: str
) -> None:
    execute(write, OTHER)
    touch(stage)
    stage.services.paas_pass()
    changed = shard("user7.x" if "INSERT" in write else "user7")
    expected = sorted(pair for pair in accounts(stage).items() if shard(pair[0]) == changed)
    assert holder.lines == {changed: expected}
    holder.turn()
    stage.services.paas_pass()
    assert holder.text == passwd.render(accounts(stage).items(), DOMAIN)
    assert (holder.lines, is_settled(holder)) == ({}, True)
    # The infra builder has passed the touch on, too.
    stage.services.tick()
    before = gservice.row_versions()
    stage.services.tick()
    assert gservice.row_versions() == before


def test_a_second_change_before_the_report_tells_both(stage: stages.Stage, holder: Holder) -> None:
    for name in ("user7", "user8"):
        execute("UPDATE mail_accounts SET password_hash = %s WHERE username = %s", OTHER, name)
        touch(stage)
        stage.services.paas_pass()
    assert holder.lines.keys() == {shard("user7"), shard("user8")}
    holder.turn()
    stage.services.paas_pass()
    assert is_settled(holder)


def test_a_report_of_facts_alone_reads_no_account(
    stage: stages.Stage, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    whole = rows.lines

    def lines(session: tp.Any, instance: tp.Any, shards: tp.Collection[int]) -> tp.Any:
        asked.extend(map(str, shards))
        return whole(session, instance, shards)

    monkeypatch.setattr(rows, "lines", lines)
    monkeypatch.setitem(
        vars(targets.accounts), "text", lambda *_: pytest.fail("the account file is rendered")
    )
    holder.turn(error="the disk is full", status="ERROR")
    stage.services.paas_pass()
    assert (asked, stage.shown("status", "error")) == ([], ("ERROR", "the disk is full"))
    assert is_settled(holder)


def test_a_node_of_the_release_before_is_told_the_text(stage: stages.Stage) -> None:
    fill(stage)
    node = stage.serving()
    node.report(lacking=["passwd_shards"])
    stage.services.paas_pass()
    assert node.target()["passwd"].count("\n") == MANY
    assert "passwd_shards" not in node.target()
    assert stage.shown("status", "error") == ("ACTIVE", "")


def test_an_image_of_the_release_before_takes_over_and_gives_back(
    stage: stages.Stage, holder: Holder
) -> None:
    holder.node.report(lacking=["passwd_shards"])
    stage.services.paas_pass()
    assert holder.node.target()["passwd"].count("\n") == MANY
    holder.node.report(lacking=["passwd_shards"])
    stage.services.paas_pass()
    for _ in range(3):
        holder.turn()
        stage.services.paas_pass()
    assert "passwd" not in holder.node.target()
    assert is_settled(holder)


def test_a_node_that_is_set_back_in_time_gets_what_it_lacks(
    stage: stages.Stage, holder: Holder
) -> None:
    before = holder.text
    execute("UPDATE mail_accounts SET password_hash = %s WHERE username = 'user7'", OTHER)
    touch(stage)
    stage.services.paas_pass()
    holder.turn()
    stage.services.paas_pass()
    assert (holder.lines, is_settled(holder)) == ({}, True)
    holder.text = before
    for _ in range(2):
        holder.turn()
        stage.services.paas_pass()
    assert holder.text == passwd.render(accounts(stage).items(), DOMAIN)
    assert is_settled(holder)


def test_a_database_that_is_set_back_in_time_is_what_counts(
    stage: stages.Stage, holder: Holder
) -> None:
    later = {**accounts(stage), "user7": OTHER, "late": OTHER}
    holder.text = passwd.render(later.items(), DOMAIN)
    for _ in range(2):
        holder.turn()
        stage.services.paas_pass()
    holder.turn()
    stage.services.paas_pass()
    assert holder.text == passwd.render(accounts(stage).items(), DOMAIN)
    assert is_settled(holder)


def test_a_node_that_has_none_is_told_all_at_once(stage: stages.Stage, holder: Holder) -> None:
    holder.text = ""
    holder.turn()
    stage.services.paas_pass()
    assert holder.node.target()["passwd"].count("\n") == MANY
    # It has not taken it yet: it stays so.
    holder.say(account_shards.NONE, passwd="", error="full")
    stage.services.paas_pass()
    assert "passwd" in holder.node.target()
    for _ in range(3):
        holder.turn()
        stage.services.paas_pass()
    assert "passwd" not in holder.node.target()
    assert is_settled(holder)


def test_a_new_node_is_told_a_long_file_in_pieces(
    stage: stages.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "LINES_MAX", 100)
    fill(stage)
    holder = Holder(stage.serving())
    # What stage.serving() reports is what it was told: it has nothing so far.
    assert (holder.lines, "passwd" in holder.node.target()) == ({}, False)
    holder.say(account_shards.NONE)
    turns = 0
    while holder.text != passwd.render(accounts(stage).items(), DOMAIN):
        stage.services.paas_pass()
        assert "passwd" not in holder.node.target()
        assert 0 < sum(map(len, holder.lines.values())) <= 100
        holder.turn()
        turns += 1
        assert turns < 30
    stage.services.paas_pass()
    assert turns > 10
    assert is_settled(holder)


@pytest.mark.parametrize("fact", [{"lacking": ["gathers_accounts"]}, {"gathers_accounts": False}])
def test_a_node_that_cannot_gather_is_told_a_long_file_at_once(
    stage: stages.Stage, holder: Holder, monkeypatch: pytest.MonkeyPatch, fact: dict[str, tp.Any]
) -> None:
    monkeypatch.setattr(references, "LINES_MAX", 100)
    holder.text = ""
    holder.turn(**fact)
    stage.services.paas_pass()
    assert holder.node.target()["passwd"].count("\n") == MANY


def test_an_image_without_references_is_told_a_long_file_at_once(
    stage: stages.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "LINES_MAX", 100)
    fill(stage)
    node = stage.serving()
    node.report(lacking=["passwd_shards", "gathers_accounts"])
    stage.services.paas_pass()
    assert node.target()["passwd"].count("\n") == MANY


def test_digests_that_are_lost_take_no_account_off_a_node(
    stage: stages.Stage, holder: Holder, caplog: pytest.LogCaptureFixture
) -> None:
    before = holder.text
    execute("DELETE FROM mail_account_shards WHERE shard < 3")
    touch(stage)
    stage.services.paas_pass()
    for _ in range(2):
        holder.turn()
        stage.services.paas_pass()
        assert holder.text == before
    assert is_settled(holder)
    assert_kept(stage)
    assert "digests of accounts were wrong, repaired" in caplog.text


def test_the_keeper_mends_what_is_wrong_and_nothing_else(stage: stages.Stage) -> None:
    fill(stage, 50)
    before = gservice.row_versions()
    shard_keeper.repair_all()
    assert gservice.row_versions() == before
    lost = shard("user1")
    execute("DELETE FROM mail_account_shards WHERE shard = %s", lost)
    execute("UPDATE mail_account_shards SET digest = ~digest WHERE shard <> %s", lost)
    execute(
        "INSERT INTO mail_account_shards SELECT uuid, n, 1::bit(128), 7 FROM mail_instances,"
        " generate_series(0, 255) n ON CONFLICT DO NOTHING"
    )
    shard_keeper.repair_all()
    assert_kept(stage)


def test_lines_come_in_as_many_targets_as_they_need(
    stage: stages.Stage, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "LINES_MAX", 100)
    execute(
        "UPDATE mail_accounts SET password_hash = %s WHERE get_byte(decode(md5(username), 'hex'),"
        " 0) < 200",
        OTHER,
    )
    touch(stage)
    turns = 0
    while holder.text != passwd.render(accounts(stage).items(), DOMAIN):
        stage.services.paas_pass()
        assert 0 < sum(map(len, holder.lines.values())) <= 100
        holder.turn()
        turns += 1
        assert turns < 20
    stage.services.paas_pass()
    assert turns > 5
    assert is_settled(holder)


@pytest.mark.parametrize("gathers", [True, False])
def test_a_node_that_lost_all_is_told_some_alone_if_it_gathers(
    stage: stages.Stage, holder: Holder, *, gathers: bool
) -> None:
    execute("DELETE FROM ua_actual_resources WHERE uuid = %s AND kind = 'node_set'", stage.uuid)
    holder.text = ""
    holder.turn(gathers_accounts=gathers)
    stage.services.paas_pass()
    assert sum(map(len, holder.lines.values())) == (MANY if gathers else 0)


@pytest.mark.parametrize("node_set", ["incomplete", "unknown"])
def test_a_node_that_asks_for_lines_settles_whatever_core_says_of_its_set(
    stage: stages.Stage, holder: Holder, node_set: str
) -> None:
    before = holder.text
    if node_set == "incomplete":
        execute(
            "UPDATE ua_actual_resources SET value = jsonb_set(value, '{nodes}', '{}')"
            " WHERE uuid = %s AND kind = 'node_set'",
            stage.uuid,
        )
    else:
        execute("DELETE FROM ua_actual_resources WHERE uuid = %s AND kind = 'node_set'", stage.uuid)
    holder.text = passwd.render({**accounts(stage), "user7": OTHER}.items(), DOMAIN)
    for _ in range(2):
        holder.turn()
        stage.services.paas_pass()
    assert holder.text == before
    assert is_settled(holder)


def test_no_hash_is_logged(
    stage: stages.Stage, holder: Holder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    stage.api.account(stage.path, "late", password_hash=OTHER)
    stage.services.paas_pass()
    assert shard("late") in holder.lines
    # Its lines alone are written: the node has lost them since.
    stage.services.paas_pass()
    holder.turn()
    stage.services.paas_pass()
    assert is_settled(holder)
    assert OTHER not in caplog.text
    assert api_client.HASH not in caplog.text
