# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Clients at a time that go on whatever happens, and no faster than they are allowed to."""

from __future__ import annotations

import abc
import contextlib
import threading
import time
import typing as tp

# Of a client that has done what is allowed, in seconds.
_PAUSE: tp.Final = 0.05


class Clients(abc.ABC):
    """Threads that do something until *count* of it is done; nothing, until they are allowed to."""

    def __init__(self, count: int, clients: int) -> None:
        self.count = count
        # From how much, to how much, from when on, in how many seconds.
        self._pace = (0, 0, 0.0, 0.0)
        self.wrong: list[str] = []
        """What has stopped a client, and the others with it."""
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(clients)
        ]

    @contextlib.contextmanager
    def running(self) -> tp.Iterator[None]:
        """Have them at work while the block runs."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in self._threads:
                thread.join()

    def allow(self, count: int, seconds: float = 0) -> None:
        """Have them wait once so much is done, which they come to evenly in so many seconds."""
        self._pace = (self.done(), count, time.monotonic(), seconds)

    def is_at_work(self) -> bool:
        """Return whether less is done than is allowed in the end."""
        _, count, _, _ = self._pace
        return self.done() < count

    @abc.abstractmethod
    def done(self) -> int:
        """Return how much is done."""

    @abc.abstractmethod
    def _run(self, number: int) -> None:
        """Work as the client of that number while there is more to do."""

    def _has_more(self) -> bool:
        """Wait until more is allowed; return whether there is more to do."""
        while not (self._end.is_set() or self.wrong) and self.done() < self.count:
            if self.done() < self._allowed_now():
                return True
            self._end.wait(_PAUSE)
        return False

    def _allowed_now(self) -> float:
        before, count, begun, seconds = self._pace
        passed = time.monotonic() - begun
        if passed >= seconds:
            return count
        return before + (count - before) * passed / seconds
