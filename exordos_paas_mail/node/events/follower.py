# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Exim's log, read on from where it was left.

A file of the log is known by its first line, which no other has: it stays so when
logrotate renames it, copies it or packs it. Files follow each other by those lines,
which begin with their time.
"""

from __future__ import annotations

import dataclasses
import gzip
import os
import time
import typing as tp
import zlib

if tp.TYPE_CHECKING:
    import pathlib

CHUNK_SIZE: tp.Final = 128 * 1024
# The time to the millisecond, the number of a process, and what it said.
_HEAD_SIZE = 256
# More than a line of exim has (main_log.LINE_SIZE_MAX).
_HEAD_WITHIN = 16 * 1024
# A process of exim may write one more line into a file it saw just before it was renamed.
_GRACE = 2.0
# A rotation is a chain of renames; a file that is between two names is back at once.
_PATIENCE = 10.0
_UNREADABLE = (OSError, EOFError, zlib.error)


class Position(tp.NamedTuple):
    """How far the log is read."""

    head: bytes
    """The start of the file's first line."""
    offset: int
    """In octets, of the file as it was before it was packed."""


@dataclasses.dataclass
class _File:
    """A file of the log that is read."""

    handle: tp.IO[bytes]
    is_packed: bool
    head: bytes
    """Empty while its first line is not read."""
    offset: int

    def read(self) -> bytes:
        self.handle.seek(self.offset)
        return self.handle.read(CHUNK_SIZE)

    def is_as_it_was(self) -> bool:
        """Return whether it begins as it did, and is not shorter than what was read of it."""
        if self.is_packed or not self.head:
            return True
        size = os.fstat(self.handle.fileno()).st_size
        return size >= self.offset and _read_head(self.handle) == self.head


class Follower:
    """Reads the log at *path* and the files that it was rotated to, from *position* on.

    Without a position it begins with the file that is written to, at its start.
    """

    def __init__(self, path: pathlib.Path, position: Position | None = None) -> None:
        self.position = position
        """Behind the lines that were read last."""
        self.gaps: list[str] = []
        """Why lines are missing before those that ``read`` returned last."""
        self._path = path
        self._file: _File | None = None
        self._waiting_since: float | None = None

    def read(self) -> list[bytes]:
        """Return the next whole lines, without their ends; none where there are none yet.

        Raises OSError when the log cannot be read.
        """
        self.gaps = []
        file = self._file or self._find()
        if file is None:
            return []
        if not file.is_as_it_was():
            self.close()
            return []
        try:
            data = file.read()
        except _UNREADABLE:
            if not file.is_packed:
                raise
            self.gaps.append("a packed file of the log cannot be read")
            self._open_next(file.head)
            return []
        if not data.endswith(b"\n"):
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) < CHUNK_SIZE:
                self._pass_on(file)
                return []
            # What has no end in so much is no line of exim's.
            data = data[: whole or CHUNK_SIZE]
        self._waiting_since = None
        file.head = file.head or _head_of(data[:_HEAD_WITHIN])
        file.offset += len(data)
        self.position = Position(file.head, file.offset)
        return [line.lstrip(b"\0") for line in data.split(b"\n")[:-1]]

    def sync(self) -> None:
        """Have what was read outlive a power cut, as what is made of it does.

        Without it the log could be shorter afterwards than it was read.
        """
        if self._file is not None and not self._file.is_packed:
            os.fdatasync(self._file.handle.fileno())

    def end(self) -> Position | None:
        """Return the end of the log as it is now, None when there is none."""
        try:
            with self._path.open("rb") as file:
                head = _read_head(file)
                return Position(head, file.seek(0, os.SEEK_END)) if head else None
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Close the file that is read; ``read`` finds it again."""
        if self._file is not None:
            self._file.handle.close()
            self._file = None

    def _find(self) -> _File | None:
        """Open the file that the position is in."""
        if self.position is None:
            return self._open(self._path)
        head, offset = self.position
        heads = self._heads()
        if head in heads:
            return self._open(heads[head], head, offset)
        # Before anything is written there the clock may have been set back.
        if not self._has_waited(_PATIENCE) or self._live_head() is None:
            return None
        self.gaps.append("the file of the log that was being read is gone")
        return self._open_next(head)

    def _pass_on(self, file: _File) -> None:
        """Turn from *file*, read to its end, to the next one, if it is not written to any more."""
        if file.head and self._live_head() != file.head and self._has_waited(_GRACE):
            self._open_next(file.head)

    def _open_next(self, head: bytes) -> _File | None:
        """Open the file after the one that begins with *head*.

        That is the one that is written to where no other is later: the clock was set back.
        """
        heads = self._heads()
        later = sorted(other for other in heads if other > head)
        if not later and self._live_head() is None:
            return None
        return self._open(heads[later[0]] if later else self._path)

    def _open(self, path: pathlib.Path, head: bytes = b"", offset: int = 0) -> _File | None:
        self.close()
        is_packed = path.suffix == ".gz"
        try:
            handle = _open(path)
        except FileNotFoundError:
            return None
        self._file = _File(handle, is_packed, head, offset)
        self._waiting_since = None
        return self._file

    def _live_head(self) -> bytes | None:
        """Return the head of the file that is written to, None while it has no line."""
        try:
            with self._path.open("rb") as file:
                return _read_head(file) or None
        except FileNotFoundError:
            return None

    def _heads(self) -> dict[bytes, pathlib.Path]:
        """Return the files of the log by their first lines; of two copies the unpacked one."""
        found: dict[bytes, pathlib.Path] = {}
        for path in sorted(self._path.parent.glob(f"{self._path.name}*"), reverse=True):
            try:
                with _open(path) as file:
                    head = _read_head(file)
            except _UNREADABLE:
                # Renamed meanwhile, or being packed.
                continue
            if head:
                found[head] = path
        return found

    def _has_waited(self, seconds: float) -> bool:
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since >= seconds


def _open(path: pathlib.Path) -> tp.IO[bytes]:
    if path.suffix == ".gz":
        return tp.cast("tp.IO[bytes]", gzip.open(path))
    return path.open("rb", buffering=0)


def _read_head(file: tp.IO[bytes]) -> bytes:
    file.seek(0)
    return _head_of(file.read(_HEAD_WITHIN))


def _head_of(data: bytes) -> bytes:
    """Return the start of the first line, empty while that is not whole.

    A power cut may leave zeros where a line was.
    """
    line, end, _ = data.lstrip(b"\0").partition(b"\n")
    return line[:_HEAD_SIZE] if end else b""
