# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Why recipients wait, as exordos-mail-events keeps it in its store (``events.deferrals``)."""

from __future__ import annotations

import sqlite3
import typing as tp

from exordos_paas_mail.node.events import deferrals, store

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Container

Of = tp.Mapping[str, deferrals.Deferral]
"""What is known of a message, by recipient."""


class Attempts:
    """What the store in *directory* says of deferrals, read as it changes.

    Where there is no store, or it cannot be read now, nothing new is known.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._path = directory / store.FILE_NAME
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._serial = -1
        self._by_message: dict[str, dict[str, deferrals.Deferral]] = {}

    def of(self, queue_id: str) -> Of:
        """Return what is known of a message."""
        return self._by_message.get(queue_id, {})

    def read(self, present: Container[str]) -> set[str]:
        """Read what is new; returns the messages of it. Others than *present* are forgotten."""
        for queue_id in [one for one in self._by_message if one not in present]:
            del self._by_message[queue_id]
        try:
            rows = self._rows()
        except (sqlite3.Error, FileNotFoundError):
            self._close()
            return set()
        changed = set()
        for *fields, serial in rows:
            deferral = deferrals.Deferral(*fields)
            # Of the last batch that was read there may have come more.
            self._serial = max(self._serial, serial)
            of_message = self._by_message.setdefault(deferral.queue_id, {})
            if of_message.get(deferral.recipient) != deferral:
                of_message[deferral.recipient] = deferral
                changed.add(deferral.queue_id)
        return changed

    def _rows(self) -> list[tp.Any]:
        inode = self._path.stat().st_ino
        if self._db is None or inode != self._inode:
            self._close()
            # The store is its daemon's to make, and nothing here writes.
            self._db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True)
            self._db.execute("PRAGMA query_only = ON")
            self._inode, self._serial = inode, -1
        return self._db.execute(
            "SELECT queue_id, recipient, attempts, at, text, reason, mx, mx_address, held, serial"
            " FROM deferrals WHERE serial >= ?",
            (self._serial,),
        ).fetchall()

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
