# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""From the store of events through the outbox to the receivers."""

from __future__ import annotations

import concurrent.futures
import queue
import sqlite3
import time
import typing as tp

from exordos_paas_mail.codecs import notices as notices_
from exordos_paas_mail.codecs import (
    webhook_config,
    webhook_figures,
    webhook_messages,
    webhook_reports,
)
from exordos_paas_mail.node.webhooks import history as history_
from exordos_paas_mail.node.webhooks import lanes, outbox

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Callable, Iterable, Iterator

    from exordos_paas_mail.codecs import mail_events
    from exordos_paas_mail.node.webhooks import client as client_
    from exordos_paas_mail.node.webhooks import configuration as configuration_
    from exordos_paas_mail.node.webhooks import erased as erased_
    from exordos_paas_mail.node.webhooks import notices as told_

PERIOD: tp.Final = 0.5
"""Seconds between two looks at the store while there are webhooks."""
IDLE_PERIOD: tp.Final = 3.0
"""Seconds between two looks for webhooks while there are none."""
# Notices that are put into the outbox at a time.
_NOTICES: tp.Final = 100
# A notice is ignored where it is too old, and is known for longer than that.
_KEPT: tp.Final = int(notices_.KEPT.total_seconds() * 1000)
_KNOWN: tp.Final = _KEPT + 24 * 3600 * 1000
_UNKNOWN: tp.Final = "the node knows no such webhook"
_LATE: tp.Final = "the node has heard of it too late"
_EMPTY: tp.Final = "the node has no such events of that time"


class _Sent(tp.NamedTuple):
    """An attempt that is over."""

    lane: lanes.Lane
    row: outbox.Row | None
    """None for a test."""
    request: sys_uuid.UUID | None
    event: outbox.Event
    at: int
    outcome: client_.Outcome


_Attempt: tp.TypeAlias = "concurrent.futures.Future[_Sent]"


class Dispatcher:
    """Sends what *history* has to the webhooks of *configuration*, in one thread but for sending.

    And what the control plane has *told* beside, but nothing of whom it has *erased*.
    *connect* makes the client of a url. After a sqlite3.Error, which each method may raise,
    another one is to be made: it goes on from what is on the disk.
    """

    def __init__(  # noqa: PLR0913 - what it reads, and what it writes
        self,
        configuration: configuration_.Configuration,
        history: history_.History,
        box: outbox.Outbox,
        connect: Callable[[str], client_.Client],
        told: told_.Notices,
        erased: erased_.Erased,
    ) -> None:
        self._configuration = configuration
        self._notices = told
        self._erased = erased
        self._dropped: tp.Mapping[str, int] = {}
        """Who was erased when what waits was last looked at for it."""
        self._places = box.notice_places()
        self._last_notice = box.last_notice()
        self._history = history
        self._box = box
        self._connect = connect
        self._lanes: dict[sys_uuid.UUID, lanes.Lane] = {}
        self._pools: dict[sys_uuid.UUID, concurrent.futures.ThreadPoolExecutor] = {}
        self._over: queue.SimpleQueue[_Attempt] = queue.SimpleQueue()
        self._unsettled: list[_Attempt] = []
        self._tests: set[sys_uuid.UUID] = set()
        """Requests of tests that are under way."""
        self._bodies: dict[sys_uuid.UUID, bytes] = {}
        self._told = self._remembered()

    def turn(self) -> str:
        """Do what is to be done now, and wait for what comes of it, or for the next look.

        Returns what is wrong; what can be done is done all the same.
        """
        wrong = ""
        try:
            if self._configuration.read():
                self._configure()
        except (OSError, ValueError) as error:
            wrong = f"the webhooks cannot be read: {error}"
        config = self._configuration.current
        if self._lanes or (config and config.requests):
            try:
                self._erased.read()
            except (OSError, ValueError) as error:
                wrong = f"who was erased cannot be read: {error}"
            self._drop()
            try:
                self._hear()
            except (OSError, ValueError) as error:
                wrong = f"the notices cannot be read: {error}"
            self._take_notices()
            try:
                self._take()
                self._ask()
            except history_.HistoryError as error:
                wrong = str(error)
            self._begin()
        self._wait()
        self._settle()
        return wrong

    def report(self) -> webhook_reports.Report:
        """Return how webhooks fare; its time is not set."""
        config = self._configuration.current
        asked = {request.id for request in config.requests} if config else set()
        results = self._box.results()
        return webhook_reports.Report(
            0,
            tuple(_state(lane) for lane in self._lanes.values()),
            tuple(result for uuid, result in results.items() if uuid in asked),
        )

    def figures(self) -> webhook_figures.Figures:
        """Return how webhooks fare, in numbers."""
        states = dict.fromkeys(webhook_figures.STATES, 0)
        oldest = 0
        for lane in self._lanes.values():
            states[_figure(lane)] += 1
            row = lane.oldest if lane.runs else None
            at = webhook_messages.read(row.event.body).at if row else 0
            oldest = min(oldest or at, at) if at else oldest
        counted = self._box.counters()
        return webhook_figures.Figures(
            at=_now(),
            states=states,
            waiting=sum(lane.waiting for lane in self._lanes.values()),
            oldest_at=oldest,
            counters={name: counted.get(name, 0) for name in webhook_figures.COUNTERS},
        )

    def close(self) -> None:
        """Send nothing more."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _remembered(self) -> dict[sys_uuid.UUID, tuple[webhook_reports.Delivery, ...]]:
        told = self._box.report()
        if told is None:
            return {}
        try:
            hooks = webhook_reports.parse_report(told).hooks
        except ValueError:
            # Another release has told it; of deliveries nothing else follows.
            return {}
        return {hook.id: hook.deliveries for hook in hooks}

    def _configure(self) -> None:
        config = self._configuration.current
        hooks = {hook.id: hook for hook in config.hooks} if config else {}
        standings = self._box.standings()
        with self._box.transaction():
            for uuid in standings.keys() - hooks.keys():
                self._box.drop(uuid)
            for uuid, hook in hooks.items():
                # Where its first event is, is seen when the store is looked at.
                new = outbox.Standing("", 0, hook.revision)
                self._open(hook, standings.get(uuid, new))
        for uuid in self._lanes.keys() - hooks.keys():
            self._close(uuid)
        self._places = self._box.notice_places()
        asked = {request.id for request in config.requests} if config else set()
        with self._box.transaction():
            known = self._box.results().keys() | self._box.replays().keys()
            self._box.forget(known - asked)

    def _open(self, hook: webhook_config.Hook, standing: outbox.Standing) -> None:
        """Have a lane for *hook*, or have its lane be of what *hook* is now."""
        lane = self._lanes.get(hook.id)
        if lane is None:
            lane = lanes.Lane(hook, standing, self._connect(hook.url))
            lane.remember(self._told.get(hook.id, ()))
            lane.add(self._box.waiting(hook.id))
            self._lanes[hook.id] = lane
            self._pools[hook.id] = concurrent.futures.ThreadPoolExecutor(
                lanes.CONCURRENCY, thread_name_prefix=f"webhook-{hook.id}"
            )
        elif lane.client.url != hook.url:
            lane.client.close()
            lane.client = self._connect(hook.url)
        lane.hook = hook
        standing = lane.standing
        if standing.is_disabled and hook.revision > standing.revision:
            standing.is_disabled = False
            for row in lane.hurry(_now(), afresh=True):
                self._box.postpone(row)
        if not standing.is_disabled:
            standing.revision = hook.revision
        self._box.save(hook.id, standing)

    def _close(self, uuid: sys_uuid.UUID) -> None:
        self._lanes.pop(uuid).client.close()
        self._pools.pop(uuid).shutdown(wait=False, cancel_futures=True)

    def _take(self) -> None:
        """Put events into the outbox, at most one batch a webhook and one a replay."""
        self._history.look()
        stream = str(self._history.stream)
        for uuid, lane in self._lanes.items():
            standing = lane.standing
            if not (lane.runs and lane.has_room):
                continue
            if standing.stream != stream:
                # Of another store all is new.
                is_first = not standing.stream
                standing.seq = self._history.before(lane.hook.since) if is_first else 0
                standing.stream = stream
            batch = self._history.after(standing.seq) if standing.seq < self._history.last else None
            if batch is None:
                continue
            with self._box.transaction():
                standing.lost += batch.seq - standing.seq - 1 + (batch.events is None)
                standing.seq = batch.seq
                events = list(self._wanted(batch, lane.hook, lane.hook.since, None))
                rows = self._box.add(uuid, events)
                self._box.save(uuid, standing)
            lane.add(rows)
        self._replay(stream)

    def _drop(self) -> None:
        """Take out of the outbox what waits of who was erased."""
        if self._erased.names is self._dropped:
            return
        with self._box.transaction():
            for lane in self._lanes.values():
                for row in lane.drop(self._erased.covers):
                    self._box.remove(row)
        self._dropped = self._erased.names

    def _hear(self) -> None:
        """Keep what the control plane has told anew."""
        config = self._configuration.current
        told = self._notices.read() if config else []
        if not told or config is None:
            return
        now = _now()
        fresh = [
            (
                one.number,
                one.at,
                outbox.Event(
                    one.id, one.type, one.key, webhook_messages.notice_body(config.instance, one)
                ),
            )
            for one in told
            if one.at > now - _KEPT
        ]
        try:
            with self._box.transaction():
                last = self._box.last_number()
                missed = max(0, self._notices.first - last - 1) if last else 0
                self._box.keep_notices(fresh, now - _KNOWN)
                for uuid, lane in self._lanes.items() if missed else ():
                    if any(name in notices_.ABOUT for name in lane.hook.types):
                        lane.standing.lost += missed
                        self._box.save(uuid, lane.standing)
        except sqlite3.Error:
            self._notices.forget()
            raise
        self._last_notice = self._box.last_notice()

    def _take_notices(self) -> None:
        """Put notices into the outbox, some of each webhook."""
        for uuid, lane in self._lanes.items():
            place = self._places.get(uuid, 0)
            if place >= self._last_notice or not (lane.runs and lane.has_room):
                continue
            with self._box.transaction():
                found = self._box.notices(place, self._last_notice, _NOTICES)
                first = found[0].serial if found else self._last_notice + 1
                # A webhook that is new has missed none.
                if place and first > place + 1:
                    lane.standing.lost += first - place - 1
                    self._box.save(uuid, lane.standing)
                place = found[-1].serial if len(found) == _NOTICES else self._last_notice
                events = self._asked_for(found, lane.hook, lane.hook.since, None)
                rows = self._box.add(uuid, events)
                self._box.note_place(uuid, place)
            self._places[uuid] = place
            lane.add(rows)

    def _replay(self, stream: str) -> None:
        config = self._configuration.current
        requests = {request.id: request for request in config.requests} if config else {}
        for uuid, replay in self._box.replays().items() if requests else ():
            request = requests[uuid]
            lane = self._lanes.get(request.hook)
            if lane is None:
                self._end(webhook_reports.Result(uuid, _UNKNOWN, replay.count))
                continue
            if not lane.has_room:
                continue
            reads = replay.stream == stream and replay.seq < replay.last
            batch = self._history.after(replay.seq) if reads else None
            if batch is None or batch.seq > replay.last:
                if replay.notice < replay.last_notice:
                    self._replay_notices(lane, request, replay)
                    continue
                error = "" if replay.count else _EMPTY
                self._end(webhook_reports.Result(uuid, error, replay.count))
                continue
            with self._box.transaction():
                events = list(self._wanted(batch, lane.hook, request.since, request.until))
                rows = self._box.add(lane.hook.id, events)
                replay.seq = batch.seq
                replay.count += len(events)
                self._box.save_replay(uuid, replay)
            lane.add(rows)

    def _replay_notices(
        self, lane: lanes.Lane, request: webhook_config.Request, replay: outbox.Replay
    ) -> None:
        with self._box.transaction():
            found = self._box.notices(replay.notice, replay.last_notice, _NOTICES)
            events = self._asked_for(found, lane.hook, request.since, request.until)
            rows = self._box.add(lane.hook.id, events)
            replay.notice = found[-1].serial if len(found) == _NOTICES else replay.last_notice
            replay.count += len(events)
            self._box.save_replay(request.id, replay)
        lane.add(rows)

    def _wanted(
        self,
        batch: history_.Batch,
        hook: webhook_config.Hook,
        since: int,
        until: int | None,
    ) -> Iterator[outbox.Event]:
        config = self._configuration.current
        stream = self._history.stream
        types = {webhook_config.TYPES[name] for name in hook.types if name in webhook_config.TYPES}
        if config is None or not types:
            return
        for number, event in enumerate(batch.events or ()):
            if event.type in types and since <= event.at and (until is None or event.at < until):
                uuid = webhook_messages.event_id(stream, batch.seq, number)
                body = self._body(config.instance, uuid, event)
                if not self._erased.covers(body):
                    name = webhook_config.NAMES[event.type]
                    yield outbox.Event(uuid, name, event.queue_id, body)

    def _asked_for(
        self,
        found: Iterable[outbox.Notice],
        hook: webhook_config.Hook,
        since: int,
        until: int | None,
    ) -> list[outbox.Event]:
        """Return what of *found* a webhook asks for, of a time."""
        return [
            one.event
            for one in found
            if one.event.type in hook.types
            and since <= one.at
            and (until is None or one.at < until)
            and not self._erased.covers(one.event.body)
        ]

    def _body(
        self, instance: sys_uuid.UUID, uuid: sys_uuid.UUID, event: mail_events.Event
    ) -> bytes:
        body = self._bodies.get(uuid)
        if body is None:
            if len(self._bodies) >= lanes.WAITING_MAX:
                self._bodies.clear()
            body = self._bodies[uuid] = webhook_messages.body(instance, event)
        return body

    def _begin(self) -> None:
        now = _now()
        for lane in self._lanes.values():
            while (row := lane.next(now)) is not None:
                # One that was being sent when its recipient was erased, and did not arrive.
                if self._erased.covers(row.event.body):
                    lane.leave(row)
                    with self._box.transaction():
                        self._box.remove(row)
                else:
                    self._send(lane, row.event, row, None)

    def _ask(self) -> None:
        """Begin what is asked for and was not yet."""
        config = self._configuration.current
        if config is None or not config.requests:
            return
        now = _now()
        known = self._box.results().keys() | self._box.replays().keys() | self._tests
        for request in config.requests:
            if request.id not in known:
                self._ask_for(config.instance, request, now)

    def _ask_for(self, instance: sys_uuid.UUID, request: webhook_config.Request, now: int) -> None:
        lane = self._lanes.get(request.hook)
        if lane is None:
            self._end(webhook_reports.Result(request.id, _UNKNOWN))
        elif request.not_after < now:
            self._end(webhook_reports.Result(request.id, _LATE))
        elif request.action is webhook_config.Action.TEST:
            self._tests.add(request.id)
            body = webhook_messages.test_body(instance, now)
            event = outbox.Event(request.id, webhook_config.TEST_TYPE, "", body)
            self._send(lane, event, None, request.id)
        else:
            seq = self._history.before(request.since)
            replay = outbox.Replay(
                str(request.hook),
                str(self._history.stream),
                seq,
                self._history.last,
                last_notice=self._last_notice,
            )
            with self._box.transaction():
                self._box.save_replay(request.id, replay)

    def _end(self, result: webhook_reports.Result) -> None:
        with self._box.transaction():
            self._box.end(result)

    def _send(
        self,
        lane: lanes.Lane,
        event: outbox.Event,
        row: outbox.Row | None,
        request: sys_uuid.UUID | None,
    ) -> None:
        client, secrets = lane.client, lane.hook.secrets

        def send() -> _Sent:
            at = _now()
            return _Sent(
                lane, row, request, event, at, client.deliver(secrets, event.id, event.body)
            )

        self._pools[lane.hook.id].submit(send).add_done_callback(self._over.put)

    def _wait(self) -> None:
        """Wait until an attempt is over, or something is to be done."""
        if not self._lanes:
            time.sleep(IDLE_PERIOD)
            return
        now = _now()
        times = [due for lane in self._lanes.values() if (due := lane.due(now)) is not None]
        pause = max(0, min(times, default=now + 60_000) - now) / 1000
        try:
            self._unsettled.append(self._over.get(timeout=min(PERIOD, pause)))
        except queue.Empty:
            return

    def _settle(self) -> None:
        """Keep what came of attempts, all in one transaction."""
        while not self._over.empty():
            self._unsettled.append(self._over.get_nowait())
        over = [attempt.result() for attempt in self._unsettled if not attempt.cancelled()]
        self._unsettled.clear()
        # Of a webhook that is gone meanwhile nothing is kept.
        over = [sent for sent in over if self._lanes.get(sent.lane.hook.id) is sent.lane]
        if not over:
            return
        now = _now()
        failed = sum(bool(sent.outcome.error) for sent in over)
        with self._box.transaction():
            given_up = sum(self._judge(sent, now) for sent in over)
            self._box.count(
                {
                    webhook_figures.DELIVERED: len(over) - failed,
                    webhook_figures.FAILED: failed,
                    webhook_figures.GIVEN_UP: given_up,
                }
            )
            for lane in {sent.lane.hook.id: sent.lane for sent in over}.values():
                self._box.save(lane.hook.id, lane.standing)

    def _judge(self, sent: _Sent, now: int) -> bool:
        """Keep what came of an attempt; returns whether its event is given up."""
        lane, row, outcome = sent.lane, sent.row, sent.outcome
        is_given_up = False
        if sent.request is not None:
            self._box.end(webhook_reports.Result(sent.request, outcome.error, 1))
            self._tests.discard(sent.request)
        elif row is not None:
            is_given_up = self._judge_row(lane, row, outcome, now)
        again = row is not None and outcome.error and row.attempts <= len(lanes.RETRIES)
        lane.note(
            webhook_reports.Delivery(
                id=sent.event.id,
                type=sent.event.type,
                at=sent.at,
                attempt=max(1, row.attempts + (not outcome.error)) if row else 1,
                code=outcome.code,
                ms=outcome.ms,
                error=outcome.error,
                body=outcome.body,
                next_at=row.next_at if row is not None and again and lane.runs else 0,
            )
        )
        return is_given_up

    def _judge_row(
        self, lane: lanes.Lane, row: outbox.Row, outcome: client_.Outcome, now: int
    ) -> bool:
        is_given_up = False
        if not outcome.error:
            self._box.remove(row)
            if lane.arrived(row, now):
                for other in lane.hurry(now):
                    self._box.postpone(other)
        elif lane.failed(row, now, outcome.error):
            is_given_up = True
            self._box.remove(row)
        else:
            self._box.postpone(row)
        if outcome.is_gone:
            lane.disable()
        return is_given_up


def _figure(lane: lanes.Lane) -> str:
    if not lane.hook.active:
        return webhook_figures.INACTIVE
    if lane.standing.is_disabled:
        return webhook_figures.DISABLED
    return webhook_figures.FAILING if lane.standing.failing_since else webhook_figures.ACTIVE


def _state(lane: lanes.Lane) -> webhook_reports.HookState:
    standing = lane.standing
    status = webhook_reports.Status.ACTIVE
    if standing.is_disabled:
        status = webhook_reports.Status.DISABLED
    elif standing.failing_since:
        status = webhook_reports.Status.FAILING
    return webhook_reports.HookState(
        id=lane.hook.id,
        status=status,
        revision=lane.hook.revision,
        last_success_at=standing.last_success_at,
        last_error_at=standing.last_error_at,
        last_error=standing.last_error,
        failing_since=standing.failing_since,
        waiting=lane.waiting,
        given_up=standing.given_up,
        lost=standing.lost,
        deliveries=lane.deliveries,
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
