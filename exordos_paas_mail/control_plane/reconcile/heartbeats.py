# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which agents are silent.

An agent that has nothing new to report writes nothing: its last report stays, however
long it has been dead. So each node writes a row of its own every few seconds
(constants.HEARTBEAT_KIND), of a kind that no agent has, which is in nobody's payload
and compared with nothing. A node whose image knows no heartbeat has no row, and
nothing is said of it: a row that its image before has left is forgotten.
"""

from __future__ import annotations

import typing as tp

from gcl_sdk.infra.dm import models as sdk_models

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.reconcile import status

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

# Whether the row *h* was written, and not for so many seconds. A time that is as far ahead is one
# of before the clock was set back: who is heard has another by now.
_IS_SILENT: tp.Final = (
    "abs(extract(epoch FROM timezone('utc', clock_timestamp()) - h.updated_at)) > %s"
)
# Seconds after which the key of a node is fetched anew, and after which a user is told.
KEY_PATIENCE: tp.Final = 30
PATIENCE: tp.Final = status.PATIENCE


def silent_nodes() -> list[tuple[sys_uuid.UUID, str]]:
    """Return (node set, node) of each node that was heard, and not for KEY_PATIENCE seconds."""
    with utils.transaction() as session:
        rows = session.execute(
            "SELECT s.uuid, h.node FROM ua_actual_resources h"  # noqa: S608 - no value is in it
            " JOIN ua_actual_resources s ON s.kind = %s"
            " AND jsonb_exists(s.value->'nodes', h.node::text)"
            " JOIN mail_instances i ON i.uuid = s.uuid"
            f" WHERE h.kind = %s AND {_IS_SILENT}",
            (sdk_models.NodeSet.get_resource_kind(), constants.HEARTBEAT_KIND, KEY_PATIENCE),
        ).fetchall()
    return [(row["uuid"], str(row["node"])) for row in rows]


def silent_agents(agents: tp.Sequence[str]) -> set[str]:
    """Return which of *agents* were heard, and not for PATIENCE seconds."""
    with utils.transaction() as session:
        rows = session.execute(
            "SELECT h.uuid FROM ua_actual_resources h WHERE h.kind = %s"  # noqa: S608 - as above
            f" AND h.uuid = ANY(%s::uuid[]) AND {_IS_SILENT}",
            (constants.HEARTBEAT_KIND, list(agents), PATIENCE),
        ).fetchall()
    return {str(row["uuid"]) for row in rows}


def forget(agents: tp.Collection[sys_uuid.UUID]) -> None:
    """Forget that *agents* were ever heard."""
    if not agents:
        return
    with utils.transaction() as session:
        session.execute(
            "DELETE FROM ua_actual_resources WHERE kind = %s AND uuid = ANY(%s::uuid[])",
            (constants.HEARTBEAT_KIND, [str(agent) for agent in agents]),
        )


def changed_instances() -> list[sys_uuid.UUID]:
    """Return the instances whose ``error`` does not say what is so about their agents."""
    with utils.transaction() as session:
        rows = session.execute(
            "SELECT i.uuid FROM mail_instances i"  # noqa: S608 - as above
            " JOIN ua_target_resources t ON t.master = i.uuid"
            " JOIN ua_actual_resources h ON h.uuid = t.uuid AND h.kind = %s"
            " WHERE t.kind = %s GROUP BY i.uuid"
            f" HAVING bool_or({_IS_SILENT}) <> (strpos(i.error, %s) > 0)",
            (constants.HEARTBEAT_KIND, constants.INSTANCE_NODE_KIND, PATIENCE, status.SILENT),
        ).fetchall()
    return [row["uuid"] for row in rows]
