# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Notices of the control plane, in the files that its documents are kept in."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import notices
from exordos_paas_mail.node.webhooks import shards

if tp.TYPE_CHECKING:
    import pathlib


class Notices:
    """The files in *directory*, one a shard; without them there are no notices."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._seen: dict[str, shards.Stamp] = {}
        self._firsts: dict[str, int] = {}

    @property
    def first(self) -> int:
        """The smallest number that was read of the files as they are, 0 where there is none."""
        return min(self._firsts.values(), default=0)

    def read(self) -> list[notices.Notice]:
        """Return what is in the files that have changed, in the order of the numbers.

        Raises OSError, and ValueError where one of them is no document: it is not read
        again until it has changed, and the next call goes on with the others.
        """
        found: list[notices.Notice] = []
        wrong: ValueError | None = None
        for path in self._changed():
            self._firsts.pop(path.name, None)
            try:
                read = notices.parse(path.read_bytes())
            except ValueError as error:
                wrong = error
                continue
            except FileNotFoundError:
                self._seen.pop(path.name, None)
                continue
            if read:
                self._firsts[path.name] = min(one.number for one in read)
            found += read
        if wrong is not None and not found:
            raise wrong
        return sorted(found, key=lambda one: one.number)

    def forget(self) -> None:
        """Have all be read again: what was read is not kept."""
        self._seen.clear()

    def _changed(self) -> list[pathlib.Path]:
        present = shards.present(self._directory)
        changed = sorted(name for name, stamp in present.items() if self._seen.get(name) != stamp)
        self._seen = present
        self._firsts = {name: first for name, first in self._firsts.items() if name in present}
        return [self._directory / name for name in changed]
