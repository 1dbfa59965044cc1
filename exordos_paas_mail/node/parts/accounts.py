# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The account file on the node, its index, and the reload that a change of it owes."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import cdb, exim_conf, passwd
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.machine import watched

# exim's lsearch reads the file from its start, a look-up in the index and the
# check that it belongs to the file cost the same as about so many lines.
INDEX_ACCOUNTS_MIN: tp.Final = 1000

_MODE = 0o640


class _Content(tp.NamedTuple):
    text: str | None
    indexed: bool


def _parse(data: bytes | None) -> _Content:
    if data is None:
        return _Content(None, indexed=False)
    # Whatever somebody put there has to read as something else than a target.
    text = data.decode("utf-8", errors="replace")
    return _Content(text, _is_indexed(text))


def _is_indexed(text: str) -> bool:
    return text.count("\n") >= INDEX_ACCOUNTS_MIN


def _index(text: str, file: machine.Signature) -> bytes:
    tie = exim_conf.index_tie(inode=file.inode, size=file.size, mtime=file.mtime)
    records = [(exim_conf.INDEX_TIE_KEY, tie)]
    for line in text.splitlines():
        key, _, value = line.partition(":")
        records.append((key, value))
    return cdb.render(records)


class Accounts:
    """The accounts exim knows on one machine, a ``base.Part``.

    The file is the source. Beyond INDEX_ACCOUNTS_MIN accounts there is an index
    beside it, tied to the very file it was made from: exim ignores one that is
    late. A marker on disk stands for a reload that is still owed, so that
    neither a failed reload nor a crash before it is forgotten.
    """

    name: tp.ClassVar[str] = "accounts"

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._file = watched.Watched(node, constants.PASSWD_FILE, _parse)
        self._sound_index: tuple[machine.Signature | None, machine.Signature | None] | None = None
        # Dovecot scheme prefixes that the target came with, by address. They never
        # reach the file; put back in what is read, they let the target settle.
        self._prefixes: dict[str, str] = {}

    def check(self, text: str, domain: str) -> None:
        """Raise ValueError, naming the line, unless *text* is an account file of *domain*."""
        plain, _ = passwd.split_prefixes(text)
        passwd.parse(plain, domain)

    def read(self) -> str:
        """Return the text of the account file, empty when there is none."""
        _, content = self._file.read()
        return passwd.join_prefixes(content.text or "", self._prefixes)

    def faults(self) -> list[str]:
        """Return what ``ensure`` has to repair even where the text is the target's."""
        file, content = self._file.read()
        if file is None or content.text is None:
            return ["the account file is missing"]
        faults = []
        if not self._node.is_owned(file, _MODE, exim=True):
            faults.append("the account file has another mode or owner")
        if self._node.exists(constants.RELOAD_PENDING_FILE):
            faults.append("a reload is owed")
        if not self._is_index_sound(file, content):
            faults.append("the index is not the account file's")
        return faults

    def ensure(self, text: str) -> bool:
        """Make *text* the account file and have exim reload; returns whether it changed."""
        text, self._prefixes = passwd.split_prefixes(text)
        file, content = self._file.read()
        changed = (
            file is None or content.text != text or not self._node.is_owned(file, _MODE, exim=True)
        )
        if changed:
            self._node.ensure_file(constants.RELOAD_PENDING_FILE, b"", 0o600)
            self._node.ensure_file(constants.PASSWD_FILE, text.encode(), _MODE, exim=True)
        self._ensure_index()
        if self._node.exists(constants.RELOAD_PENDING_FILE):
            self._node.reload_relay()
            self._node.ensure_absent(constants.RELOAD_PENDING_FILE)
        return changed

    def _ensure_index(self) -> None:
        file, content = self._file.read()
        if file is None or content.text is None:
            raise machine.MachineError("the account file vanished")
        if content.indexed:
            data = _index(content.text, file)
            self._node.ensure_file(constants.PASSWD_INDEX_FILE, data, _MODE, exim=True)
        else:
            self._node.ensure_absent(constants.PASSWD_INDEX_FILE)
        self._sound_index = (file, self._node.signature(constants.PASSWD_INDEX_FILE))

    def _is_index_sound(self, file: machine.Signature, content: _Content) -> bool:
        index = self._node.signature(constants.PASSWD_INDEX_FILE)
        if not content.indexed or content.text is None:
            return not self._node.exists(constants.PASSWD_INDEX_FILE)
        if index is None or not self._node.is_owned(index, _MODE, exim=True):
            return False
        if self._sound_index == (file, index):
            return True
        if self._node.read(constants.PASSWD_INDEX_FILE) != _index(content.text, file):
            return False
        self._sound_index = (file, index)
        return True
