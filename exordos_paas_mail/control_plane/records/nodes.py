# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which node is an instance's, and the key that only it and the control plane have.

The target that this control plane has given a node says whose it is. What a node says
of itself only helps to find it.
"""

from __future__ import annotations

import base64
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import constants


class Node(tp.NamedTuple):
    """A node of an instance."""

    uuid: sys_uuid.UUID
    instance: sys_uuid.UUID
    key: bytes


def find(session: tp.Any, node: sys_uuid.UUID) -> Node | None:
    """Return the node *node*; None if it is no node of an instance."""
    found = session.execute(
        "SELECT i.uuid AS instance, k.private_key AS key FROM ua_target_resources t"
        " JOIN mail_instances i ON i.uuid = t.master"
        " JOIN ua_node_encryption_keys k ON k.uuid = %s"
        " WHERE t.kind = %s AND t.uuid = %s",
        (str(node), constants.INSTANCE_NODE_KIND, str(_agent(node))),
    ).fetchall()
    return Node(node, found[0]["instance"], base64.b64decode(found[0]["key"])) if found else None


def of_instance(session: tp.Any, instance: sys_uuid.UUID) -> Node | None:
    """Return the node of *instance*; None if it has none yet."""
    found = session.execute(
        "SELECT t.uuid AS agent, a.node, k.private_key AS key FROM ua_target_resources t"
        " JOIN ua_agents a ON a.uuid = t.uuid JOIN ua_node_encryption_keys k ON k.uuid = a.node"
        " WHERE t.kind = %s AND t.master = %s ORDER BY t.created_at DESC",
        (constants.INSTANCE_NODE_KIND, str(instance)),
    ).fetchall()
    for row in found:
        if _agent(row["node"]) == row["agent"]:
            return Node(row["node"], instance, base64.b64decode(row["key"]))
    return None


def _agent(node: sys_uuid.UUID) -> sys_uuid.UUID:
    return sys_uuid.uuid5(node, constants.ELEMENT_NAME)
