# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A relay whose queue is of any size, the daemons that see to it, and the servers it waits for."""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import time
import typing as tp
import uuid

from benchmarks import cpu_groups
from benchmarks.peers import __main__ as peers
from benchmarks.peers import sink
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import log_ids, retry_hints
from exordos_paas_mail.node import machine
from exordos_paas_mail.tests.relay import certificates
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

DOMAIN: tp.Final = "down.example"
"""What the queue waits for."""
ADDRESS: tp.Final = "203.0.113.61"
UP_DOMAIN: tp.Final = "up.example"
UP_ADDRESS: tp.Final = "203.0.113.62"
_TLS_ADDRESSES: tp.Final = {ADDRESS: "203.0.113.63", UP_ADDRESS: "203.0.113.64"}
INPUT: tp.Final = relay_.SPOOL / "input"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@contextlib.contextmanager
def relay() -> tp.Iterator[relay_.Relay]:
    """Give a relay that refuses no client of a benchmark, and leave nothing of it."""
    given = relay_.Relay()
    given.configure(**peers.SETTINGS)
    given.units.start()
    try:
        yield given
    finally:
        given.units.kill()
        for path in (relay_.SPOOL / "input", relay_.SPOOL / "msglog"):
            shutil.rmtree(path, ignore_errors=True)
        given.forget_counts()
        relay_.LOG.unlink(missing_ok=True)


def make_internet() -> None:
    """Have the servers' names and addresses be there, where nothing listens yet."""
    peers.serve_dns()
    for name, address in ((DOMAIN, ADDRESS), (UP_DOMAIN, UP_ADDRESS)):
        internet_.ZONE[name, "MX"] = [f"10 mx.{name}."]
        internet_.ZONE[f"mx.{name}", "A"] = [address]
    for address in (*_TLS_ADDRESSES, *_TLS_ADDRESSES.values()):
        command = ("ip", "-n", "internet", "addr", "add", f"{address}/24", "dev", "wire")
        subprocess.run(command, check=True)


@contextlib.contextmanager
def server(folder: pathlib.Path, address: str) -> tp.Iterator[sink.Counter]:
    """Have a server listen at *address*."""
    certificate, count = folder / f"{address}.pem", folder / address
    certificate.write_bytes(b"".join(certificates.make("mx.example")))
    counter = sink.Counter(count)
    command = [sys.executable, "-m", sink.__name__, str(count), str(certificate)]
    process = subprocess.Popen(
        ["ip", "netns", "exec", "internet", *command, address, _TLS_ADDRESSES[address]],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"listening\n"
    try:
        yield counter
    finally:
        process.kill()
        process.wait()


def fill(relay: relay_.Relay, messages: int) -> None:
    """Have *messages* wait for the server that refuses, in the spool alone: exim has tried one."""
    code, text = relay.send(recipients=[f"someone@{DOMAIN}"])
    assert code == 250, text  # noqa: PLR2004
    name = text.removeprefix("OK id=")
    relay.wait_for_log(f"{name} == .*Connection refused")
    relay.wait_until_idle()
    _clone(name, messages - 1)


def _clone(template: str, count: int) -> None:
    """Have *count* messages be in the spool that are like *template*, but an hour older."""
    user = pwd.getpwnam("Debian-exim")
    (header,) = INPUT.glob(f"**/{template}-H")
    parts = {kind: header.with_name(f"{template}-{kind}").read_text() for kind in "HD"}
    second = log_ids.arrived(template) - 3600
    made = set()
    for number in range(count):
        at = second + number % 61
        name = f"{_base62(at, 6)}-{_base62(number, 6)}-{template[-2:]}"
        folder = INPUT / name[5]
        if folder not in made:
            folder.mkdir(exist_ok=True)
            os.chown(folder, user.pw_uid, user.pw_gid)
            made.add(folder)
        for kind, text in parts.items():
            path = folder / f"{name}-{kind}"
            path.write_text(text.replace(template, name))
            os.chown(path, user.pw_uid, user.pw_gid)
            path.chmod(0o640)


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits = _DIGITS[rest] + digits
    return digits


def next_try() -> int:
    """Return when exim tries the server that refuses again, in seconds since 1970."""
    return max(retry_hints.parse(machine.Machine().retry_hints()).values())


class Daemons:
    """exordos-mail-events and exordos-mail-queue, whose control plane is away."""

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        folder.mkdir()
        self.group = cpu_groups.CpuGroup(name)
        self._scheduled = folder / pathlib.PurePath(constants.QUEUE_SCHEDULED_FILE).name
        (folder / "node-uuid").write_text(str(uuid.uuid4()))
        (folder / "node-key").write_text(base64.b64encode(os.urandom(32)).decode())
        configuration = folder / "agent.conf"
        configuration.write_text("[universal_agent]\nstatus_endpoint = http://127.0.0.1:9\n")
        own = [f"--configuration={configuration}", f"--credentials={folder}", f"--store={folder}"]
        commands = (
            ["exordos-mail-events", *own, f"--figures={folder}/figures.json"],
            ["exordos-mail-queue", *own],
        )
        self.running = []
        for program, *arguments in commands:
            path = pathlib.Path(sys.prefix, "bin", program)
            self.running.append(subprocess.Popen([path, *arguments], stderr=subprocess.DEVNULL))
            self.group.add(self.running[-1].pid)

    def wait_for_look(self) -> float:
        """Wait for the first look at the queue; returns after how many seconds it was."""
        return wait_for("the queue is not looked at", self._scheduled.exists, 600)

    def signal(self, number: int) -> None:
        """Send a signal to both."""
        for process in self.running:
            process.send_signal(number)

    def close(self) -> None:
        """End both."""
        for process in self.running:
            process.kill()
            process.wait()
        self.group.close()


def wait_for(
    what: str, is_so: tp.Callable[[], bool], seconds: float, *, pause: float = 0.2
) -> float:
    """Return after how many seconds it is so; fails after *seconds*."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < seconds, what
        time.sleep(pause)
    return time.monotonic() - begun


def wait_for_count(counter: sink.Counter, count: int, seconds: float) -> None:
    """Wait until *count* messages have come to a server."""
    wait_for("mail stays", lambda: counter.read()[0] >= count, seconds)
