# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Commands of the control plane, done by exim itself. Nothing here waits for a delivery."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import time
import typing as tp

from exordos_paas_mail.codecs import bounded, holds, node_commands, queue_reports
from exordos_paas_mail.codecs import suspensions as suspensions_
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.queue import holding as holding_
from exordos_paas_mail.node.queue import listing as listing_
from exordos_paas_mail.node.queue import suspended as suspended_

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from exordos_paas_mail.node.queue import journal as journal_
    from exordos_paas_mail.node.queue import spool as spool_

Action = node_commands.Action

DELIVERIES_MAX: tp.Final = 4
"""Deliveries by hand at a time, each of one message after the other."""
NOT_THERE: tp.Final = "not in the queue"
MIXED: tp.Final = "it waits for other domains too: name it by its id"
ON_HOLD: tp.Final = "its account is on hold: release that"
DELIVERED_NOW: tp.Final = "it is being delivered: try again"

# Messages of one command of exim's: a report is written for each that bounces.
_CHUNK = 50
_WORKERS = 2


@dataclasses.dataclass
class _Outcome:
    done: list[str] = dataclasses.field(default_factory=list)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)


class Deliveries:
    """Messages that are tried as soon as there is room for it."""

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._waiting: collections.OrderedDict[str, None] = collections.OrderedDict()
        self._running: list[machine.Delivery] = []

    def add(self, queue_ids: Iterable[str]) -> None:
        """Have messages be tried; one that waits for it already is tried once."""
        self._waiting.update(dict.fromkeys(queue_ids))

    def turn(self) -> bool:
        """Begin what there is room for; returns whether anything waits or goes on.

        Raises MachineError when exim cannot be started.
        """
        self._running = [delivery for delivery in self._running if not delivery.is_over()]
        while self._waiting and len(self._running) < DELIVERIES_MAX:
            # What is left is shared out, so that a few messages do not wait for each other.
            size = min(_CHUNK, -(-len(self._waiting) // (DELIVERIES_MAX - len(self._running))))
            chunk = [self._waiting.popitem(last=False)[0] for _ in range(size)]
            self._running.append(self._node.begin_delivery(chunk))
        return bool(self._waiting or self._running)


class Actions:
    """Does each command once, and keeps what became of it in *journal*."""

    def __init__(
        self,
        node: machine.Machine,
        journal: journal_.Journal,
        spool: spool_.Spool,
        suspended: suspended_.Suspended,
        finished: Callable[[], None] = lambda: None,
    ) -> None:
        """*finished* is called, by another thread, when ``turn`` has something to do."""
        self._node = node
        self._journal = journal
        self._spool = spool
        self._suspended = suspended
        self._finished = finished
        self._deliveries = Deliveries(node)
        self.holding = holding_.Holding(node, self._try_now, finished)
        """What accounts have apart."""
        self._workers = concurrent.futures.ThreadPoolExecutor(_WORKERS)
        self._running: dict[concurrent.futures.Future[_Outcome], node_commands.Command] = {}
        for command in journal.interrupted():
            error = "the node was restarted meanwhile: see what is left in the queue"
            journal.end(queue_reports.Result(command, error=error))

    def take(
        self, commands: Iterable[node_commands.Command], listing: listing_.Listing, now: float
    ) -> bool:
        """Begin those of *commands* that are new; *now* is in seconds since 1970.

        Returns whether there were such.
        """
        begun = False
        for command in commands:
            in_time = now * 1000 <= command.not_after
            if in_time and self._journal.begin(command.id, command.not_after):
                self._begin(command, listing, now)
                begun = True
        return begun

    def turn(self) -> bool:
        """Note what has ended and go on with what waits; returns whether a command has ended.

        Raises MachineError when exim cannot be started for what waits.
        """
        over = [future for future in self._running if future.done()]
        for future in over:
            command = self._running[future]
            try:
                result = _result(command, future.result())
            except OSError as error:
                result = queue_reports.Result(command.id, error=_said(error))
            self._journal.end(result)
            del self._running[future]
        self._deliveries.turn()
        return bool(over)

    def close(self) -> None:
        """Wait for what is under way."""
        self._workers.shutdown()
        self.holding.close()

    def _begin(self, command: node_commands.Command, listing: listing_.Listing, now: float) -> None:
        try:
            if command.action is Action.SUSPEND:
                one = suspensions_.Suspension(command.domain, command.until // 1000, command.reason)
                self._suspended.add(one)
                self._journal.end(queue_reports.Result(command.id))
            elif command.action is Action.RESUME:
                self._suspended.remove(command.domain)
                self._retry(command, listing, now)
            elif command.action is Action.RETRY:
                self._retry(command, listing, now)
            else:
                self._end(command, listing)
        except (OSError, suspended_.FullError, machine.MachineError) as error:
            self._journal.end(queue_reports.Result(command.id, error=_said(error)))

    def _retry(self, command: node_commands.Command, listing: listing_.Listing, now: float) -> None:
        outcome = _Outcome()
        holds_ = self.holding.now()
        apart = []
        for queue_id in self._named(command, listing, outcome):
            message = self._spool.messages.get(queue_id) or self._spool.read(queue_id)
            hold = holds_.get(message.account) if message else None
            if hold is not None and hold.state.is_held:
                outcome.failed[queue_id] = ON_HOLD
            elif domain := self._suspended_domain(message, now):
                outcome.failed[queue_id] = f"delivery to {domain} is suspended"
            else:
                outcome.done.append(queue_id)
                if message is not None and message.held:
                    apart.append(queue_id)
        for start in range(0, len(apart), _CHUNK):
            self._node.move_messages(apart[start : start + _CHUNK], holds.QUEUE, "")
        self._deliveries.add(outcome.done)
        self._deliveries.turn()
        self._journal.end(_result(command, outcome))

    def _try_now(self, queue_ids: Iterable[str]) -> None:
        """Have messages be tried, but for those whose domain is suspended."""
        now = time.time()
        self._deliveries.add(
            queue_id
            for queue_id in queue_ids
            if not self._suspended_domain(self._spool.read(queue_id), now)
        )
        self._deliveries.turn()

    def _suspended_domain(self, message: spool_.Message | None, now: float) -> str:
        """Return a domain that *message* waits for and that is suspended; empty for none."""
        suspended = self._suspended.now(now)
        waited_for = listing_.domains_of(message.recipients) if message and suspended else ()
        return next((one for one in waited_for if one in suspended), "")

    def _end(self, command: node_commands.Command, listing: listing_.Listing) -> None:
        outcome = _Outcome()
        queue_ids = self._named(command, listing, outcome)
        bounce = command.action is Action.BOUNCE
        act = self._bounce if bounce else self._delete
        future = self._workers.submit(_end, act, self._spool.read, queue_ids, outcome)
        self._running[future] = command
        future.add_done_callback(lambda _: self._finished())

    def _delete(self, queue_ids: Sequence[str]) -> None:
        apart = [queue_id for queue_id in queue_ids if self._is_apart(queue_id)]
        others = [queue_id for queue_id in queue_ids if queue_id not in apart]
        try:
            if apart:
                self._node.delete_messages(apart, holds.QUEUE)
        finally:
            if others:
                self._node.delete_messages(others)

    def _bounce(self, queue_ids: Sequence[str]) -> None:
        apart = [queue_id for queue_id in queue_ids if self._is_apart(queue_id)]
        if apart:
            # exim would put the report apart as well.
            self._node.move_messages(apart, holds.QUEUE, "")
        self._node.bounce_messages(queue_ids)

    def _is_apart(self, queue_id: str) -> bool:
        message = self._spool.read(queue_id)
        return message is not None and message.held

    def _named(
        self, command: node_commands.Command, listing: listing_.Listing, outcome: _Outcome
    ) -> list[str]:
        """Return the messages that *command* is about; those that it cannot be are failures."""
        if command.queue_ids:
            present = []
            for queue_id in dict.fromkeys(command.queue_ids):
                if self._spool.read(queue_id) is None:
                    outcome.failed[queue_id] = NOT_THERE
                else:
                    present.append(queue_id)
            return present
        if not command.domain:
            return listing.ids()
        alone, mixed = listing.waiting_for(command.domain)
        if command.action in {Action.RETRY, Action.RESUME}:
            return [*alone, *mixed]
        outcome.failed.update(dict.fromkeys(mixed, MIXED))
        return alone


def _end(
    act: Callable[[Sequence[str]], None],
    read: Callable[[str], object | None],
    queue_ids: Sequence[str],
    outcome: _Outcome,
) -> _Outcome:
    """End messages: what has left the spool then is done."""
    for start in range(0, len(queue_ids), _CHUNK):
        chunk = queue_ids[start : start + _CHUNK]
        why = DELIVERED_NOW
        try:
            act(chunk)
        except machine.MachineError as error:
            said = _said(error)
            why = DELIVERED_NOW if "is locked" in said else said
        for queue_id in chunk:
            if read(queue_id) is None:
                outcome.done.append(queue_id)
            else:
                outcome.failed[queue_id] = why
    return outcome


def _result(command: node_commands.Command, outcome: _Outcome) -> queue_reports.Result:
    limit = queue_reports.IDS_MAX
    failed: Mapping[str, str] = {
        queue_id: bounded.plain(why, queue_reports.WHY_SIZE_MAX)
        for queue_id, why in list(outcome.failed.items())[:limit]
    }
    return queue_reports.Result(
        command.id,
        done=tuple(outcome.done[:limit]),
        count=len(outcome.done),
        failed=failed,
        failed_count=len(outcome.failed),
    )


def _said(error: Exception) -> str:
    return bounded.plain(" ".join(str(error).split()), queue_reports.TEXT_SIZE_MAX)
