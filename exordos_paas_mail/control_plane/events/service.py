# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The ingester's place among the services of gservice: it keeps the ingester's thread."""

from __future__ import annotations

import threading
import typing as tp

from gcl_looper.services import basic

from exordos_paas_mail.control_plane.events import ingester

_THREAD: tp.Final = "mailaas-events"


class EventIngester(basic.BasicService):
    """Starts the thread at the first pass, and another if it died. A pass never waits.

    The thread ends with the process.
    """

    __log_iteration__ = False

    def __init__(self, what: ingester.Ingester | None = None) -> None:
        super().__init__()
        self._ingester = what or ingester.Ingester()
        self._stop = threading.Event()

    def _iteration(self) -> None:
        if any(thread.name == _THREAD for thread in threading.enumerate()):
            return
        self._stop.clear()
        thread = threading.Thread(
            target=self._ingester.run, args=(self._stop,), name=_THREAD, daemon=True
        )
        thread.start()

    def stop(self) -> None:
        """End the thread after its pause."""
        self._stop.set()
        super().stop()
