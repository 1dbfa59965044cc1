# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What an event costs a node that is sent to a webhook: CPU and memory of exordos-mail-webhooks.

The command runs as a node runs it, but that it may connect to this machine, where a
receiver in a process of its own verifies nothing and answers 204 over TLS. A hundred
events a second go to one webhook for a minute, while three others hang. Exit status 1 when
a bound is broken: 2 ms of CPU an event, 64 MB of memory, an event that has not arrived, or
more than a fifth of the events late, which arrive when the minute is over.

    python -m benchmarks.webhooks
"""

from __future__ import annotations

import multiprocessing
import pathlib
import sys
import tempfile
import time
import typing as tp
import uuid

from benchmarks import node_daemons
from exordos_paas_mail.codecs import mail_events, webhook_config
from exordos_paas_mail.node.events import store as store_
from exordos_paas_mail.tests.unit.node import webhook_stage

if tp.TYPE_CHECKING:
    from multiprocessing import connection

CPU_MS_MAX = 2.0
MEMORY_MB_MAX = 64.0
RATE = 100
SECONDS = 60
HANGING = 3
LATE_MAX = 0.2
# For what is left, on a machine that others keep busy.
PATIENCE = 600
DAEMON = """
import ipaddress, ssl, sys
from exordos_paas_mail.node.commands import webhooks
from exordos_paas_mail.node.web import connections
context = ssl.create_default_context()
context.load_verify_locations({certificate!r})
context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
here = ipaddress.ip_address("127.0.0.1")
opener = connections.Opener(lambda *_: [here], lambda address: address != here, context)
raise SystemExit(webhooks.run(webhooks.parser().parse_args(), opener))
"""


def receive(pipe: connection.Connection) -> None:
    """Run a receiver that answers, and one that hangs all; tells how many events came."""

    def hang(_: webhook_stage.Request) -> webhook_stage.Answer:
        time.sleep(3600)
        return 204, b""

    with webhook_stage.receiving() as well, webhook_stage.receiving(hang) as hanging:
        pipe.send((well.url(), hanging.url(), webhook_stage.certificate()[1]))
        while pipe.recv():
            pipe.send(len(set(well.ids)))


def happen(store: store_.Store, number: int) -> None:
    """Have the events of a second happen."""
    now = time.time_ns() // 1_000_000
    kind = mail_events.Type.DELIVERED
    found = [
        mail_events.Event(
            now,
            kind,
            f"1xWfZB-{number:06d}-{n:02d}",
            recipient=f"recipient-{n}@example.org",
            mx="mx.example.org",
            mx_address="192.0.2.1",
            tls="TLS1.3",
            cipher="TLS_AES_256_GCM_SHA384",
            verified="yes",
            code=250,
            enhanced="2.0.0",
            text="2.0.0 OK: queued as 4c3XyZ1234z9rs",
            queued=740,
        )
        for n in range(RATE)
    ]
    store.keep(found, None, [])
    while batch := store.next():
        store.forget(batch[0])


def measure(folder: pathlib.Path, pipe: connection.Connection) -> dict[str, float]:
    """Return CPU in ms an event, memory in MB, and how many events have not arrived."""
    url, hanging, certificate = pipe.recv()
    (folder / "certificate").write_bytes(certificate)
    hooks = tuple(
        webhook_config.Hook(
            uuid.UUID(int=number), to, ("message.delivered",), (webhook_config.new_secret(),)
        )
        for number, to in enumerate((url, *[hanging] * HANGING))
    )
    config = webhook_config.Config(uuid.UUID(int=9), hooks)
    (folder / "webhooks").write_bytes(webhook_config.render(config))
    store = store_.Store(folder)

    def arrived() -> int:
        pipe.send(True)  # noqa: FBT003 - a word of the pipe
        return int(pipe.recv())

    def wait_for(count: int) -> int:
        deadline = time.monotonic() + PATIENCE
        while (found := arrived()) < count and time.monotonic() < deadline:
            time.sleep(0.2)
        return count - found

    program = DAEMON.format(certificate=str(folder / "certificate"))
    options = [f"--{name}={folder / name}" for name in ("webhooks", "notices", "figures")]
    running = node_daemons.running("webhooks", folder, lambda _: None, *options, program=program)
    with running as process:
        happen(store, 0)
        wait_for(RATE)
        before = node_daemons.cpu_ms(process)
        for number in range(1, SECONDS + 1):
            begun = time.monotonic()
            happen(store, number)
            time.sleep(max(0.0, 1 - (time.monotonic() - begun)))
        # What is left when the last second is over has not kept up.
        late = RATE * (SECONDS + 1) - arrived()
        missing = wait_for(RATE * (SECONDS + 1))
        cpu = (node_daemons.cpu_ms(process) - before) / (RATE * SECONDS)
        memory = node_daemons.memory_mb(process)
    store.close()
    return {
        f"CPU an event at {RATE} a second, ms": cpu,
        "memory, MB": memory,
        "events that have not arrived": missing,
        "events that came after the last second, of all": late / (RATE * SECONDS),
    }


def main() -> int:
    """Measure, print and judge."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=receive, args=(there,))
    receiver.start()
    try:
        with tempfile.TemporaryDirectory() as name:
            found = measure(pathlib.Path(name), here)
    finally:
        receiver.kill()
        receiver.join()
    for what, value in found.items():
        sys.stdout.write(f"{what}: {value:.3f}\n")
    cpu, memory, missing, late = found.values()
    return int(cpu > CPU_MS_MAX or memory > MEMORY_MB_MAX or missing > 0 or late > LATE_MAX)


if __name__ == "__main__":
    sys.exit(main())
