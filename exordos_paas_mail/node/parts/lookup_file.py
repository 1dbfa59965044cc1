# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A file that exim looks keys up in: ``key:value``, one a line, and its index when it is long."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import cdb, exim_conf
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from collections.abc import Callable

INDEX_CHARACTERS_MIN: tp.Final = 100_000
"""Characters, up to the end mark, that exim's lsearch reads in about the time of an index."""

_MODE = 0o640


class _Content(tp.NamedTuple):
    text: str | None
    indexed: bool


def _index(text: str, file: machine.Signature) -> bytes:
    tie = exim_conf.index_tie(inode=file.inode, size=file.size, mtime=file.mtime)
    return cdb.render_lines(text, (exim_conf.INDEX_TIE_KEY, tie))


class LookupFile:
    """One such file of one machine.

    The file is the source. Where *is_long* is true of its text there is an index
    beside it, tied to the very file it was made from: exim ignores one that is late.
    """

    def __init__(
        self,
        node: machine.Machine,
        *,
        what: str,
        name: str,
        index_name: str,
        is_long: Callable[[str], bool],
    ) -> None:
        self._node, self._what, self._name, self._index_name = node, what, name, index_name
        self._is_long = is_long
        self._file = watched.Watched(node, name, self._parse)
        self._sound_index: tuple[machine.Signature | None, machine.Signature | None] | None = None

    def _parse(self, data: bytes | None) -> _Content:
        if data is None:
            return _Content(None, indexed=False)
        # Whatever somebody put there has to read as something else than a target.
        text = data.decode("utf-8", errors="replace")
        return _Content(text, self._is_long(text))

    def read(self) -> str | None:
        """Return the text of the file, None when there is none."""
        _, content = self._file.read()
        return content.text

    def holds(self, text: str) -> bool:
        """Return whether the file has *text*, its mode and its owner."""
        file, content = self._file.read()
        return (
            file is not None
            and content.text == text
            and self._node.is_owned(file, _MODE, exim=True)
        )

    def faults(self) -> list[str]:
        """Return what is to be repaired although the text may be right."""
        file, content = self._file.read()
        if file is None or content.text is None:
            return [f"{self._what} is missing"]
        faults = []
        if not self._node.is_owned(file, _MODE, exim=True):
            faults.append(f"{self._what} has another mode or owner")
        if not self._is_index_sound(file, content):
            faults.append(f"the index is not that of {self._what}")
        return faults

    def ensure(self, text: str) -> bool:
        """Make the file and its index hold *text*; returns whether the file had to be written."""
        changed = not self.holds(text)
        if changed:
            self._node.ensure_file(self._name, text.encode(), _MODE, exim=True)
        self._ensure_index()
        return changed

    def _ensure_index(self) -> None:
        file, content = self._file.read()
        if file is None or content.text is None:
            raise machine.MachineError(f"{self._what} vanished")
        if content.indexed:
            data = _index(content.text, file)
            self._node.ensure_file(self._index_name, data, _MODE, exim=True)
        else:
            self._node.ensure_absent(self._index_name)
        self._sound_index = (file, self._node.signature(self._index_name))

    def _is_index_sound(self, file: machine.Signature, content: _Content) -> bool:
        index = self._node.signature(self._index_name)
        if not content.indexed or content.text is None:
            return not self._node.exists(self._index_name)
        if index is None or not self._node.is_owned(index, _MODE, exim=True):
            return False
        if self._sound_index == (file, index):
            return True
        if self._node.read(self._index_name) != _index(content.text, file):
            return False
        self._sound_index = (file, index)
        return True


class LookupPart:
    """What a part has that is one such file: a ``base.Part`` but for ``check``.

    exim looks at the file anew each time it looks something up, so a change owes no reload.
    """

    name: tp.ClassVar[str]
    what: tp.ClassVar[str]
    """The file, in messages."""
    file: tp.ClassVar[str]
    index: tp.ClassVar[str]

    def __init__(self, node: machine.Machine) -> None:
        self._file = LookupFile(
            node, what=self.what, name=self.file, index_name=self.index, is_long=_is_long
        )

    def read(self) -> str:
        """Return the text of the file, empty when there is none."""
        return self._file.read() or ""

    def faults(self) -> list[str]:
        """Return what ``ensure`` has to repair even where the text is the target's."""
        return self._file.faults()

    def ensure(self, text: str) -> bool:
        """Make *text* the file; returns whether it had to be written."""
        return self._file.ensure(text)


def _is_long(text: str) -> bool:
    return len(text) >= INDEX_CHARACTERS_MIN
