# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How many recipients were counted in the windows of the calendar, on the data disk.

What is counted is in the file before anybody is told so: a process that is killed anywhere
has lost nothing. A power cut may take back some seconds.
"""

from __future__ import annotations

import sqlite3
import time
import typing as tp

from exordos_paas_mail.codecs import limits, windows

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable

FILE_NAME: tp.Final = "limits.sqlite"
INSTANCE: tp.Final = limits.INSTANCE_KEY
"""In the place of a login: all of them together."""

# A clock that goes back less than this was corrected: the windows go on.
_CORRECTION: tp.Final = windows.HOUR
_KEPT: tp.Final = 62 * windows.DAY
# Seconds for another process to be done with the file: nothing is counted meanwhile.
_PATIENCE: tp.Final = 0.5
_VERSION: tp.Final = 1
_SCHEMA: tp.Final = """
CREATE TABLE counts (
    login TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    day INTEGER NOT NULL,
    month INTEGER NOT NULL,
    told INTEGER NOT NULL
) WITHOUT ROWID
"""


class Count(tp.NamedTuple):
    """What a login, or all together, have used."""

    at: int
    """When it was counted last, in milliseconds since 1970: the windows are those it is in."""
    used: tuple[int, ...]
    """By ``limits.PERIODS``."""
    told: int = 0
    """Which signals were given in these windows, two bits each."""

    def rolled(self, now: int) -> Count:
        """Return the same at *now*: windows that are over begin with nothing."""
        now = max(now, self.at) if self.at - now < _CORRECTION else now
        used, told = list(self.used), self.told
        for place, period in enumerate(limits.PERIODS):
            if windows.begin(period, self.at) != windows.begin(period, now):
                used[place] = 0
                told &= ~(3 << 2 * place)
        return Count(now, tuple(used), told)


_NOTHING: tp.Final = Count(0, (0,) * len(limits.PERIODS))


class Counts:
    """The counts in *directory*; a file that cannot be read is moved aside.

    Each method raises sqlite3.Error when the disk refuses, and nothing is counted then.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        path = directory / FILE_NAME
        try:
            self._db = _opened(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            stamp = time.time_ns()
            for damaged in directory.glob(f"{FILE_NAME}*"):
                if ".aside-" not in damaged.name:
                    damaged.rename(damaged.with_name(f"{damaged.name}.aside-{stamp}"))
            self._db = _opened(path)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def read(self, login: str, now: int) -> Count:
        """Return what *login* has used at *now*."""
        rows = self._db.execute(
            "SELECT at, minute, hour, day, month, told FROM counts WHERE login = ?", (login,)
        ).fetchall()
        if not rows:
            return _NOTHING.rolled(now)
        ((at, *used, told),) = rows
        return Count(at, tuple(used), told).rolled(now)

    def write(self, counts: Iterable[tuple[str, Count]]) -> None:
        """Keep what logins have used, all of it or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR REPLACE INTO counts (login, at, minute, hour, day, month, told)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(login, count.at, *count.used, count.told) for login, count in counts],
            )
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.rollback()

    def forget(self, now: int) -> None:
        """Forget logins that have counted nothing for two months."""
        self._db.execute("DELETE FROM counts WHERE at < ?", (now - _KEPT,))


def _opened(path: pathlib.Path) -> sqlite3.Connection:
    # Transactions are ours to begin.
    db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        _prepare(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    # A process that is killed loses nothing by it, and no message waits for the disk.
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA journal_size_limit = 1048576")
    ((version,),) = db.execute("PRAGMA user_version").fetchall()
    if version == 0:
        db.execute("BEGIN IMMEDIATE")
        db.execute(_SCHEMA)
        db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("COMMIT")
    elif version != _VERSION:
        raise sqlite3.DatabaseError(f"the counts are of version {version}")
