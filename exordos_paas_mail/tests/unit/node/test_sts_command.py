# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-sts, as it is started, asked and killed."""

from __future__ import annotations

import pathlib
import signal
import socket
import subprocess
import sys
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node.sts import findings, store

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

DOMAIN = "bank.example"
PROGRAM = pathlib.Path(sys.prefix, "bin", "exordos-mail-sts")

pytestmark = pytest.mark.timeout(180)


class Daemon:
    """The command, with a store that knows of DOMAIN, behind a socket that outlives it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        now = int(time.time())
        known = store.Store(folder)
        known.put(
            findings.Known(
                *(DOMAIN, mta_sts.Mode.ENFORCE, "1", ("mx.bank.example",)),
                max_age=30 * 86_400,
                fetched_at=now,
                look_at=now + 86_400,
                used_at=now,
            )
        )
        known.close()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(folder / "socket"))
        self.socket.listen(4096)
        self.start()

    def start(self) -> None:
        handed_in = self.socket.fileno()
        script = f'exec 3<&{handed_in}; export LISTEN_PID=$$; exec "$0" "$@"'
        names = ("known", "socket", "alive", "figures", "configuration")
        options = [f"--{name}={self.folder / name}" for name in names]
        self.process = subprocess.Popen(
            ["bash", "-c", script, PROGRAM, f"--store={self.folder}", *options],
            pass_fds=[handed_in],
        )

    def ask(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(self.folder / "socket"))
            client.sendall(f"{line}\n".encode())
            with client.makefile() as file:
                return file.read()

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(60)

    def close(self) -> None:
        self.end(signal.SIGKILL)
        self.socket.close()


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.close()


def test_what_is_known_is_told_and_kept_for_exim_whatever_ends_it(daemon: Daemon) -> None:
    told = daemon.ask(f"know {DOMAIN} 1800")
    assert told.startswith("mode=enforce ask=")
    assert told.endswith(" mx=^(?i:mx[.]bank[.]example)$")
    file = daemon.folder / "known" / mta_sts.shard_of(DOMAIN)
    assert file.read_text() == f"{DOMAIN}: {told}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    for number in (signal.SIGKILL, signal.SIGTERM):
        daemon.end(number)
        file.unlink()
        daemon.start()
        assert daemon.ask(f"know {DOMAIN} 0") == told
        assert file.read_text() == f"{DOMAIN}: {told}\n"


def test_what_is_no_request_is_not_answered(daemon: Daemon) -> None:
    for line in ("", "know", "know A.example 1", "forget everything"):
        assert daemon.ask(line) == ""
    assert daemon.ask(f"know {DOMAIN} 0").startswith("mode=enforce ")


def test_it_gives_a_sign_of_life_and_figures_on_and_off(daemon: Daemon) -> None:
    alive, figures = daemon.folder / "alive", daemon.folder / "figures"
    deadline = time.monotonic() + 60
    for on in (True, False):
        settings = mta_sts.render_settings(mta_sts.Settings(on=on))
        (daemon.folder / "configuration").write_text(f"{settings}\n")
        before = alive.stat().st_mtime_ns if alive.exists() else 0
        while not alive.exists() or alive.stat().st_mtime_ns == before or not figures.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert mta_sts.parse_figures(figures.read_bytes()) == mta_sts.Figures(0)


def test_a_disk_that_refuses_ends_nothing(daemon: Daemon) -> None:
    assert daemon.ask(f"know {DOMAIN} 0").startswith("mode=enforce ")
    folder = daemon.folder / "known"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_bytes(b"")
    # It has to write the file that is not there, and cannot.
    assert daemon.ask(f"know {DOMAIN} 0") == ""
    folder.unlink()
    folder.mkdir()
    assert daemon.ask(f"know {DOMAIN} 0").startswith("mode=enforce ")
    assert daemon.process.poll() is None
    assert [path.name for path in folder.iterdir()] == [mta_sts.shard_of(DOMAIN)]
