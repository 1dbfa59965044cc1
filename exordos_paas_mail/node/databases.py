# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""SQLite files of the node's daemons, on the data disk."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
import typing as tp

if tp.TYPE_CHECKING:
    import pathlib


@dataclasses.dataclass(frozen=True)
class Database:
    """One file and what is in it."""

    name: str
    version: int
    schema: str
    """Statements that make it, each with its semicolon."""
    synchronous: tp.Literal["FULL", "NORMAL"]
    """Whether a power cut may take back what was written in the last seconds: NORMAL."""
    isolation_level: tp.Literal["DEFERRED"] | None = None
    """None: transactions are the caller's to begin."""
    timeout: float = 5.0
    """Seconds for another process to be done with the file."""

    def opened(self, directory: pathlib.Path) -> sqlite3.Connection:
        """Return the database in *directory*; a file that cannot be read is moved aside.

        Raises sqlite3.Error when the disk refuses.
        """
        try:
            return self._opened(directory / self.name)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            move_aside(directory, self.name)
            return self._opened(directory / self.name)

    def _opened(self, path: pathlib.Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=self.timeout, isolation_level=self.isolation_level)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {self.synchronous}")
            db.execute("PRAGMA journal_size_limit = 1048576")
            ((version,),) = db.execute("PRAGMA user_version").fetchall()
            if version == 0:
                stamp = f"PRAGMA user_version = {self.version};"
                db.executescript(f"BEGIN IMMEDIATE; {self.schema} {stamp} COMMIT;")
            elif version != self.version:
                raise sqlite3.DatabaseError(f"{path} is of version {version}")
        except sqlite3.Error:
            db.close()
            raise
        return db


def move_aside(directory: pathlib.Path, name: str) -> None:
    """Rename the file *name* and what SQLite has beside it, for somebody to look at."""
    stamp = time.time_ns()
    for path in directory.glob(f"{name}*"):
        if ".aside-" not in path.name:
            path.rename(path.with_name(f"{path.name}.aside-{stamp}"))
