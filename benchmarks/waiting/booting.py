# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How soon after a boot clients can log in, with a long queue, and how long that takes then."""

from __future__ import annotations

import contextlib
import time
import typing as tp

from benchmarks import cpu_groups
from benchmarks.waiting import stage

if tp.TYPE_CHECKING:
    import pathlib

    from exordos_paas_mail.tests.relay import relay as relay_

FIRST_MAX: tp.Final = 10.0
SECONDS: tp.Final = 90
_PORTS: tp.Final = (587, 465)


def measure(messages: int, folder: pathlib.Path) -> tuple[dict[str, float], list[str]]:
    """Return the figures of a boot with *messages* that wait, and which bounds are broken."""
    found: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(stage.relay())
        stage.fill(relay, messages)
        relay.units.kill()
        begun = time.monotonic()
        relay.units.boot()
        exim = cpu_groups.CpuGroup("exim", relay.units.queue_runner)
        stack.callback(exim.close)
        daemons = stage.Daemons("ours", folder / "daemons")
        stack.callback(daemons.close)
        for port in _PORTS:
            _log_in(relay, port)
            found[f"first login on {port} after, s"] = time.monotonic() - begun
        times: list[float] = []
        while time.monotonic() - begun < SECONDS:
            times.append(_log_in(relay, _PORTS[len(times) % len(_PORTS)]))
        times.sort()
        found[f"logins in the first {SECONDS} s"] = len(times)
        found["a login, median, s"] = times[len(times) // 2]
        found["a login, 99 of 100 at most, s"] = times[int(len(times) * 0.99)]
        found["the longest, s"] = times[-1]
        daemons.wait_for_look()
        found["first look at the queue within, s"] = time.monotonic() - begun
        found["CPU of the daemons so far, s"] = daemons.group.milliseconds() / 1000
        found["CPU of exim's queue runner so far, s"] = exim.milliseconds() / 1000
        found["memory of the daemons, MB"] = daemons.group.memory() / 2**20
        relay.units.kill()
    firsts = [found[f"first login on {port} after, s"] for port in _PORTS]
    wrong = [f"the first login takes {max(firsts):.1f} s"] if max(firsts) > FIRST_MAX else []
    return found, wrong


def _log_in(relay: relay_.Relay, port: int) -> float:
    """Log in once; returns after how many seconds that was done."""
    begun = time.monotonic()
    with relay.login(port):
        return time.monotonic() - begun
