# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the product's exim units where systemd is not process 1.

A stand-in of systemd: it holds the listening sockets of exim4@.socket and runs
the commands of the unit files, read from them, as their user. What it copies of
systemd is checked against the real one by test_systemd.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import typing as tp

UNITS = pathlib.Path(__file__).parents[3] / "etc" / "systemd"
BOOTSTRAP = pathlib.Path(__file__).parents[3] / "exordos" / "images" / "dp_bootstrap.sh"
PORTS = (25, 465, 587)
LOG = pathlib.Path("/var/log/exim4/mainlog")
MESSAGES = pathlib.Path("/var/spool/exim4/input")
PATIENCE = 60
"""Seconds that a test waits for what comes, on a machine that does much else."""
# Stopped, ended and not yet waited for, gone.
_STANDING = frozenset("tTZX")


def read(name: str) -> dict[str, dict[str, list[str]]]:
    """Return the sections of a unit file, every value a list."""
    unit: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in (UNITS / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            unit[section] = {}
        elif line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            unit[section].setdefault(key, []).append(value)
    return unit


class Units:
    """exim4.service, exim4-queue.service, exim4@<port>.socket and exim4@<port>.service."""

    def __init__(self) -> None:
        self._relay = read("exim4.service")["Service"]
        self._queue = read("exim4-queue.service")["Service"]
        self._listener = read("exim4@.service")["Service"]
        self._socket = read("exim4@.socket")["Socket"]
        self.sockets: dict[int, socket.socket] = {}
        self.listeners: dict[int, subprocess.Popen[bytes]] = {}
        self.queue_runner = 0

    def queue_runners(self) -> set[int]:
        """Return the queue runner, its runs under way and the deliveries they started."""
        command = self._queue["ExecStart"][0].split()
        found = set()
        for entry in exims():
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_text().split("\0")[:-1] == command:
                    found.add(int(entry.name))
        return found

    def _start_queue_runner(self) -> None:
        # Runs that outlived their runner are children of process 1 as it is.
        before = self.queue_runners()
        logged = LOG.stat().st_size if LOG.exists() else 0
        empty = not any(path.is_file() for path in MESSAGES.rglob("*"))
        self._run(self._queue, self._queue["ExecStart"][0])
        started = []
        for pid in self.queue_runners() - before:
            with contextlib.suppress(OSError):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                if re.search(r"^PPid:\t1$", status, re.MULTILINE):
                    started.append(pid)
        (self.queue_runner,) = started
        if empty:
            self._wait_for_first_run(logged)

    @staticmethod
    def _wait_for_first_run(logged: int) -> None:
        """Wait until the run has ended that a queue runner begins with.

        Begun late, it would find what a test has sent since, and log once more that it waits.
        """
        deadline = time.monotonic() + PATIENCE
        while not (LOG.exists() and b" End queue run: " in LOG.read_bytes()[logged:]):
            assert time.monotonic() < deadline, "the first queue run does not end"
            time.sleep(0.01)

    def _stop_queue_runner(self) -> None:
        """KillMode=process: deliveries under way go on."""
        os.kill(self.queue_runner, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while pathlib.Path(f"/proc/{self.queue_runner}").exists():
            assert time.monotonic() < deadline, "the queue runner does not end"
            time.sleep(0.01)

    def _command(self, unit: dict[str, list[str]], command: str) -> list[str]:
        if command.startswith("+"):
            return command[1:].split()
        user = unit["User"][0]
        privileges = ["--no-new-privs"] if unit.get("NoNewPrivileges") == ["yes"] else []
        return [
            *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *privileges),
            *command.split(),
        ]

    def _run(self, section: dict[str, list[str]], command: str) -> None:
        words = self._command(section, command)
        if words[:2] == ["/usr/bin/systemctl", "try-restart"]:
            for unit in words[2:]:
                port = int(unit.removeprefix("exim4@").removesuffix(".service"))
                self._stop(port)
                self._accept(port)
            return
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    def _accept(self, port: int) -> None:
        command = self._command(self._listener, self._listener["ExecStart"][0])
        self.listeners[port] = subprocess.Popen(command, stdin=self.sockets[port].fileno())

    def _stop(self, port: int) -> None:
        """KillMode=process: the accepting process only, sessions go on."""
        listener = self.listeners.pop(port)
        listener.send_signal(signal.SIGTERM)
        status = listener.wait(int(self._listener["TimeoutStopSec"][0]))
        # Before exim has set its handler the signal itself ends it.
        assert status in {0, -signal.SIGTERM}

    def boot(self) -> None:
        """Start after a power cut: bootstrap has dealt with exim's hints before."""
        (forget,) = re.findall(r"^  (runuser .* find .*)$", BOOTSTRAP.read_text(), re.MULTILINE)
        subprocess.run(["bash", "-c", forget], check=True)
        self.start()

    def start(self) -> None:
        for port in PORTS:
            self.sockets[port] = socket.create_server(
                ("::", port),
                family=socket.AF_INET6,
                dualstack_ipv6=True,
                backlog=int(self._socket["Backlog"][0]),
            )
            self._accept(port)
        self._start_queue_runner()

    def reload(self) -> None:
        """Do what `systemctl reload exim4` does; raises CalledProcessError on a refused file."""
        for command in self._relay["ExecReload"]:
            self._run(self._relay, command)

    def restart(self) -> None:
        """Do what `systemctl restart exim4` does: the sockets stay open."""
        self._stop_queue_runner()
        for port in PORTS:
            self._stop(port)
            self._accept(port)
        self._start_queue_runner()

    def restart_listener(self, port: int) -> None:
        """Do what `systemctl restart exim4@<port>` does."""
        self._stop(port)
        self._accept(port)

    @contextlib.contextmanager
    def paused(self, port: int) -> tp.Iterator[None]:
        """Have connections on *port* wait in the backlog, nothing answers."""
        listener = self.listeners[port]
        listener.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            listener.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for port in tuple(self.listeners):
            self._stop(port)
        for held in self.sockets.values():
            held.close()
        self.sockets.clear()
        self._stop_queue_runner()

    def is_idle(self) -> bool:
        """Return whether no session is open and nothing is being delivered."""
        return not self.running()

    def running(self) -> set[int]:
        """Return the processes of open sessions, of deliveries and of queue runs."""
        daemons = {self.queue_runner, *(listener.pid for listener in self.listeners.values())}
        return {int(entry.name) for entry in exims()} - daemons

    def sessions(self) -> set[int]:
        """Return the processes of open sessions, without the deliveries that they started."""
        listeners = {listener.pid for listener in self.listeners.values()}
        return {pid for pid in self.running() if state(pid)[1] in listeners}

    def kill(self) -> None:
        """Cut the power of every exim process, of all at once: none sees another end."""
        stopped: set[int] = set()
        # One that has just been started may not be exim yet.
        starting = {listener.pid for listener in self.listeners.values()}
        while running := (starting | {int(entry.name) for entry in exims()}) - stopped:
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            # What is told to stop goes on for a moment, and may start another before it does.
            for pid in running:
                _wait_until_stopped(pid)
            stopped |= running
        # Children first: the kernel has the orphans of a process that ends run on,
        # if they are stopped, and one of them may then miss its parent.
        for pid in sorted(stopped, key=ancestors, reverse=True):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for held in self.sockets.values():
            held.close()
        self.sockets.clear()
        for listener in self.listeners.values():
            listener.wait()
        self.listeners.clear()


def state(pid: int) -> tuple[str, int]:
    """Return the letter of a process's state, and its parent; "X" and 0 where there is none."""
    try:
        # After the name, which may have anything in it (proc_pid_stat(5)).
        _, _, fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    letter, parent = fields.split()[:2]
    return letter, int(parent)


def _wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while state(pid)[0] not in _STANDING:
        assert time.monotonic() < deadline, f"{pid} does not stop"
        time.sleep(0.001)


def ancestors(pid: int) -> int:
    """Return how many processes above *pid* there are."""
    found = 0
    while pid > 1:
        _, pid = state(pid)
        found += 1
    return found


def exims() -> list[pathlib.Path]:
    """Return the /proc folders of the exim processes."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "exe").readlink() == pathlib.Path("/usr/sbin/exim4"):
                found.append(entry)
    return found
