# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A node tells its queue, and hears what it is to do, through the real Status API."""

from __future__ import annotations

import datetime
import threading
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import node_commands, queue_reports
from exordos_paas_mail.node import status_api
from exordos_paas_mail.node.queue import keeper as keeper_
from exordos_paas_mail.tests.unit.control_plane import queue_rows, sealed
from exordos_paas_mail.tests.unit.node import queue_stage

if tp.TYPE_CHECKING:
    import pathlib
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


def test_what_the_nodes_daemon_tells_and_does_is_what_the_api_tells(
    endpoint: str, stage: stages.Stage, tmp_path: pathlib.Path
) -> None:
    served = stage.serving()
    spool, exim = queue_stage.Spool(tmp_path), queue_stage.Exim(root=str(tmp_path))
    store = tmp_path / constants.EVENTS_DIR.lstrip("/")
    store.mkdir(parents=True)
    first, second, third = queue_stage.NAMES
    for name, recipient in ((first, "a@one.example"), (second, "b@two.example"), (third, "c@d.e")):
        spool.write(name, recipient)
    api = status_api.StatusApi(endpoint, served.uuid, sealed.Writer(served).key())
    changed = threading.Event()
    keeper = keeper_.Keeper(exim, api, store, changed.set)

    def turn() -> None:
        """Have the node and the control plane do what they do within some seconds."""
        keeper._next_look = keeper._next_poll = 0.0
        keeper.turn()
        changed.wait(0.1)
        keeper.turn()
        queue_rows.follow()

    def ask(action: str, body: tp.Any, where: str = "") -> tuple[str, tp.Any, str]:
        path = f"{stage.path}{where}/actions/{action}/invoke"
        asked = stage.api.call("POST", path, body)
        assert asked.status_code == 200, asked.text
        one = f"{stage.path}/operations/{asked.json['uuid']}"
        deadline, ended = time.monotonic() + 60, stage.api.get(one)
        while ended["status"] == "PENDING":
            assert time.monotonic() < deadline
            turn()
            ended = stage.api.get(one)
        result = ended["result"] or {}
        return ended["status"], result.get("done"), ended["error"]

    def waiting() -> set[str]:
        return {each["queue_id"] for each in stage.api.get(f"{stage.path}/queue/")}

    try:
        turn()
        assert (waiting(), stage.shown("queue_messages")) == ({first, second, third}, (3,))
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        suspension = {
            "recipient_domain": "one.example",
            "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "reason": "they asked",
        }
        assert ask("queue_suspend", suspension) == ("DONE", [], "")
        told = {each["domain"]: each for each in stage.api.get(f"{stage.path}/queue_domains/")}
        assert told["one.example"]["suspended_reason"] == "they asked"
        assert set(told) == {"one.example", "two.example", "d.e"}
        assert ask("queue_retry", {"queue_ids": [second]}) == ("DONE", [second], "")
        assert ask("queue_resume", {"recipient_domain": "one.example"}) == ("DONE", [first], "")
        assert exim.tried == [second, first]
        assert ask("queue_delete", {"recipient_domain": "two.example"}) == ("DONE", [second], "")
        (item,) = stage.api.get(f"{stage.path}/queue/?queue_id={first}")
        assert ask("bounce", None, f"/queue/{item['uuid']}") == ("DONE", [first], "")
        assert exim.reported == [first]
        turn()
        assert (waiting(), stage.shown("queue_messages")) == ({third}, (1,))
    finally:
        keeper.close()
