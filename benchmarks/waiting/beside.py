# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How long clients wait for new mail to be taken, beside a queue and beside none, in turns.

The daemons of the one that has no turn are stopped, and its queue lies beside the spool.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
import typing as tp

from benchmarks.peers import load
from benchmarks.waiting import stage
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

P99_MAX: tp.Final = 1.2
CLIENTS: tp.Final = (10, 200)
ROUNDS: tp.Final = 3
EMPTY: tp.Final = "empty"
FULL: tp.Final = "full"
_MESSAGES: tp.Final = 1000


class _Sides:
    """A queue that is empty and one that is full, of which one is in place."""

    def __init__(self, relay: relay_.Relay, messages: int, folder: pathlib.Path) -> None:
        self._relay = relay
        self._daemons = {EMPTY: stage.Daemons(EMPTY, folder / EMPTY)}
        self._daemons[EMPTY].wait_for_look()
        self._daemons[EMPTY].signal(signal.SIGSTOP)
        aside = _folder(EMPTY)
        aside.mkdir()
        shutil.chown(aside, "Debian-exim", "Debian-exim")
        stage.fill(relay, messages)
        self._daemons[FULL] = stage.Daemons(FULL, folder / FULL)
        self._daemons[FULL].wait_for_look()
        self._now = FULL

    def take_place(self, name: str) -> None:
        """Have the queue *name* be in place."""
        if name == self._now:
            return
        self._relay.wait_until_idle(seconds=600)
        self._daemons[self._now].signal(signal.SIGSTOP)
        stage.INPUT.rename(_folder(self._now))
        _folder(name).rename(stage.INPUT)
        self._daemons[name].signal(signal.SIGCONT)
        self._now = name

    def close(self) -> None:
        """End the daemons of both, and leave one folder, which the relay's end removes."""
        for name, daemons in self._daemons.items():
            daemons.close()
            shutil.rmtree(_folder(name), ignore_errors=True)


def _folder(name: str) -> pathlib.Path:
    return stage.INPUT.with_name(f"input.{name}")


def measure(messages: int, folder: pathlib.Path) -> tuple[dict[str, float], list[str]]:
    """Return the figures of new mail beside a queue and beside none, and broken bounds."""
    found: dict[str, float] = {}
    wrong = []
    submitted = 0
    with (
        stage.relay() as relay,
        stage.server(folder, stage.UP_ADDRESS) as counter,
        contextlib.closing(_Sides(relay, messages, folder)) as sides,
    ):
        for clients in CLIENTS:
            taken: dict[str, list[float]] = {EMPTY: [], FULL: []}
            for name in _turns():
                sides.take_place(name)
                # The daemons see what the other turn has left in the log.
                time.sleep(15)
                result = _submit(clients)
                submitted += result.accepted
                stage.wait_for_count(counter, submitted, 600)
                taken[name].append(result.latencies[int(result.accepted * 0.99)] * 1000)
            for name, each in taken.items():
                found[f"{clients} clients, {name}: p99, ms"] = statistics.median(each)
            ratios = [full / empty for empty, full in zip(taken[EMPTY], taken[FULL], strict=True)]
            ratio = found[f"{clients} clients: ratio, median of {ROUNDS * 2}"] = statistics.median(
                ratios
            )
            if ratio > P99_MAX:
                wrong.append(f"beside a queue, {clients} clients wait {ratio:.2f} times as long")
    return found, wrong


def _turns() -> Iterator[str]:
    for _ in range(ROUNDS):
        yield from (EMPTY, FULL, FULL, EMPTY)


def _submit(clients: int) -> load.Result:
    task = load.Task(
        port=587,
        login=relay_.ALICE,
        password=relay_.PASSWORD,
        recipient=f"a@{stage.UP_DOMAIN}",
        size=2000,
        clients=clients,
        per_connection=50,
        messages=_MESSAGES,
        seconds=60,
    )
    command = [sys.executable, "-m", load.__name__]
    asked = json.dumps(dataclasses.asdict(task))
    done = subprocess.run(command, input=asked, text=True, capture_output=True, check=True)
    result = load.Result(**json.loads(done.stdout))
    assert not result.refused, result.refused[:3]
    return result
