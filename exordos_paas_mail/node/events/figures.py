# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Tells on the node what was counted of events, for whoever writes its metrics.

Nobody else can read the store while its daemon has it open.
"""

from __future__ import annotations

import time
import typing as tp

from exordos_paas_mail import atomic_files
from exordos_paas_mail.codecs import event_figures

if tp.TYPE_CHECKING:
    import pathlib

    from exordos_paas_mail.node.events import recorder as recorder_

PERIOD: tp.Final = 5.0


class Teller:
    """Keeps the file at *path* what a recorder has counted."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._next = 0.0

    def turn(self, recorder: recorder_.Recorder) -> None:
        """Write the file, if it is time.

        Raises OSError, sqlite3.OperationalError and store.DamagedError; it is then
        written at the next time.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + PERIOD
        count, size = recorder.store.waiting()
        figures = event_figures.Figures(
            at=time.time_ns() // 1_000_000,
            read_at=recorder.read_at,
            waiting=count,
            waiting_bytes=size,
            oldest_at=recorder.store.oldest_at(),
            counters=recorder.store.counters(),
        )
        atomic_files.replace(self._path, event_figures.render(figures), 0o640, durable=False)
