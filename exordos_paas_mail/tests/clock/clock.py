# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A clock that is set under running processes, for the processes of the bench alone.

Each program that is started while a ``Clock`` is there asks clock.c for the time of day. exim
cleans its environment and changes its user: only /etc/ld.so.preload, which is the bench's own,
reaches all of its processes (ld.so(8)).
"""

from __future__ import annotations

import pathlib
import struct
import subprocess
import time
import typing as tp

DAY: tp.Final = 86_400
_SOURCE: tp.Final = pathlib.Path(__file__).with_suffix(".c")
# Where exim's user gets to.
_LIBRARY: tp.Final = pathlib.Path("/run/clock.so")
_FILE: tp.Final = pathlib.Path("/run/clock")
_PRELOAD: tp.Final = pathlib.Path("/etc/ld.so.preload")


class Clock:
    """The clock of what is started from now on, until it is closed. It is right at first."""

    def __init__(self) -> None:
        self.set(0)
        defined = f'-DCLOCK_FILE="{_FILE}"'
        options = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", defined)
        subprocess.run(["cc", *options, "-o", _LIBRARY, _SOURCE], check=True)
        _PRELOAD.write_text(f"{_LIBRARY}\n")

    def set(self, ahead: int) -> None:
        """Have the clock be ahead of the machine's by so many seconds, in all processes at once."""
        data = struct.pack("=q", ahead)
        if _FILE.exists():
            with _FILE.open("r+b") as file:
                file.write(data)
        else:
            _FILE.write_bytes(data)
        self.ahead = ahead

    def now(self) -> float:
        """Return what the clock shows, in seconds since 1970."""
        return time.time() + self.ahead

    def close(self) -> None:
        """Have what is started from now on go by the machine's clock; the rest is as it was."""
        _PRELOAD.unlink()
