# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Follows what nodes tell of their webhooks, by the rows that they put into the Status API's table.

A row is a state, and the newest one counts. Any node may write and delete any row: so
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
from exordos_paas_mail.codecs import queue_reports, webhook_reports
from exordos_paas_mail.control_plane.records import (
    locks,
    nodes,
    operations,
    webhook_documents,
    webhook_keys,
)
from exordos_paas_mail.control_plane.runtime import causes, threads
from exordos_paas_mail.control_plane.webhooks import tables

if tp.TYPE_CHECKING:
    import threading
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)

# Seconds between two looks, and between two at the secrets that end.
PERIOD: tp.Final = 1.0
_ROUND: tp.Final = 60.0
# How long a row of no node of an instance is kept.
_PATIENCE: tp.Final = datetime.timedelta(minutes=10)


class Follower:
    """What the thread of the webhooks does."""

    def __init__(self) -> None:
        self._seen: dict[sys_uuid.UUID, datetime.datetime] = {}
        self._next_round = 0.0

    def run(self, stop: threading.Event) -> None:
        """Follow until *stop* is set."""
        threads.repeat(stop, PERIOD, self.run_once, of="webhooks")

    def run_once(self) -> None:
        """Take over what has changed, and see that nodes are told of secrets that have ended."""
        with utils.transaction() as session:
            found = session.execute(
                "SELECT uuid, updated_at FROM ua_actual_resources WHERE kind = %s",
                (webhook_reports.KIND,),
            ).fetchall()
        rows = {row["uuid"]: row["updated_at"] for row in found}
        self._seen = {uuid: at for uuid, at in self._seen.items() if uuid in rows}
        for uuid, at in rows.items():
            if self._seen.get(uuid) != at and _take(uuid):
                self._seen[uuid] = at
        if time.monotonic() >= self._next_round:
            self._next_round = time.monotonic() + _ROUND
            end_secrets()


def end_secrets() -> None:
    """Have nodes told of the secrets that do not sign any more."""
    with utils.transaction() as session:
        instances = webhook_keys.ended(session)
    for instance in instances:
        with utils.transaction() as session:
            if locks.hold_instance(session, instance):
                webhook_keys.forget(session, instance)
                webhook_documents.mark(session, instance)


def _take(uuid: sys_uuid.UUID) -> bool:
    """Take over a row; return whether there is nothing left to do with it."""
    try:
        with utils.transaction() as session:
            return _open(session, uuid)
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, no other row waits for it
        cause = causes.cause_of(error)
        LOG.error("A report of webhooks cannot be taken over: %s", cause)  # noqa: TRY400
        return True


def _open(session: tp.Any, uuid: sys_uuid.UUID) -> bool:
    found = session.execute(
        "SELECT node, value, updated_at FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
        (str(uuid), webhook_reports.KIND),
    ).fetchall()
    if not found:
        return True
    (told,) = found
    node = told["node"] and nodes.find(session, told["node"])
    if node is None:
        # Whose it is may be said later. Whoever writes a row says when that was: one that is
        # from the future would stay.
        if abs(utils.now() - utils.moment(told["updated_at"])) > _PATIENCE:
            _delete(session, uuid, told["updated_at"])
        return False
    try:
        row = _parse(node, uuid, told["value"])
        is_new = row.revision > tables.revision(session, node)
        report = _report(node, row) if is_new else None
    except ValueError as error:
        LOG.warning("What the node %s tells of webhooks is refused: %s", node.uuid, error)
        _delete(session, uuid, told["updated_at"])
        return True
    if report and locks.hold_instance(session, node.instance):
        _replace(session, node, row, report)
    return True


def _replace(
    session: tp.Any,
    node: nodes.Node,
    row: webhook_reports.Row,
    report: webhook_reports.Report,
) -> None:
    # Another process may have been here.
    if row.revision <= tables.revision(session, node):
        return
    for state in report.hooks:
        tables.tell(session, node.instance, state)
    results = [queue_reports.Result(one.id, one.error, count=one.count) for one in report.results]
    operations.finish(session, node.instance, results)
    if results:
        webhook_documents.mark(session, node.instance)
    tables.advance(session, node, row)


def _parse(node: nodes.Node, uuid: sys_uuid.UUID, value: tp.Any) -> webhook_reports.Row:
    row = webhook_reports.parse(value if isinstance(value, dict) else {})
    if uuid != webhook_reports.row_uuid(node.uuid):
        raise ValueError("the row is not the one that it says it is")
    return row


def _report(node: nodes.Node, row: webhook_reports.Row) -> webhook_reports.Report:
    return webhook_reports.parse_report(webhook_reports.unseal(node.key, node.uuid, row))


def _delete(session: tp.Any, uuid: sys_uuid.UUID, updated_at: tp.Any) -> None:
    """Delete a row, unless it has been written again since."""
    session.execute(
        "DELETE FROM ua_actual_resources WHERE uuid = %s AND kind = %s AND updated_at = %s",
        (str(uuid), webhook_reports.KIND, updated_at),
    )
