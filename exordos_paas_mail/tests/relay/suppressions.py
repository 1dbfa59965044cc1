# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The recipients that are suppressed, as exordos-mail-queue has exim know them."""

from __future__ import annotations

import pathlib
import shutil
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import suppressions
from exordos_paas_mail.node.documents import ledger, suppressed

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

STORE: tp.Final = pathlib.Path(constants.EVENTS_DIR)
FOLDER: tp.Final = STORE / suppressed.FOLDER
SINCE: tp.Final = 1764115200
"""2025-11-26."""


def own(path: pathlib.Path) -> None:
    """Have exim's user, as whom the daemon runs, own *path* and what is in it."""
    for one in (path, *path.rglob("*")):
        shutil.chown(one, constants.EXIM_USER, constants.EXIM_GROUP)


class Suppressed:
    """What is suppressed; the daemon tells it shard by shard."""

    def __init__(self) -> None:
        STORE.mkdir(parents=True, exist_ok=True)
        shutil.chown(STORE, constants.EXIM_USER, constants.EXIM_GROUP)
        self._collection = suppressed.Suppressed(ledger.Ledger(STORE))
        self._revision = 0

    def tell(
        self,
        entries: Iterable[suppressions.Entry] = (),
        action: suppressions.Action = suppressions.Action.REJECT,
    ) -> None:
        """Have exactly *entries* be suppressed."""
        self._revision += 1
        shards: dict[str, list[suppressions.Entry]] = {}
        for entry in entries:
            shards.setdefault(suppressions.shard_of(entry.address), []).append(entry)
        contents = {shard: suppressions.render(some) for shard, some in shards.items()}
        settings = suppressions.Settings(action)
        contents[suppressions.SETTINGS] = suppressions.render_settings(settings)
        for shard, content in contents.items():
            self._collection.take(shard, content, self._revision)
        own(FOLDER)
        self._collection.finish(contents)
        own(FOLDER)

    def forget(self) -> None:
        """Have it be as on a node that was never told."""
        shutil.rmtree(FOLDER, ignore_errors=True)


def path_of(address: str) -> pathlib.Path:
    """Return the cdb that *address* is looked up in."""
    return FOLDER / f"{suppressions.shard_of(address)}.cdb"
