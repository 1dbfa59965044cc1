# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Threads beside the loop of gservice, which runs the builders of all plugins."""

from __future__ import annotations

import logging
import threading
import typing as tp

import psycopg
from gcl_looper.services import basic

LOG = logging.getLogger(__name__)


def repeat(
    stop: threading.Event, seconds: float, once: tp.Callable[[], object], *, of: str
) -> None:
    """Call *once* with a pause of *seconds* before each time, until *stop* is set.

    That the database is away, *of* which a log is to say what it has, is told once, and
    waited for. What else *once* raises is raised.
    """
    is_away = False
    while not stop.wait(seconds):
        try:
            once()
            is_away = False
        except psycopg.Error as error:  # noqa: PERF203 - seconds are between two
            if not is_away:
                LOG.warning("The database of %s cannot be used: %s", of, type(error).__name__)
            is_away = True


class ThreadKeeper(basic.BasicService):
    """Starts a thread *name* at the first pass, and another if it died. A pass never waits.

    *run* is what the thread does until the event that it is given is set. A process has one
    thread of a name; it ends with the process.
    """

    __log_iteration__ = False

    def __init__(self, name: str, run: tp.Callable[[threading.Event], None]) -> None:
        super().__init__()
        self._name = name
        self._run = run
        self._end = threading.Event()

    def _iteration(self) -> None:
        if any(thread.name == self._name for thread in threading.enumerate()):
            return
        self._end.clear()
        threading.Thread(target=self._run, args=(self._end,), name=self._name, daemon=True).start()

    def stop(self) -> None:
        """End the thread after its pause."""
        self._end.set()
        super().stop()
