# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The events of the node, as exordos-mail-events keeps them in its store (``events.store``)."""

from __future__ import annotations

import sqlite3
import typing as tp
import uuid as sys_uuid
import zlib

from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.node.events import store

if tp.TYPE_CHECKING:
    import pathlib

_CACHED: tp.Final = 4
"""Batches that are kept: webhooks that keep up read the same."""


class Batch(tp.NamedTuple):
    """Events under one number; none where they cannot be read."""

    seq: int
    events: list[mail_events.Event] | None


class HistoryError(Exception):
    """There is no store of events, or it cannot be read now."""


class History:
    """The store in *directory*, which nothing here writes; each method raises HistoryError."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._path = directory / store.FILE_NAME
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._seen: tuple[int, int] | None = None
        self._cache: dict[int, Batch] = {}
        self.stream = sys_uuid.UUID(int=0)
        """Names the store: another one numbers anew."""
        self.last = 0
        """The number of the last batch, when it was last looked at."""

    def look(self) -> bool:
        """Look at what there is; returns whether it has changed."""
        try:
            inode = self._path.stat().st_ino
            if self._db is None or inode != self._inode:
                self.close()
                self._db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)
                self._inode = inode
                self._run("PRAGMA query_only = ON")
        except (sqlite3.Error, OSError) as error:
            raise HistoryError(f"the store of events cannot be opened: {error}") from error
        ((version,),) = self._run("PRAGMA data_version")
        if self._seen == (inode, version):
            return False
        ((stream, following),) = self._run("SELECT stream, next_seq FROM state")
        # An exordos-mail-events that is not started yet has not made it.
        self._run("SELECT seq FROM history LIMIT 1")
        self.stream, self.last = sys_uuid.UUID(stream), following - 1
        self._seen = inode, version
        return True

    def after(self, seq: int) -> Batch | None:
        """Return the first batch whose number is greater, None where there is none."""
        cached = self._cache.get(seq + 1)
        if cached is not None:
            return cached
        rows = self._run(
            "SELECT * FROM (SELECT seq, events FROM history WHERE seq > ? ORDER BY seq LIMIT 1)"
            " UNION ALL"
            " SELECT * FROM (SELECT seq, events FROM batches WHERE seq > ? ORDER BY seq LIMIT 1)"
            " ORDER BY seq LIMIT 1",
            (seq, seq),
        )
        if not rows:
            return None
        ((found, packed),) = rows
        try:
            batch = Batch(found, mail_events.parse(zlib.decompress(packed)))
        except (ValueError, zlib.error):
            # A later release has written it.
            batch = Batch(found, None)
        if len(self._cache) >= _CACHED:
            del self._cache[min(self._cache)]
        self._cache[found] = batch
        return batch

    def before(self, moment: int) -> int:
        """Return a number after which all events are that happened at *moment* or later.

        Some earlier ones may follow it too.
        """
        # What happened later has been told later.
        ((seq,),) = self._run("SELECT MIN(seq) FROM history WHERE told_at >= ?", (moment,))
        if seq is None:
            ((seq,),) = self._run("SELECT MIN(seq) FROM batches")
        return self.last if seq is None else int(seq) - 1

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None
        self._seen = None
        self._cache.clear()

    def _run(self, statement: str, values: tuple[tp.Any, ...] = ()) -> list[tp.Any]:
        if self._db is None:
            raise HistoryError("the store of events is not open")
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise HistoryError(f"the store of events cannot be read: {error}") from error
