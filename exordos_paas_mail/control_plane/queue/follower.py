# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Follows the queues of the nodes, by the rows that they put into the Status API's table.

A row is a state, and the newest one counts. Any node may write and delete any row. So
one is believed for its seal alone, only where its revision is above the one that is
here, and for the instance that the control plane's own rows say.
"""

from __future__ import annotations

import datetime
import logging
import time
import typing as tp

import psycopg

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import queue_reports
from exordos_paas_mail.control_plane.queue import tables
from exordos_paas_mail.control_plane.records import command_boxes, locks, nodes, operations, usage
from exordos_paas_mail.control_plane.runtime import causes, threads

if tp.TYPE_CHECKING:
    import threading
    import uuid as sys_uuid

    _Content: tp.TypeAlias = queue_reports.State | list[queue_reports.Item]

LOG = logging.getLogger(__name__)

# Seconds between two looks at what has changed, and between two at all there is.
PERIOD: tp.Final = 0.5
_ROUND: tp.Final = 60.0
# A row is seen so long after the time that it has, at most.
_COMMIT: tp.Final = datetime.timedelta(seconds=10)
# How long a row of no node of an instance is kept, and a row that tells a node what to do.
_PATIENCE: tp.Final = datetime.timedelta(minutes=10)


class Follower:
    """What the thread of the queue does."""

    def __init__(self) -> None:
        self._seen: dict[sys_uuid.UUID, datetime.datetime] = {}
        self._newest: datetime.datetime | None = None
        self._next_round = 0.0

    def run(self, stop: threading.Event) -> None:
        """Follow until *stop* is set."""
        threads.repeat(stop, PERIOD, self.run_once, of="queues")

    def run_once(self) -> None:
        """Take over what has changed, and see that nodes are told what is asked of them."""
        is_round = time.monotonic() >= self._next_round
        self._follow(None if is_round else self._newest)
        for instance in operations.open_instances():
            operations.tend(instance)
        now = utils.now()
        tables.silence(now)
        if is_round:
            self._next_round = time.monotonic() + _ROUND
            operations.keep_in_bounds(now)
            with utils.transaction() as session:
                command_boxes.forget(session, now - _PATIENCE)

    def _follow(self, since: datetime.datetime | None) -> None:
        """Take over the rows that were written after *since*; None is all of them."""
        after = utils.timestamp(since - _COMMIT) if since else "-infinity"
        with utils.transaction() as session:
            found = session.execute(
                "SELECT uuid, updated_at FROM ua_actual_resources"
                " WHERE kind = %s AND updated_at >= %s",
                (queue_reports.KIND, after),
            ).fetchall()
        rows = {row["uuid"]: utils.moment(row["updated_at"]) for row in found}
        if since is None:
            self._seen = {uuid: at for uuid, at in self._seen.items() if uuid in rows}
        for uuid, at in rows.items():
            if self._seen.get(uuid) != at and self._take(uuid):
                self._seen[uuid] = at
        if rows:
            self._newest = min(max(rows.values()), utils.now())

    def _take(self, uuid: sys_uuid.UUID) -> bool:
        """Take over a row; return whether there is nothing left to do with it."""
        try:
            with utils.transaction() as session:
                return self._open(session, uuid)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, no other row waits for it
            cause = causes.cause_of(error)
            LOG.error("A row of a queue cannot be taken over: %s", cause)  # noqa: TRY400
            return True

    def _open(self, session: tp.Any, uuid: sys_uuid.UUID) -> bool:
        found = session.execute(
            "SELECT node, value, updated_at FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
            (str(uuid), queue_reports.KIND),
        ).fetchall()
        if not found:
            return True
        (told,) = found
        node = told["node"] and nodes.find(session, told["node"])
        now = utils.now()
        # Whoever writes a row may say when that was.
        told_at = utils.moment(told["updated_at"])
        at = min(told_at, now)
        if node is None:
            # Whose it is may be said later; one that is from the future would stay.
            if abs(now - told_at) > _PATIENCE:
                _delete(session, uuid, told["updated_at"])
            return False
        try:
            row = _parse(node, uuid, told["value"])
            is_new = row.revision > tables.revision(session, node, row.shard)
            content = _parse_content(node, row) if is_new else []
        except ValueError as error:
            LOG.warning("A part of the queue of the node %s is refused: %s", node.uuid, error)
            _delete(session, uuid, told["updated_at"])
            return True
        if is_new and locks.hold_instance(session, node.instance):
            _replace(session, node, row, content, at)
        return True


def _replace(
    session: tp.Any,
    node: nodes.Node,
    row: queue_reports.Row,
    content: _Content,
    at: datetime.datetime,
) -> None:
    """Have *content*, told at *at*, in the place of what the row told; the instance is held."""
    # Another process may have been here.
    if row.revision <= tables.revision(session, node, row.shard):
        return
    tables.begin(session, node)
    if isinstance(content, queue_reports.State):
        tables.replace_domains(session, node.instance, content)
        tables.tell(session, node.instance, content, at)
        operations.finish(session, node.instance, content.results)
        usage.take(session, node.instance, content.usage)
    else:
        tables.replace_items(session, node.instance, int(row.shard), content)
    tables.advance(session, node, row)


def _parse(node: nodes.Node, uuid: sys_uuid.UUID, value: tp.Any) -> queue_reports.Row:
    row = queue_reports.parse(value if isinstance(value, dict) else {})
    if uuid != queue_reports.row_uuid(node.uuid, row.shard):
        raise ValueError("the row is not the one that it says it is")
    return row


def _parse_content(node: nodes.Node, row: queue_reports.Row) -> _Content:
    raw = queue_reports.unseal(node.key, node.uuid, row)
    if isinstance(row.shard, int):
        return queue_reports.parse_items(raw, row.shard)
    return queue_reports.parse_state(raw)


def _delete(session: tp.Any, uuid: sys_uuid.UUID, updated_at: tp.Any) -> None:
    """Delete a row, unless it has been written again since."""
    session.execute(
        "DELETE FROM ua_actual_resources WHERE uuid = %s AND kind = %s AND updated_at = %s",
        (str(uuid), queue_reports.KIND, updated_at),
    )
