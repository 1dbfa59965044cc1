# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The row that tells a node what it has to do with its queue, and which documents there are.

Any node may write any row of the Status API: what is there is believed only if it
opens, and is written anew if it is anything else than the operations that are open.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import node_commands, node_documents
from exordos_paas_mail.control_plane.records import document_marks, node_rows, nodes
from exordos_paas_mail.control_plane.records import operation_statuses as statuses

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid
    from collections.abc import Mapping

_Content: tp.TypeAlias = "tuple[bytes, dict[str, dict[str, int]]]"
_EMPTY: tp.Final = node_commands.render_commands([])


def write(session: tp.Any, instance: sys_uuid.UUID) -> bool:
    """Have the node of *instance* told the operations that are open; return whether it was not.

    And the documents that there are for it. The instance is held. One that has no
    node yet is told when it has.
    """
    node = nodes.of_instance(session, instance)
    if node is None:
        return False
    wanted = _wanted(session, node)
    uuid = node_commands.row_uuid(node.uuid)
    if _told(session, node, uuid) == wanted:
        return False
    raw, documents = wanted
    revision = document_marks.next_revision(session, instance)
    box = node_commands.seal(node.key, node.uuid, revision, raw)
    if documents:
        index = node_documents.seal_index(node.key, node.uuid, revision, documents)
        box = box._replace(documents=index)
    node_rows.replace(session, node.uuid, node_commands.KIND, uuid, node_commands.render(box))
    return True


def is_told(session: tp.Any, instance: sys_uuid.UUID) -> bool:
    """Return whether there is nothing to be told to the node of *instance*."""
    node = nodes.of_instance(session, instance)
    if node is None:
        return True
    uuid = node_commands.row_uuid(node.uuid)
    return _told(session, node, uuid) == _wanted(session, node)


def forget(session: tp.Any, before: datetime.datetime) -> None:
    """Delete the rows that were written before *before*: nothing in them is open any more.

    The row of a node that there are documents for stays.
    """
    found = session.execute(
        "SELECT DISTINCT node FROM mail_documents WHERE node IS NOT NULL"
    ).fetchall()
    session.execute(
        "DELETE FROM ua_actual_resources WHERE kind = %s AND updated_at < %s"
        " AND NOT uuid = ANY(%s::uuid[])",
        (
            *(node_commands.KIND, utils.timestamp(before)),
            [str(node_commands.row_uuid(row["node"])) for row in found],
        ),
    )


def _wanted(session: tp.Any, node: nodes.Node) -> _Content:
    return _open_commands(session, node.instance), document_marks.index(session, node)


def _told(session: tp.Any, node: nodes.Node, uuid: sys_uuid.UUID) -> _Content | None:
    """Return what the node is told; None if somebody else has written it."""
    found = session.execute(
        "SELECT value FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
        (str(uuid), node_commands.KIND),
    ).fetchall()
    if not found:
        return _EMPTY, {}
    value = found[0]["value"]
    try:
        box = node_commands.parse(value if isinstance(value, dict) else {})
        raw = node_commands.unseal(node.key, node.uuid, box)
        if not box.documents:
            return raw, {}
        index = node_documents.unseal_index(node.key, node.uuid, box.revision, box.documents)
    except ValueError:
        return None
    return raw, index


def _open_commands(session: tp.Any, instance: sys_uuid.UUID) -> bytes:
    found = session.execute(
        # What is asked for a webhook is in a document (``webhook_documents``).
        "SELECT * FROM mail_operations WHERE instance = %s AND status = %s"
        " AND webhook IS NULL AND action = ANY(%s) ORDER BY uuid",
        (str(instance), statuses.PENDING, [action.value for action in node_commands.Action]),
    ).fetchall()
    return node_commands.render_commands(_command(row) for row in found)


def _command(row: Mapping[str, tp.Any]) -> node_commands.Command:
    return node_commands.Command(
        id=row["uuid"],
        action=node_commands.Action(row["action"]),
        not_after=utils.milliseconds(row["expires_at"]),
        queue_ids=tuple(row["queue_ids"]),
        domain=row["recipient_domain"] or "",
        until=utils.milliseconds(row["until"]) if row["until"] else 0,
        reason=row["reason"] or "",
    )
