# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Where the streams of the nodes are, and the rows of batches that wait."""

from __future__ import annotations

import base64
import dataclasses
import logging
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import constants, utils
from exordos_paas_mail.codecs import event_batches
from exordos_paas_mail.control_plane.events import taking
from exordos_paas_mail.control_plane.records import instance_logs

if tp.TYPE_CHECKING:
    import datetime
    from collections.abc import Collection, Iterable, Mapping

LOG = logging.getLogger(__name__)


class Row(tp.NamedTuple):
    """A row that a node, or somebody in its name, has put there."""

    uuid: sys_uuid.UUID
    res_uuid: sys_uuid.UUID
    """The key of the table: another one if the row is made anew, of its node."""
    value: Mapping[str, tp.Any]
    created_at: datetime.datetime
    """As its writer says."""


@dataclasses.dataclass(frozen=True)
class Stream:
    """How far a stream of a node has been taken in."""

    node: sys_uuid.UUID
    stream: sys_uuid.UUID
    instance: sys_uuid.UUID
    key: str
    next_seq: int = 1
    waiting_since: datetime.datetime | None = None


def nodes(session: tp.Any) -> list[sys_uuid.UUID | None]:
    """Return the nodes that rows are said to be of."""
    found = session.execute(
        "SELECT node FROM ua_actual_resources WHERE kind = %s"
        " GROUP BY node ORDER BY min(created_at)",
        (event_batches.KIND,),
    ).fetchall()
    return [row["node"] for row in found]


def find_rows(session: tp.Any, node: sys_uuid.UUID | None, limit: int) -> list[Row]:
    """Return the *limit* oldest rows that are said to be of *node*."""
    found = session.execute(
        "SELECT uuid, res_uuid, value, created_at FROM ua_actual_resources WHERE kind = %s"
        " AND node IS NOT DISTINCT FROM %s::uuid ORDER BY created_at LIMIT %s",
        (event_batches.KIND, node and str(node), limit),
    ).fetchall()
    return [_row(row) for row in found]


def find_row(session: tp.Any, uuid: sys_uuid.UUID) -> Row | None:
    """Return the row of a batch."""
    found = session.execute(
        "SELECT uuid, res_uuid, value, created_at FROM ua_actual_resources"
        " WHERE kind = %s AND uuid = %s",
        (event_batches.KIND, str(uuid)),
    ).fetchall()
    return _row(found[0]) if found else None


def find_key(session: tp.Any, node: sys_uuid.UUID | None) -> bytes | None:
    """Return the key of *node*, which is a node of an instance or is not yet; None without one."""
    found = session.execute(
        "SELECT private_key FROM ua_node_encryption_keys WHERE uuid = %s", (node and str(node),)
    ).fetchall()
    return base64.b64decode(found[0]["private_key"]) if found else None


def sort(
    node: sys_uuid.UUID | None, key: bytes | None, found: Iterable[Row]
) -> tuple[dict[sys_uuid.UUID, dict[int, Row]], list[Row]]:
    """Return the batches of *node* among *found*, by stream and number, and the rows that are none.

    A batch opens with the node's *key*; without one it is not known yet which do.
    """
    batches: dict[sys_uuid.UUID, dict[int, Row]] = {}
    bad: list[Row] = []
    why = ""
    for row in found:
        try:
            batch = _parse(node, key, row)
        except ValueError as error:
            bad.append(row)
            why = str(error)
            continue
        batches.setdefault(batch.stream, {})[batch.seq] = row
    if bad:
        LOG.warning("%d rows of the node %s are no batches of its events: %s", len(bad), node, why)
    return batches, bad


def _parse(node: sys_uuid.UUID | None, key: bytes | None, row: Row) -> event_batches.Batch:
    batch = event_batches.parse(row.value)
    if node is None or row.uuid != event_batches.row_uuid(node, batch.stream, batch.seq):
        raise ValueError("the row is not the batch that it says it is")
    if key is not None:
        event_batches.unseal(key, node, batch)
    return batch


def delete_rows(session: tp.Any, found: Collection[Row]) -> None:
    """Delete the rows of batches, and not what was made in the place of one since."""
    if found:
        session.execute(
            "DELETE FROM ua_actual_resources WHERE kind = %s AND res_uuid = ANY(%s::uuid[])",
            (event_batches.KIND, [str(row.res_uuid) for row in found]),
        )


def find(session: tp.Any, node: sys_uuid.UUID, stream: sys_uuid.UUID) -> Stream | None:
    """Return where *stream* of *node* is; None if the node is no node of an instance.

    Which instance that is, the target says that this control plane has given the node.
    """
    found = session.execute(
        "SELECT i.uuid AS instance, k.private_key AS key, s.next_seq, s.waiting_since"
        " FROM ua_target_resources t JOIN mail_instances i ON i.uuid = t.master"
        " JOIN ua_node_encryption_keys k ON k.uuid = %(node)s"
        " LEFT JOIN mail_event_streams s ON s.node = %(node)s AND s.stream = %(stream)s"
        " WHERE t.kind = %(kind)s AND t.uuid = %(agent)s",
        {
            "node": str(node),
            "stream": str(stream),
            "kind": constants.INSTANCE_NODE_KIND,
            "agent": str(sys_uuid.uuid5(node, constants.ELEMENT_NAME)),
        },
    ).fetchall()
    if not found:
        return None
    (row,) = found
    return Stream(
        node,
        stream,
        row["instance"],
        row["key"],
        row["next_seq"] or 1,
        utils.moment(row["waiting_since"]),
    )


def advance(session: tp.Any, state: Stream, seq: int) -> None:
    """Keep that the batch *seq* is the next of the stream."""
    _write(session, state, seq, None)


def wait(session: tp.Any, state: Stream, since: datetime.datetime) -> None:
    """Keep that the next batch of the stream has been waited for since *since*."""
    _write(session, state, state.next_seq, since)


def _write(session: tp.Any, state: Stream, seq: int, since: datetime.datetime | None) -> None:
    session.execute(
        "INSERT INTO mail_event_streams (node, stream, instance, next_seq, waiting_since)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (node, stream) DO UPDATE"
        " SET next_seq = EXCLUDED.next_seq, waiting_since = EXCLUDED.waiting_since",
        (
            *(str(uuid) for uuid in (state.node, state.stream, state.instance)),
            seq,
            utils.optional_timestamp(since),
        ),
    )


def instances(session: tp.Any) -> list[sys_uuid.UUID]:
    """Return the instances that events have come of."""
    found = session.execute("SELECT DISTINCT instance FROM mail_event_streams").fetchall()
    return [row["instance"] for row in found]


def hold_instance(
    session: tp.Any, uuid: sys_uuid.UUID, level: str = instance_logs.ALL
) -> taking.Instance | None:
    """Return an instance, locked as by ``locks.hold_instance``; None if it is gone.

    ``rows.lock`` is held: nobody takes it after an instance. *level* is what the log of any
    instance is kept at, or less.
    """
    found = session.execute(
        "SELECT uuid, domain, log->>'level' AS level FROM mail_instances WHERE uuid = %s"
        " FOR UPDATE",
        (str(uuid),),
    ).fetchall()
    if not found:
        return None
    (row,) = found
    lower = max(level, row["level"], key=instance_logs.LEVELS.index)
    return taking.Instance(row["uuid"], row["domain"], lower)


def _row(row: Mapping[str, tp.Any]) -> Row:
    value = row["value"] if isinstance(row["value"], dict) else {}
    return Row(row["uuid"], row["res_uuid"], value, utils.moment(row["created_at"]))
