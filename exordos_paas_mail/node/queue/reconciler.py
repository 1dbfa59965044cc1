# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Compares exim's spool with what exim's log has told of, now and then.

exim does not sync its log: a power cut takes the last lines, and leaves the messages they
tell of, or takes these and leaves the lines. What differs in two looks, minutes apart, is
said to who reads the log (``events.findings``), and that is who tells it.
"""

from __future__ import annotations

import errno
import sqlite3
import time
import typing as tp

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import mail_events, spool_findings
from exordos_paas_mail.node.events import store

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable

    from exordos_paas_mail.node.queue import spool as spool_

PERIOD: tp.Final = 300.0
"""Seconds between two looks: exim writes a line of its log within moments of what it is about."""
AFTER_START: tp.Final = 60.0
"""Seconds until the first: after a power cut there is much to do."""
_NONE: tp.Final[frozenset[str]] = frozenset()


class Reconciler:
    """Leaves what it finds in *directory*, which is of exordos-mail-events' store.

    No time of a message counts, so a clock that was wrong hides and forges nothing.
    """

    def __init__(
        self, directory: pathlib.Path, *, first: float = AFTER_START, period: float = PERIOD
    ) -> None:
        self._directory = directory
        self._path = directory / spool_findings.FILE_NAME
        self._period = period
        self._next = time.monotonic() + first
        self._untold = _NONE
        """Messages that were in the spool at the last look, and in no line of the log."""
        self._gone = _NONE
        """Messages that the log has told of, and that were not in the spool."""
        self._is_too_much = False
        """Whether the spool was said to have more than can be taken over."""

    def turn(self, spool: spool_.Spool) -> None:
        """Compare, if it is time, *spool* as it was looked at last.

        Raises OSError when nothing can be left, once where there is too much to be taken over;
        the next look is at its time.
        """
        now = time.monotonic()
        # What was found is judged first, or the same is found again.
        if now < self._next or self._path.exists():
            return
        self._next = now + self._period
        before, self._untold, self._gone = (self._untold, self._gone), _NONE, _NONE
        try:
            told = store.read_messages(self._directory)
        except sqlite3.Error:
            # Its daemon has not made it yet, or is of another release.
            return
        present = frozenset(spool.messages.keys() | spool.young)
        if not told.are_all:
            self._adopt(spool, present)
            return
        self._untold, self._gone = present - told.messages, told.messages - present
        untold, gone = self._untold & before[0], self._gone & before[1]
        findings = spool_findings.Findings(
            found=_arrivals(spool, sorted(untold)),
            unaccounted=tuple(
                queue_id
                for queue_id in sorted(gone)[: spool_findings.UNACCOUNTED_MAX]
                if not spool.has(queue_id)
            ),
        )
        if findings.found or findings.unaccounted:
            self._leave(findings)

    def _adopt(self, spool: spool_.Spool, present: frozenset[str]) -> None:
        """Leave all that is there. Where it is too much, the spool is compared once it is less."""
        limit = spool_findings.ADOPTED_MAX
        if len(present) <= limit:
            adopted = tuple(sorted(filter(spool.has, present)))
            self._leave(spool_findings.Findings(adopted=adopted))
        elif not self._is_too_much:
            self._is_too_much = True
            raise OSError(
                errno.EFBIG, f"the spool has more than {limit} messages and is not compared"
            )

    def _leave(self, findings: spool_findings.Findings) -> None:
        content = spool_findings.render(findings)
        atomic_files.replace(self._path, content, 0o640, durable=False)


def _arrivals(spool: spool_.Spool, queue_ids: Iterable[str]) -> tuple[mail_events.Event, ...]:
    found: list[mail_events.Event] = []
    count = 0
    for queue_id in queue_ids:
        if count == spool_findings.FOUND_MAX:
            break
        arrival = spool.arrival(queue_id)
        if arrival is not None:
            message, size, is_apart = arrival
            found += mail_events.found(message, queue_id, size, apart=is_apart)
            count += 1
    return tuple(found)
