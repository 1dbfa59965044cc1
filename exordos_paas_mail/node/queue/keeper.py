# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at the queue, has what is due be tried, tells of it and does what it is told."""

from __future__ import annotations

import dataclasses
import pathlib
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import (
    bounded,
    exim_conf,
    mta_sts,
    queue_reports,
    retry_hints,
    tls_policies,
)
from exordos_paas_mail.node import machine, status_api
from exordos_paas_mail.node.documents import holder as holder_
from exordos_paas_mail.node.machine import watched
from exordos_paas_mail.node.queue import actions as actions_
from exordos_paas_mail.node.queue import attempts as attempts_
from exordos_paas_mail.node.queue import journal as journal_
from exordos_paas_mail.node.queue import listing as listing_
from exordos_paas_mail.node.queue import published as published_
from exordos_paas_mail.node.queue import reconciler as reconciler_
from exordos_paas_mail.node.queue import scheduler as scheduler_
from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.node.queue import suspended as suspended_
from exordos_paas_mail.node.queue import teller as teller_
from exordos_paas_mail.node.queue import usage as usage_
from exordos_paas_mail.node.queue import ways as ways_

if tp.TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Container, Iterable, Mapping

LOOK_PERIOD: tp.Final = 5.0
POLL_PERIOD: tp.Final = 3.0
USAGE_PERIOD: tp.Final = 5.0
HINTS_PERIOD: tp.Final = 30.0
LOOK_PERIOD_MAX: tp.Final = 30.0
"""Whatever a look costs: what is due is begun by looks. The first may take minutes."""
SHARE_MAX: tp.Final = 0.03
"""Of a core, for looking: what costs more is done more seldom."""
PAUSE_MAX: tp.Final = 30.0
"""Seconds between two attempts to reach a control plane that does not answer."""
BUSY_PERIOD: tp.Final = 0.5
"""Seconds until deliveries under way are looked after."""
SETTLING_TIME: tp.Final = 1.0
"""Seconds after deliveries until what came of them is looked at."""
WARNED_AT: tp.Final = (4 * 3600, 24 * 3600)
"""Ages in seconds at which exim tells a sender of a delay, when it has the message in hand."""
SERVERS_MAX: tp.Final = 10_000
"""Domains whose server is remembered; then it is learnt anew."""
RETRY_MAX: tp.Final = 6 * 3600
"""Seconds; no pause of the retry rules is as long (templates/exim4/retry.j2)."""
_PAUSE_MIN = 1.0
_RETRY_HINTS = f"{constants.EXIM_SPOOL_DIR}/db/retry"


class Keeper:
    """Keeps the control plane's picture of a queue, and the queue as the control plane asks.

    *directory* is of exordos-mail-events' store, of the journal and of the documents.
    *finished* is called, by another thread, when the next turn has something to do.
    """

    def __init__(
        self,
        node: machine.Machine,
        api: status_api.StatusApi,
        directory: pathlib.Path,
        finished: Callable[[], None] = lambda: None,
    ) -> None:
        self._node = node
        self._journal = journal_.Journal(directory)
        self._suspended = suspended_.Suspended(node.path(constants.SUSPENSIONS_FILE))
        self._spool = spool_.Spool(str(node.path(constants.EXIM_SPOOL_DIR)))
        self._attempts = attempts_.Attempts(directory)
        self._reconciler = reconciler_.Reconciler(directory)
        self._listing = listing_.Listing()
        self._teller = teller_.Teller(api)
        self._usage = usage_.Usage(directory)
        self._next_usage = 0.0
        self._actions = actions_.Actions(
            node, self._journal, self._spool, self._suspended, finished
        )
        self._documents = holder_.Holder(api, directory, self._forget_hints)
        self._scheduled = directory / pathlib.PurePath(constants.QUEUE_SCHEDULED_FILE).name
        self._scheduler = scheduler_.Scheduler(node.begin_due_delivery, self._has_room)
        self._servers: dict[str, tuple[str, str]] = {}
        self._open: set[uuid.UUID] = set()
        self._tried: set[str] = set()
        self._held: Mapping[str, tp.Any] = {}
        self._policy_file = watched.Watched(node, constants.TLS_POLICIES_FILE, _parse_policies)
        self._settings_file = watched.Watched(node, constants.EXIM_CONFIG_FILE, _parse_settings)
        self._published = published_.Published(directory / pathlib.PurePath(constants.STS_DIR).name)
        self._ways = ways_.NOTHING
        self._waiting = ways_.Waiting()
        self._smarthost = self._documents.smarthost_route()
        self._hints: Mapping[str, int] = {}
        self._hints_seen: machine.Signature | None = None
        self._contents: dict[int, bytes] = {}
        self._state = queue_reports.State(at=0)
        self._used: tuple[queue_reports.Usage, ...] = ()
        self._young: set[str] = set()
        self._next_look = self._next_poll = self._next_hints = self._next_ask = 0.0
        self._next_documents = 0.0
        self._hints_may = 0.0
        """Before (time.monotonic) it would cost too much to read the hints again."""
        self._pause = 0.0
        self.refused_since: float | None = None
        """Since when (time.monotonic) nothing but refusals came back; None if it is not so."""

    def close(self) -> None:
        """Wait for what is under way and let go of the journal."""
        self._actions.close()
        self._journal.close()

    @property
    def is_heard(self) -> bool:
        """Whether the control plane has answered the last time that it was asked."""
        return not self._pause

    @property
    def is_busy(self) -> bool:
        """Whether something is being tried."""
        return self._scheduler.is_busy

    def turn(self) -> float:
        """Do what is due; returns for how many seconds there is nothing to do.

        Raises OSError, sqlite3.Error, MachineError, StatusError or DocumentError when
        something refuses; the other things have been done, or are by the next turns.
        """
        ended = self._actions.turn()
        ended |= self._actions.holding.end()
        is_due = ended or time.monotonic() >= self._next_look
        if is_due:
            self._look()
        try:
            if time.monotonic() >= self._next_ask:
                self._speak()
        finally:
            # Whether the control plane is there or not.
            try:
                self._schedule(looked=is_due)
            finally:
                more = self._hold()
        if more:
            return 0.0
        due = min(max(self._next_poll, self._next_ask), self._next_look)
        if self._scheduler.is_busy:
            due = min(due, time.monotonic() + BUSY_PERIOD)
        return max(due - time.monotonic(), 0.0)

    def _speak(self) -> None:
        try:
            self._ask()
        except status_api.StatusError as error:
            self._wait(error)
            raise
        self._pause = 0.0
        self.refused_since = None

    def _schedule(self, *, looked: bool) -> None:
        """Have what is due be tried. What comes of it is looked at once exim has written it.

        Nothing is, as long as the relay is not configured: exim would go by the
        configuration of its distribution, which bounces all mail for others.
        """
        if not self._node.exists(constants.EXIM_CONFIG_FILE):
            return
        if looked:
            # Before what has ended is taken note of: this look has not seen what came of it.
            self._scheduler.start(time.time(), time.monotonic())
            self._scheduled.touch()
        if tried := self._scheduler.turn(time.monotonic()):
            self._tried |= tried
            self._next_look = min(self._next_look, time.monotonic() + SETTLING_TIME)

    def _has_room(self) -> bool:
        """Return whether deliveries may be begun beside those that accepted messages begin."""
        return self._node.has_memory(exim_conf.RESERVE)

    def _ask(self) -> None:
        """Speak to the control plane: fetch commands, and tell what is due."""
        if time.monotonic() >= self._next_poll:
            self._next_poll = time.monotonic() + POLL_PERIOD
            self._next_documents = 0.0
            commands = self._teller.commands()
            if commands is not None:
                self._open = {command.id for command in commands}
                if self._actions.take(commands, self._listing, time.time()):
                    self._look()
        self._tell()

    def _hold(self) -> bool:
        """Fetch and keep documents; returns whether there is more to do, or to tell, at once."""
        now = time.monotonic()
        if now < self._next_documents:
            return False
        self._next_documents = now + POLL_PERIOD
        before = dict(self._documents.applied)
        try:
            more = self._documents.turn(self._teller.box, may_ask=now >= self._next_ask)
        except status_api.StatusError as error:
            self._wait(error)
            raise
        if more:
            self._next_documents = 0.0
        return more or self._documents.applied != before

    def _forget_hints(self) -> None:
        """Have what waits be tried at once: it goes another way than it was tried by."""
        self._node.forget_retry_hints()
        self._scheduler.renew()
        self._next_hints = self._next_look = 0.0

    def _wait(self, error: status_api.StatusError) -> None:
        self._pause = min(PAUSE_MAX, max(_PAUSE_MIN, 2 * self._pause))
        self._next_ask = time.monotonic() + self._pause
        if not isinstance(error, status_api.RefusedError):
            self.refused_since = None
        elif self.refused_since is None:
            self.refused_since = time.monotonic()

    def _look(self) -> None:
        begun = time.thread_time()
        now = time.time()
        # Before what is told once alone.
        ways = self._read_ways(now)
        changed = self._spool.look(now)
        deferred = self._attempts.read(self._spool.messages)
        changed |= deferred | (self._tried & self._spool.messages.keys())
        held, young = dict(self._suspended.now(now)), self._spool.young
        smarthost = self._documents.smarthost_route()
        # What waits is tried at other times now, perhaps at once.
        if (ways.policies, smarthost) != (self._ways.policies, self._smarthost):
            changed |= self._spool.messages.keys()
        elif ways.enforced is not self._ways.enforced:
            differing = ways.enforced.items() ^ self._ways.enforced.items()
            changed |= self._for({domain for domain, _ in differing})
        self._ways, self._smarthost = ways, smarthost
        differs = bool(changed) or held != self._held or young != self._young
        if self._tried:
            self._next_hints = min(self._next_hints, self._hints_may)
        self._tried = set()
        changed |= self._put_off(self._read_hints(now)) | self._of_servers(self._learn(deferred))
        if deferred:
            # exim writes when it tries again after the line of its log: by the next look.
            self._next_hints = min(self._next_hints, self._hints_may)
        if held != self._held:
            changed |= self._spool.messages.keys()
        self._held, self._young = held, young
        for queue_id in changed:
            self._take_in(queue_id, now)
        for shard in {queue_reports.shard_of(queue_id) for queue_id in changed}:
            self._contents[shard] = self._listing.content(shard)
        if changed or differs:
            self._state = self._listing.state(young, held)
        self._actions.holding.begin(self._spool.messages)
        self._journal.forget(int(now * 1000))
        cost = time.thread_time() - begun
        pause = min(max(LOOK_PERIOD, cost / SHARE_MAX), LOOK_PERIOD_MAX)
        self._next_look = time.monotonic() + pause
        self._reconciler.turn(self._spool)

    def _take_in(self, queue_id: str, now: float) -> None:
        message = self._spool.messages.get(queue_id)
        if message is None:
            self._listing.drop(queue_id)
            self._scheduler.drop(queue_id)
            self._waiting.forget(queue_id)
            return
        attempts = self._attempts.of(queue_id)
        rerouted = self._waiting.rerouted(message, attempts, self._ways, int(now * 1000))
        waits = listing_.waits(
            *(message, attempts, self._hints, self._held, self._servers),
            *(self._ways, self._smarthost, rerouted),
        )
        self._listing.put(message, waits)
        if message.held:
            # Nobody tries it until it is moved back.
            self._scheduler.drop(queue_id)
            return
        ages = (message.arrived_at + age + 1 for age in WARNED_AT)
        at = min([waits.due_at, *(at for at in ages if at > now)])
        due = scheduler_.Due(at, waits.server, waits.item.attempts)
        self._scheduler.put(queue_id, due)

    def _learn(self, deferred: Iterable[str]) -> set[str]:
        """Note by what servers messages were put off; returns the domains that are new to it."""
        domains: set[str] = set()
        if len(self._servers) > SERVERS_MAX:
            self._servers.clear()
        for queue_id in deferred:
            for recipient, known in self._attempts.of(queue_id).items():
                domain = recipient.rpartition("@")[2]
                server = known.mx, known.mx_address
                if known.mx and self._servers.get(domain) != server:
                    self._servers[domain] = server
                    domains.add(domain)
        return domains

    def _of_servers(self, domains: Container[str]) -> set[str]:
        """Return the messages to *domains*."""
        if not domains:
            return set()
        return {
            queue_id
            for queue_id, message in self._spool.messages.items()
            if any(one.rpartition("@")[2].lower() in domains for one in message.recipients)
        }

    def _for(self, domains: Container[str]) -> set[str]:
        """Return the messages to *domains*, in A-labels."""
        return {
            queue_id
            for queue_id, message in self._spool.messages.items()
            if any(one in domains for one in listing_.domains_of(message.recipients))
        }

    def _read_ways(self, clock: float) -> ways_.Ways:
        """Read how mail leaves now; *clock* is the time, in seconds since 1970."""
        _, policies = self._policy_file.read()
        _, settings = self._settings_file.read()
        if not settings.on:
            return ways_.Ways(policies)
        return ways_.Ways(policies, self._published.read(clock))

    def _put_off(self, keys: Container[str]) -> set[str]:
        """Return the messages that hints of *keys* are about."""
        if not keys:
            return set()
        return {
            queue_id
            for queue_id, message in self._spool.messages.items()
            if listing_.is_put_off_by(
                *(keys, message, self._attempts.of(queue_id), self._servers),
                *(self._ways, self._smarthost),
            )
        }

    def _read_hints(self, clock: float) -> set[str]:
        """Read when exim tries again; returns the keys of what is another time now.

        *clock* is the time, in seconds since 1970.
        """
        if time.monotonic() < self._next_hints:
            return set()
        self._next_hints = time.monotonic() + HINTS_PERIOD
        signature = self._node.signature(_RETRY_HINTS)
        # Nothing writes times anew while all of it waits for them.
        are_ahead = max(self._hints.values(), default=0) > clock + RETRY_MAX
        if signature == self._hints_seen and not are_ahead:
            return set()
        begun = time.monotonic()
        try:
            hints = retry_hints.parse(self._node.retry_hints()) if signature else {}
        except machine.MachineError:
            # exim makes the database anew just now; the queue is told with the times it had.
            return set()
        if max(hints.values(), default=0) > clock + RETRY_MAX:
            # The clock was set back, and exim would wait until it is there again.
            self._node.ensure_absent(_RETRY_HINTS)
            hints = {}
        now = time.monotonic()
        self._hints_may = now + (now - begun) / SHARE_MAX
        self._hints_seen = signature
        changed = {key for key, _ in hints.items() ^ self._hints.items()}
        self._hints = hints
        return changed

    def _tell(self) -> None:
        """Tell the rows that are due, the state first: somebody waits for a result."""
        now = time.monotonic()
        if now >= self._next_usage:
            self._next_usage = now + USAGE_PERIOD
            self._used = self._usage.read()
        told_outbound = self._attempts.outbound(self._smarthost)
        outbound, outbound_error = told_outbound or ("", "")
        state = dataclasses.replace(
            self._state,
            documents=dict(self._documents.applied),
            usage=self._used,
            outbound=outbound,
            outbound_error=bounded.plain(outbound_error, queue_reports.OUTBOUND_SIZE_MAX),
            outbound_unknown=told_outbound == ("", ""),
        )
        state = _bounded(state, self._journal.results(self._open))
        told = queue_reports.render_state(state)
        rows: list[tuple[queue_reports.Shard, bytes, bytes]] = []
        if self._teller.is_due(queue_reports.STATE, told, now):
            at = dataclasses.replace(state, at=_now())
            rows.append((queue_reports.STATE, queue_reports.render_state(at), told))
        for shard in range(queue_reports.SHARDS):
            content = self._contents.get(shard, b"[]")
            if self._teller.is_due(shard, content, now):
                rows.append((shard, content, content))
        if rows:
            revision = self._journal.next_revision(_now())
            for shard_, content, compared in rows:
                self._teller.tell(shard_, content, compared, revision, now)


def _bounded(
    state: queue_reports.State, results: tp.Sequence[queue_reports.Result]
) -> queue_reports.State:
    """Return *state* with as many of *results* as a row may tell: these go, and others follow."""
    results = results[: queue_reports.RESULTS_MAX]
    while True:
        told = dataclasses.replace(state, results=tuple(results))
        if len(queue_reports.render_state(told)) <= queue_reports.RAW_SIZE_MAX:
            return told
        results = results[: len(results) // 2]


def _now() -> int:
    return time.time_ns() // 1_000_000


def _parse_policies(data: bytes | None) -> tls_policies.File | None:
    """Return what the file says; None for one that is not whole, by which no mail leaves."""
    if data is None:
        return tls_policies.NOTHING
    try:
        return tls_policies.parse(data.decode("utf-8", errors="replace"))
    except ValueError:
        return None


def _parse_settings(data: bytes | None) -> mta_sts.Settings:
    return mta_sts.parse_settings((data or b"").decode("utf-8", errors="replace"))
