# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node's documents and the real Status API, on a real PostgreSQL."""

from __future__ import annotations

import errno
import pathlib
import shutil
import time
import typing as tp
import uuid

import pytest

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import (
    cdb,
    node_commands,
    node_documents,
    smarthosts,
    suppressions,
)
from exordos_paas_mail.codecs.suppressions import Action, Entry, Reason, Settings
from exordos_paas_mail.node import status_api
from exordos_paas_mail.node.documents import holder as holder_
from exordos_paas_mail.node.queue import keeper as keeper_
from exordos_paas_mail.tests.unit.control_plane import status_server
from exordos_paas_mail.tests.unit.node import queue_stage

KEY, NODE = status_server.KEY, status_server.NODE
BOB = "bob@elsewhere.example"
SHARD = suppressions.shard_of(BOB)
ENTRIES = suppressions.render([Entry(BOB, 1764115200, 0, Reason.MANUAL)])
RECORDS = [(f"/{BOB}", 'until=1099511627776 since=2025-11-26 reason="by hand"')]
DROP = suppressions.render_settings(Settings(Action.ACCEPT_AND_DROP))
COLLECTION = suppressions.COLLECTION


class Node:
    """What a node holds, and what the control plane tells it."""

    def __init__(self, directory: pathlib.Path, endpoint: str) -> None:
        self.directory = directory
        self.api = status_api.StatusApi(endpoint, NODE, KEY)
        self.open()

    def open(self, endpoint: str = "") -> None:
        api = status_api.StatusApi(endpoint, NODE, KEY) if endpoint else self.api
        self.holder = holder_.Holder(api, self.directory)

    def put(self, shard: str, revision: int, content: bytes, collection: str = COLLECTION) -> None:
        """Write a shard, as the control plane does."""
        row = node_documents.seal(KEY, NODE, collection, shard, revision, content)
        place = node_documents.row_uuid(NODE, collection, shard)
        self.api.replace(node_documents.KIND, place, node_documents.render(row))

    def turn(self, revision: int, index: node_documents.Index) -> bool:
        box = node_commands.seal(KEY, NODE, revision, node_commands.render_commands([]))
        text = node_documents.seal_index(KEY, NODE, revision, index)
        return self.holder.turn(box._replace(documents=text))

    def told(self, **shards: int) -> int:
        """Return the revision that is in force once the index names *shards*."""
        revision = max(shards.values(), default=0) + 100
        assert self.turn(revision, {COLLECTION: {k.lstrip("_"): v for k, v in shards.items()}}) is (
            False
        )
        return self.holder.applied[COLLECTION]

    def files(self) -> dict[str, bytes]:
        """Return what is on the disk, but for the ledger."""
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in sorted(self.directory.rglob("*"))
            if path.is_file() and path.name != "ledger.json"
        }

    def records(self, shard: str = SHARD) -> list[tuple[str, str]]:
        return cdb.parse((self.directory / "suppressed" / f"{shard}.cdb").read_bytes())

    @property
    def state(self) -> tuple[int, str]:
        serial, action = (self.directory / "suppressed" / "state").read_text().split()
        return int(serial), action


@pytest.fixture
def node(endpoint: str, tmp_path: pathlib.Path) -> Node:
    return Node(tmp_path, endpoint)


def told(node: Node) -> Node:
    """Have the node hold one entry and the settings."""
    node.put(SHARD, 5, ENTRIES)
    node.put("settings", 6, DROP)
    node.turn(7, {COLLECTION: {SHARD: 5, "settings": 6}})
    return node


def test_what_the_index_names_is_fetched_kept_and_in_force(node: Node) -> None:
    told(node)
    assert node.holder.applied == {COLLECTION: 7}
    assert node.files().keys() == {
        f"documents/suppressions/{SHARD}",
        "documents/suppressions/settings",
        f"suppressed/{SHARD}.cdb",
        "suppressed/settings",
        "suppressed/state",
    }
    assert node.files()[f"documents/suppressions/{SHARD}"] == ENTRIES
    assert (node.records(), node.state[1]) == (RECORDS, "accept_and_drop")
    modes = {path.stat().st_mode & 0o777 for path in node.directory.rglob("*")}
    assert modes == {0o600, 0o700}


def test_a_second_turn_asks_and_writes_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    told(node)
    before = {path: path.stat().st_ino for path in node.directory.rglob("*")}
    monkeypatch.setattr(node.api, "read", None)
    assert node.turn(7, {COLLECTION: {SHARD: 5, "settings": 6}}) is False
    # A box of a later revision is one of other commands.
    assert node.turn(8, {COLLECTION: {SHARD: 5, "settings": 6}}) is False
    after = {path: path.stat().st_ino for path in node.directory.rglob("*")}
    ledger = node.directory / "documents" / "ledger.json"
    assert {**before, ledger: 0} == {**after, ledger: 0}
    assert node.holder.applied == {COLLECTION: 8}


def test_what_was_taken_counts_after_a_restart_without_the_control_plane(node: Node) -> None:
    told(node)
    files = node.files()
    node.open("http://127.0.0.1:1")
    assert node.holder.turn(None, may_ask=False) is False
    assert node.holder.applied == {COLLECTION: 7}
    assert node.files() == files


def test_only_what_has_changed_is_fetched(node: Node) -> None:
    told(node)
    serial, _ = node.state
    node.put(SHARD, 8, b"")
    assert node.told(**{f"_{SHARD}": 8, "settings": 6}) == 108
    assert node.records() == []
    assert node.state[0] > serial


def test_a_shard_that_is_newer_than_the_index_says_is_taken(node: Node) -> None:
    node.put(SHARD, 9, ENTRIES)
    assert node.turn(6, {COLLECTION: {SHARD: 5}}) is False
    assert (node.holder.applied, node.records()) == ({COLLECTION: 6}, RECORDS)


def test_a_shard_or_a_collection_that_is_gone_is_gone_here(node: Node) -> None:
    told(node)
    assert node.turn(8, {COLLECTION: {SHARD: 5}}) is False
    assert node.state[1] == "reject"
    assert node.turn(9, {"webhooks": {}}) is False
    assert (node.files(), node.holder.applied) == ({}, {"webhooks": 9})


@pytest.mark.parametrize("box", [None, node_commands.Row(9, "", "")])
def test_without_an_index_all_stays(node: Node, box: node_commands.Row | None) -> None:
    told(node)
    files = node.files()
    assert node.holder.turn(box) is False
    assert node.files() == files


def test_an_older_index_or_another_nodes_is_none(node: Node) -> None:
    told(node)
    files = node.files()
    assert node.turn(6, {}) is False
    box = node_commands.seal(KEY, NODE, 9, node_commands.render_commands([]))
    text = node_documents.seal_index(KEY, uuid.uuid4(), 9, {})
    with pytest.raises(holder_.DocumentError, match="does not open"):
        node.holder.turn(box._replace(documents=text))
    # It is said once.
    assert node.holder.turn(box._replace(documents=text)) is False
    node.open()
    assert node.turn(6, {}) is False
    assert (node.files(), node.holder.applied) == (files, {COLLECTION: 7})


def test_an_older_row_or_another_shards_is_none_and_the_others_are_taken(node: Node) -> None:
    other = suppressions.shard_of("a@a.example")
    content = suppressions.render([Entry("a@a.example", 1, 0, Reason.COMPLAINT)])
    node.put(other, 4, content)
    node.put(SHARD, 4, ENTRIES)
    index = {COLLECTION: {SHARD: 5, other: 4, "settings": 5}}
    with pytest.raises(holder_.DocumentError, match=r"older than the index|has none"):
        node.turn(5, index)
    assert node.holder.applied == {}
    assert node.files().keys() == {
        f"documents/suppressions/{other}",
        f"suppressed/{other}.cdb",
        "suppressed/state",
    }
    # Not each turn again; and at once when there is another index.
    assert node.holder.turn(None) is False
    row = node_documents.seal(KEY, NODE, COLLECTION, other, 6, content)
    place = node_documents.row_uuid(NODE, COLLECTION, SHARD)
    node.api.replace(node_documents.KIND, place, node_documents.render(row))
    with pytest.raises(holder_.DocumentError, match="another one"):
        node.turn(6, {COLLECTION: {SHARD: 5, other: 4}})
    node.put(SHARD, 6, ENTRIES)
    assert node.turn(7, {COLLECTION: {SHARD: 5, other: 4}}) is False
    assert node.holder.applied == {COLLECTION: 7}


def test_content_that_is_no_shard_leaves_the_one_that_was(node: Node) -> None:
    told(node)
    files = node.files()
    node.put(SHARD, 8, b"bob\n")
    with pytest.raises(holder_.DocumentError, match=f"suppressions/{SHARD}: line 1: not of five"):
        node.turn(8, {COLLECTION: {SHARD: 8, "settings": 6}})
    assert (node.files(), node.holder.applied) == (files, {COLLECTION: 7})


def test_a_collection_of_a_later_release_is_passed_over(node: Node) -> None:
    assert node.turn(5, {"tomorrow": {"0": 3}}) is False
    assert (node.files(), node.holder.applied) == ({}, {})


def test_webhooks_are_kept_as_they_come(node: Node) -> None:
    node.put("0", 3, b"whatever", "webhooks")
    node.turn(4, {"webhooks": {"0": 3}})
    assert node.files() == {"documents/webhooks/0": b"whatever"}
    assert node.holder.applied == {"webhooks": 4}


def _cut(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _edit(path: pathlib.Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize("damage", [pathlib.Path.unlink, _cut, _edit])
@pytest.mark.parametrize(
    ("name", "restarted"),
    [
        (f"suppressed/{SHARD}.cdb", False),
        (f"suppressed/{SHARD}.cdb", True),
        ("suppressed/settings", False),
    ],
)
def test_what_is_made_of_documents_is_repaired_without_the_control_plane(
    node: Node,
    name: str,
    damage: tp.Callable[[pathlib.Path], None],
    *,
    restarted: bool,
) -> None:
    told(node)
    files, serial = node.files(), node.state[0]
    if restarted:
        node.open("http://127.0.0.1:1")
    damage(node.directory / name)
    assert node.holder.turn(None, may_ask=False) is False
    now = node.files()
    assert {**now, "suppressed/state": b""} == {**files, "suppressed/state": b""}
    # Who had opened the damaged one opens another.
    assert node.state[0] > serial
    assert node.holder.applied == {COLLECTION: 7}


@pytest.mark.parametrize("damage", [pathlib.Path.unlink, _cut, _edit])
def test_a_document_that_is_damaged_is_fetched_again(
    node: Node, damage: tp.Callable[[pathlib.Path], None]
) -> None:
    told(node)
    files = node.files()
    damage(node.directory / "documents" / COLLECTION / SHARD)
    assert node.holder.turn(None, may_ask=False) is False
    assert node.records() == RECORDS
    assert node.holder.turn(None) is False
    now = node.files()
    assert {**now, "suppressed/state": b""} == {**files, "suppressed/state": b""}


@pytest.mark.parametrize("lost", ["documents", "suppressed", "documents/ledger.json", "."])
def test_a_directory_that_is_lost_is_filled_again(node: Node, lost: str) -> None:
    told(node)
    files = node.files()
    path = node.directory / lost
    if lost == ".":
        for folder in ("documents", "suppressed"):
            shutil.rmtree(node.directory / folder)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.write_text("{")
    node.open()
    if lost != "suppressed":
        # What it was told is not known before the control plane says it again.
        assert node.holder.turn(None) is False
        assert node.holder.applied == {}
        if lost != ".":
            assert node.records() == RECORDS
    assert node.turn(7, {COLLECTION: {SHARD: 5, "settings": 6}}) is False
    now = node.files()
    assert {**now, "suppressed/state": b""} == {**files, "suppressed/state": b""}
    assert node.holder.applied == {COLLECTION: 7}


def test_what_is_in_the_way_of_a_directory_is_removed(node: Node) -> None:
    (node.directory / "suppressed").write_text("")
    told(node)
    assert node.records() == RECORDS


def test_a_full_disk_leaves_what_was_and_is_no_end(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(node)
    files = node.files()
    full = OSError(errno.ENOSPC, "No space left on device")

    def replace(*_: object, **__: object) -> tp.NoReturn:
        raise full

    node.put(SHARD, 8, b"")
    index = {COLLECTION: {SHARD: 8, "settings": 6}}
    with monkeypatch.context() as patch:
        patch.setattr(atomic_files, "replace", replace)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                node.turn(8, index)
    assert (node.files(), node.holder.applied) == (files, {COLLECTION: 7})
    assert node.turn(8, index) is False
    assert (node.records(), node.holder.applied) == ([], {COLLECTION: 8})


def test_a_turn_ends_and_the_next_goes_on(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder_, "TURN_MAX", -1.0)
    shards = dict.fromkeys(suppressions.SHARDS[:3], 3)
    for shard in shards:
        node.put(shard, 3, b"")
    assert node.turn(4, {COLLECTION: shards}) is True
    assert node.holder.applied == {}
    monkeypatch.setattr(holder_, "TURN_MAX", 10.0)
    assert node.holder.turn(None) is False
    assert node.holder.applied == {COLLECTION: 4}


def test_the_daemon_of_the_queue_holds_documents_and_tells_which(
    node: Node, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A turn on a slow machine is none of which the next is due.
    for period in ("LOOK_PERIOD", "POLL_PERIOD"):
        monkeypatch.setattr(keeper_, period, 60.0)
    queue_stage.Spool(tmp_path / "root")
    exim = queue_stage.Exim(root=str(tmp_path / "root"))
    keeper = keeper_.Keeper(exim, node.api, node.directory)
    node.put(SHARD, 5, ENTRIES)
    box = node_commands.seal(KEY, NODE, 7, node_commands.render_commands([]))
    index = node_documents.seal_index(KEY, NODE, 7, {COLLECTION: {SHARD: 5}})
    place = node_commands.row_uuid(NODE)
    value = node_commands.render(box._replace(documents=index))
    node.api.replace(node_commands.KIND, place, value)
    # Done, and to be told at once.
    assert keeper.turn() == 0.0
    assert keeper.turn() > 0.0
    keeper.close()
    assert node.records() == RECORDS
    assert keeper._documents.applied == {COLLECTION: 7}
    started = time.time_ns()
    # Without the control plane it repairs what it has.
    api = status_api.StatusApi("http://127.0.0.1:1", NODE, KEY)
    keeper = keeper_.Keeper(exim, api, node.directory)
    (node.directory / "suppressed" / f"{SHARD}.cdb").unlink()
    with pytest.raises(status_api.StatusError):
        keeper.turn()
    keeper.close()
    assert node.records() == RECORDS
    assert node.state[0] > started


class Smarthost:
    """A node's smarthost, and how often what waits was to be tried at once."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.forgotten = 0
        self.refusal: OSError | None = None
        self.revision = 0
        self.open()

    def open(self) -> None:
        self.node.holder = holder_.Holder(self.node.api, self.node.directory, self._forget)

    def _forget(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.forgotten += 1

    def tell(self, told: smarthosts.Smarthost | None) -> None:
        self.revision += 1
        content = smarthosts.render(told)
        self.node.put(smarthosts.SHARD, self.revision, content, smarthosts.COLLECTION)
        self.turn()

    def turn(self) -> None:
        index = {smarthosts.COLLECTION: {smarthosts.SHARD: self.revision}}
        # One that took long leaves the rest to the next.
        while self.node.turn(self.revision, index):
            pass

    def turn_alone(self) -> None:
        """Turn while the control plane is away."""
        while self.node.holder.turn(None, may_ask=False):
            pass

    @property
    def table(self) -> bytes:
        return (self.node.directory / "smarthost" / "host").read_bytes()


SMARTHOST = smarthosts.Smarthost("smart.example", 587, "starttls", "tenant", "secret")


@pytest.fixture
def smarthost(node: Node) -> Smarthost:
    return Smarthost(node)


def test_mail_that_waits_is_tried_at_once_by_another_smarthost_or_password(
    smarthost: Smarthost,
) -> None:
    smarthost.tell(None)
    assert (smarthost.table, smarthost.forgotten) == (b"", 0)
    smarthost.tell(SMARTHOST)
    assert (smarthost.table, smarthost.forgotten) == (smarthosts.table(SMARTHOST), 1)
    modes = {path.stat().st_mode & 0o777 for path in smarthost.node.directory.rglob("*")}
    assert modes == {0o600, 0o700}
    smarthost.turn()
    smarthost.tell(SMARTHOST)
    assert smarthost.forgotten == 1
    smarthost.tell(SMARTHOST._replace(password="another"))
    assert smarthost.forgotten == 2
    smarthost.open()
    smarthost.turn()
    assert smarthost.forgotten == 2
    smarthost.tell(None)
    assert (smarthost.table, smarthost.forgotten) == (b"", 3)


def test_what_cannot_be_tried_at_once_is_by_a_later_turn(smarthost: Smarthost) -> None:
    smarthost.refusal = BlockingIOError(errno.EAGAIN, "exim has it")
    with pytest.raises(BlockingIOError):
        smarthost.tell(SMARTHOST)
    assert smarthost.table == smarthosts.table(SMARTHOST)
    smarthost.refusal = None
    smarthost.turn()
    smarthost.turn()
    assert smarthost.forgotten == 1


def test_a_table_that_is_lost_is_made_again_and_one_that_nobody_names_goes(
    smarthost: Smarthost,
) -> None:
    smarthost.tell(SMARTHOST)
    (smarthost.node.directory / "smarthost" / "host").write_text("edited")
    smarthost.turn()
    assert smarthost.table == smarthosts.table(SMARTHOST)
    smarthost.node.turn(9, {})
    assert not (smarthost.node.directory / "smarthost" / "host").exists()


def test_a_table_of_another_release_is_made_anew_without_being_asked_for_and_only_once(
    smarthost: Smarthost, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = SMARTHOST._replace(domains=("*.b.example",))
    before = smarthosts.table(told._replace(domains=("smarthost.invalid",)))
    with monkeypatch.context() as release:
        release.setattr(smarthosts, "table", lambda _: before)
        smarthost.tell(told)
    assert (smarthost.table, smarthost.forgotten) == (before, 1)
    # As a new image finds it
    smarthost.open()
    smarthost.turn_alone()
    assert (smarthost.table, smarthost.forgotten) == (smarthosts.table(told), 2)
    path = smarthost.node.directory / "smarthost" / "host"
    made = path.stat()
    for _ in range(2):
        smarthost.open()
        smarthost.turn_alone()
        assert smarthost.node.holder.applied == {smarthosts.COLLECTION: smarthost.revision}
    again = path.stat()
    assert (again.st_ino, again.st_ctime_ns) == (made.st_ino, made.st_ctime_ns)
    assert smarthost.forgotten == 2
