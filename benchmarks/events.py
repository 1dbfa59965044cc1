# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What telling the control plane of a message costs a node: CPU and memory of exordos-mail-events.

The command runs as a node runs it, on a log that grows by four lines a message and
against a server that answers as the Status API does. It is measured twice: at ten
messages a second, where most of it is looking, syncing and sending, and on a backlog.
Exit status 1 when a bound is broken: 1 ms of CPU a message, 40 MB of memory.

    python -m benchmarks.events
"""

from __future__ import annotations

import datetime
import pathlib
import sys
import tempfile
import time
import typing as tp

from benchmarks import node_daemons
from exordos_paas_mail.codecs import event_batches, mail_events
from exordos_paas_mail.tests.unit.codecs import log_lines

CPU_MS_MAX = 1.0
MEMORY_MB_MAX = 40.0
RATE = 10
SECONDS = 20
BACKLOG = 10_000


def _text(start: str) -> str:
    return next(text for text, _ in log_lines.LINES if text.startswith(f"{log_lines.ID} {start}"))


MESSAGE = [_text(start) for start in ("accepted ", "<= ", "=> ", "Completed")]


class Taken:
    """The events that have come."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, value: tp.Any) -> None:
        """Open a batch and count its events."""
        batch = event_batches.parse(value)
        raw = event_batches.unseal(node_daemons.KEY, node_daemons.NODE, batch)
        self.count += len(mail_events.parse(raw))

    def wait_for(self, events: int) -> None:
        """Wait until so many have come."""
        node_daemons.wait_for(f"{events} events", lambda: self.count >= events)


def write(log: pathlib.Path, messages: int) -> None:
    """Write what exim writes of some messages."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    with log.open("a") as file:
        file.writelines(f"{now} [493] {text}\n" for _ in range(messages) for text in MESSAGE)


def measure(log: pathlib.Path, process: int, taken: Taken) -> dict[str, float]:
    """Return the CPU in ms a message of each load, and the memory in MB."""
    lines = len(MESSAGE)
    write(log, 1)
    taken.wait_for(lines)
    before = node_daemons.cpu_ms(process)
    for _ in range(SECONDS):
        write(log, RATE)
        time.sleep(1)
    taken.wait_for(lines * (1 + RATE * SECONDS))
    steady = node_daemons.cpu_ms(process) - before
    before = node_daemons.cpu_ms(process)
    write(log, BACKLOG)
    taken.wait_for(lines * (1 + RATE * SECONDS + BACKLOG))
    return {
        f"CPU a message at {RATE} a second, ms": steady / (RATE * SECONDS),
        "CPU a message of a backlog, ms": (node_daemons.cpu_ms(process) - before) / BACKLOG,
        "memory, MB": node_daemons.memory_mb(process),
    }


def main() -> int:
    """Measure, print and judge."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        log = folder / "mainlog"
        taken = Taken()
        options = (f"--log={log}", f"--figures={folder / 'figures.json'}")
        with node_daemons.running("events", folder, taken.take, *options) as process:
            found = measure(log, process, taken)
    for what, value in found.items():
        sys.stdout.write(f"{what}: {value:.3f}\n")
    bounds = (CPU_MS_MAX, CPU_MS_MAX, MEMORY_MB_MAX)
    return int(any(value > bound for value, bound in zip(found.values(), bounds, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
