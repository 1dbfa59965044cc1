# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a look at the spool found, judged once all of the log is read that was there by then.

Who looks (``queue.reconciler``) leaves a file and makes no other before that one is judged.
No clock is asked: the log is read as far as it went when the file was picked up, the file
was written after the look, so each line is known of what the look could have seen. More may
be written all the while: a log that is never read to its end keeps nothing waiting.
"""

from __future__ import annotations

import time
import typing as tp

from exordos_paas_mail.codecs import mail_events, spool_findings

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable

    from exordos_paas_mail.node.events import follower as follower_
    from exordos_paas_mail.node.events import store as store_

# Ends that are remembered: of a message that was there at the look, the end may have been
# read before the file is picked up, less than a second later.
_ENDS_MAX: tp.Final = 20_000


class Findings:
    """The file in *directory*. One that was left before this began is not judged."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._path = directory / spool_findings.FILE_NAME
        self._ends: dict[str, None] = {}
        self._waiting: spool_findings.Findings | None = None
        self._until: follower_.Position | None = None
        """How far the log is to be read first."""
        self._there: set[str] = set()
        """Messages of what waits, arrived ones, whose end is not read."""
        self.drop()

    def drop(self) -> None:
        """Give up what waits: what is there is found again by later looks.

        Raises OSError.
        """
        self._waiting, self._until, self._there = None, None, set()
        self._path.unlink(missing_ok=True)

    def pick_up(self, follower: follower_.Follower) -> None:
        """Take what was left, if something was, before *follower* reads more of the log.

        Raises OSError.
        """
        if self._waiting is None and not self._take():
            return
        end = follower.end()
        # Which of two files is the later one is known of the one that is written to.
        if self._until is None or end is None or end.head != self._until.head:
            self._until = end

    def _take(self) -> bool:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return False
        try:
            findings = spool_findings.parse(data)
        except ValueError:
            # An image of another release has left it.
            self.drop()
            return False
        arrived = findings.adopted
        if arrived is None:
            arrived = tuple(event.queue_id for event in findings.found)
        self._waiting, self._there = findings, set(arrived).difference(self._ends)
        return True

    def is_due(self, position: follower_.Position | None) -> bool:
        """Return whether something waits that can be judged, the log being read to *position*."""
        if self._waiting is None or self._until is None or position is None:
            return False
        return position.head == self._until.head and position.offset >= self._until.offset

    def add(self, events: Iterable[mail_events.Event]) -> None:
        """Take in what happened: what has ended is not there any more."""
        for event in events:
            if event.type is mail_events.Type.COMPLETED:
                self._ends.pop(event.queue_id, None)
                self._ends[event.queue_id] = None
                self._there.discard(event.queue_id)
        while len(self._ends) > _ENDS_MAX:
            del self._ends[next(iter(self._ends))]

    def judge(self, store: store_.Store) -> tuple[list[mail_events.Event], list[str] | None] | None:
        """Return the events that come of what waits, and messages to be adopted without one.

        None where nothing waits. It is due, and all that is read of the log is kept in
        *store*. ``drop`` when what is returned is kept.
        """
        if self._waiting is None:
            return None
        findings = self._waiting
        if findings.adopted is not None:
            return [], [one for one in findings.adopted if one in self._there]
        if not store.is_adopted:
            # Another store than that which was compared with.
            return [], None
        events = [
            event
            for event in findings.found
            if event.queue_id in self._there and not store.has_message(event.queue_id)
        ]
        now = time.time_ns() // 1_000_000
        events += [
            mail_events.unaccounted(now, queue_id)
            for queue_id in findings.unaccounted
            if store.has_message(queue_id)
        ]
        return events, None
