# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node as a writer of its queue, and a reader of what it is told: rows of the Status API."""

from __future__ import annotations

import json
import time
import typing as tp

from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.storage.sql import engines

from exordos_paas_mail.codecs import node_commands, queue_reports
from exordos_paas_mail.control_plane.queue import follower
from exordos_paas_mail.tests.unit.control_plane import sealed

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

    from exordos_paas_mail.tests.unit.control_plane import gservice


def item(queue_id: str, **fields: tp.Any) -> queue_reports.Item:
    """Return a message that waits for a server that does not answer."""
    now = sealed.now()
    more: dict[str, tp.Any] = {
        "account": sealed.LOGIN,
        "sender": sealed.LOGIN,
        "recipients": ("a@example.org",),
        "recipients_count": 1,
        "size": 900,
        "arrived_at": now - 60_000,
        "attempts": 2,
        "last_error": "Connection refused",
        "reason": "network",
        "last_attempt_at": now - 5_000,
        "retry_at": now + 900_000,
        **fields,
    }
    return queue_reports.Item(queue_id, **more)


class Queue:
    """The daemon of a node that tells its queue, row by row."""

    def __init__(self, node: gservice.Node) -> None:
        self.node = node.uuid
        self._writer = sealed.Writer(node)
        self._revision = int(time.time() * 1000)
        # What waits is older than the test.
        with engines.engine_factory.get_engine().session_manager() as session:
            session.execute("UPDATE mail_accounts SET created_at = created_at - interval '1 day'")

    def key(self) -> bytes:
        return self._writer.key()

    def tell(self, *items: queue_reports.Item, **state: tp.Any) -> None:
        """Tell that *items* are all there is in their shards, and the state."""
        shards: dict[int, list[queue_reports.Item]] = {}
        for each in items:
            shards.setdefault(queue_reports.shard_of(each.queue_id), []).append(each)
        for shard, told in shards.items():
            self.put(shard, queue_reports.render_items(told))
        self.tell_state(**{"messages": len(items), **state})

    def tell_state(self, **state: tp.Any) -> None:
        """Tell the state."""
        told = queue_reports.State(at=sealed.now(), **state)
        self.put(queue_reports.STATE, queue_reports.render_state(told))

    def put(
        self, shard: queue_reports.Shard, content: bytes, revision: int | None = None
    ) -> sys_uuid.UUID:
        """Seal and write a row; return its uuid."""
        self._revision += 1
        row = queue_reports.seal(self.key(), self.node, shard, revision or self._revision, content)
        uuid = queue_reports.row_uuid(self.node, shard)
        self.put_value(uuid, queue_reports.render(row))
        return uuid

    def put_value(self, uuid: sys_uuid.UUID, value: tp.Any) -> None:
        """Write a row, whatever it is, in the place of the one before it."""
        resource = ua_models.Resource.from_value({"uuid": str(uuid)}, queue_reports.KIND, ("uuid",))
        resource.node = self.node
        with engines.engine_factory.get_engine().session_manager() as session:
            session.execute(
                "DELETE FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
                (str(uuid), queue_reports.KIND),
            )
            resource.insert(session=session)
            session.execute(
                "UPDATE ua_actual_resources SET value = %s::jsonb WHERE uuid = %s AND kind = %s",
                (json.dumps(value), str(uuid), queue_reports.KIND),
            )

    def commands(self) -> list[node_commands.Command]:
        """Return what the node is told to do."""
        with engines.engine_factory.get_engine().session_manager() as session:
            found = session.execute(
                "SELECT value FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
                (str(node_commands.row_uuid(self.node)), node_commands.KIND),
            ).fetchall()
        if not found:
            return []
        box = node_commands.parse(found[0]["value"])
        return node_commands.parse_commands(node_commands.unseal(self.key(), self.node, box))


def follow() -> None:
    """Take over what there is, as the thread does at its first look."""
    follower.Follower().run_once()
