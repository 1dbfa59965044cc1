# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are read again only when they have changed."""

from __future__ import annotations

import operator
import os
import time
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exordos_paas_mail.node import machine

T = tp.TypeVar("T")

# A file system's clock ticks more slowly than its time stamps suggest: a
# change that follows another within this many seconds may leave the same ones.
_SETTLING_TIME = 1.0

# The time of change first. Not the time of the last access: exim reads keys.
_stamp = operator.attrgetter(
    "st_ctime_ns", "st_ino", "st_size", "st_mtime_ns", "st_mode", "st_uid", "st_gid"
)


def is_settled(changed_ns: int) -> bool:
    """Return whether a file that was changed then has other stamps after its next change.

    A time that is still to come is one of before the clock was set back.
    """
    return abs(time.time() - changed_ns / 1e9) > _SETTLING_TIME


class Watched(tp.Generic[T]):
    """A file parsed once for each of its versions.

    ``read`` costs one stat(2) while the file stays as it is.
    """

    def __init__(
        self, node: machine.Machine, name: str, parse: Callable[[bytes | None], T]
    ) -> None:
        self._node = node
        self._name = name
        self._parse = parse
        self._seen: tuple[machine.Signature | None, T] | None = None

    def read(self) -> tuple[machine.Signature | None, T]:
        """Return the file's signature, None when there is none, and its parsed content."""
        signature = self._node.signature(self._name)
        if self._seen is not None and self._seen[0] == signature:
            return self._seen
        content = None if signature is None else self._node.read(self._name)
        seen = (None if content is None else signature, self._parse(content))
        settled = signature is None or is_settled(signature.ctime_ns)
        self._seen = seen if settled else None
        return seen


class Sweep(tp.Generic[T]):
    """What is known of many files together, found out anew when one of them has changed.

    ``read`` costs one stat(2) a file, and little beside it, while all stay as they are.
    Links are looked at themselves among *files*, and followed among *directories*.
    """

    def __init__(
        self, node: machine.Machine, *, files: Iterable[str], directories: Iterable[str]
    ) -> None:
        self._files = [str(node.path(name)) for name in files]
        self._directories = [str(node.path(name)) for name in directories]
        self._seen: tuple[list[tp.Any], T] | None = None

    def read(self, find_out: Callable[[], T]) -> T:
        """Return what *find_out* returned when the files were last as they are now.

        While one of them is missing it is found out each time.
        """
        try:
            stamps = [
                *map(_stamp, map(os.lstat, self._files)),
                *map(_stamp, map(os.stat, self._directories)),
            ]
        except (FileNotFoundError, NotADirectoryError):
            return find_out()
        if self._seen is not None and self._seen[0] == stamps:
            return self._seen[1]
        found = find_out()
        newest = max((stamp[0] for stamp in stamps), default=0)
        self._seen = (stamps, found) if is_settled(newest) else None
        return found
