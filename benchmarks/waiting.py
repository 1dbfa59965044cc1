# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a queue costs that waits for a server which refuses, and how fast it leaves.

MESSAGES (20,000 where it is not given) wait for one server that refuses connections. What
exordos-mail-queue and the deliveries that it begins use is told by the minute, while nothing
is due, beside what one run of exim's own queue runner uses, which the relay had each minute
before. Then the server is there, the time has come, and the queue drains; the rate is told
beside that of MESSAGES / 20 fresh messages, which one client submits. Exit status 1 when a
bound is broken: a minute of waiting at most 0.1 of a queue run, and the drain at least 0.6
of the rate of fresh mail.

Runs inside the relay's bench: make benchmark-waiting
"""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import typing as tp
import uuid

from benchmarks import cpu_groups
from benchmarks.peers import sink
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import log_ids
from exordos_paas_mail.tests.relay import certificates
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

DOMAIN: tp.Final = "down.example"
ADDRESS: tp.Final = "203.0.113.29"
OTHER_ADDRESS: tp.Final = "203.0.113.35"
MINUTES: tp.Final = 3
WAITING_MAX: tp.Final = 0.1
DRAIN_MIN: tp.Final = 0.6
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def clone(template: str, count: int) -> None:
    """Have *count* messages be in the spool that are like *template*, but older."""
    (header,) = (relay_.SPOOL / "input").glob(f"**/{template}-H")
    parts = {kind: header.with_name(f"{template}-{kind}").read_text() for kind in "HD"}
    second = log_ids.arrived(template) - 3600
    made = set()
    for number in range(count):
        at = second + number % 61
        name = f"{_base62(at, 6)}-{_base62(number, 6)}-{template[-2:]}"
        folder = relay_.SPOOL / "input" / name[5]
        if folder not in made:
            folder.mkdir(exist_ok=True)
            shutil.chown(folder, "Debian-exim", "Debian-exim")
            made.add(folder)
        for kind, text in parts.items():
            path = folder / f"{name}-{kind}"
            path.write_text(text.replace(template, name))
            shutil.chown(path, "Debian-exim", "Debian-exim")
            path.chmod(0o640)


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits = _DIGITS[rest] + digits
    return digits


@contextlib.contextmanager
def daemons(folder: pathlib.Path, group: cpu_groups.CpuGroup) -> tp.Iterator[None]:
    """Run exordos-mail-events and exordos-mail-queue, whose control plane is away."""
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "node-uuid").write_text(str(uuid.uuid4()))
    (credentials / "node-key").write_text(base64.b64encode(os.urandom(32)).decode())
    configuration = folder / "agent.conf"
    configuration.write_text("[universal_agent]\nstatus_endpoint = http://127.0.0.1:9\n")
    own = ["--configuration", str(configuration), "--credentials", str(credentials)]
    pathlib.Path(constants.EVENTS_DIR).mkdir(parents=True, exist_ok=True)
    commands = (
        ["exordos-mail-events", *own, "--figures", str(folder / "figures.json")],
        ["exordos-mail-queue", *own],
    )
    running = []
    for name, *arguments in commands:
        program = str(pathlib.Path(sys.prefix, "bin", name))
        running.append(subprocess.Popen([program, *arguments], stderr=subprocess.DEVNULL))
        group.add(running[-1].pid)
    try:
        yield
    finally:
        for process in running:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def server(folder: pathlib.Path) -> tp.Iterator[sink.Counter]:
    """Have the server be there that was not."""
    certificate = folder / "down.pem"
    certificate.write_bytes(b"".join(certificates.make("mx.down.example")))
    counter = sink.Counter(folder / "count")
    command = [sys.executable, "-m", sink.__name__, str(folder / "count"), str(certificate)]
    process = subprocess.Popen(
        ["ip", "netns", "exec", "internet", *command, ADDRESS, OTHER_ADDRESS],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"listening\n"
    try:
        yield counter
    finally:
        process.kill()
        process.wait()


def queue_run(group: cpu_groups.CpuGroup) -> float:
    """Return the milliseconds of CPU of one run of exim's own queue runner."""
    before = group.milliseconds()
    process = subprocess.Popen(["sh", "-c", "read go; exec exim4 -q"], stdin=subprocess.PIPE)
    group.add(process.pid)
    process.communicate(b"go\n")
    assert process.returncode == 0
    return group.milliseconds() - before


def wait_for(what: str, is_so: tp.Callable[[], bool], seconds: float) -> float:
    """Return after how many seconds it is so; fails after *seconds*."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < seconds, what
        time.sleep(0.2)
    return time.monotonic() - begun


def waiting(messages: int, folder: pathlib.Path, relay: relay_.Relay) -> dict[str, float]:
    """Return the figures of a queue that waits, and then drains."""
    found: dict[str, float] = {}
    code, text = relay.send(recipients=[f"someone@{DOMAIN}"])
    assert code == 250, text  # noqa: PLR2004
    name = text.removeprefix("OK id=")
    relay.wait_for_log(f"{name} == .*Connection refused")
    relay.wait_until_idle()
    clone(name, messages)
    runner, ours = cpu_groups.CpuGroup("runner"), cpu_groups.CpuGroup("ours")
    log = relay_.LOG.stat().st_size
    found["run_ms"] = queue_run(runner)
    found["run_log"] = relay_.LOG.stat().st_size - log
    with daemons(folder, ours):
        scheduled = pathlib.Path(constants.QUEUE_SCHEDULED_FILE)
        scheduled.unlink(missing_ok=True)
        found["first_look_s"] = wait_for("the queue is not looked at", scheduled.exists, 300)
        time.sleep(30)
        log, before = relay_.LOG.stat().st_size, ours.milliseconds()
        # What is measured is so long a wait: nothing is due in it.
        time.sleep(60 * MINUTES)
        found["minute_ms"] = (ours.milliseconds() - before) / MINUTES
        found["hour_log"] = (relay_.LOG.stat().st_size - log) / MINUTES * 60
        found["memory_mb"] = ours.memory() / 2**20
        with server(folder) as counter:
            found["back_s"] = wait_for("nothing is tried", lambda: counter.read()[0] > 0, 900)
            begun = time.monotonic()
            wait_for("the queue does not drain", lambda: counter.read()[0] > messages, 1200)
            found["drain_rate"] = messages / (time.monotonic() - begun)
            relay.wait_until_idle()
            begun, before_count = time.monotonic(), counter.read()[0]
            fresh = messages // 20
            with relay.login() as client:
                for _ in range(fresh):
                    client.sendmail(
                        relay_.ALICE, [f"someone@{DOMAIN}"], relay_.message(From=relay_.ALICE)
                    )
            wait_for("fresh mail stays", lambda: counter.read()[0] >= before_count + fresh, 300)
            found["fresh_rate"] = fresh / (time.monotonic() - begun)
    runner.close()
    ours.close()
    return found


def main(messages: int = 20_000) -> int:
    """Print the figures; returns 1 when a bound is broken."""
    internet_.ZONE[DOMAIN, "MX"] = [f"10 mx.{DOMAIN}."]
    internet_.ZONE[f"mx.{DOMAIN}", "A"] = [ADDRESS]
    for address in (ADDRESS, OTHER_ADDRESS):
        command = ("ip", "-n", "internet", "addr", "add", f"{address}/24", "dev", "wire")
        subprocess.run(command, check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        world = internet_.Internet(folder / "mx")
        relay = relay_.Relay()
        relay.units.start()
        try:
            found = waiting(messages, folder, relay)
        finally:
            relay.forget_queue()
            relay.units.stop()
            world.close()
    for key, value in found.items():
        print(f"{key:14} {value:12.1f}")
    wrong = []
    if found["minute_ms"] > WAITING_MAX * found["run_ms"]:
        wrong.append(f"a minute of waiting is more than {WAITING_MAX} of a queue run")
    if found["drain_rate"] < DRAIN_MIN * found["fresh_rate"]:
        wrong.append(f"the queue leaves at less than {DRAIN_MIN} of the rate of fresh mail")
    print("; ".join(wrong) or "all in bounds")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
