# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A daemon that exim asks, beside the relay and behind a socket, as its units run it."""

from __future__ import annotations

import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

from exordos_paas_mail import constants
from exordos_paas_mail.tests.relay import units

STORE = pathlib.Path(constants.EVENTS_DIR)


class Daemon:
    """The program *name*, behind *path*, a socket that outlives it; *alive* is its sign of life."""

    def __init__(self, name: str, path: str, alive: str, *options: str) -> None:
        self._path, self._alive = pathlib.Path(path), pathlib.Path(alive)
        self._command = [str(pathlib.Path(sys.prefix, "bin", name)), *options]
        for folder in (STORE, self._alive.parent):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(folder, "Debian-exim", "Debian-exim")
        self._path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self._path))
        shutil.chown(self._path, "Debian-exim", "Debian-exim")
        self._path.chmod(0o600)
        self.socket.listen(4096)
        self.start()

    def start(self) -> None:
        """Start it, and return once it gives a sign of life; the last one stays for so long."""
        before = self._beat()
        number = self.socket.fileno()
        script = f'exec 3<&{number}; export LISTEN_PID=$$; exec "$0" "$@"'
        # There are no groups here to have a CPUWeight.
        first = ["nice", "-n", "-10"]
        user = ["setpriv", "--reuid=Debian-exim", "--regid=Debian-exim", "--clear-groups"]
        self.process = subprocess.Popen(
            ["bash", "-c", script, *first, *user, *self._command], pass_fds=[number]
        )
        deadline = time.monotonic() + units.PATIENCE
        while self._beat() == before:
            assert self.process.poll() is None, "it has ended"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(units.PATIENCE)

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def unanswered(self) -> int:
        """Return how often exim has asked, since this was called last, while nobody answers."""
        count = 0
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.accept()[0].close()
            count += 1
        return count

    def set_sign_of_life(self, age: float) -> None:
        """Have the last sign of life be *age* seconds old; one that runs gives another."""
        at = time.time() - age
        os.utime(self._alive, (at, at))

    def close(self) -> None:
        self.kill()
        self.socket.close()
        for path in (self._path, self._alive):
            path.unlink(missing_ok=True)

    def _beat(self) -> int:
        return self._alive.stat().st_mtime_ns if self._alive.exists() else 0
