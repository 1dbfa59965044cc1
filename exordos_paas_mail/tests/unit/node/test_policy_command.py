# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-policy, as it is started, asked and killed."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import limits
from exordos_paas_mail.node.policy import counts

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

LOGIN = "alice@example.com"
PROGRAM = pathlib.Path(sys.prefix, "bin", "exordos-mail-policy")
CLIENTS, REQUESTS, LIMIT = 50, 10_000, 5_000
KILLS_MAX = 5


class Daemon:
    """The command, behind a socket that outlives it, as systemd has it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(folder / "socket"))
        self.socket.listen(4096)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(folder / "notify"))
        self.notified.settimeout(60)
        # No kill comes while a request is asked once more.
        self.killing = threading.Lock()
        self.start()

    def start(self) -> None:
        handed_in = self.socket.fileno()
        script = f'exec 3<&{handed_in}; export LISTEN_PID=$$; exec "$0" "$@"'
        options = [f"--{name}={self.folder / name}" for name in ("limits", "socket", "alive")]
        self.process = subprocess.Popen(
            ["bash", "-c", script, PROGRAM, f"--store={self.folder}", *options],
            pass_fds=[handed_in],
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(self.folder / "notify"),
                "WATCHDOG_USEC": "2000000",
            },
        )

    def limit(self, number: int) -> None:
        own = {"recipients_per_month": number}
        text = limits.render(limits.NONE, [("alice", own, limits.DEFER)], "example.com")
        (self.folder / "limits").write_text(text)

    def ask(self, line: str = f"take {LOGIN}") -> str:
        """Return the answer; empty where the daemon was killed over it."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(self.folder / "socket"))
            client.sendall(f"{line}\n".encode())
            answer = b""
            try:
                while data := client.recv(1024):
                    answer += data
            except ConnectionError:
                return ""
        return answer.decode()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def close(self) -> None:
        self.kill()
        self.socket.close()
        self.notified.close()


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.close()


def passes(daemon: Daemon) -> int:
    """Return how many of all requests of all clients pass, as exim asks: once more at a kill."""

    def client(number: int) -> int:
        passed = 0
        for _ in range(number, REQUESTS, CLIENTS):
            if not (answer := daemon.ask()):
                with daemon.killing:
                    answer = daemon.ask()
            assert answer.startswith("do="), answer
            passed += answer.startswith("do=pass")
        return passed

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(client, range(CLIENTS)))


def test_exactly_the_limit_passes(daemon: Daemon) -> None:
    daemon.limit(LIMIT)
    assert passes(daemon) == LIMIT


def test_the_limit_passes_within_ten_over_kills(daemon: Daemon) -> None:
    daemon.limit(LIMIT)
    done = threading.Event()
    kills = 0

    def killer() -> None:
        nonlocal kills
        # Of a few requests the count is not known: as many as kills, and each once more.
        while not done.wait(0.7) and kills < KILLS_MAX:
            with daemon.killing:
                daemon.kill()
                kills += 1
                daemon.start()
                assert daemon.ask("take bob@example.com")

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        passed = passes(daemon)
    finally:
        done.set()
        thread.join()
    assert kills
    assert LIMIT - 10 <= passed <= LIMIT


def test_there_is_a_sign_of_life_for_as_long_as_it_answers(daemon: Daemon) -> None:
    assert daemon.ask().startswith("do=pass")
    alive = daemon.folder / "alive"
    deadline = time.monotonic() + 60
    while not alive.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first = alive.stat().st_mtime_ns
    while alive.stat().st_mtime_ns == first:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    os.waitpid(daemon.process.pid, os.WUNTRACED)
    stopped = alive.stat().st_mtime_ns
    time.sleep(2)
    assert alive.stat().st_mtime_ns == stopped


def test_systemd_hears_of_it_for_as_long_as_it_goes_round(daemon: Daemon) -> None:
    assert [daemon.notified.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    os.kill(daemon.process.pid, signal.SIGSTOP)
    os.waitpid(daemon.process.pid, os.WUNTRACED)
    daemon.notified.settimeout(0)
    # What was said before it stopped is read first.
    while select.select([daemon.notified], [], [], 0)[0]:
        daemon.notified.recv(100)
    assert select.select([daemon.notified], [], [], 2) == ([], [], [])


def test_what_is_no_request_is_not_answered_and_holds_nobody_up(daemon: Daemon) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(daemon.folder / "socket"))
        assert daemon.ask("drop everything") == ""
        assert daemon.ask("x" * 5000) == ""
        assert daemon.ask().startswith("do=pass")


def test_counts_that_cannot_be_written_are_not_answered(
    tmp_path: pathlib.Path, daemon: Daemon
) -> None:
    assert daemon.ask().startswith("do=pass")
    store = counts.Counts(tmp_path)
    store._db.execute("BEGIN EXCLUSIVE")
    assert daemon.ask() == ""
    store._db.rollback()
    store.close()
    assert daemon.ask().startswith("do=pass")
