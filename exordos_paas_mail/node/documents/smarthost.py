# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The server that mail goes by: a table that exim looks it up in, and mail that waits.

``smarthost/host`` is the table, and ``smarthost/tried`` the digest of the one that mail which
waits is tried by. Where they differ, exim's retry times are of another server or another
password: they are forgotten.
"""

from __future__ import annotations

import hashlib
import typing as tp

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import smarthosts

if tp.TYPE_CHECKING:
    from collections.abc import Callable

    from exordos_paas_mail.node.documents import ledger as ledger_

FOLDER: tp.Final = "smarthost"
TABLE: tp.Final = f"{FOLDER}/host"
TRIED: tp.Final = f"{FOLDER}/tried"

_MODE = 0o600


class Smarthost:
    """A ``base.Collection``; its table is known to *ledger*.

    *forget* has what waits be tried at once; OSError and MachineError where it cannot.
    """

    def __init__(self, ledger: ledger_.Ledger, forget: Callable[[], None]) -> None:
        self._ledger = ledger
        self._forget = forget
        self._tried = ledger.directory / TRIED
        self._made = 0

    def is_sound(self, shard: str, revision: int) -> bool:  # noqa: ARG002 - there is one
        """Return whether the table is that of *revision*, as this release makes it."""
        # The data disk may have it of another release, which knew less of the document or more.
        return self._made == revision == self._ledger.revision_of(TABLE)

    def take(self, shard: str, content: bytes, revision: int) -> None:  # noqa: ARG002 - as above
        """Make the table; what is there already is not written."""
        table = smarthosts.table(smarthosts.parse(content))
        if self._ledger.revision_of(TABLE) != revision or self._read() != table:
            self._ledger.write(TABLE, table, revision)
        self._made = revision

    def finish(self, shards: tp.Collection[str]) -> None:
        """Have what waits be tried by another table than before."""
        if smarthosts.SHARD not in shards:
            self._ledger.remove(TABLE)
        wanted = self._digest()
        if wanted != self._read_tried():
            # In this order: who is killed in between forgets once more.
            self._forget()
            self._tried.parent.mkdir(mode=0o700, exist_ok=True)
            atomic_files.replace(self._tried, wanted, _MODE)

    def route(self) -> smarthosts.Route | None:
        """Return which mail goes by the smarthost, None where there is none."""
        return smarthosts.route(self._read())

    def _digest(self) -> bytes:
        """Return what tells a table from any other; nothing where there is none."""
        content = self._read()
        return hashlib.sha256(content).hexdigest().encode() if content else b""

    def _read(self) -> bytes:
        try:
            return self._ledger.read(TABLE)
        except (FileNotFoundError, NotADirectoryError):
            return b""

    def _read_tried(self) -> bytes:
        try:
            return self._tried.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return b""
