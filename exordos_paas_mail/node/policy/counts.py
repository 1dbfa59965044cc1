# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How many recipients were counted in the windows of the calendar, on the data disk.

What is counted is in the file before anybody is told so: a process that is killed anywhere
has lost nothing. A power cut may take back some seconds.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import limits, windows
from exordos_paas_mail.node import databases

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
_SCHEMA: tp.Final = """
CREATE TABLE counts (
    login TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    day INTEGER NOT NULL,
    month INTEGER NOT NULL,
    told INTEGER NOT NULL
) WITHOUT ROWID;
"""
# A process that is killed loses nothing by it, and no message waits for the disk.
_DATABASE: tp.Final = databases.Database(
    FILE_NAME, 1, _SCHEMA, synchronous="NORMAL", timeout=_PATIENCE
)


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
        self._db = _DATABASE.opened(directory)

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
