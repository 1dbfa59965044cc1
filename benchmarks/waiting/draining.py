# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What waits: CPU, log and times of retry while nothing is due, and how it leaves."""

from __future__ import annotations

import re
import subprocess
import threading
import time
import typing as tp

from benchmarks import cpu_groups
from benchmarks.waiting import stage
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    import pathlib

    from benchmarks.peers import sink

RUNS_A_DAY: tp.Final = 4
"""Of exim's own queue runner (exim4-queue.service)."""
WAITING_MAX: tp.Final = 3000.0
LOG_MAX: tp.Final = 1_000_000
LATE_MAX: tp.Final = 60.0
DRAIN_MIN: tp.Final = 0.6
# Before the next attempt there is to be no more of what is measured.
_MARGIN: tp.Final = 10


def measure(messages: int, folder: pathlib.Path) -> tuple[dict[str, float], list[str]]:
    """Return the figures of a queue that waits, and then drains, and which bounds are broken."""
    found: dict[str, float] = {}
    with stage.relay() as relay:
        stage.fill(relay, messages)
        runner = cpu_groups.CpuGroup("runner")
        log = _logged()
        found["CPU of a run of exim's queue runner, s"] = _queue_run(runner) / 1000
        of_runs = (_logged() - log) * RUNS_A_DAY / 24
        runner.close()
        daemons = stage.Daemons("ours", folder / "daemons")
        try:
            found["first look after, s"] = daemons.wait_for_look()
            found |= _wait(daemons, of_runs)
            with (
                stage.server(folder, stage.ADDRESS) as counter,
                stage.server(folder, stage.UP_ADDRESS),
            ):
                due = stage.next_try()
                stage.wait_for("nothing is tried", lambda: counter.read()[0] > 0, 900)
                found["attempt after its time, server back, s"] = time.time() - due
                found |= _drain(relay, messages, counter)
        finally:
            daemons.close()
    wrong = []
    for what, value in found.items():
        if what.startswith("CPU of a minute") and value > WAITING_MAX:
            wrong.append(f"a minute of waiting is more than {WAITING_MAX:.0f} ms")
        elif what.startswith("log") and value > LOG_MAX:
            wrong.append(f"the log of an hour is more than {LOG_MAX} octets")
        elif what.startswith("attempt after") and value > LATE_MAX:
            wrong.append(f"{what}: more than {LATE_MAX:.0f}")
    if found["drained, messages a second"] < DRAIN_MIN * found["fresh, messages a second"]:
        wrong.append(f"the queue leaves at less than {DRAIN_MIN} of the rate of fresh mail")
    return found, wrong


def _wait(daemons: stage.Daemons, of_runs: float) -> dict[str, float]:
    """Return the figures from one attempt, which fails, to shortly before the next."""
    found: dict[str, float] = {}
    # What the queue run has left may be due already, or was before it was looked at.
    time.sleep(30)
    if (due := stage.next_try()) > time.time():
        stage.wait_for("nothing is tried", lambda: stage.next_try() > due, 900, pause=1)
        found["attempt after its time, server away, s"] = time.time() - due
    else:
        stage.wait_for("nothing is tried", lambda: stage.next_try() > time.time(), 900, pause=1)
    time.sleep(_MARGIN)
    before, log, begun = daemons.group.milliseconds(), _logged(), time.monotonic()
    # What is measured is so long a wait: nothing is due in it.
    time.sleep(stage.next_try() - time.time() - _MARGIN)
    minutes = (time.monotonic() - begun) / 60
    found["minutes without anything due"] = minutes
    found["CPU of a minute, ms"] = (daemons.group.milliseconds() - before) / minutes
    found["log of an hour, octets, with a run each six hours"] = (
        _logged() - log
    ) / minutes * 60 + of_runs
    found["memory, MB"] = daemons.group.memory() / 2**20
    return found


def _drain(relay: relay_.Relay, messages: int, counter: sink.Counter) -> dict[str, float]:
    """Return the figures of how the queue leaves, with fresh mail to another server beside it."""
    found: dict[str, float] = {}
    log, over = _logged(), threading.Event()
    fresh = threading.Thread(target=_submit, args=(relay, over))
    begun = time.monotonic()
    fresh.start()
    stage.wait_for_count(counter, messages, 2400)
    found["drained, messages a second"] = messages / (time.monotonic() - begun)
    over.set()
    fresh.join()
    relay.wait_until_idle()
    said = relay.log()[log:]
    names = re.findall(rf" (\S+) => \S+@{stage.DOMAIN} ", said)
    rank = {name: place for place, name in enumerate(sorted(names))}
    moved = sorted(abs(place - rank[name]) for place, name in enumerate(names))
    found["left out of turn by, messages, median"] = moved[len(moved) // 2]
    found["left out of turn by, messages, 99 of 100 at most"] = moved[int(len(moved) * 0.99)]
    times = sorted(
        map(float, re.findall(rf" => \S+@{stage.UP_DOMAIN} .* QT=([\d.]+)s", said)) or [0.0]
    )
    found["fresh messages beside the drain"] = len(times)
    found["these took, s, 99 of 100 at most"] = times[int(len(times) * 0.99)]
    begun, count = time.monotonic(), messages // 20
    before = counter.read()[0]
    with relay.login() as client:
        for _ in range(count):
            recipients, text = [f"someone@{stage.DOMAIN}"], relay_.message(From=relay_.ALICE)
            client.sendmail(relay_.ALICE, recipients, text)
    stage.wait_for_count(counter, before + count, 600)
    found["fresh, messages a second"] = count / (time.monotonic() - begun)
    return found


def _submit(relay: relay_.Relay, over: threading.Event) -> None:
    """Submit a message each second to the server that was never away."""
    with relay.login() as client:
        while not over.wait(1):
            recipients, text = [f"someone@{stage.UP_DOMAIN}"], relay_.message(From=relay_.ALICE)
            client.sendmail(relay_.ALICE, recipients, text)


def _queue_run(group: cpu_groups.CpuGroup) -> float:
    """Return the milliseconds of CPU of one run of exim's own queue runner."""
    before = group.milliseconds()
    process = subprocess.Popen(["sh", "-c", "read go; exec exim4 -q"], stdin=subprocess.PIPE)
    group.add(process.pid)
    process.communicate(b"go\n")
    assert process.returncode == 0
    return group.milliseconds() - before


def _logged() -> int:
    return relay_.LOG.stat().st_size
