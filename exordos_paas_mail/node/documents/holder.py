# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Fetches the documents that the index names, keeps them, and has something be made of them."""

from __future__ import annotations

import time
import typing as tp

from exordos_paas_mail.codecs import (
    erased,
    node_commands,
    node_documents,
    notices,
    smarthosts,
    suppressions,
    tls_document,
    webhook_config,
)
from exordos_paas_mail.node.documents import base, ledger, plain, smarthost, suppressed

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping

    from exordos_paas_mail.node import status_api

FOLDER: tp.Final = "documents"
TURN_MAX: tp.Final = 0.5
"""Seconds after which a turn leaves the rest to the next."""
AGAIN: tp.Final = 30.0
"""Seconds after which a shard is asked for again that was not what the index says."""


class DocumentError(Exception):
    """A document is not what it is to be; the message has no word of it."""


class Holder:
    """The documents in *directory*, as the control plane behind *api* has them.

    *forget* has all that waits in the queue be tried at once, because it goes another way.
    """

    def __init__(
        self,
        api: status_api.StatusApi,
        directory: pathlib.Path,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self._api = api
        self._ledger = ledger.Ledger(directory)
        self._smarthost = smarthost.Smarthost(self._ledger, forget)
        self._collections: Mapping[str, base.Collection] = {
            suppressions.COLLECTION: suppressed.Suppressed(self._ledger),
            # Before the webhooks, in which a replay may be asked for.
            erased.COLLECTION: plain.Plain(),
            webhook_config.COLLECTION: plain.Plain(),
            notices.COLLECTION: plain.Plain(),
            tls_document.COLLECTION: plain.Plain(),
            smarthosts.COLLECTION: self._smarthost,
        }
        self._index_seen = ""
        self._not_before: dict[tuple[str, str], float] = {}
        self.applied: dict[str, int] = {}
        """By collection, the largest revision of an index all of whose shards are in force."""

    def smarthost_route(self) -> smarthosts.Route | None:
        """Return which mail goes by the smarthost, None where there is none."""
        return self._smarthost.route()

    def turn(self, box: node_commands.Row | None, *, may_ask: bool = True) -> bool:
        """Do what *box*, the node's row as it was read last, asks for, and repair what is held.

        Returns whether there is more to do at once. Without a box, or one without an
        index, all stays as it is; without *may_ask* nothing is fetched. Raises StatusError,
        OSError or DocumentError; the others have been seen to, or are by the next turns.
        """
        wrong = self._take_index(box)
        if not self._ledger.revision:
            return False
        end = time.monotonic() + TURN_MAX
        missing = False
        try:
            for name, collection in self._collections.items():
                shards = self._ledger.index.get(name, {})
                try:
                    self._clear(name, shards)
                    due = self._due(name, collection, may_ask=may_ask)
                    wrong = self._take_all(name, collection, due, end) or wrong
                finally:
                    collection.finish(shards)
                missing = self._note(name, collection, may_ask=may_ask) or missing
        finally:
            self._ledger.save()
        if wrong:
            raise DocumentError(wrong)
        return missing

    def _take_index(self, box: node_commands.Row | None) -> str:
        if box is None or not box.documents or box.documents == self._index_seen:
            return ""
        # Another node may have put an older box back.
        if box.revision < self._ledger.revision:
            return ""
        self._index_seen = box.documents
        node, key = self._api.node, self._api.key
        try:
            index = node_documents.unseal_index(key, node, box.revision, box.documents)
        except ValueError as error:
            return str(error)
        self._not_before.clear()
        self._ledger.note(box.revision, index)
        return ""

    def _clear(self, name: str, shards: Mapping[str, int]) -> None:
        """Let go of the shards that are no more."""
        places = {_place(name, shard) for shard in shards}
        for place in self._ledger.present(f"{FOLDER}/{name}"):
            if place not in places:
                self._ledger.remove(place)

    def _due(
        self, name: str, collection: base.Collection, *, may_ask: bool
    ) -> list[tuple[str, int]]:
        """Return the shards, with the revision that they are to have, to be seen to now."""
        now = time.monotonic()
        return [
            (shard, revision)
            for shard, revision in self._ledger.index.get(name, {}).items()
            if not self._is_in_force(name, collection, shard, revision)
            and now >= self._not_before.get((name, shard), 0.0)
            and (may_ask or self._ledger.revision_of(_place(name, shard)) >= revision)
        ]

    def _take_all(
        self, name: str, collection: base.Collection, due: list[tuple[str, int]], end: float
    ) -> str:
        """Take what is due, until *end*; returns what is wrong with the last that is none."""
        wrong = ""
        for shard, revision in due:
            now = time.monotonic()
            if now > end:
                break
            try:
                self._take(name, collection, shard, revision)
            except (DocumentError, ValueError) as error:
                self._not_before[name, shard] = now + AGAIN
                wrong = f"{name}/{shard}: {error}"
        return wrong

    def _take(self, name: str, collection: base.Collection, shard: str, revision: int) -> None:
        held = self._ledger.revision_of(_place(name, shard))
        if held >= revision:
            # What is made of it is lost, or was never finished.
            collection.take(shard, self._ledger.read(_place(name, shard)), held)
            return
        row, content = self._fetch(name, shard)
        if row.revision < revision:
            raise DocumentError("it is older than the index says")
        collection.take(shard, content, row.revision)
        self._ledger.write(_place(name, shard), content, row.revision)

    def _fetch(self, name: str, shard: str) -> tuple[node_documents.Row, bytes]:
        node, key = self._api.node, self._api.key
        uuid = node_documents.row_uuid(node, name, shard)
        value = self._api.read(node_documents.KIND, uuid)
        if value is None:
            raise DocumentError("the control plane has none")
        row = node_documents.parse(value)
        if (row.collection, row.shard) != (name, shard):
            raise DocumentError("it is another one")
        return row, node_documents.unseal(key, node, row)

    def _note(self, name: str, collection: base.Collection, *, may_ask: bool) -> bool:
        """Note what is in force; returns whether something is still to be done at once."""
        if name not in self._ledger.index:
            self.applied.pop(name, None)
            return False
        shards = self._ledger.index[name].items()
        if all(self._is_in_force(name, collection, *shard) for shard in shards):
            self.applied[name] = self._ledger.revision
            return False
        return bool(self._due(name, collection, may_ask=may_ask))

    def _is_in_force(
        self, name: str, collection: base.Collection, shard: str, revision: int
    ) -> bool:
        held = self._ledger.revision_of(_place(name, shard))
        return held >= revision and collection.is_sound(shard, held)


def _place(name: str, shard: str) -> str:
    return f"{FOLDER}/{name}/{shard}"
