# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The watchdog of systemd (sd_notify(3)): a process that says nothing for too long is killed."""

from __future__ import annotations

import os
import socket
import time
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

_SAID: tp.Final = b"WATCHDOG=1"


class Watchdog:
    """The watchdog that *environment* names, if it is this process's; or none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        period = environment.get("WATCHDOG_USEC", "")
        watched = environment.get("WATCHDOG_PID", str(os.getpid()))
        is_watched = bool(address) and period.isdecimal() and watched == str(os.getpid())
        # A name that begins so is of the abstract name space.
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        # As sd_watchdog_enabled(3) has it, but more often: one may be lost.
        self._period = int(period) / 4_000_000 if is_watched else 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if is_watched else None
        if self._socket is not None:
            self._socket.setblocking(False)  # noqa: FBT003 - its only argument
        self._next = 0.0

    def turn(self) -> None:
        """Say that the process goes on, if it is time; raises nothing: it is said again."""
        now = time.monotonic()
        if self._socket is None or now < self._next:
            return
        try:
            self._socket.sendto(_SAID, self._address)
        except OSError:
            # systemd is busy, or executes itself anew.
            return
        self._next = now + self._period

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
