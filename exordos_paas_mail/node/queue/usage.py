# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much was sent, as exordos-mail-policy counts it (``policy.counts``)."""

from __future__ import annotations

import sqlite3
import typing as tp

from exordos_paas_mail.codecs import queue_reports
from exordos_paas_mail.node.policy import counts

if tp.TYPE_CHECKING:
    import pathlib


class Usage:
    """What the counts in *directory* say, read as they change."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._path = directory / counts.FILE_NAME
        self._read: tuple[queue_reports.Usage, ...] = ()

    def read(self) -> tuple[queue_reports.Usage, ...]:
        """Return what all together have sent, and the logins that did so last.

        Where there are no counts, or they cannot be read now, it is what it was.
        """
        try:
            # Their daemon makes them, and nothing here writes.
            db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)
        except sqlite3.Error:
            return self._read
        try:
            db.execute("PRAGMA query_only = ON")
            rows = db.execute(
                "SELECT login, at, minute, hour, day, month FROM counts"
                " ORDER BY login <> ?, at DESC, login LIMIT ?",
                (counts.INSTANCE, queue_reports.USAGE_MAX),
            ).fetchall()
        except sqlite3.Error:
            return self._read
        finally:
            db.close()
        self._read = tuple(queue_reports.Usage(*row) for row in rows)
        return self._read
