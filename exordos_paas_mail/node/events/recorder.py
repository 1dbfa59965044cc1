# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""From the log into the store."""

from __future__ import annotations

import collections
import dataclasses
import sqlite3
import time
import typing as tp

from exordos_paas_mail.codecs import event_batches, event_figures, mail_events, main_log
from exordos_paas_mail.node.events import counts as counts_
from exordos_paas_mail.node.events import deferrals as deferrals_
from exordos_paas_mail.node.events import findings as findings_
from exordos_paas_mail.node.events import follower as follower_
from exordos_paas_mail.node.events import messages as messages_
from exordos_paas_mail.node.events import outbound as outbound_
from exordos_paas_mail.node.events import store as store_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

FLUSH_PERIOD: tp.Final = 2.0
"""Seconds for which events are gathered into one batch."""
STORE_SIZE_MAX: tp.Final = 512 * 2**20
HISTORY_SIZE_MAX: tp.Final = 256 * 2**20
HISTORY_AGE_MAX: tp.Final = 7 * 86_400_000
"""Milliseconds for which events are kept that the control plane has."""
FREE_SIZE_MIN: tp.Final = 400 * 2**20
"""Octets of the data disk that are left to mail; exim takes none below 200 MB (main.j2)."""

# What is read without an event is read again after a kill.
_PROGRESS_MAX = 2**20
# What the store may take on the fullest disk.
_STORE_SIZE_MIN = 4 * 2**20


@dataclasses.dataclass
class _Reading:
    """What is read and not kept yet."""

    follower: follower_.Follower
    counts: counts_.Counts
    kept: follower_.Position | None
    deferrals: deferrals_.Deferrals
    events: list[mail_events.Event] = dataclasses.field(default_factory=list)
    since: float = 0.0
    """When (time.monotonic) the first came of what is to be kept."""
    outbound: outbound_.Outbound = dataclasses.field(default_factory=outbound_.Outbound)
    messages: messages_.Messages = dataclasses.field(default_factory=messages_.Messages)
    counters: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """What the lines that are read count up to."""

    @property
    def is_gathering(self) -> bool:
        """Whether there is something to be kept, with or without an event."""
        return bool(self.events or self.counters)


class Recorder:
    """Reads the log at *log* into the store of *directory*; *free* tells its disk's space.

    Raises OSError and sqlite3.OperationalError when the disk refuses.
    """

    def __init__(self, log: pathlib.Path, directory: pathlib.Path, free: Callable[[], int]) -> None:
        self._log = log
        self._directory = directory
        self._free = free
        self._reading: _Reading
        self.read_at = _now()
        """When all of the log was last read and kept, or this began; milliseconds since 1970."""
        self._findings = findings_.Findings(directory)
        self._open()

    def turn(self) -> bool:
        """Read what is new and keep it when it is time; returns whether there is more to read.

        What was read and not kept when log or disk refuse is read again by the next turn.
        """
        try:
            return self._turn()
        except store_.DamagedError:
            self.renew()
            return True
        except (OSError, sqlite3.OperationalError):
            self._reading.follower.close()
            self._reading = self._resumed()
            raise

    def renew(self) -> None:
        """Open the store again, which is damaged: a new one takes its place."""
        self.store.close()
        self._reading.follower.close()
        # It was compared with the messages of the store that is given up.
        self._findings.drop()
        self._open()

    def _open(self) -> None:
        self.store, damage = store_.open_or_renew(self._directory)
        self._reading = self._resumed()
        if damage:
            # What the log says is in the other store, or has been sent.
            self._reading.follower.position = self._reading.follower.end()
            gap = _gap(_now(), "the node's store of events was damaged")
            event_figures.count(self._reading.counters, gap)
            self._reading.events = [gap]
            self._keep()

    def _resumed(self) -> _Reading:
        """Return the reading that goes on from what is kept."""
        position = self.store.position()
        counts = counts_.Counts(self.store.counts())
        deferrals = deferrals_.Deferrals(self.store.deferral)
        return _Reading(follower_.Follower(self._log, position), counts, position, deferrals)

    def _turn(self) -> bool:
        reading = self._reading
        self._findings.pick_up(reading.follower)
        is_gathering = reading.is_gathering
        lines = reading.follower.read()
        now = _now()
        events = [_gap(now, why) for why in reading.follower.gaps]
        if events:
            reading.deferrals.lost = True
        for gap in events:
            event_figures.count(reading.counters, gap)
        events += [event for text in lines for event in self._read(text, now)]
        events += reading.counts.due(now)
        if not is_gathering:
            reading.since = time.monotonic()
        reading.events += events
        if self._is_time():
            self._keep()
        if not lines and not reading.is_gathering:
            self.read_at = now
        if self._findings.is_due(reading.follower.position):
            self._judge()
        return bool(lines)

    def _read(self, text: bytes, now: int) -> list[mail_events.Event]:
        """Take a line of the log; returns the events that go on now."""
        reading = self._reading
        try:
            line = main_log.parse(text.decode("utf-8", "surrogateescape"))
            made = [] if line is None else mail_events.of(line)
        except ValueError:
            # Strangers write parts of a line: it would be met again after each restart.
            gap = _gap(now, "a line of exim's log could not be read")
            event_figures.count(reading.counters, gap)
            return [gap]
        if line is None:
            return []
        if isinstance(line.entry, main_log.Login):
            event_figures.count_login(reading.counters, line.entry)
        reading.outbound.add(line)
        reading.messages.add(made)
        self._findings.add(made)
        events: list[mail_events.Event] = []
        for event in reading.deferrals.add(line, made):
            event_figures.count(reading.counters, event)
            events += reading.counts.add(event)
        return events

    def _judge(self) -> None:
        """Keep what comes of a look at the spool, and before all that the log says."""
        reading = self._reading
        if reading.is_gathering or reading.follower.position != reading.kept:
            self._keep()
        judged = self._findings.judge(self.store)
        if judged is None:
            return
        events, adopted = judged
        reading.events = events
        reading.messages.add(events)
        for event in events:
            event_figures.count(reading.counters, event)
        if adopted is not None:
            reading.messages.adopt(adopted)
        if events or adopted is not None:
            self._keep()
        self._findings.drop()

    def _is_time(self) -> bool:
        reading = self._reading
        if reading.is_gathering:
            is_enough = len(reading.events) >= event_batches.EVENTS_MAX
            return is_enough or time.monotonic() - reading.since >= FLUSH_PERIOD
        position, kept = reading.follower.position, reading.kept
        if position is None or position == kept:
            return False
        return (
            kept is None
            or kept.head != position.head
            or position.offset - kept.offset >= _PROGRESS_MAX
        )

    def _keep(self) -> None:
        reading = self._reading
        reading.follower.sync()
        self.store.keep(
            reading.events,
            reading.follower.position,
            reading.counts.held(),
            reading.counters,
            reading.deferrals,
            reading.outbound,
            reading.messages,
        )
        reading.kept = reading.follower.position
        reading.events = []
        reading.counters.clear()
        reading.outbound = outbound_.Outbound()
        reading.messages = messages_.Messages()
        failures = tuple(reading.deferrals.failures.items())
        reading.deferrals = deferrals_.Deferrals(self.store.deferral, failures)
        self._make_room()

    def _make_room(self) -> None:
        """Give up old events before mail has too little space, first those that are told."""
        room = self._free() + self.store.history_size - FREE_SIZE_MIN
        self.store.prune(min(HISTORY_SIZE_MAX, max(0, room)), _now() - HISTORY_AGE_MAX)
        _, taken = self.store.waiting()
        room = min(STORE_SIZE_MAX, max(_STORE_SIZE_MIN, self._free() + taken - FREE_SIZE_MIN))
        if taken > room:
            # More than it has to: not at each turn.
            self.store.shrink(room * 3 // 4)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _gap(at: int, why: str) -> mail_events.Event:
    return mail_events.Event(at, mail_events.Type.GAP, text=why, count=0)
