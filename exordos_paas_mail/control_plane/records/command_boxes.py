# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The row that tells a node what it has to do with its queue.

Any node may write any row of the Status API: what is there is believed only if it
opens, and is written anew if it is anything else than the operations that are open.
"""

from __future__ import annotations

import json
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import node_commands
from exordos_paas_mail.control_plane.records import nodes
from exordos_paas_mail.control_plane.records import operation_statuses as statuses

if tp.TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping

_EMPTY: tp.Final = node_commands.render_commands([])


def write(session: tp.Any, instance: sys_uuid.UUID) -> bool:
    """Have the node of *instance* told the operations that are open; return whether it was not.

    The instance is held. One that has no node yet is told when it has.
    """
    node = nodes.of_instance(session, instance)
    if node is None:
        return False
    raw = _open_commands(session, instance)
    uuid = node_commands.row_uuid(node.uuid)
    if _told(session, node, uuid) == raw:
        return False
    box = node_commands.seal(node.key, node.uuid, _next_revision(session, instance), raw)
    res_uuid = sys_uuid.uuid5(uuid, node_commands.KIND)
    # Whatever has its uuid, or its key, is not the control plane's.
    session.execute(
        "DELETE FROM ua_actual_resources WHERE (uuid = %s AND kind = %s) OR res_uuid = %s",
        (str(uuid), node_commands.KIND, str(res_uuid)),
    )
    now = utils.timestamp(utils.now())
    session.execute(
        "INSERT INTO ua_actual_resources (uuid, kind, res_uuid, value, status, node, hash,"
        " full_hash, created_at, updated_at)"
        " VALUES (%s, %s, %s, %s::jsonb, 'ACTIVE', %s, '', '', %s, %s)",
        (
            *(str(uuid), node_commands.KIND, str(res_uuid)),
            *(json.dumps(node_commands.render(box)), str(node.uuid), now, now),
        ),
    )
    return True


def forget(session: tp.Any, before: datetime.datetime) -> None:
    """Delete the rows that were written before *before*: nothing in them is open any more."""
    session.execute(
        "DELETE FROM ua_actual_resources WHERE kind = %s AND updated_at < %s",
        (node_commands.KIND, utils.timestamp(before)),
    )


def _told(session: tp.Any, node: nodes.Node, uuid: sys_uuid.UUID) -> bytes | None:
    """Return what the node is told; None if somebody else has written it."""
    found = session.execute(
        "SELECT value FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
        (str(uuid), node_commands.KIND),
    ).fetchall()
    if not found:
        return _EMPTY
    value = found[0]["value"]
    try:
        box = node_commands.parse(value if isinstance(value, dict) else {})
        return node_commands.unseal(node.key, node.uuid, box)
    except ValueError:
        return None


def _open_commands(session: tp.Any, instance: sys_uuid.UUID) -> bytes:
    found = session.execute(
        "SELECT * FROM mail_operations WHERE instance = %s AND status = %s ORDER BY uuid",
        (str(instance), statuses.PENDING),
    ).fetchall()
    return node_commands.render_commands(_command(row) for row in found)


def _command(row: Mapping[str, tp.Any]) -> node_commands.Command:
    return node_commands.Command(
        id=row["uuid"],
        action=node_commands.Action(row["action"]),
        not_after=_milliseconds(row["expires_at"]),
        queue_ids=tuple(row["queue_ids"]),
        domain=row["recipient_domain"] or "",
        until=_milliseconds(row["until"]) if row["until"] else 0,
        reason=row["reason"] or "",
    )


def _milliseconds(stored: tp.Any) -> int:
    return int(utils.moment(stored).timestamp() * 1000)


def _next_revision(session: tp.Any, instance: sys_uuid.UUID) -> int:
    now = int(utils.now().timestamp() * 1000)
    found = session.execute(
        "INSERT INTO mail_queues (instance, commands_revision) VALUES (%s, %s)"
        " ON CONFLICT (instance) DO UPDATE SET commands_revision ="
        " greatest(mail_queues.commands_revision + 1, EXCLUDED.commands_revision)"
        " RETURNING commands_revision",
        (str(instance), now),
    ).fetchone()
    return int(found["commands_revision"])
