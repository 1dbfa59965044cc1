# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The events of a node on the data disk, those first that the control plane does not have yet.

How far the log is read and what was read there are one transaction, so a process
that is killed anywhere has lost nothing and takes nothing twice. A batch gets its
number with its contents, before anybody is told of it. When the control plane has
it, it is history: it stays for webhooks (``node.webhooks.history``) while there is room.
"""

from __future__ import annotations

import collections
import contextlib
import os
import sqlite3
import time
import types
import typing as tp
import uuid
import zlib

from exordos_paas_mail.codecs import event_batches, event_figures, mail_events
from exordos_paas_mail.node import databases
from exordos_paas_mail.node.events import deferrals as deferrals_
from exordos_paas_mail.node.events import follower
from exordos_paas_mail.node.events import messages as messages_
from exordos_paas_mail.node.events import outbound as outbound_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FILE_NAME: tp.Final = "events.sqlite"
_LOCK_FILE_NAME = "events.lock"
_VERSION = 1
_NOTHING_COUNTED: tp.Final[Mapping[str, int]] = types.MappingProxyType({})
_SCHEMA = """
CREATE TABLE state (
    stream TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    head BLOB,
    position INTEGER,
    counts BLOB NOT NULL
);
CREATE TABLE batches (
    seq INTEGER PRIMARY KEY,
    events BLOB NOT NULL,
    count INTEGER NOT NULL,
    size INTEGER NOT NULL
);
"""
# Not of the version: an image of the release before passes over what it does not know, and
# one that has it makes it on the disk that it finds.
_COUNTERS = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID
"""
# Not of the version: a store that an older image has written is taken over with its events,
# and an older image leaves the table alone.
_DEFERRALS = """
CREATE TABLE IF NOT EXISTS deferrals (
    queue_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    at INTEGER NOT NULL,
    text TEXT NOT NULL,
    reason TEXT NOT NULL,
    mx TEXT NOT NULL,
    mx_address TEXT NOT NULL,
    held INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    PRIMARY KEY (queue_id, recipient)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deferrals_serial ON deferrals (serial);
"""
# Not of the version, as above. When a server has answered on a port is a row without an address;
# that of the smarthost has its name.
_OUTBOUND = """
CREATE TABLE IF NOT EXISTS outbound (
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    name TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    since INTEGER NOT NULL,
    at INTEGER NOT NULL,
    words TEXT NOT NULL,
    PRIMARY KEY (address, port)
) WITHOUT ROWID
"""
# Not of the version, as above. The events come last: what is before them is read without them.
_HISTORY = """
CREATE TABLE IF NOT EXISTS history (
    seq INTEGER PRIMARY KEY,
    told_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    size INTEGER NOT NULL,
    events BLOB NOT NULL
)
"""
# Not of the version, as above. An older image keeps no messages: it leaves the number of the
# batch that the messages were last kept with behind.
_MESSAGES = """
CREATE TABLE IF NOT EXISTS messages (queue_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages_state (next_seq INTEGER NOT NULL, adopted INTEGER NOT NULL)
"""
_PRUNED_AT_ONCE = 100


class DamagedError(Exception):
    """The file is no store of this release."""


class Store:
    """The store in *directory*; nobody else writes it meanwhile, or OSError is raised.

    Each method raises sqlite3.OperationalError when the disk refuses, and the store
    is then as it was, and DamagedError when the file cannot be read.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._path = directory / FILE_NAME
        self._oldest: tuple[int, int] | None = None
        """The number of the oldest batch, and when its first event happened."""
        # Not the lock of SQLite: exordos-mail-queue reads what is kept of deferrals and messages.
        self._lock = (directory / _LOCK_FILE_NAME).open("ab")
        try:
            os.lockf(self._lock.fileno(), os.F_TLOCK, 0)
            self._open()
        except BaseException:
            self._lock.close()
            raise

    def _open(self) -> None:
        # Transactions are ours to begin.
        self._db = sqlite3.connect(self._path, isolation_level=None)
        # Before there is a table, or it counts for nothing: the file shrinks again.
        self._run("PRAGMA auto_vacuum = INCREMENTAL")
        self._run("PRAGMA journal_mode = WAL")
        # A batch that was told and then forgotten would come again with other contents.
        self._run("PRAGMA synchronous = FULL")
        self._run("PRAGMA journal_size_limit = 1048576")
        self._run("PRAGMA cache_size = -512")
        ((version,),) = self._run("PRAGMA user_version")
        if version == 0:
            self._create()
        elif version != _VERSION:
            raise DamagedError(f"{self._path} is of version {version}")
        self._run(_COUNTERS)
        self._run(_HISTORY)
        self._run(_OUTBOUND)
        ((size,),) = self._run("SELECT TOTAL(size) FROM history")
        self.history_size = int(size)
        """Octets that the history takes."""
        for statement in filter(str.strip, [*_DEFERRALS.split(";"), *_MESSAGES.split(";")]):
            self._run(statement)
        try:
            ((stream,),) = self._run("SELECT stream FROM state")
            self.stream = uuid.UUID(stream)
            self._forget_old_messages()
        except ValueError as error:
            raise DamagedError(f"{self._path} has no stream") from error

    def _forget_old_messages(self) -> None:
        """Begin anew to keep messages where events were kept without them."""
        ((next_seq,),) = self._run("SELECT next_seq FROM state")
        if self._run("SELECT next_seq FROM messages_state") == [(next_seq,)]:
            return
        with self._transaction():
            self._run("DELETE FROM messages")
            self._run("DELETE FROM messages_state")
            self._run("INSERT INTO messages_state (next_seq, adopted) VALUES (?, 0)", (next_seq,))

    def _create(self) -> None:
        with self._transaction():
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._run(statement)
            self._run(
                "INSERT INTO state (stream, next_seq, counts) VALUES (?, 1, ?)",
                (str(uuid.uuid4()), mail_events.render([])),
            )
            self._run(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
        self._lock.close()

    def position(self) -> follower.Position | None:
        """Return how far the log is read, None before its first line."""
        ((head, offset),) = self._run("SELECT head, position FROM state")
        return None if head is None else follower.Position(head, offset)

    def counts(self) -> list[mail_events.Event]:
        """Return the counts that were held when the store was last written."""
        ((counts,),) = self._run("SELECT counts FROM state")
        return mail_events.parse(counts)

    def keep(  # noqa: PLR0913 - one transaction
        self,
        events: Sequence[mail_events.Event],
        position: follower.Position | None,
        counts: Iterable[mail_events.Event],
        counters: Mapping[str, int] = _NOTHING_COUNTED,
        deferrals: deferrals_.Deferrals | None = None,
        outbound: outbound_.Outbound | None = None,
        messages: messages_.Messages | None = None,
    ) -> None:
        """Keep *events* as numbered batches, with how far the log is read and what is counted.

        *counters* is added to what was counted before, and what is new of *deferrals*,
        *outbound* and *messages* kept.
        """
        with self._transaction():
            ((seq,),) = self._run("SELECT next_seq FROM state")
            if deferrals is not None:
                self._keep_deferrals(deferrals, seq)
            if outbound is not None:
                self._keep_outbound(outbound)
            for raw, count in _batches(events):
                packed = zlib.compress(raw)
                self._run(
                    "INSERT INTO batches (seq, events, count, size) VALUES (?, ?, ?, ?)",
                    (seq, packed, count, len(packed)),
                )
                seq += 1
            head, offset = position or (None, None)
            self._run(
                "UPDATE state SET next_seq = ?, head = ?, position = ?, counts = ?",
                (seq, head, offset, mail_events.render(counts)),
            )
            self._keep_messages(messages or messages_.Messages(), seq)
            self._count(counters)

    def counters(self) -> dict[str, int]:
        """Return what was counted since this store was made."""
        return dict(self._run("SELECT name, value FROM counters"))

    def deferral(self, queue_id: str, recipient: str) -> deferrals_.Deferral | None:
        """Return why a recipient waits, None where nothing is known."""
        rows = self._run(
            "SELECT queue_id, recipient, attempts, at, text, reason, mx, mx_address, held"
            " FROM deferrals WHERE queue_id = ? AND recipient = ?",
            (queue_id, recipient),
        )
        return deferrals_.Deferral(*rows[0]) if rows else None

    @property
    def is_adopted(self) -> bool:
        """Whether messages are kept that were there before any was."""
        return self._run("SELECT adopted FROM messages_state") == [(1,)]

    def has_message(self, queue_id: str) -> bool:
        """Return whether the log has told of a message, and not of its end."""
        return bool(self._run("SELECT 1 FROM messages WHERE queue_id = ?", (queue_id,)))

    def _keep_messages(self, messages: messages_.Messages, next_seq: int) -> None:
        arrived = [(queue_id,) for queue_id in messages.arrived]
        ended = [(queue_id,) for queue_id in messages.ended]
        with self._damage_noticed():
            self._db.executemany("INSERT OR IGNORE INTO messages VALUES (?)", arrived)
            self._db.executemany("DELETE FROM messages WHERE queue_id = ?", ended)
        self._run(
            "UPDATE messages_state SET next_seq = ?, adopted = adopted OR ?",
            (next_seq, messages.are_all),
        )

    def _keep_deferrals(self, deferrals: deferrals_.Deferrals, serial: int) -> None:
        if deferrals.lost:
            self._run("DELETE FROM deferrals")
        for one in deferrals.changed.values():
            self._run(
                "INSERT OR REPLACE INTO deferrals"
                " (queue_id, recipient, attempts, at, text, reason, mx, mx_address, held, serial)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*one, serial),
            )
        for queue_id in deferrals.ended:
            self._run("DELETE FROM deferrals WHERE queue_id = ?", (queue_id,))

    def _keep_outbound(self, outbound: outbound_.Outbound) -> None:
        for port, at in outbound.answered.items():
            name = outbound.smarthosts_name if port == outbound_.SMARTHOST else ""
            self._run(
                "DELETE FROM outbound WHERE address <> '' AND (port = ? OR name = ?)", (port, name)
            )
            self._run(
                "INSERT INTO outbound (name, address, port, attempts, since, at, words)"
                " VALUES (?, '', ?, 0, ?, ?, '') ON CONFLICT (address, port) DO UPDATE SET"
                " name = iif(excluded.name = '', name, excluded.name),"
                " since = excluded.since, at = excluded.at",
                (name, port, at, at),
            )
        for one in outbound.tried.values():
            self._run(
                "INSERT INTO outbound (name, address, port, attempts, since, at, words)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (address, port) DO UPDATE SET"
                " name = excluded.name, attempts = attempts + excluded.attempts,"
                " at = excluded.at, words = excluded.words",
                one,
            )
        if outbound.tried:
            self._run(
                "DELETE FROM outbound WHERE address <> '' AND (address, port) NOT IN (SELECT"
                " address, port FROM outbound WHERE address <> '' ORDER BY at DESC LIMIT ?)",
                (outbound_.TRIED_MAX,),
            )

    def next(self) -> tuple[int, bytes] | None:
        """Return the oldest batch, its number and its events as JSON; None where there is none."""
        rows = self._run("SELECT seq, events FROM batches ORDER BY seq LIMIT 1")
        return (rows[0][0], zlib.decompress(rows[0][1])) if rows else None

    def oldest_at(self) -> int:
        """Return when the first event of the oldest batch happened, in ms; 0 where none waits."""
        rows = self._run("SELECT seq FROM batches ORDER BY seq LIMIT 1")
        if not rows:
            return 0
        ((seq,),) = rows
        if self._oldest is None or self._oldest[0] != seq:
            # Of many that wait it is the same each time, and costs to read.
            batch = self.next()
            # None of them may be known to an older image.
            events = mail_events.parse(batch[1]) if batch else []
            first = events[0].at if events else 0
            self._oldest = (seq, first)
        return self._oldest[1]

    def forget(self, seq: int) -> None:
        """Make the batch of that number history: the control plane has it."""
        with self._transaction():
            sizes = self._run(
                "INSERT INTO history (seq, told_at, count, size, events)"
                " SELECT seq, ?, count, size, events FROM batches WHERE seq = ? RETURNING size",
                (time.time_ns() // 1_000_000, seq),
            )
            self._run("DELETE FROM batches WHERE seq = ?", (seq,))
        self.history_size += sum(size for (size,) in sizes)
        self._give_back()

    def prune(self, size: int, before: int) -> None:
        """Forget the oldest of the history until the others take at most *size* octets.

        So goes what became history before a time, in milliseconds since 1970.
        """
        pruned = False
        while oldest := self._run(
            "SELECT seq, told_at, size FROM history ORDER BY seq LIMIT ?", (_PRUNED_AT_ONCE,)
        ):
            left = self.history_size
            last = 0
            for seq, told_at, own in oldest:
                if left <= size and told_at >= before:
                    break
                left -= own
                last = seq
            if not last:
                break
            self._run("DELETE FROM history WHERE seq <= ?", (last,))
            self.history_size = left
            pruned = True
        if pruned:
            self._give_back()

    def waiting(self) -> tuple[int, int]:
        """Return how many events wait, and how many octets they take."""
        ((count, size),) = self._run("SELECT TOTAL(count), TOTAL(size) FROM batches")
        return int(count), int(size)

    def shrink(self, size: int) -> int:
        """Give up the oldest events until the others take at most *size* octets.

        Their batches stay, each with a gap in place of its events: numbers have no
        holes. Returns how many events were given up.
        """
        _, taken = self.waiting()
        given_up = 0
        gaps: collections.Counter[str] = collections.Counter()
        with self._transaction():
            for seq, count, own in self._run(
                "SELECT seq, count, size FROM batches WHERE size > ? ORDER BY seq", (_GAP_SIZE,)
            ):
                if taken <= size:
                    break
                gap = _gap(count)
                packed = zlib.compress(mail_events.render([gap]))
                self._run(
                    "UPDATE batches SET events = ?, count = 1, size = ? WHERE seq = ?",
                    (packed, len(packed), seq),
                )
                taken -= own - len(packed)
                given_up += count
                event_figures.count(gaps, gap)
            self._count(gaps)
        if given_up:
            self._give_back()
        return given_up

    def _give_back(self) -> None:
        """Make the file as small as what is in it."""
        # A statement of its own frees one page: it is to be stepped for each, and has no rows.
        with self._damage_noticed():
            self._db.executescript("PRAGMA incremental_vacuum")

    def _count(self, counters: Mapping[str, int]) -> None:
        for name, value in counters.items():
            self._run(
                "INSERT INTO counters (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (name, value),
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.rollback()

    def _run(self, statement: str, values: Sequence[tp.Any] = ()) -> list[tp.Any]:
        with self._damage_noticed():
            return self._db.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _damage_noticed(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            # SQLITE_CORRUPT and SQLITE_NOTADB, and no other, are no subclass.
            if type(error) is sqlite3.DatabaseError:
                raise DamagedError(f"{self._path}: {error}") from error
            raise


def open_or_renew(directory: pathlib.Path) -> tuple[Store, str]:
    """Return the store of *directory*, and why it is a new one, empty where it is not.

    A file that is damaged, or of another release, is moved aside.
    """
    try:
        return Store(directory), ""
    except DamagedError as error:
        why = str(error)
    databases.move_aside(directory, FILE_NAME)
    return Store(directory), why


def _gap(count: int) -> mail_events.Event:
    return mail_events.Event(
        time.time_ns() // 1_000_000,
        mail_events.Type.GAP,
        text="the node had no room for more events",
        count=count,
    )


_GAP_SIZE = 512
"""A batch that is no larger is not worth giving up."""


def _batches(events: Sequence[mail_events.Event]) -> list[tuple[bytes, int]]:
    """Return *events* as JSON, in as many pieces as the bounds of a batch ask for."""
    if not events:
        return []
    if len(events) <= event_batches.EVENTS_MAX:
        raw = mail_events.render(events)
        if len(raw) <= event_batches.RAW_SIZE_MAX:
            return [(raw, len(events))]
    half = len(events) // 2
    return [*_batches(events[:half]), *_batches(events[half:])]


class Told(tp.NamedTuple):
    """The messages that the log has told of, and not of their end."""

    messages: frozenset[str]
    are_all: bool
    """Whether those that were there before any was kept are among them (``Store.is_adopted``)."""


def read_messages(directory: pathlib.Path) -> Told:
    """Return what the store in *directory* has of messages, for another process.

    Raises sqlite3.Error where there is no store of this release, or it cannot be read now.
    """
    db = sqlite3.connect(f"{(directory / FILE_NAME).absolute().as_uri()}?mode=rw", uri=True)
    try:
        db.execute("PRAGMA query_only = ON")
        db.execute("BEGIN")
        adopted = db.execute("SELECT adopted FROM messages_state").fetchall()
        found = frozenset(queue_id for (queue_id,) in db.execute("SELECT queue_id FROM messages"))
        return Told(found, adopted == [(1,)])
    finally:
        db.close()
