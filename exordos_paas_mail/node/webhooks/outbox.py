# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be sent and how each webhook fares, on the data disk.

How far the store of events is read and what was read there are one transaction, so a
process that is killed anywhere loses nothing. What arrived may arrive once more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import webhook_reports
from exordos_paas_mail.node import databases

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Collection, Iterable, Iterator, Mapping

FILE_NAME: tp.Final = "webhooks.sqlite"
NOTICES_MAX: tp.Final = 20_000
"""Notices that are kept: the disk is the mail's, and a tenant makes as many as it likes."""

_SCHEMA = """
CREATE TABLE state (revision INTEGER NOT NULL, report BLOB);
CREATE TABLE hooks (id TEXT PRIMARY KEY, standing BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE waiting (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    hook TEXT NOT NULL,
    event TEXT NOT NULL,
    type TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    first_at INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL DEFAULT 0,
    UNIQUE (hook, event)
);
CREATE TABLE replays (id TEXT PRIMARY KEY, replay BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE results (id TEXT PRIMARY KEY, error TEXT NOT NULL, count INTEGER NOT NULL);
INSERT INTO state (revision) VALUES (0);
"""
# Of every version: a release before this one leaves them alone.
_LATER_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS notices (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS notice_places (hook TEXT PRIMARY KEY, serial INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, count INTEGER NOT NULL)
    WITHOUT ROWID;
COMMIT;
"""
# What a power cut takes back is read, or sent, again.
_DATABASE: tp.Final = databases.Database(FILE_NAME, 1, _SCHEMA, synchronous="NORMAL")


@dataclasses.dataclass
class Standing:
    """How a webhook fares. Times are milliseconds since 1970, UTC, and 0 where there is none."""

    stream: str
    """The store that is read."""
    seq: int
    """The number of the last batch that was read."""
    revision: int = 0
    """Of the webhook when it last was sent to."""
    is_disabled: bool = False
    last_success_at: int = 0
    last_error_at: int = 0
    last_error: str = ""
    failing_since: int = 0
    given_up: int = 0
    lost: int = 0


@dataclasses.dataclass
class Replay:
    """A replay that is under way."""

    hook: str
    stream: str
    seq: int
    """The number of the last batch that was read."""
    last: int
    """The number of the last batch that is read."""
    count: int = 0
    notice: int = 0
    """The place of the last notice that was read."""
    last_notice: int = 0
    """The place of the last notice that is read."""


_Kept = tp.TypeVar("_Kept", Standing, Replay)


class Event(tp.NamedTuple):
    """An event that is to be sent."""

    id: sys_uuid.UUID
    type: str
    key: str
    """What it is about; events with the same are sent one after the other."""
    body: bytes


class Notice(tp.NamedTuple):
    """A notice that is kept, at its place among all."""

    serial: int
    at: int
    event: Event


@dataclasses.dataclass(slots=True)
class Row:
    """An event that waits."""

    serial: int
    event: Event
    attempts: int = 0
    first_at: int = 0
    """When it was first tried."""
    next_at: int = 0
    """When it is tried again."""


class Outbox:
    """The outbox in *directory*; a file that cannot be read is moved aside.

    Each method raises sqlite3.Error when the disk refuses. What is written is kept
    when the ``transaction`` around it has ended.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._db = _DATABASE.opened(directory)
        self._db.executescript(_LATER_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is written inside, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.rollback()

    def standings(self) -> dict[sys_uuid.UUID, Standing]:
        """Return how each webhook fares."""
        rows = self._db.execute("SELECT id, standing FROM hooks")
        return {sys_uuid.UUID(hook): _loaded(Standing, text) for hook, text in rows}

    def save(self, hook: sys_uuid.UUID, standing: Standing) -> None:
        """Keep how a webhook fares."""
        self._db.execute(
            "INSERT OR REPLACE INTO hooks (id, standing) VALUES (?, ?)",
            (str(hook), json.dumps(dataclasses.asdict(standing))),
        )

    def drop(self, hook: sys_uuid.UUID) -> None:
        """Forget a webhook and what was to be sent to it."""
        self._db.execute("DELETE FROM waiting WHERE hook = ?", (str(hook),))
        self._db.execute("DELETE FROM hooks WHERE id = ?", (str(hook),))
        self._db.execute("DELETE FROM notice_places WHERE hook = ?", (str(hook),))

    def waiting(self, hook: sys_uuid.UUID) -> list[Row]:
        """Return what is to be sent to a webhook, the oldest first."""
        rows = self._db.execute(
            "SELECT serial, event, type, key, body, attempts, first_at, next_at"
            " FROM waiting WHERE hook = ? ORDER BY serial",
            (str(hook),),
        )
        return [
            Row(serial, Event(sys_uuid.UUID(event), kind, key, body), *rest)
            for serial, event, kind, key, body, *rest in rows
        ]

    def add(self, hook: sys_uuid.UUID, events: Iterable[Event]) -> list[Row]:
        """Have *events* be sent to a webhook; returns those that do not wait already."""
        added = []
        for event in events:
            cursor = self._db.execute(
                "INSERT OR IGNORE INTO waiting (hook, event, type, key, body)"
                " VALUES (?, ?, ?, ?, ?)",
                (str(hook), str(event.id), event.type, event.key, event.body),
            )
            if cursor.rowcount > 0 and cursor.lastrowid is not None:
                added.append(Row(cursor.lastrowid, event))
        return added

    def remove(self, row: Row) -> None:
        """Forget what has arrived, or is given up."""
        self._db.execute("DELETE FROM waiting WHERE serial = ?", (row.serial,))

    def postpone(self, row: Row) -> None:
        """Keep when *row* was tried, and is tried again."""
        self._db.execute(
            "UPDATE waiting SET attempts = ?, first_at = ?, next_at = ? WHERE serial = ?",
            (row.attempts, row.first_at, row.next_at, row.serial),
        )

    def replays(self) -> dict[sys_uuid.UUID, Replay]:
        """Return the replays that are under way."""
        rows = self._db.execute("SELECT id, replay FROM replays")
        return {sys_uuid.UUID(request): _loaded(Replay, text) for request, text in rows}

    def save_replay(self, request: sys_uuid.UUID, replay: Replay) -> None:
        """Keep how far a replay is."""
        self._db.execute(
            "INSERT OR REPLACE INTO replays (id, replay) VALUES (?, ?)",
            (str(request), json.dumps(dataclasses.asdict(replay))),
        )

    def results(self) -> dict[sys_uuid.UUID, webhook_reports.Result]:
        """Return what became of requests."""
        rows = self._db.execute("SELECT id, error, count FROM results")
        return {
            (uuid := sys_uuid.UUID(request)): webhook_reports.Result(uuid, error, count)
            for request, error, count in rows
        }

    def end(self, result: webhook_reports.Result) -> None:
        """Keep what became of a request; a replay is then over."""
        self._db.execute("DELETE FROM replays WHERE id = ?", (str(result.id),))
        self._db.execute(
            "INSERT OR REPLACE INTO results (id, error, count) VALUES (?, ?, ?)",
            (str(result.id), result.error, result.count),
        )

    def forget(self, requests: Collection[sys_uuid.UUID]) -> None:
        """Forget what became of *requests*: nobody asks for them any more."""
        names = [(str(request),) for request in requests]
        self._db.executemany("DELETE FROM results WHERE id = ?", names)
        self._db.executemany("DELETE FROM replays WHERE id = ?", names)

    def keep_notices(self, notices: Iterable[tuple[int, int, Event]], oldest: int) -> None:
        """Keep *notices*, each with its number and time, but for those that were kept before.

        Those that are older than *oldest* are forgotten, and what is more than ``NOTICES_MAX``.
        """
        # What is ignored by a conflict would take a place all the same.
        self._db.executemany(
            "INSERT INTO notices (id, number, at, type, key, body) SELECT ?, ?, ?, ?, ?, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM notices WHERE id = ?)",
            [
                (str(event.id), number, at, event.type, event.key, event.body, str(event.id))
                for number, at, event in notices
            ],
        )
        self._db.execute(
            "DELETE FROM notices WHERE at < ? OR serial <= (SELECT MAX(serial) FROM notices) - ?",
            (oldest, NOTICES_MAX),
        )

    def last_number(self) -> int:
        """Return the number of the last notice that was kept, 0 where there is none."""
        rows = self._db.execute("SELECT number FROM notices ORDER BY serial DESC LIMIT 1")
        return int(next(iter(rows), (0,))[0])

    def notices(self, after: int, until: int, limit: int) -> list[Notice]:
        """Return the notices of the places from *after* on, *until* among them."""
        rows = self._db.execute(
            "SELECT serial, at, id, type, key, body FROM notices"
            " WHERE serial > ? AND serial <= ? ORDER BY serial LIMIT ?",
            (after, until, limit),
        )
        return [
            Notice(serial, at, Event(sys_uuid.UUID(uuid), *rest))
            for serial, at, uuid, *rest in rows
        ]

    def last_notice(self) -> int:
        """Return the place of the last notice, 0 where there was none."""
        rows = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'notices'")
        return int(next(iter(rows), (0,))[0])

    def notice_places(self) -> dict[sys_uuid.UUID, int]:
        """Return, by webhook, the place of the last notice that was read for it."""
        rows = self._db.execute("SELECT hook, serial FROM notice_places")
        return {sys_uuid.UUID(hook): serial for hook, serial in rows}

    def note_place(self, hook: sys_uuid.UUID, serial: int) -> None:
        """Keep up to which notice was read for a webhook."""
        self._db.execute(
            "INSERT OR REPLACE INTO notice_places (hook, serial) VALUES (?, ?)", (str(hook), serial)
        )

    def count(self, counted: Mapping[str, int]) -> None:
        """Add to counters, by their names."""
        self._db.executemany(
            "INSERT INTO counters (name, count) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
            list(counted.items()),
        )

    def counters(self) -> dict[str, int]:
        """Return what was counted since the outbox was made."""
        return dict(self._db.execute("SELECT name, count FROM counters").fetchall())

    def report(self) -> bytes | None:
        """Return what was last told, None where nothing was."""
        ((report,),) = self._db.execute("SELECT report FROM state")
        return tp.cast("bytes | None", report)

    def tell(self, report: bytes, now: int) -> int:
        """Keep what is told; returns a number that is larger than any before, and than *now*."""
        ((revision,),) = self._db.execute(
            "UPDATE state SET revision = MAX(revision + 1, ?), report = ? RETURNING revision",
            (now, report),
        ).fetchall()
        return int(revision)


def _loaded(kind: type[_Kept], text: str) -> _Kept:
    """Return the record of *text*; what a later release has put into it is passed over."""
    known = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in json.loads(text).items() if name in known})
