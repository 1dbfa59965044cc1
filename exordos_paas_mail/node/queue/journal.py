# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which commands were begun and what became of them, on the data disk: each is done once."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import queue_reports
from exordos_paas_mail.node import databases

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Collection

FILE_NAME: tp.Final = "queue.sqlite"
KEPT: tp.Final = 3_600_000
"""Milliseconds that a command is remembered after its end: clocks are not one."""

_SCHEMA = """
CREATE TABLE state (revision INTEGER NOT NULL);
CREATE TABLE commands (id TEXT PRIMARY KEY, not_after INTEGER NOT NULL, result BLOB);
INSERT INTO state (revision) VALUES (0);
"""
# What was begun must be known after a power cut.
_DATABASE: tp.Final = databases.Database(
    FILE_NAME, 1, _SCHEMA, synchronous="FULL", isolation_level="DEFERRED"
)


class Journal:
    """The journal in *directory*; a file that cannot be read is moved aside.

    Each method raises sqlite3.Error when the disk refuses, and the journal is then
    as it was.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._db = _DATABASE.opened(directory)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def next_revision(self, now: int) -> int:
        """Return a number that is larger than any before, and than *now*, in milliseconds."""
        with self._db:
            ((revision,),) = self._db.execute(
                "UPDATE state SET revision = MAX(revision + 1, ?) RETURNING revision", (now,)
            )
        return int(revision)

    def begin(self, command: sys_uuid.UUID, not_after: int) -> bool:
        """Note that a command is begun; returns whether it is for the first time."""
        with self._db:
            cursor = self._db.execute(
                "INSERT OR IGNORE INTO commands (id, not_after) VALUES (?, ?)",
                (str(command), not_after),
            )
        return cursor.rowcount > 0

    def end(self, result: queue_reports.Result) -> None:
        """Note what became of a command."""
        with self._db:
            self._db.execute(
                "UPDATE commands SET result = ? WHERE id = ?", (_packed(result), str(result.id))
            )

    def interrupted(self) -> list[sys_uuid.UUID]:
        """Return the commands that were begun and have not ended."""
        rows = self._db.execute("SELECT id FROM commands WHERE result IS NULL")
        return [sys_uuid.UUID(uuid) for (uuid,) in rows]

    def results(self, commands: Collection[sys_uuid.UUID]) -> list[queue_reports.Result]:
        """Return what became of those of *commands* that have ended, the oldest first."""
        wanted = {str(command) for command in commands}
        rows = self._db.execute(
            "SELECT id, result FROM commands WHERE result IS NOT NULL ORDER BY rowid"
        )
        return [_unpacked(result) for uuid, result in rows if uuid in wanted]

    def forget(self, now: int) -> None:
        """Forget commands that are over for long."""
        with self._db:
            self._db.execute("DELETE FROM commands WHERE not_after < ?", (now - KEPT,))


def _packed(result: queue_reports.Result) -> bytes:
    return queue_reports.render_state(queue_reports.State(at=0, results=(result,)))


def _unpacked(data: bytes) -> queue_reports.Result:
    return queue_reports.parse_state(data).results[0]
