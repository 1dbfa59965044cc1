# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a long queue costs a node: CPU and memory of exordos-mail-queue, by the messages.

The command runs as a node runs it, on a spool as exim writes it with the reasons as
exordos-mail-events keeps them, against a server that answers as the Status API does:
one without a message beside one with 20,000 that wait for 500 domains. They are
measured from their start until they have told of all, then at rest, then with a new
message each second. Exit status 1 when a bound is broken; all are ratios within one run:

- to read and tell of all, CPU: to what merely opening and reading each file takes;
- at rest, with a new message each second, and in memory: to the command beside it.

    python -m benchmarks.queue
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
import tempfile
import time
import typing as tp

from benchmarks import node_daemons
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import log_ids, mail_events, queue_reports
from exordos_paas_mail.node.events import deferrals, store

MESSAGES = 20_000
DOMAINS = 500
SECONDS = 15
# Of the store's batches: the last one is read again at each look.
BATCH = 100
READING_MAX = 12.0
REST_MAX = 10.0
BUSY_MAX = 10.0
MEMORY_MAX = 4.0
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SAID = "452 4.2.2 <{}>: the mailbox is full, the message is tried again later"


class Told:
    """How many messages the control plane was told of last."""

    def __init__(self) -> None:
        self.messages = -1

    def take(self, value: tp.Any) -> None:
        """Open a row; those of the items tell less often than the state, which comes first."""
        row = queue_reports.parse(value)
        if row.shard == queue_reports.STATE:
            raw = queue_reports.unseal(node_daemons.KEY, node_daemons.NODE, row)
            self.messages = queue_reports.parse_state(raw).messages


def queue_id(number: int) -> str:
    """Return the id of a message that has arrived long ago, in one of exim's 62 directories."""
    second, rest = _DIGITS[number % len(_DIGITS)], f"{number:06d}"
    return f"1uWfZ{second}-{rest:0>11}-2EaB"


def recipient(number: int) -> str:
    """Return for whom a message waits."""
    return f"somebody-{number}@domain-{number % DOMAINS}.example"


class Spool:
    """The spool below *root*."""

    def __init__(self, root: pathlib.Path) -> None:
        self._input = root / constants.EXIM_SPOOL_DIR.lstrip("/") / "input"
        for digit in _DIGITS:
            (self._input / digit).mkdir(parents=True)

    def write(self, number: int) -> None:
        """Have a message wait."""
        name, sender = queue_id(number), f"account-{number % 50}@tenant.example"
        lines = (
            *(f"{name}-H", "Debian-exim 101 101", f"<{sender}>", f"{log_ids.arrived(name)} 0"),
            *("-received_time_usec .123456", "--helo_name client.example.net"),
            *("-host_address [192.0.2.17]:40000", f"--auth_id {sender}", "-tls_cipher x", "XX"),
            *("1", recipient(number), ""),
            *("187P Received: from client.example.net by tenant.example", f"040F From: {sender}"),
            *(f"050T To: {recipient(number)}", "030  Subject: what a message is about"),
        )
        folder = self._input / name[5]
        (folder / f"{name}-D").write_text(f"{name}-D\nHello.\n")
        (folder / f"{name}-H").write_text("".join(f"{line}\n" for line in lines))

    def read(self) -> float:
        """Return the CPU in ms that it takes to read each file of it."""
        before = time.process_time()
        for file in self._input.rglob("*-?"):
            file.read_bytes()
        return (time.process_time() - before) * 1000


def keep(folder: pathlib.Path, messages: int) -> None:
    """Keep why each message waits."""
    kept = store.Store(folder)
    for first in range(0, messages, BATCH):
        found = deferrals.Deferrals(kept.deferral)
        for number in range(first, first + BATCH):
            key = queue_id(number), recipient(number)
            text = _SAID.format(recipient(number))
            found.changed[key] = deferrals.Deferral(
                *key, attempts=9, at=1_790_000_000_000, text=text, reason="mailbox_full", mx="mx"
            )
        kept.keep([mail_events.Event(1, mail_events.Type.DEFERRED)], None, [], deferrals=found)
    kept.close()


class Node:
    """A spool with so many messages, and the command at work on it."""

    def __init__(self, folder: pathlib.Path, messages: int) -> None:
        self.messages = messages
        self.spool, self._told = Spool(folder / "root"), Told()
        for number in range(messages):
            self.spool.write(number)
        keep(folder, messages)
        self.reading = self.spool.read()
        root = f"--root={folder / 'root'}"
        self.running = node_daemons.running("queue", folder, self._told.take, root)

    def has_told(self) -> bool:
        """Return whether the control plane knows of all messages."""
        return self._told.messages == self.messages


class Cost(tp.NamedTuple):
    """What the command takes: CPU in ms, and memory in MB."""

    start: float
    rest: float
    busy: float
    memory: float


def measure(*nodes: Node) -> list[Cost]:
    """Measure the command on all of them at once."""
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(node.running) for node in nodes]
        for node in nodes:
            node_daemons.wait_for(f"{node.messages} messages are told", node.has_told)
        # The items are told after the state, within the same turn.
        time.sleep(SECONDS)
        marks = [list(map(node_daemons.cpu_ms, processes))]
        time.sleep(SECONDS)
        marks.append(list(map(node_daemons.cpu_ms, processes)))
        for second in range(SECONDS):
            for node in nodes:
                node.spool.write(node.messages + second)
            time.sleep(1)
        marks.append(list(map(node_daemons.cpu_ms, processes)))
        memory = map(node_daemons.memory_mb, processes)
        return [
            Cost(start, rest - start, busy - rest, peak)
            for start, rest, busy, peak in zip(*marks, memory, strict=True)
        ]


def main() -> int:
    """Measure, print and judge."""
    with tempfile.TemporaryDirectory() as name:
        folders = [pathlib.Path(name, each) for each in ("none", "many")]
        for folder in folders:
            folder.mkdir()
        nodes = [Node(folder, count) for folder, count in zip(folders, (0, MESSAGES), strict=True)]
        none, many = measure(*nodes)
        reading = nodes[1].reading
    for cost, messages in ((none, 0), (many, MESSAGES)):
        sys.stdout.write(
            f"{messages} messages: CPU to the end of the first look {cost.start:.0f} ms,"
            f" {SECONDS} s at rest {cost.rest:.0f} ms, with a message a second {cost.busy:.0f} ms;"
            f" memory {cost.memory:.0f} MB\n"
        )
    ratios = {
        "to read and tell of all": ((many.start - none.start) / reading, READING_MAX),
        "at rest": (many.rest / none.rest, REST_MAX),
        "a new message each second": (many.busy / none.busy, BUSY_MAX),
        "memory": (many.memory / none.memory, MEMORY_MAX),
    }
    for what, (ratio, bound) in ratios.items():
        sys.stdout.write(f"{what}: {ratio:.2f} times, at most {bound:g}\n")
    return int(any(ratio > bound for ratio, bound in ratios.values()))


if __name__ == "__main__":
    sys.exit(main())
