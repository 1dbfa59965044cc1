# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What recipients' domains enforce by MTA-STS, as exordos-mail-sts has it for exim."""

from __future__ import annotations

import os
import types
import typing as tp

from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

_Stamp = tuple[int, int, int]
NOTHING: tp.Final[Mapping[str, str]] = types.MappingProxyType({})


class Published:
    """The files in *folder*, each read once for each of its versions.

    They are replaced by renaming, so that a look costs one stat(2) while none is. One that cannot
    be read counts as it was read last.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._looked_at = -1
        """The folder's time stamp; -1 where it has to be looked at again."""
        self._stamps: dict[str, _Stamp] = {}
        self._shards: dict[str, Mapping[str, mta_sts.Enforced]] = {}
        self._enforced = NOTHING
        self._ends_at = 0

    def read(self, now: float) -> Mapping[str, str]:
        """Return which servers mail may go to, as a regular expression, by the domain.

        *now* is in seconds since 1970. The same object as before where it is the same. Raises
        OSError where the folder cannot be looked at.
        """
        if self._reread() or now >= self._ends_at:
            known = {name: one for shard in self._shards.values() for name, one in shard.items()}
            lasting = {name: one for name, one in known.items() if one.until > now}
            self._ends_at = min((one.until for one in lasting.values()), default=_NEVER)
            enforced = {name: one.mx for name, one in lasting.items()}
            if enforced != self._enforced:
                self._enforced = types.MappingProxyType(enforced)
        return self._enforced

    def _reread(self) -> bool:
        """Read what is new; return whether there was something."""
        try:
            changed_at = self._folder.stat().st_mtime_ns
            if changed_at == self._looked_at:
                return False
            stamps = {}
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name in mta_sts.SHARDS:
                        status = entry.stat(follow_symlinks=False)
                        stamps[entry.name] = status.st_ino, status.st_size, status.st_mtime_ns
        except FileNotFoundError:
            changed_at, stamps = -1, {}
        # A file that is replaced within the tick of a clock may leave the folder as it is.
        self._looked_at = changed_at if watched.is_settled(changed_at) else -1
        changed = {name for name, _ in stamps.items() ^ self._stamps.items()}
        for name in changed:
            if name not in stamps:
                self._shards.pop(name, None)
                continue
            try:
                content = (self._folder / name).read_text("ascii", "replace")
            except OSError:
                # It is tried again at the next look. exim has mail wait for it (panic log).
                del stamps[name]
                self._looked_at = -1
            else:
                self._shards[name] = mta_sts.enforced(content)
        self._stamps = stamps
        return bool(changed)


_NEVER: tp.Final = 2**63
