# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A file that is read again only when it has changed."""

from __future__ import annotations

import time
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Callable

    from exordos_paas_mail.node import machine

T = tp.TypeVar("T")

# A file system's clock ticks more slowly than its time stamps suggest: a
# change that follows another within this many seconds may leave the same ones.
_SETTLING_TIME = 1.0


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
        settled = signature is None or time.time() - signature.ctime_ns / 1e9 > _SETTLING_TIME
        self._seen = seen if settled else None
        return seen
