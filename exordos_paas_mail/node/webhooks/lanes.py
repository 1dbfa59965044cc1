# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What waits for one webhook, and what of it is sent next.

Events of one message go one after the other. What did not arrive is tried again at the
times of ``RETRIES``. While nothing arrives, no more than one event a minute is tried for
its first time: what waits is found out about by what is tried again.
"""

from __future__ import annotations

import collections
import heapq
import typing as tp

from exordos_paas_mail.codecs import event_batches, webhook_reports

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exordos_paas_mail.codecs import webhook_config
    from exordos_paas_mail.node.webhooks import client as client_
    from exordos_paas_mail.node.webhooks import outbox

CONCURRENCY: tp.Final = 10
"""Attempts of one webhook at a time."""
WAITING_MAX: tp.Final = 2 * event_batches.EVENTS_MAX
"""Events of one webhook that are in the outbox; the others are in the store of events."""
OCTETS_MAX: tp.Final = 2 * 2**20
"""Octets of these events, but for those of the last batch: they are in memory, too."""
RETRIES: tp.Final = tuple(
    seconds * 1000
    for seconds in (5, 60, 300, 1800, 7200, 6 * 3600, 12 * 3600, 24 * 3600, 24 * 3600)
)
"""Milliseconds from each failed attempt to the next."""
PROBE_PERIOD: tp.Final = 60_000
"""Milliseconds between first attempts while nothing arrives."""

_FAILURES_MAX: tp.Final = CONCURRENCY
"""Failures in a row after which it is taken that nothing arrives."""
_TOLD: tp.Final = webhook_reports.DELIVERIES_MAX // 2


class Lane:
    """The lane of *hook*; times are milliseconds since 1970."""

    def __init__(
        self, hook: webhook_config.Hook, standing: outbox.Standing, client: client_.Client
    ) -> None:
        self.hook = hook
        self.standing = standing
        self.client = client
        self._sent: set[int] = set()
        """The serials of the rows that are being sent."""
        self._rows: dict[int, outbox.Row] = {}
        self._octets = 0
        self._queues: dict[str, collections.deque[outbox.Row]] = {}
        """By what events are about; the first of each queue is sent next, or being sent."""
        self._retries: list[tuple[int, int]] = []
        """When, and the serial of a row."""
        self._fresh: list[int] = []
        self._failures = 0
        self._tried_at = 0
        self._arrived: collections.deque[webhook_reports.Delivery] = collections.deque(maxlen=_TOLD)
        self._failed: collections.deque[webhook_reports.Delivery] = collections.deque(maxlen=_TOLD)

    @property
    def runs(self) -> bool:
        """Whether anything is sent."""
        return self.hook.active and not self.standing.is_disabled

    @property
    def has_room(self) -> bool:
        """Whether a batch more may wait."""
        is_short = len(self._rows) + event_batches.EVENTS_MAX <= WAITING_MAX
        return is_short and self._octets < OCTETS_MAX

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._rows)

    @property
    def oldest(self) -> outbox.Row | None:
        """The event that has waited for longest, None where none waits."""
        return next(iter(self._rows.values()), None)

    @property
    def deliveries(self) -> tuple[webhook_reports.Delivery, ...]:
        """The last attempts, the newest first."""
        found = (*self._arrived, *self._failed)
        return tuple(sorted(found, key=lambda one: one.at, reverse=True))

    def add(self, rows: Iterable[outbox.Row]) -> None:
        """Have *rows* wait."""
        for row in rows:
            self._place(row)

    def drop(self, is_over: Callable[[bytes], bool]) -> list[outbox.Row]:
        """Have no row wait whose body *is_over*, but for those being sent; returns them."""
        gone = [
            row
            for row in self._rows.values()
            if row.serial not in self._sent and is_over(row.event.body)
        ]
        if not gone:
            return gone
        left = [row for row in self._rows.values() if row not in gone]
        self._rows, self._queues, self._octets = {}, {}, 0
        self._retries, self._fresh = [], []
        for row in left:
            self._place(row)
        return gone

    def remember(self, deliveries: Iterable[webhook_reports.Delivery]) -> None:
        """Take over what was told before a restart, the newest first."""
        for one in reversed(tuple(deliveries)):
            self.note(one)

    def note(self, delivery: webhook_reports.Delivery) -> None:
        """Note an attempt."""
        (self._failed if delivery.error else self._arrived).append(delivery)

    def next(self, now: int) -> outbox.Row | None:
        """Return a row that is to be sent now, None where there is none."""
        if not self.runs or len(self._sent) >= CONCURRENCY:
            return None
        row = None
        if self._retries and self._again_at(now) <= now:
            row = self._rows[heapq.heappop(self._retries)[1]]
        elif self._fresh and now >= self._fresh_from(now):
            row = self._rows[heapq.heappop(self._fresh)]
        if row is not None:
            self._sent.add(row.serial)
            self._tried_at = now
        return row

    def due(self, now: int) -> int | None:
        """Return when there is a row to be sent, None where that follows from what is sent now."""
        if not self.runs or len(self._sent) >= CONCURRENCY:
            return None
        times = [self._again_at(now)] if self._retries else []
        if self._fresh:
            times.append(max(now, self._fresh_from(now)))
        return min(times, default=None)

    def arrived(self, row: outbox.Row, now: int) -> bool:
        """Note that *row* has arrived; returns whether now all others are worth trying."""
        self._leave(row)
        self.standing.last_success_at = now
        self.standing.failing_since = 0
        was_cut = self._failures >= _FAILURES_MAX
        self._failures = 0
        return was_cut

    def failed(self, row: outbox.Row, now: int, error: str) -> bool:
        """Note that *row* has not arrived; returns whether it is given up.

        Where nothing has arrived in all of its attempts, it is not: nothing more is sent.
        """
        standing = self.standing
        standing.last_error_at, standing.last_error = now, error
        standing.failing_since = standing.failing_since or now
        self._failures += 1
        row.first_at = row.first_at or now
        row.attempts += 1
        if row.attempts <= len(RETRIES):
            row.next_at = now + RETRIES[row.attempts - 1]
            self._again(row)
            return False
        if standing.last_success_at >= row.first_at:
            standing.given_up += 1
            self._leave(row)
            return True
        standing.is_disabled = True
        row.attempts = len(RETRIES)
        self._again(row)
        return False

    def leave(self, row: outbox.Row) -> None:
        """Have a row that ``next`` has returned wait no more, though it was not sent."""
        self._leave(row)

    def disable(self) -> None:
        """Send nothing more."""
        self.standing.is_disabled = True

    def hurry(self, now: int, *, afresh: bool = False) -> list[outbox.Row]:
        """Have all that was tried be tried now; returns it. *afresh* forgets the attempts."""
        changed = [
            row for row in self._rows.values() if row.attempts and row.serial not in self._sent
        ]
        self._retries = []
        for row in changed:
            row.next_at = now
            if afresh:
                row.attempts = row.first_at = row.next_at = 0
            if self._queues[_key(row)][0] is row:
                self._schedule(row)
        if afresh:
            self._failures = self._tried_at = 0
            self.standing.failing_since = 0
        return changed

    def _again_at(self, now: int) -> int:
        """Return when the first of those that were tried is tried again."""
        next_at, serial = self._retries[0]
        longest = RETRIES[self._rows[serial].attempts - 1]
        return _believed(next_at, now, longest)

    def _fresh_from(self, now: int) -> int:
        if self._failures < _FAILURES_MAX:
            return 0
        return _believed(self._tried_at + PROBE_PERIOD, now, PROBE_PERIOD)

    def _place(self, row: outbox.Row) -> None:
        self._rows[row.serial] = row
        self._octets += len(row.event.body)
        queue = self._queues.setdefault(_key(row), collections.deque())
        queue.append(row)
        if len(queue) == 1 and row.serial not in self._sent:
            self._schedule(row)

    def _schedule(self, row: outbox.Row) -> None:
        if row.attempts:
            heapq.heappush(self._retries, (row.next_at, row.serial))
        else:
            heapq.heappush(self._fresh, row.serial)

    def _again(self, row: outbox.Row) -> None:
        self._sent.discard(row.serial)
        self._schedule(row)

    def _leave(self, row: outbox.Row) -> None:
        self._sent.discard(row.serial)
        del self._rows[row.serial]
        self._octets -= len(row.event.body)
        queue = self._queues[_key(row)]
        queue.popleft()
        if queue:
            self._schedule(queue[0])
        else:
            del self._queues[_key(row)]


def _believed(at: int, now: int, longest: int) -> int:
    """Return *at*, or *now* if it is further ahead than any pause: the clock was set back."""
    return at if at - now <= longest else now


def _key(row: outbox.Row) -> str:
    return row.event.key or f"#{row.serial}"
