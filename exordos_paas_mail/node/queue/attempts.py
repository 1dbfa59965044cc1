# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Why recipients wait, as exordos-mail-events keeps it in its store (``events.deferrals``)."""

from __future__ import annotations

import datetime
import sqlite3
import typing as tp

from exordos_paas_mail.codecs import queue_reports, smarthosts
from exordos_paas_mail.node.events import deferrals, outbound, store

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Container

# Servers that do not answer, one after the other, where others have answered before: of any
# that are away there are rarely so many.
_MANY: tp.Final = 3
_NAMED_MAX: tp.Final = 4
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

    def outbound(self, smarthost: smarthosts.Route | None) -> tuple[str, str]:
        """Return whether mail can leave (``queue_reports``), and what was tried where it cannot.

        That is on the ports that mail goes by: that of *smarthost*, and port 25 unless all
        goes by that one. Where it cannot by one of them, that is what is told. Empty where
        nothing is known, or cannot be read now.
        """
        if self._db is None:
            return "", ""
        try:
            rows = self._db.execute(
                "SELECT name, address, port, attempts, since, at, words FROM outbound"
                " ORDER BY attempts DESC, address, port"
            ).fetchall()
        except sqlite3.Error:
            return "", ""
        answered = {row[2]: row[5] for row in rows if not row[1]}
        if answered.get(outbound.SMARTHOST) == 0:
            # What the release before has kept: on which port it was is not known.
            answered.setdefault(outbound.MX_PORT, 0)
        tried = [outbound.Tried(*row) for row in rows if row[1]]
        ports = {outbound.MX_PORT} if smarthost is None or smarthost.domains else set()
        if smarthost is not None:
            ports.add(smarthost.port)
            if (at := answered.get(outbound.SMARTHOST)) is not None:
                answered.setdefault(smarthost.port, at)
                tried = [one for one in tried if one.port != smarthost.port or one.at > at]
        told = [
            _judge([one for one in tried if one.port == port], has_answered=port in answered)
            for port in sorted(ports)
        ]
        blocked = [text for status, text in told if status == queue_reports.OUTBOUND_BLOCKED]
        if blocked:
            return queue_reports.OUTBOUND_BLOCKED, "; ".join(blocked)
        # Where nothing has been tried by one of them, the other's is all that is known.
        return max(told)

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


def _judge(tried: list[outbound.Tried], *, has_answered: bool) -> tuple[str, str]:
    """Return whether mail can leave by what was *tried* since a server has answered at last."""
    is_enough = len(tried) >= (_MANY if has_answered else 2)
    # Where none ever has, the second attempt at the only one is enough.
    is_enough = is_enough or (not has_answered and any(one.attempts > 1 for one in tried))
    if not is_enough:
        return (queue_reports.OUTBOUND_OK if has_answered else ""), ""
    named = ", ".join(map(_named, tried[:_NAMED_MAX]))
    more = len(tried) - _NAMED_MAX
    others = f", and {more} more" if more > 0 else ""
    return queue_reports.OUTBOUND_BLOCKED, f"no mail server answers: {named}{others}"


def _named(one: outbound.Tried) -> str:
    since = datetime.datetime.fromtimestamp(one.since // 1000, datetime.timezone.utc)
    attempts = "once" if one.attempts == 1 else f"{one.attempts} times"
    where = f"{one.name} [{one.address}]:{one.port}"
    return f"{where} {attempts} since {since:%Y-%m-%dT%H:%M:%SZ} ({one.words})"
