# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Has exim try what is due, and only that.

A queue runner of exim's begins a process for each message that waits, whether its
time has come or not. Here the times are known (``codecs.retry_hints``), so a queue
that waits costs nothing. exim stays the one that delivers, and still looks at its
retry times itself: what is begun too soon is put off again, and costs a process.

What waits for the same server shares its fate. A few of its messages go first;
when they have ended, the times are read again. If the server still does not answer,
exim has put all of its mail off, and nothing else was begun. If it does, four times as
many go, and so on: the slow start of Postfix's scheduler and of TCP.

A delivery to a server that hangs takes minutes, and so may one message of a server that
takes all others: those go on without it. Where memory is scarce there are so few
at a time that such servers would hold up all other mail: one is kept for what was never
tried.
"""

from __future__ import annotations

import dataclasses
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exordos_paas_mail.node import machine

SCOUTS: tp.Final = 2
"""Messages that go first where it is not known whether a server answers."""
ROUND_MAX: tp.Final = 512
"""Messages of one server between two looks at the times."""
PROCESSES_MAX: tp.Final = 16
"""Deliveries at a time. Most of them wait for a server."""
SCARCE_MAX: tp.Final = 2
"""Deliveries at a time while there is no room for more, one of a server: what waits goes on."""
SCARCE_RETRIES_MAX: tp.Final = SCARCE_MAX - 1
"""Of these, of what is no first attempt."""
OF_SERVER_MAX: tp.Final = 4
"""Deliveries to one server at a time: it must not hold up mail to all others."""
SLOW: tp.Final = 60.0
"""Seconds after which the mail of a server goes on beside what is left of a round."""
SLOW_MAX: tp.Final = 2
"""Deliveries to one server that others go on beside."""
AGAIN: tp.Final = 60.0
"""Seconds until a message may be begun once more, whatever is known of its time."""


class Due(tp.NamedTuple):
    """When a message is tried, and what is learnt by it."""

    at: int
    """Seconds since 1970; 0 where nothing holds it back."""
    server: str
    """The server that it waits for, or its domain where none was reached; empty for neither."""
    attempts: int
    """How often it was tried: by a change it is seen that exim has done so."""

    @property
    def is_first(self) -> bool:
        """Whether it was never tried, nor put off because its server had failed."""
        return not self.attempts and not self.at


class _Running(tp.NamedTuple):
    """A delivery that is under way."""

    delivery: machine.Delivery
    is_first: bool
    """Whether it began with a first attempt."""
    queue_ids: Sequence[str]
    """What it tries, one after the other."""


@dataclasses.dataclass
class _Server:
    """What is under way for one server."""

    size: int = SCOUTS
    """Of the next round."""
    running: list[_Running] = dataclasses.field(default_factory=list)
    waiting: list[Sequence[str]] = dataclasses.field(default_factory=list)
    round: dict[str, Due] = dataclasses.field(default_factory=dict)
    """The messages of the round that is under way, as they were."""
    begun_at: float = 0.0
    not_before: float = 0.0
    slow: dict[str, _Running] = dataclasses.field(default_factory=dict)
    """What others go on beside, by the message that it is about."""

    @property
    def under_way(self) -> list[_Running]:
        """All deliveries, slow ones too."""
        return [*self.running, *self.slow.values()]

    @property
    def is_first(self) -> bool:
        """Whether what begins next of what waits is a first attempt."""
        return self.round[self.waiting[0][0]].is_first


class Scheduler:
    """Messages by when they are due. *begin* has exim try some, one after the other.

    *has_room* says whether the machine has memory for more than a few deliveries.

    Times of the clock are seconds since 1970, and those of *at* of ``time.monotonic``,
    which a clock that is set does not move.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[str]], machine.Delivery],
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._begin = begin
        self._has_room = has_room
        self._messages: dict[str, Due] = {}
        self._begun: dict[str, float] = {}
        self._servers: dict[str, _Server] = {}

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return any(_is_busy(server) or server.slow for server in self._servers.values())

    def put(self, queue_id: str, due: Due) -> None:
        """Take in a message, or what is new of it."""
        self._messages[queue_id] = due

    def drop(self, queue_id: str) -> None:
        """Take out a message; one that is not there is none."""
        self._messages.pop(queue_id, None)
        self._begun.pop(queue_id, None)

    def renew(self) -> None:
        """Have what was begun already, or is known to be tried by nobody, be begun again."""
        self._begun.clear()
        for server in self._servers.values():
            server.not_before = 0.0

    def turn(self, at: float) -> set[str]:
        """Begin what there is room for of the rounds; returns the messages of those that ended.

        What they have come to has to be looked at, and ``start`` called.
        Raises MachineError when exim cannot be started.
        """
        ended: set[str] = set()
        for server in self._servers.values():
            was_running = bool(server.running)
            server.running = [one for one in server.running if not one.delivery.is_over()]
            over = {name for name, one in server.slow.items() if one.delivery.is_over()}
            for name in over:
                del server.slow[name]
            ended |= over
            if server.running and not server.waiting and at - server.begun_at >= SLOW:
                self._leave_behind(server)
            if was_running and not _is_busy(server):
                ended |= server.round.keys()
        self._fill()
        return ended

    def start(self, now: float, at: float) -> None:
        """Judge the rounds that have ended, and begin new ones of what is due *now*.

        Raises MachineError when exim cannot be started.
        """
        due = self._due(now, at)
        for name in [one for one, server in self._servers.items() if not _is_busy(server)]:
            server = self._servers[name]
            if server.round:
                self._judge(server)
            elif name not in due and at >= server.not_before and not server.slow:
                del self._servers[name]
        for name, queue_ids in due.items():
            server = self._servers.setdefault(name, _Server())
            if _is_busy(server) or at < server.not_before:
                continue
            queue_ids.sort(key=self._order)
            self._plan(server, queue_ids[: server.size], at)
        self._fill()

    def _leave_behind(self, server: _Server) -> None:
        """Have the mail of *server* go on beside what is left of its round, if that is little.

        Not where all of it is left, unless it was one message: it is the server that hangs.
        """
        hangs = len(server.round) > 1 and all(self._is_untried(server, one) for one in server.round)
        if hangs or len(server.under_way) > SLOW_MAX:
            return
        for one in server.running:
            # Those before it have been tried, and those behind it may be by others.
            untried = (name for name in one.queue_ids if self._is_untried(server, name))
            server.slow[next(untried, one.queue_ids[-1])] = one
        server.running = []

    def _is_untried(self, server: _Server, queue_id: str) -> bool:
        return self._messages.get(queue_id) == server.round[queue_id]

    def _due(self, now: float, at: float) -> dict[str, list[str]]:
        """Return what is due by its server."""
        due: dict[str, list[str]] = {}
        slow = {name for server in self._servers.values() for name in server.slow}
        for queue_id, message in self._messages.items():
            if queue_id in slow:
                continue
            if message.at <= now and at - self._begun.get(queue_id, at - AGAIN) >= AGAIN:
                due.setdefault(message.server, []).append(queue_id)
        return due

    def _order(self, queue_id: str) -> tuple[float, int, str]:
        """Return what sorts by turns: what was begun already comes after what was not."""
        return self._begun.get(queue_id, 0.0), self._messages[queue_id].at, queue_id

    def _judge(self, server: _Server) -> None:
        """Learn from a round: if exim tried none of it, the server's time is not known here."""
        tried = not all(self._is_untried(server, name) for name in server.round)
        server.round = {}
        if tried:
            server.size = min(4 * server.size, ROUND_MAX)
        else:
            server.size = SCOUTS
            server.not_before = server.begun_at + AGAIN

    def _plan(self, server: _Server, queue_ids: list[str], at: float) -> None:
        server.round = {one: self._messages[one] for one in queue_ids}
        server.begun_at = at
        self._begun.update(dict.fromkeys(queue_ids, at))
        size = -(-len(queue_ids) // (OF_SERVER_MAX - len(server.slow)))
        server.waiting = [queue_ids[i : i + size] for i in range(0, len(queue_ids), size)]

    def _fill(self) -> None:
        """Begin what waits, in turns: a delivery of each server before a second of one."""
        while (name := self._next()) is not None:
            # Behind all others: of those with as many under way it comes last now.
            server = self._servers[name] = self._servers.pop(name)
            is_first = server.is_first
            queue_ids = server.waiting.pop(0)
            server.running.append(_Running(self._begin(queue_ids), is_first, queue_ids))

    def _next(self) -> str | None:
        """Return the server of which a delivery may begin now, None where there is none."""
        running = [one for server in self._servers.values() for one in server.under_way]
        open_ = {name: server for name, server in self._servers.items() if server.waiting}
        if not open_ or len(running) >= PROCESSES_MAX:
            return None
        # Looked at each time: what was begun a moment ago has its memory by now, or soon.
        if running and not self._has_room():
            if len(running) >= SCARCE_MAX:
                return None
            may_retry = sum(not one.is_first for one in running) < SCARCE_RETRIES_MAX
            open_ = {
                name: server
                for name, server in open_.items()
                if not server.under_way and (may_retry or server.is_first)
            }
        return min(open_, key=lambda name: len(open_[name].under_way), default=None)


def _is_busy(server: _Server) -> bool:
    return bool(server.running or server.waiting)
