# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-policy beside the relay, as its units run it, and the file of limits."""

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
from exordos_paas_mail.codecs import limits
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

LIMITS = pathlib.Path(constants.LIMITS_FILE)
SOCKET = pathlib.Path(constants.POLICY_SOCKET)
ALIVE = pathlib.Path(constants.POLICY_ALIVE_FILE)
STORE = pathlib.Path(constants.EVENTS_DIR)
PROGRAM = pathlib.Path(sys.prefix, "bin", "exordos-mail-policy")


class Policy:
    """The daemon, behind a socket that outlives it (exordos-mail-policy.socket)."""

    def __init__(self) -> None:
        for folder in (STORE, ALIVE.parent):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(folder, "Debian-exim", "Debian-exim")
        for left in STORE.glob("limits.sqlite*"):
            left.unlink()
        SOCKET.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(SOCKET))
        shutil.chown(SOCKET, "Debian-exim", "Debian-exim")
        SOCKET.chmod(0o600)
        self.socket.listen(4096)
        self.start()

    def start(self) -> None:
        """Start it, and return once it gives a sign of life; the last one stays for so long."""
        before = _beat()
        number = self.socket.fileno()
        script = f'exec 3<&{number}; export LISTEN_PID=$$; exec "$0" "$@"'
        # There are no groups here to have a CPUWeight.
        first = ["nice", "-n", "-10"]
        user = ["setpriv", "--reuid=Debian-exim", "--regid=Debian-exim", "--clear-groups"]
        command = ["bash", "-c", script, *first, *user, str(PROGRAM)]
        self.process = subprocess.Popen(command, pass_fds=[number])
        deadline = time.monotonic() + units.PATIENCE
        while _beat() == before:
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

    @staticmethod
    def set_sign_of_life(age: float) -> None:
        """Have the last sign of life be *age* seconds old; one that runs gives another."""
        at = time.time() - age
        os.utime(ALIVE, (at, at))

    def close(self) -> None:
        self.kill()
        self.socket.close()
        for path in (SOCKET, ALIVE, LIMITS):
            path.unlink(missing_ok=True)


def _beat() -> int:
    return ALIVE.stat().st_mtime_ns if ALIVE.exists() else 0


def limit(
    instance: dict[str, int | None] | None = None,
    on_limit: str = limits.DEFER,
    **accounts: dict[str, int | None],
) -> None:
    """Replace the file of limits; *accounts* are by user name."""
    own = [(name, numbers, on_limit) for name, numbers in accounts.items()]
    relay_.install(LIMITS, limits.render(instance or {}, own, relay_.DOMAIN))
