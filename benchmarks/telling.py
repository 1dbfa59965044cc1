# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What it costs the relay's throughput that exordos-mail-events tells of its messages.

10 clients submit as fast as they are answered, 50 messages a connection, which is most of
what the daemon can have to tell. The turns with it and without come A B B A, and a turn ends
when all has been delivered; without, it is stopped, and before it counts again it has told of
all. Told are the messages delivered a second, and the CPU of exim and of the daemon for each.
Exit status 1 when fewer are delivered beside it by more than 3 %, as the median of the pairs
of turns, and the daemon's share of all CPU is more than that, too: beside other work the
rates of one pair differ by tenths.

Runs inside the relay's bench: make benchmark-telling
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import typing as tp

from benchmarks import cpu_groups, node_daemons
from benchmarks.peers import __main__ as peers
from benchmarks.peers import load
from exordos_paas_mail.codecs import event_batches, mail_events
from exordos_paas_mail.tests.relay import relay as relay_

FALL_MAX: tp.Final = 0.03
CLIENTS: tp.Final = 10
PER_CONNECTION: tp.Final = 50
MANY: tp.Final = 1_000_000


class Told:
    """The batches that have come; they are opened when nothing is measured."""

    def __init__(self) -> None:
        self._batches: list[tp.Any] = []
        self._delivered = 0

    def take(self, value: tp.Any) -> None:
        """Keep a batch."""
        self._batches.append(value)

    def delivered(self) -> int:
        """Return of how many deliveries has been told."""
        while self._batches:
            batch = event_batches.parse(self._batches.pop())
            raw = event_batches.unseal(node_daemons.KEY, node_daemons.NODE, batch)
            events = mail_events.parse(raw)
            self._delivered += sum(one.type is mail_events.Type.DELIVERED for one in events)
        return self._delivered


class Pair(tp.NamedTuple):
    """A turn without the daemon and one with it."""

    without: peers.Turn
    beside: peers.Turn
    daemon_ms: float
    """CPU of the daemon, of the second turn's messages."""


def measure(relay: relay_.Relay, folder: pathlib.Path, pairs: int, messages: int) -> list[Pair]:
    """Return so many pairs of turns of so many messages."""
    task = load.Task(
        port=587,
        login=relay_.ALICE,
        password=relay_.PASSWORD,
        recipient="a@elsewhere.example",
        size=2000,
        clients=CLIENTS,
        per_connection=PER_CONNECTION,
        messages=messages,
        seconds=600,
    )
    told, sent, found = Told(), 0, []
    options = (f"--log={relay_.LOG}", f"--figures={folder / 'figures.json'}")
    with contextlib.ExitStack() as stack:
        counter = stack.enter_context(peers.mail_exchanger(folder))
        exim = cpu_groups.CpuGroup("exim", relay.units.listeners[587].pid)
        stack.callback(exim.close)
        daemon = stack.enter_context(node_daemons.running("events", folder, told.take, *options))

        def turn(*, beside: bool) -> tuple[peers.Turn, float]:
            nonlocal sent
            if not beside:
                os.kill(daemon, signal.SIGSTOP)
            before = node_daemons.cpu_ms(daemon)
            done = peers.take_turn(task, exim, counter)
            sent += messages
            os.kill(daemon, signal.SIGCONT)
            node_daemons.wait_for("it tells of all", lambda: told.delivered() >= sent)
            return done, (node_daemons.cpu_ms(daemon) - before) / messages

        # What is done once is in none of them
        turn(beside=True)
        for number in range(pairs):
            turns = {beside: turn(beside=beside) for beside in (number % 2 == 1, number % 2 == 0)}
            found.append(Pair(turns[False][0], *turns[True]))
    return found


def main() -> int:
    """Measure, print and judge."""
    if not relay_.is_ours():
        print("Run it by: make benchmark-telling", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=8, help="of turns")
    parser.add_argument("--messages", type=int, default=1000, help="of a turn")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        peers.serve_dns()
        relay = relay_.Relay()
        relay.configure(recipients_per_hour=MANY)
        relay.units.start()
        stack.callback(relay.units.stop)
        found = measure(relay, folder, options.pairs, options.messages)
    rates = [(pair.without.delivered, pair.beside.delivered) for pair in found]
    fall = 1 - statistics.median(beside / without for without, beside in rates)
    alone = statistics.median(pair.without.cpu for pair in found)
    exim = statistics.median(pair.beside.cpu for pair in found)
    daemon = statistics.median(pair.daemon_ms for pair in found)
    share = daemon / (exim + daemon)
    print(f"delivered a second without it: {statistics.median(one for one, _ in rates):.1f}")
    print(f"delivered a second beside it: {statistics.median(one for _, one in rates):.1f}")
    print(f"fewer, median of {len(rates)} pairs: {fall:.1%} (at most {FALL_MAX:.0%})")
    print(f"CPU a message of exim without it: {alone:.2f} ms")
    print(f"CPU a message of exim beside it: {exim:.2f} ms; of the daemon: {daemon:.2f} ms")
    print(f"the daemon's share of both: {share:.1%}")
    return int(fall > FALL_MAX and share > FALL_MAX)


if __name__ == "__main__":
    sys.exit(main())
