# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Recipients that nothing is sent to: a cdb a shard, which exim looks them up in.

``suppressed/<shard>.cdb``, and ``suppressed/state``: a number that grows with each
change, by which a session of exim knows that it has to open files anew, and what a
client is answered (``templates/exim4/acl/suppressed.j2``).
"""

from __future__ import annotations

import re
import time
import typing as tp

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import cdb, suppressions

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node.documents import ledger as ledger_

FOLDER: tp.Final = "suppressed"
STATE: tp.Final = "state"

_MODE = 0o600
_STATE = re.compile(r"(?P<serial>\d{1,20}) (?P<action>[a-z_]+)")


class Suppressed:
    """A ``base.Collection``; its files are known to *ledger*."""

    def __init__(self, ledger: ledger_.Ledger) -> None:
        self._ledger = ledger
        self._state = ledger.directory / FOLDER / STATE
        self._changed = False

    def is_sound(self, shard: str, revision: int) -> bool:
        """Return whether the cdb of *shard* is that of *revision*."""
        return self._ledger.revision_of(_name(shard)) == revision

    def take(self, shard: str, content: bytes, revision: int) -> None:
        """Make the cdb of *shard*."""
        if shard == suppressions.SETTINGS:
            suppressions.parse_settings(content)
            made = content
        else:
            made = cdb.render(suppressions.records(suppressions.parse(content, shard)))
        self._changed = True
        self._ledger.write(_name(shard), made, revision)

    def finish(self, shards: tp.Collection[str]) -> None:
        """Have sessions open the files anew; without entries there is nothing to open."""
        is_any = bool(set(shards) - {suppressions.SETTINGS})
        names = {_name(shard) for shard in shards}
        for name in self._ledger.present(FOLDER):
            if name not in names and (name != f"{FOLDER}/{STATE}" or not is_any):
                self._ledger.remove(name)
                self._changed = True
        if not is_any:
            self._changed = False
            return
        serial, action = self._read_state()
        wanted = self._action(shards)
        if self._changed or action != wanted:
            content = f"{max(time.time_ns(), serial + 1)} {wanted}"
            self._state.parent.mkdir(mode=0o700, exist_ok=True)
            atomic_files.replace(self._state, content.encode(), _MODE)
            self._changed = False

    def _action(self, shards: tp.Collection[str]) -> str:
        settings = suppressions.Settings()
        if suppressions.SETTINGS in shards and self._ledger.revision_of(
            _name(suppressions.SETTINGS)
        ):
            content = self._ledger.read(_name(suppressions.SETTINGS))
            settings = suppressions.parse_settings(content)
        return settings.action.value

    def _read_state(self) -> tuple[int, str]:
        try:
            match = _STATE.fullmatch(self._state.read_text(encoding="ascii", errors="replace"))
        except (FileNotFoundError, IsADirectoryError):
            match = None
        return (int(match["serial"]), match["action"]) if match else (0, "")


def _name(shard: str) -> str:
    return f"{FOLDER}/{shard}" if shard == suppressions.SETTINGS else f"{FOLDER}/{shard}.cdb"
