# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Tells the control plane what has changed of the queue, and asks it for commands."""

from __future__ import annotations

import hashlib
import typing as tp

from exordos_paas_mail.codecs import node_commands, queue_reports

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import status_api

AGAIN: tp.Final = 600.0
"""Seconds after which a row that has not changed is told all the same."""
STATE_AGAIN: tp.Final = 10.0
"""The same of the state: by its age the control plane knows that the node is alive."""


class Teller:
    """Speaks to *api*; each method raises StatusError when it cannot."""

    def __init__(self, api: status_api.StatusApi) -> None:
        self._api = api
        self._told: dict[queue_reports.Shard, tuple[bytes, float]] = {}
        """The digest of what a row says, and when (time.monotonic) it was told."""
        self.box: node_commands.Row | None = None
        """The row of commands as it was read last, None where it was none of this node's."""

    def is_due(self, shard: queue_reports.Shard, content: bytes, now: float) -> bool:
        """Return whether a row is to be told: it has changed, or was told long ago."""
        told = self._told.get(shard)
        if told is None or told[0] != _digest(content):
            return True
        return now - told[1] >= (STATE_AGAIN if shard == queue_reports.STATE else AGAIN)

    def tell(
        self,
        shard: queue_reports.Shard,
        content: bytes,
        told: bytes,
        revision: int,
        now: float,
    ) -> None:
        """Have the row of *shard* say *content*; ``is_due`` compares *told*."""
        node, key = self._api.node, self._api.key
        row = queue_reports.seal(key, node, shard, revision, content)
        # What is not known to have arrived is told again.
        self._told.pop(shard, None)
        uuid = queue_reports.row_uuid(node, shard)
        self._api.replace(queue_reports.KIND, uuid, queue_reports.render(row))
        self._told[shard] = _digest(told), now

    def commands(self) -> list[node_commands.Command] | None:
        """Return the commands that are not done yet, None where the row is not this node's.

        Another node may have written it; the control plane does so again.
        """
        node, key = self._api.node, self._api.key
        self.box = None
        value = self._api.read(node_commands.KIND, node_commands.row_uuid(node))
        if value is None:
            return []
        try:
            row = node_commands.parse(value)
            commands = node_commands.parse_commands(node_commands.unseal(key, node, row))
        except ValueError:
            return None
        self.box = row
        return commands


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
