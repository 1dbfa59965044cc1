# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Takes in the batches of events that nodes put into the Status API's table.

A batch is taken in, in the order of its stream, and its row deleted, in one
transaction: it counts once, however often it was sent and whenever a process dies.
The Status API lets any node write and delete any row. So a batch is believed for its
seal alone, the instance is that of the control plane's own rows, and a number that
does not come is told as a gap.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import logging
import typing as tp
import uuid as sys_uuid

import psycopg

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import event_batches, mail_events
from exordos_paas_mail.control_plane.events import (
    account_events,
    keeping,
    reports,
    rows,
    stats,
    streams,
    suppressing,
    taking,
)
from exordos_paas_mail.control_plane.records import credential_rows, instance_logs
from exordos_paas_mail.control_plane.runtime import causes, threads

if tp.TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

LOG = logging.getLogger(__name__)

# Seconds between two looks at what has come.
PERIOD: tp.Final = 1.0
# How long a batch waits for those before it, for its instance, and for a fault of this program.
PATIENCE: tp.Final = datetime.timedelta(minutes=10)
# Of one node at a time: nobody waits for the backlog of another.
_TURN: tp.Final = 20
_MISSING: tp.Final = "batches of events did not arrive"
_LEVELS: tp.Final = {
    instance_logs.ALL: "there is room again in the log of all instances: it is kept as it was",
    instance_logs.FAILURES: "the log of all instances is nearly full: failures alone are kept",
    instance_logs.NONE: "the log of all instances is full: nothing but figures is kept",
}
_BEYOND: tp.Final = "; this instance has more than its share of it"
_UNUSABLE: tp.Final = "a batch of events could not be stored"


class Ingester:
    """What the thread of the ingester does."""

    def __init__(self) -> None:
        self._partitions: set[tuple[str, datetime.date]] = set()
        self._keeper = keeping.Keeper()

    def run(self, stop: threading.Event) -> None:
        """Take in what comes until *stop* is set."""
        threads.repeat(stop, PERIOD, lambda: self._take_all(stop), of="events")

    def _take_all(self, stop: threading.Event) -> None:
        try:
            has_more = True
            while has_more and not stop.is_set():
                has_more = self.run_once()
                # A backlog does not put it off: the disk fills meanwhile.
                self.keep()
        except psycopg.Error:
            self._partitions.clear()
            raise

    def keep(self) -> None:
        """Take out of the log what is not to be in it any more."""
        self._tell_account_events()
        before = self._keeper.levels
        if self._keeper.run_once():
            self._partitions.clear()
        after = self._keeper.levels
        if after != before:
            with utils.transaction() as session:
                found = streams.instances(session)
            for uuid in found:
                if after.of(uuid) == before.of(uuid):
                    continue
                text = _LEVELS[after.of(uuid)] + (_BEYOND if uuid in after.beyond else "")
                with utils.transaction() as session:
                    last = rows.lock(session)
                    instance = streams.hold_instance(session, uuid)
                    if instance is not None:
                        taken = taking.take(session, instance, [_gap(text)], last, utils.now())
                        # The figures go on without one.
                        self.write(session, dataclasses.replace(taken, figures={}))

    def run_once(self) -> bool:
        """Take in some batches of each node; return whether there may be more that can be."""
        with utils.transaction() as session:
            nodes = streams.nodes(session)
        served = [self._serve(node) for node in nodes]
        return any(served)

    def _serve(self, node: sys_uuid.UUID | None) -> bool:
        with utils.transaction() as session:
            found = streams.find_rows(session, node, _TURN)
            key = streams.find_key(session, node)
        # Anybody may have put them there: one that nobody has sealed is not even waited for.
        waiting, bad = streams.sort(node, key, found)
        if bad:
            with utils.transaction() as session:
                streams.delete_rows(session, bad)
        if node is None:
            return len(found) == _TURN
        taken = [self._follow(node, stream, batches) for stream, batches in waiting.items()]
        return len(found) == _TURN and any([*taken, bool(bad)])

    def _follow(
        self, node: sys_uuid.UUID, stream: sys_uuid.UUID, waiting: dict[int, streams.Row]
    ) -> bool:
        """Take in what can be of *stream*; return whether anything was."""
        has_taken = False
        while True:
            with utils.transaction() as session:
                # Whoever takes in a batch holds this from before it looks where the stream is.
                last = rows.lock(session)
                state = streams.find(session, node, stream)
                if state is None:
                    self._drop_old(session, waiting)
                    return has_taken
                streams.delete_rows(
                    session, [row for seq, row in waiting.items() if seq < state.next_seq]
                )
                ahead = sorted(seq for seq in waiting if seq >= state.next_seq)
                if not ahead:
                    return has_taken
                row = waiting.get(state.next_seq) or streams.find_row(
                    session, event_batches.row_uuid(node, stream, state.next_seq)
                )
                if row is None:
                    self._miss(session, state, ahead[0], last)
                    return has_taken
            waiting.pop(state.next_seq, None)
            if not self._take(state, row):
                return has_taken
            has_taken = True

    def _take(self, state: streams.Stream, row: streams.Row) -> bool:
        """Take in the batch that is the next of a stream; return whether the next one may be."""
        try:
            return self._open(state, row)
        except psycopg.Error:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, no other stream waits for it
            return self._put_off(state, row, error)

    def _put_off(self, state: streams.Stream, row: streams.Row, error: Exception) -> bool:
        """Try a batch again for a while, then tell a gap in its place; return whether it did."""
        now = utils.now()
        self._partitions.clear()
        cause = causes.cause_of(error)
        if state.waiting_since is None:
            LOG.error("Events of the node %s cannot be taken in: %s", state.node, cause)
            with utils.transaction() as session:
                rows.lock(session)
                # Another ingester may have been luckier.
                if streams.find(session, state.node, state.stream) == state:
                    streams.wait(session, state, now)
            return False
        if now - state.waiting_since < PATIENCE:
            return False
        LOG.error("Batch %d of the node %s is given up: %s", state.next_seq, state.node, cause)
        self._store(state, row, [_gap(_UNUSABLE)])
        return True

    def _open(self, state: streams.Stream, row: streams.Row) -> bool:
        """Take in a batch; return whether it was one."""
        try:
            # Whatever it says it is, it opens as the one that is looked for, or not.
            batch = event_batches.parse(row.value)._replace(stream=state.stream, seq=state.next_seq)
            key = base64.b64decode(state.key)
            events = mail_events.parse(event_batches.unseal(key, state.node, batch))
        except ValueError as error:
            # Not the node's, or damaged: what it should have been is missed in time.
            LOG.warning("Events of the node %s are refused: %s", state.node, error)
            with utils.transaction() as session:
                streams.delete_rows(session, [row])
            return False
        try:
            self._store(state, row, events)
        except (psycopg.DataError, psycopg.IntegrityError):
            LOG.exception("Events of the node %s cannot be stored", state.node)
            self._partitions.clear()
            self._store(state, row, [_gap(_UNUSABLE)])
        return True

    def _store(
        self, state: streams.Stream, row: streams.Row, events: list[mail_events.Event]
    ) -> None:
        now = utils.now()
        with utils.transaction() as session:
            last = rows.lock(session)
            if streams.find(session, state.node, state.stream) != state:
                return
            instance = streams.hold_instance(
                session, state.instance, self._keeper.levels.of(state.instance)
            )
            if instance is not None:
                taken = taking.take(session, instance, events, last, now)
                self.write(session, taken)
                taken.reported = reports.take(session, instance.uuid, events, taken, now)
                suppressing.take(session, instance.uuid, events, taken, now)
                account_events.hold_by_limits(session, instance.uuid, taken.events)
                if taken.left_out:
                    LOG.info(
                        "%d events of the instance %s are of nobody and left out",
                        taken.left_out,
                        instance.uuid,
                    )
            streams.delete_rows(session, [row])
            streams.advance(session, state, state.next_seq + 1)

    def write(self, session: tp.Any, taken: taking.Taken) -> None:
        """Write what a batch comes to; ``rows.lock`` is held."""
        for uuid in taken.messages:
            self._make_partition(session, rows.MESSAGES, rows.day_of(uuid))
        for event in (taken.events[0], taken.events[-1]) if taken.events else ():
            day = rows.day_of(sys_uuid.UUID(event["uuid"]))
            self._make_partition(session, rows.EVENTS, day)
        rows.delete_messages(session, taken.settled)
        rows.write_messages(session, taken.instance, taken.messages.values())
        rows.write_events(session, taken.events)
        stats.write(session, taken.instance, taken.figures)
        credential_rows.note(session, taken.uses)
        rows.advance(session, taken.last)

    def _tell_account_events(self) -> None:
        """Give the events that the control plane has made their place among the others."""
        with utils.transaction() as session:
            if not account_events.any_waits(session):
                return
        with utils.transaction() as session:
            last = rows.lock(session)
            values = account_events.take(session, last, utils.now())
            for value in values:
                day = rows.day_of(sys_uuid.UUID(value["uuid"]))
                self._make_partition(session, rows.EVENTS, day)
            rows.write_events(session, values)
            if values:
                rows.advance(session, account_events.number_of(values[-1]))

    def _make_partition(self, session: tp.Any, table: str, day: datetime.date) -> None:
        if (table, day) not in self._partitions:
            rows.make_partition(session, table, day)
            self._partitions.add((table, day))

    def _miss(self, session: tp.Any, state: streams.Stream, first: int, last: int) -> None:
        """Wait for the batch that is missing, or tell that it is and go on with *first*."""
        now = utils.now()
        if state.waiting_since is None:
            streams.wait(session, state, now)
            return
        if now - state.waiting_since < PATIENCE:
            return
        LOG.warning(
            "Batches %d to %d of the node %s are missing", state.next_seq, first - 1, state.node
        )
        instance = streams.hold_instance(
            session, state.instance, self._keeper.levels.of(state.instance)
        )
        if instance is not None:
            self.write(session, taking.take(session, instance, [_gap(_MISSING)], last, now))
        streams.advance(session, state, first)

    @staticmethod
    def _drop_old(session: tp.Any, waiting: Mapping[int, streams.Row]) -> None:
        """Drop what is of no instance: of one that is gone, or not yet told to the node."""
        now = utils.now()
        # Whoever writes a row says when that was: what comes from the future would stay.
        old = [row for row in waiting.values() if abs(now - row.created_at) > PATIENCE]
        streams.delete_rows(session, old)


def _gap(text: str) -> mail_events.Event:
    at = int(utils.now().timestamp() * 1000)
    return mail_events.Event(at, mail_events.Type.GAP, text=text, count=0)
