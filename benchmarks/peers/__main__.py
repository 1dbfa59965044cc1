# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The relay beside Postfix with Dovecot and OpenDKIM, on one machine in one run.

Both are up all the time. In each case they take turns, A B B A, so that whatever else a
busy machine does befalls both alike. A turn ends after so many messages or so many seconds,
and when all that was accepted has been delivered. CPU is that of all processes of a server,
as the kernel counts it for their control group.

Prints a table for docs/measurements.md, and writes a chart. Fails when a message is refused
or lost, never because one of the two is slow. Runs inside the relay's bench:
make benchmark-peers
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import pathlib
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing as tp

from benchmarks import cpu_groups
from benchmarks.peers import chart, load, postfix, sink
from exordos_paas_mail.tests.relay import certificates
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

OURS: tp.Final = "mailaas"
PEER: tp.Final = "Postfix"
# Of socket(7); Python has no name for it.
SO_RCVBUFFORCE: tp.Final = 33
TURNS: tp.Final = (OURS, PEER, PEER, OURS)
SETTINGS: tp.Final = {
    **dict.fromkeys(("connections_max", "connections_per_address_max"), 500),
    **dict.fromkeys(("failed_logins_per_account", "failed_logins_per_address"), 1_000_000),
    "recipients_per_hour": 1_000_000,
}
"""Of a relay that refuses no client of a benchmark."""
# Of a single process of Python: above it the clients are what is measured
CLIENT_BUSY: tp.Final = 0.8


@dataclasses.dataclass(frozen=True)
class Case:
    """What clients do."""

    clients: int
    per_connection: int
    kilobytes: int
    encrypted: bool

    def __str__(self) -> str:
        return (
            f"{self.clients} clients, {self.per_connection} a connection, "
            f"{self.kilobytes} KB, {'STARTTLS' if self.encrypted else 'clear'}"
        )


CASES: tp.Final = [
    Case(clients, per_connection, kilobytes, encrypted)
    for encrypted, kilobytes, per_connection, clients in itertools.product(
        (False, True), (2, 100), (1, 50), (1, 10, 50, 200)
    )
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """What one server did in one turn."""

    accepted: float
    """Messages a second."""
    delivered: float
    cpu: float
    """Milliseconds a message."""
    p50: float
    p99: float
    megabytes: float
    client_cpu: float
    """Milliseconds a message, of the clients."""
    client_busy: float
    """Share of the time in which the clients' process computed."""


def serve_dns() -> None:
    """Answer on 127.0.0.1:53; each answer is made once."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # As root, past the system's limit: 200 clients ask at once, and what does not fit is lost.
    listening.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    listening.bind(("127.0.0.1", 53))
    made: dict[bytes, bytes] = {}

    def serve() -> None:
        while True:
            query, client = listening.recvfrom(4096)
            if query[2:] not in made:
                made[query[2:]] = internet_.answer(query)[2:]
            listening.sendto(query[:2] + made[query[2:]], client)

    threading.Thread(target=serve, daemon=True).start()


@contextlib.contextmanager
def mail_exchanger(folder: pathlib.Path) -> tp.Iterator[sink.Counter]:
    """Run the sink in the other name space."""
    certificate = folder / "mx.pem"
    certificate.write_bytes(b"".join(certificates.make("mx.tls.example")))
    counter = sink.Counter(folder / "count")
    command = [sys.executable, "-m", sink.__name__, str(folder / "count"), str(certificate)]
    addresses = [internet_.PUBLIC_ADDRESS, internet_.TLS_ADDRESS]
    process = subprocess.Popen(
        ["ip", "netns", "exec", "internet", *command, *addresses], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"listening\n"
    try:
        yield counter
    finally:
        process.kill()
        process.wait()


def settle(group: cpu_groups.CpuGroup) -> float:
    """Return the milliseconds of CPU used so far, once a server has nothing left to do."""
    deadline = time.monotonic() + 60
    used = group.milliseconds()
    while True:
        time.sleep(0.3)
        before, used = used, group.milliseconds()
        # 2 % of a core: what a daemon does that waits
        if used - before < 6:  # noqa: PLR2004
            return used
        assert time.monotonic() < deadline, "a server does not come to rest"


def take_turn(task: load.Task, group: cpu_groups.CpuGroup, counter: sink.Counter) -> Turn:
    before = settle(group)
    arrived, _ = counter.read()
    process = subprocess.Popen(
        [sys.executable, "-m", load.__name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(dataclasses.asdict(task)).encode())
    process.stdin.close()
    memory = threading.Timer(min(1, task.seconds / 2), lambda: sizes.append(group.memory()))
    sizes: list[int] = []
    memory.start()
    result = load.Result(**json.loads(process.stdout.read()))
    assert process.wait() == 0
    memory.cancel()
    assert not result.refused, result.refused[:3]
    deadline = time.monotonic() + 120
    while counter.read()[0] < arrived + result.accepted:
        assert time.monotonic() < deadline, "messages were accepted and did not arrive"
        time.sleep(0.01)
    _, last = counter.read()
    count = result.accepted
    return Turn(
        accepted=count / result.seconds,
        delivered=count / ((last - result.started_ns) / 1e9),
        cpu=(settle(group) - before) / count,
        p50=statistics.median(result.latencies) * 1000,
        p99=result.latencies[int(count * 0.99)] * 1000,
        megabytes=max([*sizes, group.memory()]) / 1e6,
        client_cpu=result.cpu_seconds / count * 1000,
        client_busy=result.cpu_seconds / result.seconds,
    )


def mean(turns: tp.Sequence[Turn]) -> Turn:
    columns = (field.name for field in dataclasses.fields(Turn))
    return Turn(**{name: statistics.mean(getattr(one, name) for one in turns) for name in columns})


def measure(
    cases: tp.Sequence[Case], options: argparse.Namespace, folder: pathlib.Path
) -> dict[Case, dict[str, Turn]]:
    found: dict[Case, dict[str, Turn]] = {}
    with contextlib.ExitStack() as stack:
        serve_dns()
        counter = stack.enter_context(mail_exchanger(folder))
        relay = relay_.Relay()
        relay.configure(**SETTINGS)
        relay.units.start()
        stack.callback(relay.units.stop)
        ours = cpu_groups.CpuGroup(OURS, relay.units.listeners[587].pid, relay.units.queue_runner)
        stack.callback(ours.close)
        theirs = cpu_groups.CpuGroup(PEER)
        stack.callback(theirs.close)
        peer = postfix.Postfix({login: relay_.crypt(w) for login, w in relay.passwords.items()})
        stack.callback(peer.stop)
        peer.start(theirs)
        servers = {OURS: (587, ours), PEER: (peer.port, theirs)}
        for number, case in enumerate(cases, 1):
            turns: dict[str, list[Turn]] = {OURS: [], PEER: []}
            for name in TURNS:
                port, group = servers[name]
                task = load.Task(
                    port=port,
                    login=relay_.ALICE,
                    password=relay_.PASSWORD,
                    recipient=f"a@{'tls' if case.encrypted else 'elsewhere'}.example",
                    size=case.kilobytes * 1000,
                    clients=case.clients,
                    per_connection=case.per_connection,
                    messages=min(options.messages, max(200, case.clients * case.per_connection)),
                    seconds=options.seconds,
                )
                turns[name].append(take_turn(task, group, counter))
            found[case] = {name: mean(taken) for name, taken in turns.items()}
            print(f"{number}/{len(cases)} {case}", file=sys.stderr, flush=True)
    return found


def row(case: Case, ours: Turn, theirs: Turn) -> str:
    cells = [
        str(case),
        *(
            f"{getattr(ours, name):.{digits}f} / {getattr(theirs, name):.{digits}f}"
            for name, digits in (
                ("accepted", 0),
                ("delivered", 0),
                ("cpu", 1),
                ("p50", 0),
                ("p99", 0),
                ("megabytes", 0),
                ("client_cpu", 1),
            )
        ),
    ]
    return f"| {' | '.join(cells)} |"


def report(found: tp.Mapping[Case, tp.Mapping[str, Turn]]) -> None:
    print(f"{OURS} / {PEER}, {platform.machine()}, Linux {platform.release()}")
    print()
    print(
        "| Case | accepted/s | delivered/s | CPU, ms | p50, ms | p99, ms | memory, MB "
        "| client, ms |"
    )
    print("| -- | -- | -- | -- | -- | -- | -- | -- |")
    for case, taken in found.items():
        print(row(case, taken[OURS], taken[PEER]))
    print()
    turns = [(case, name, turn) for case, taken in found.items() for name, turn in taken.items()]
    busiest = max(turns, key=lambda one: one[2].client_busy)
    print(
        f"The clients computed at most {busiest[2].client_busy:.0%} of the time "
        f"({busiest[1]}: {busiest[0]})."
    )
    for case, name, turn in turns:
        if turn.client_busy > CLIENT_BUSY:
            print(f"The clients may be what is measured: {name}: {case}")


def main() -> int:
    if not relay_.is_ours():
        print("Run it by: make benchmark-peers", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10, help="of a turn")
    parser.add_argument("--messages", type=int, default=2000, help="of a turn, at most")
    parser.add_argument("--only", default="", help="cases whose name has this expression")
    parser.add_argument("--chart", type=pathlib.Path, help="where the chart is written")
    options = parser.parse_args()
    cases = [case for case in CASES if re.search(options.only, str(case))]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(cases, options, pathlib.Path(folder))
    report(found)
    if options.chart:
        panels = {
            title: {
                str(case): {server: getattr(turn, name) for server, turn in taken.items()}
                for case, taken in found.items()
            }
            for title, name in (
                ("Accepted messages a second", "accepted"),
                ("CPU, ms a message", "cpu"),
                ("p99 of a message, ms", "p99"),
            )
        }
        options.chart.write_text(chart.render(panels))
    return 0


if __name__ == "__main__":
    sys.exit(main())
