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
# Or fewer, for an hour (in milliseconds) and by so many attempts: exim makes one each 5 minutes.
_LONG: tp.Final = 60 * 60 * 1000
_OFTEN: tp.Final = 6
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

    def outbound(self, smarthost: smarthosts.Route | None) -> tuple[str, str] | None:
        """Return whether mail can leave (``queue_reports``), and what was tried where it cannot.

        That is by MX records, unless all goes by *smarthost*, and by that one. Where it cannot by
        one of them, that is what is told. Empty where nothing is known, None where it cannot be
        read now.
        """
        if self._db is None:
            return None
        try:
            rows = self._db.execute(
                "SELECT name, address, port, attempts, since, at, words FROM outbound"
                " ORDER BY attempts DESC, address, port"
            ).fetchall()
        except sqlite3.Error:
            return None
        names = {row[2]: row[0] for row in rows if not row[1]}
        answered = {row[2]: row[5] for row in rows if not row[1]}
        if answered.get(outbound.SMARTHOST) == 0:
            # What the release before has kept: on which port it was is not known.
            answered.setdefault(outbound.MX_PORT, 0)
        tried = [outbound.Tried(*row) for row in rows if row[1]]
        by_smarthost: list[outbound.Tried] = []
        # On its port
        is_alone = smarthost is not None and not (
            smarthost.port == outbound.MX_PORT and smarthost.domains
        )
        if smarthost is not None and is_alone:
            by_smarthost = [one for one in tried if one.port == smarthost.port]
            if (at := answered.get(smarthost.port)) is not None:
                # Lines that name no transport, and what the release before has kept.
                answered[outbound.SMARTHOST] = max(at, answered.get(outbound.SMARTHOST, at))
        elif smarthost is not None:
            # Beside servers of MX records on the same port. Of an alias exim logs the other name.
            of_smarthost = {smarthost.host, names.get(outbound.SMARTHOST)}
            by_smarthost = [
                one for one in tried if one.port == smarthost.port and one.name in of_smarthost
            ]
        told = []
        if smarthost is None or smarthost.domains:
            by_mx = [
                one for one in tried if one.port == outbound.MX_PORT and one not in by_smarthost
            ]
            told.append(_judge(by_mx, has_answered=outbound.MX_PORT in answered))
        if smarthost is not None:
            at = answered.get(outbound.SMARTHOST)
            since = [one for one in by_smarthost if at is None or one.at > at]
            told.append(_judge(since, has_answered=at is not None))
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
    what = "no mail server answers"
    if not is_enough and has_answered and _is_long(tried):
        # It may be those servers: mail to any other would tell.
        is_enough, what = True, "no mail server has answered for an hour, and mail is for no others"
    if not is_enough:
        return (queue_reports.OUTBOUND_OK if has_answered else ""), ""
    named = ", ".join(map(_named, tried[:_NAMED_MAX]))
    more = len(tried) - _NAMED_MAX
    others = f", and {more} more" if more > 0 else ""
    return queue_reports.OUTBOUND_BLOCKED, f"{what}: {named}{others}"


def _is_long(tried: list[outbound.Tried]) -> bool:
    """Return whether nothing has answered again and again, for so long that no upgrade takes."""
    attempts = sum(one.attempts for one in tried)
    if attempts < _OFTEN:
        return False
    return max(one.at for one in tried) - min(one.since for one in tried) >= _LONG


def _named(one: outbound.Tried) -> str:
    since = datetime.datetime.fromtimestamp(one.since // 1000, datetime.timezone.utc)
    attempts = "once" if one.attempts == 1 else f"{one.attempts} times"
    where = f"{one.name} [{one.address}]:{one.port}"
    return f"{where} {attempts} since {since:%Y-%m-%dT%H:%M:%SZ} ({one.words})"
