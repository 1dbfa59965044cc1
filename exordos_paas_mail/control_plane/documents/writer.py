# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Tells nodes their documents, by rows in the Status API's table.

Any node may write and delete any row. So a row that somebody else has written since
is written anew, and so are all for a node that was made again or has another key.
"""

from __future__ import annotations

import hashlib
import logging
import time
import typing as tp

import psycopg

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import node_documents
from exordos_paas_mail.control_plane.documents import collections
from exordos_paas_mail.control_plane.records import (
    command_boxes,
    credential_rows,
    document_marks,
    locks,
    node_rows,
    nodes,
    tls_facts,
)
from exordos_paas_mail.control_plane.runtime import causes, sealing, threads

if tp.TYPE_CHECKING:
    import threading
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)

# Seconds between two looks at what is marked, and between two at all that was written.
PERIOD: tp.Final = 0.5
_ROUND: tp.Final = 30.0
# Shards of an instance at a time: while they are written, writers of the instance wait.
_TURN: tp.Final = 8
_IS_LOST: tp.Final = (
    "d.instance = %s AND NOT d.due AND (d.sealed_for <> %s OR NOT EXISTS"
    " (SELECT FROM ua_actual_resources r WHERE r.uuid = d.row AND r.kind = %s"
    " AND r.xmin::text::bigint = d.row_writer))"
)


class _Due(tp.NamedTuple):
    """A shard that is to be told, and how often it had been marked when it was read."""

    collection: str
    shard: str
    marks: int


class Writer:
    """What the thread of the documents does."""

    def __init__(self) -> None:
        self._next_round = 0.0
        self._failed: set[tuple[sys_uuid.UUID, str, str]] = set()
        """What this program cannot render; it is tried again in the next round."""

    def run(self, stop: threading.Event) -> None:
        """Write what is marked until *stop* is set."""
        threads.repeat(stop, PERIOD, self.run_once, of="documents")

    def run_once(self) -> None:
        """Write what is marked, some shards of each instance in turn until none is left."""
        if time.monotonic() >= self._next_round:
            self._next_round = time.monotonic() + _ROUND
            self._failed.clear()
            _check()
            tls_facts.settle_ended(utils.now())
            credential_rows.tell_expiring(utils.now())
            self._share_key()
        waiting = _due_instances()
        while waiting:
            waiting = [instance for instance in waiting if self._write_some(instance)]

    def _share_key(self) -> None:
        try:
            sealing.share()
        except OSError as error:
            LOG.error("Users can give no private keys: %s", error)  # noqa: TRY400 - it is clear

    def _write_some(self, instance: sys_uuid.UUID) -> bool:
        """Write some shards of *instance*; return whether there may be more to be written."""
        with utils.transaction() as session:
            if not locks.hold_instance(session, instance):
                return False
            node = nodes.of_instance(session, instance)
            if node is None:
                # It is told when there is one.
                return False
            due = [
                each
                for each in _find_due(session, instance)
                if (instance, each.collection, each.shard) not in self._failed
            ][:_TURN]
            if not due:
                return False
            revision = document_marks.next_revision(session, instance)
        # Nobody waits meanwhile. What is written after it is read here is marked once more.
        rows = [(each, self._rendered(node, each, revision)) for each in due]
        with utils.transaction() as session:
            if not locks.hold_instance(session, instance):
                return False
            for each, row in rows:
                if row is not None:
                    _write(session, node, each, row)
            command_boxes.write(session, instance)
        return len(due) == _TURN

    def _rendered(self, node: nodes.Node, due: _Due, revision: int) -> node_documents.Row | None:
        """Return the row of a shard; None if this program fails to make it."""
        place = (due.collection, due.shard)
        try:
            with utils.transaction() as session:
                content = collections.RENDERERS[due.collection](session, node.instance, due.shard)
            return node_documents.seal(node.key, node.uuid, *place, revision, content)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, no other shard waits for it
            cause = causes.cause_of(error)
            LOG.error("A document of %s cannot be made: %s", node.instance, cause)  # noqa: TRY400
            self._failed.add((node.instance, *place))
            return None


def _check() -> None:
    """Mark what is not as it was written, and delete what is nobody's any more."""
    with utils.transaction() as session:
        found = session.execute("SELECT DISTINCT instance FROM mail_documents").fetchall()
    for row in found:
        # One that is well is not even locked, which would be a write.
        with utils.transaction() as session:
            is_well = _is_well(session, row["instance"])
        if not is_well:
            with utils.transaction() as session:
                if locks.hold_instance(session, row["instance"]):
                    _mark_lost(session, row["instance"])
                    command_boxes.write(session, row["instance"])
    with utils.transaction() as session:
        session.execute(
            "DELETE FROM ua_actual_resources r WHERE r.kind = %s"
            " AND NOT EXISTS (SELECT FROM mail_documents d WHERE d.row = r.uuid)",
            (node_documents.KIND,),
        )


def _is_well(session: tp.Any, instance: sys_uuid.UUID) -> bool:
    node = nodes.of_instance(session, instance)
    if node is None:
        return True
    found = session.execute(
        f"SELECT FROM mail_documents d WHERE {_IS_LOST} LIMIT 1",
        (str(instance), _digest(node), node_documents.KIND),
    ).fetchall()
    return not found and command_boxes.is_told(session, instance)


def _mark_lost(session: tp.Any, instance: sys_uuid.UUID) -> None:
    node = nodes.of_instance(session, instance)
    if node is not None:
        session.execute(
            f"UPDATE mail_documents d SET due = true, marks = marks + 1 WHERE {_IS_LOST}",  # noqa: S608
            (str(instance), _digest(node), node_documents.KIND),
        )


def _due_instances() -> list[sys_uuid.UUID]:
    with utils.transaction() as session:
        # Those of a later release wait for it.
        found = session.execute(
            "SELECT DISTINCT instance FROM mail_documents WHERE due AND collection = ANY(%s)",
            (list(collections.RENDERERS),),
        ).fetchall()
    return [row["instance"] for row in found]


def _find_due(session: tp.Any, instance: sys_uuid.UUID) -> list[_Due]:
    found = session.execute(
        "SELECT collection, shard, marks FROM mail_documents"
        " WHERE instance = %s AND due AND collection = ANY(%s) ORDER BY revision, shard",
        (str(instance), list(collections.RENDERERS)),
    ).fetchall()
    return [_Due(row["collection"], row["shard"], row["marks"]) for row in found]


def _write(session: tp.Any, node: nodes.Node, due: _Due, row: node_documents.Row) -> None:
    """Have *row* be what the node is told, unless another process has written a later one."""
    uuid = node_documents.row_uuid(node.uuid, due.collection, due.shard)
    key = (str(node.instance), due.collection, due.shard)
    found = session.execute(
        "UPDATE mail_documents SET revision = %s, due = (marks <> %s), node = %s, sealed_for = %s,"
        " row = %s WHERE instance = %s AND collection = %s AND shard = %s AND revision < %s",
        (
            *(row.revision, due.marks, str(node.uuid), _digest(node), str(uuid)),
            *(*key, row.revision),
        ),
    )
    if found.rowcount:
        value = node_documents.render(row)
        writer = node_rows.replace(session, node.uuid, node_documents.KIND, uuid, value)
        session.execute(
            "UPDATE mail_documents SET row_writer = %s"
            " WHERE instance = %s AND collection = %s AND shard = %s",
            (writer, *key),
        )


def _digest(node: nodes.Node) -> str:
    """Return what tells a node and its key from any other."""
    return hashlib.sha256(node.uuid.bytes + node.key).hexdigest()
