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

import base64
import datetime
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import typing as tp
import uuid

from gcl_sdk.agents.universal.api import crypto

from exordos_paas_mail.codecs import event_batches, mail_events
from exordos_paas_mail.node import status_api
from exordos_paas_mail.tests.unit.codecs import log_lines

CPU_MS_MAX = 1.0
MEMORY_MB_MAX = 40.0
RATE = 10
SECONDS = 20
BACKLOG = 10_000
KEY = bytes(range(32))
NODE = uuid.UUID(int=7)
DAEMON = "from exordos_paas_mail.node.commands import events; raise SystemExit(events.main())"


def _text(start: str) -> str:
    return next(text for text, _ in log_lines.LINES if text.startswith(f"{log_lines.ID} {start}"))


MESSAGE = [_text(start) for start in ("accepted ", "<= ", "=> ", "Completed")]


class StatusApi(http.server.BaseHTTPRequestHandler):
    """Takes each row and answers with it."""

    taken: tp.ClassVar[list[int]] = []

    def do_POST(self) -> None:
        """Open what came, count its events and send the row back."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        nonce = base64.b64decode(self.headers["X-Genesis-Nonce"])
        row = crypto.decrypt_chacha20_poly1305(KEY, nonce, body)
        batch = event_batches.parse(json.loads(row)["value"])
        self.taken.append(len(mail_events.parse(event_batches.unseal(KEY, NODE, batch))))
        nonce, nonce_base64 = crypto.generate_nonce_base64()
        answer = crypto.encrypt_chacha20_poly1305(KEY, row, nonce)
        self.send_response(201)
        self.send_header("Content-Type", status_api.CONTENT_TYPE)
        self.send_header("X-Genesis-Nonce", nonce_base64)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def write(log: pathlib.Path, messages: int) -> None:
    """Write what exim writes of some messages."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    with log.open("a") as file:
        file.writelines(f"{now} [493] {text}\n" for _ in range(messages) for text in MESSAGE)


def cpu_ms(process: int) -> float:
    """Return what a process has used so far."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def memory_mb(process: int) -> float:
    """Return the most that a process has had in memory."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) / 1024


def wait_for(events: int) -> None:
    """Wait until so many events have come."""
    deadline = time.monotonic() + 120
    while sum(StatusApi.taken) < events:
        if time.monotonic() > deadline:
            sys.exit(f"{sum(StatusApi.taken)} events of {events} have come")
        time.sleep(0.1)


def measure(log: pathlib.Path, process: int) -> dict[str, float]:
    """Return the CPU in ms a message of each load, and the memory in MB."""
    lines = len(MESSAGE)
    write(log, 1)
    wait_for(lines)
    before = cpu_ms(process)
    for _ in range(SECONDS):
        write(log, RATE)
        time.sleep(1)
    wait_for(lines * (1 + RATE * SECONDS))
    steady = cpu_ms(process) - before
    before = cpu_ms(process)
    write(log, BACKLOG)
    wait_for(lines * (1 + RATE * SECONDS + BACKLOG))
    return {
        f"CPU a message at {RATE} a second, ms": steady / (RATE * SECONDS),
        "CPU a message of a backlog, ms": (cpu_ms(process) - before) / BACKLOG,
        "memory, MB": memory_mb(process),
    }


def main() -> int:
    """Measure, print and judge."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = http.server.HTTPServer(("127.0.0.1", 0), StatusApi)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        (folder / "node-uuid").write_text(str(NODE))
        (folder / "node-key").write_text(base64.b64encode(KEY).decode())
        (folder / "agent.conf").write_text(f"[universal_agent]\nstatus_endpoint = {endpoint}\n")
        log = folder / "mainlog"
        options = [f"--log={log}", f"--store={name}", f"--credentials={name}"]
        options.append(f"--figures={folder / 'figures.json'}")
        command = [sys.executable, "-c", DAEMON, *options, f"--configuration={folder}/agent.conf"]
        with subprocess.Popen(command) as daemon:
            found = measure(log, daemon.pid)
            daemon.kill()
        server.shutdown()
    for what, value in found.items():
        sys.stdout.write(f"{what}: {value:.3f}\n")
    bounds = (CPU_MS_MAX, CPU_MS_MAX, MEMORY_MB_MAX)
    return int(any(value > bound for value, bound in zip(found.values(), bounds, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
