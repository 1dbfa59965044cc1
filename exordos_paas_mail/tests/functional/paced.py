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
        self._allowed = 0
        # Of what is left at a moment, half is kept back until so many seconds later.
        self._pace: tuple[int, float, float] | None = None
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

    def allow(self, count: int) -> None:
        """Have them wait once so much is done."""
        self._allowed = count

    @contextlib.contextmanager
    def slowed(self, seconds: float) -> tp.Iterator[None]:
        """Have what is allowed last for as long as the block runs, however long that is.

        They come half the way to it in so many *seconds*, and half of the rest in as many: at
        any time there is something left to do. No seconds are no pace.
        """
        self._pace = (self.done(), time.monotonic(), seconds) if seconds else None
        try:
            yield
        finally:
            self._pace = None

    def is_at_work(self) -> bool:
        """Return whether less is done than is allowed in the end."""
        return self.done() < self._allowed

    @abc.abstractmethod
    def done(self) -> int:
        """Return how much is done."""

    @abc.abstractmethod
    def met(self) -> int:
        """Return how much of what was under way was cut off."""

    @abc.abstractmethod
    def _run(self, number: int) -> None:
        """Work as the client of that number while there is more to do."""

    def _has_more(self) -> bool:
        """Wait until more is allowed; return whether there is more to do."""
        while not (self._end.is_set() or self.wrong) and self.done() < self.count:
            if self.done() + 1 <= self._allowed_now():
                return True
            self._end.wait(_PAUSE)
        return False

    def _allowed_now(self) -> float:
        pace = self._pace
        if pace is None:
            return self._allowed
        before, begun, seconds = pace
        kept_back: float = 0.5 ** ((time.monotonic() - begun) / seconds)
        return min(before + (self._allowed - before) * (1 - kept_back), self._allowed - 1)
