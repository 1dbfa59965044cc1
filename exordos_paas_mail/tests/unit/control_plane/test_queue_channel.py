# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node tells its queue, and hears what it is to do, through the real Status API."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import node_commands, queue_reports
from exordos_paas_mail.node import status_api
from exordos_paas_mail.tests.unit.control_plane import queue_rows, sealed

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

    from exordos_paas_mail.tests.unit.control_plane import stage as stages


class Node:
    """A node's side of the queue, as its daemon speaks it."""

    def __init__(self, endpoint: str, node: sys_uuid.UUID, key: bytes) -> None:
        self._api = status_api.StatusApi(endpoint, node, key)
        self._revision = 0

    def tell(self, shard: queue_reports.Shard, content: bytes) -> None:
        self._revision += 1
        row = queue_reports.seal(self._api.key, self._api.node, shard, self._revision, content)
        uuid = queue_reports.row_uuid(self._api.node, shard)
        self._api.replace(queue_reports.KIND, uuid, queue_reports.render(row))

    def commands(self) -> list[node_commands.Command] | None:
        uuid = node_commands.row_uuid(self._api.node)
        value = self._api.read(node_commands.KIND, uuid)
        if value is None:
            return None
        box = node_commands.parse(value)
        raw = node_commands.unseal(self._api.key, self._api.node, box)
        return node_commands.parse_commands(raw)


def test_what_a_user_asks_for_is_heard_by_the_node_and_its_answer_by_the_user(
    endpoint: str, stage: stages.Stage
) -> None:
    served = stage.serving()
    node = Node(endpoint, served.uuid, sealed.Writer(served).key())
    queue_id = sealed.queue_id(1, 60)
    shard = queue_reports.shard_of(queue_id)
    node.tell(shard, queue_reports.render_items([queue_rows.item(queue_id)]))
    state = queue_reports.State(at=sealed.now(), messages=1, oldest_at=sealed.now() - 60_000)
    node.tell(queue_reports.STATE, queue_reports.render_state(state))
    assert node.commands() is None
    queue_rows.follow()
    (shown,) = stage.api.get(f"{stage.path}/queue/")
    assert (shown["queue_id"], stage.shown("queue_messages")) == (queue_id, (1,))

    action = f"{stage.path}/queue/{shown['uuid']}/actions/delete/invoke"
    asked = stage.api.call("POST", action).json
    # It is there with the answer: nobody has looked yet.
    (command,) = node.commands() or []
    assert (command.action, command.queue_ids) == (node_commands.Action.DELETE, (queue_id,))
    result = queue_reports.Result(command.id, done=(queue_id,), count=1)
    node.tell(shard, queue_reports.render_items([]))
    state = queue_reports.State(at=sealed.now(), results=(result,))
    node.tell(queue_reports.STATE, queue_reports.render_state(state))
    queue_rows.follow()
    ended = stage.api.get(f"{stage.path}/operations/{asked['uuid']}")
    assert (ended["status"], ended["result"]["done"]) == ("DONE", [queue_id])
    assert (stage.api.get(f"{stage.path}/queue/"), node.commands()) == ([], [])
