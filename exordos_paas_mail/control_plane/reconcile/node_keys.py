# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The keys that the agents of the nodes encrypt with: fetched from Core, and kept.

A node has a key as soon as Core has made it, and another one each time its disk is
flashed (POST /v1/nodes/<uuid>/actions/refresh_secret of the Seed OS): before it serves
for the first time, with each new image, and when Core makes it again under its uuid.
Its agent is not understood until the new key is here. So a key is fetched again when
Core has told something new of the node set, which it does once the flashing is over,
and when an agent is silent.
"""

from __future__ import annotations

import hashlib
import logging
import time
import typing as tp
import uuid as sys_uuid

import requests
from bazooka import exceptions as bazooka_exceptions
from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.infra.dm import models as sdk_models
from restalchemy.dm import filters

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.reconcile import core, heartbeats, instances
from exordos_paas_mail.control_plane.records import instances as records
from exordos_paas_mail.control_plane.records import statuses

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gcl_sdk.clients.http import base as core_http

LOG = logging.getLogger(__name__)

# How often the key of a silent node is asked for, in seconds.
_PERIOD: tp.Final = 60.0


class NodeKeys:
    """Fetches the keys of nodes whose key may not be here."""

    def __init__(self, client: core_http.CollectionBaseClient) -> None:
        self._core = client
        self._asked: dict[str, float] = {}

    def fetch(self) -> None:
        """Fetch what is missing or may have changed; whatever Core does not give waits."""
        # Rows are written after the last request: no worker of the API waits for Core.
        fetched = list(self._fetched())
        for node, key in fetched:
            known = _keys([node])
            if known and known[0].private_key == key:
                # So that it is not asked for until its set changes again.
                known[0].update(force=True)
                continue
            ua_models.NodeEncryptionKey.get_or_create(sys_uuid.UUID(node), private_key=key)
            if known:
                LOG.info("The node %s has another key: what it last reported is forgotten", node)
                _forget_report(sys_uuid.UUID(node))

    def _fetched(self) -> Iterator[tuple[str, str]]:
        """Yield each node that was asked for and has a key, with it."""
        for node_set, nodes in self._to_ask_for().items():
            try:
                keys = self._core.do_action(core.SETS, "get_private_keys", node_set) or {}
            except bazooka_exceptions.BaseHTTPException as error:
                LOG.warning("Core has no keys of the node set %s: %d", node_set, error.code)
                continue
            except requests.RequestException as error:
                # One wait is enough: the next pass asks again.
                LOG.warning("Core does not answer, keys of nodes are missing: %s", error)
                return
            for node in nodes & keys.keys():
                yield node, keys[node]

    def _to_ask_for(self) -> dict[sys_uuid.UUID, set[str]]:
        """Return nodes by their set: of changed sets, and the silent ones once a minute."""
        now = time.monotonic()
        self._asked = {n: at for n, at in self._asked.items() if now - at < _PERIOD}
        asked_for: dict[sys_uuid.UUID, set[str]] = {}
        for node_set, node in _of_changed_sets():
            asked_for.setdefault(node_set, set()).add(node)
        for node_set, node in heartbeats.silent_nodes():
            if node not in self._asked:
                self._asked[node] = now
                asked_for.setdefault(node_set, set()).add(node)
        return asked_for


def _of_changed_sets() -> list[tuple[sys_uuid.UUID, str]]:
    """Return nodes of instances' sets, each with its set, that have no key since their set changed.

    The rows of node sets are written by the same thread, between two passes.
    """
    with utils.transaction() as session:
        rows = session.execute(
            "SELECT s.uuid, n.node FROM ua_actual_resources s"
            " JOIN mail_instances i ON i.uuid = s.uuid"
            " CROSS JOIN jsonb_object_keys(CASE jsonb_typeof(s.value->'nodes')"
            " WHEN 'object' THEN s.value->'nodes' END) n (node)"
            " WHERE s.kind = %s AND NOT EXISTS"
            " (SELECT FROM ua_node_encryption_keys k WHERE k.uuid::text = n.node"
            " AND k.updated_at >= s.updated_at)"
            " ORDER BY random()",
            (sdk_models.NodeSet.get_resource_kind(),),
        ).fetchall()
    return [(row["uuid"], row["node"]) for row in rows]


def _forget_report(node: sys_uuid.UUID) -> None:
    """Forget what *node* said before it was flashed, and have its instance looked at."""
    agent = str(instances.agent_uuid(node))
    with utils.transaction() as session:
        session.execute(
            "DELETE FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
            (agent, constants.INSTANCE_NODE_KIND),
        )
        # The service takes over a report whose hash is not that of the last one: a node that
        # says the same as before has to be heard too.
        rows = session.execute(
            "UPDATE ua_target_resources SET full_hash = '' WHERE uuid = %s AND kind = %s"
            " RETURNING master",
            (agent, constants.INSTANCE_NODE_KIND),
        ).fetchall()
        for row in rows:
            records.MailInstance.touch(row["master"], session)
            # A change that Core need not hear of wakes nobody who would write the files anew.
            session.execute(
                "UPDATE ua_target_resources SET hash = '' WHERE uuid = %s AND kind = %s",
                (row["master"], constants.INSTANCE_INFRA_KIND),
            )


def digests(nodes: Collection[sys_uuid.UUID]) -> dict[sys_uuid.UUID, str]:
    """Return for each of *nodes* that has a key what tells it from its other keys."""
    return {key.uuid: hashlib.sha256(key.private_key.encode()).hexdigest() for key in _keys(nodes)}


def check(nodes: Collection[sys_uuid.UUID], node_set: sdk_models.NodeSet) -> None:
    """Raise LookupError if Core made the nodes and has no key of one, which cannot talk to us then.

    It is logged at each pass, and the instance waits: the next pass asks Core again.
    """
    if node_set.status != statuses.ACTIVE:
        return
    if missing := set(nodes) - {key.uuid for key in _keys(nodes)}:
        raise LookupError(f"Core has no key of the nodes {sorted(map(str, missing))}")


def delete(nodes: Collection[tp.Any]) -> None:
    """Delete the keys of *nodes*, and their agents that have not been told anything.

    The builder of what nodes hold forgets an agent with what it is told, and would not
    learn of these.
    """
    if not nodes:
        return
    for key in _keys(nodes):
        key.delete()
    agents = [str(instances.agent_uuid(sys_uuid.UUID(str(node)))) for node in nodes]
    with utils.transaction() as session:
        session.execute(
            "WITH gone AS (DELETE FROM ua_agents a WHERE uuid = ANY(%s::uuid[]) AND NOT EXISTS"
            " (SELECT FROM ua_target_resources WHERE agent = a.uuid) RETURNING uuid)"
            " DELETE FROM ua_actual_resources WHERE uuid IN (SELECT uuid FROM gone)"
            " AND kind = ANY(%s)",
            (agents, [constants.INSTANCE_NODE_KIND, constants.HEARTBEAT_KIND]),
        )


def _keys(nodes: Collection[tp.Any]) -> list[ua_models.NodeEncryptionKey]:
    found: list[ua_models.NodeEncryptionKey] = ua_models.NodeEncryptionKey.objects.get_all(
        filters={"uuid": filters.In([str(node) for node in nodes])}
    )
    return found
