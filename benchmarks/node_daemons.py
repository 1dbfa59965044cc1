# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A daemon of a node as a process, and a server that answers it as the Status API does."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import time
import typing as tp
import uuid

from gcl_sdk.agents.universal.api import crypto

from exordos_paas_mail.node import status_api

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY: tp.Final = bytes(range(32))
NODE: tp.Final = uuid.UUID(int=7)
_SECONDS: tp.Final = 120


class _StatusApi(http.server.BaseHTTPRequestHandler):
    """Takes each row and answers with it; has none to give."""

    taken: Callable[[tp.Any], None]

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        self._take(201)

    def do_PUT(self) -> None:
        self._take(200)

    def _take(self, status: int) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        nonce = base64.b64decode(self.headers["X-Genesis-Nonce"])
        row = crypto.decrypt_chacha20_poly1305(KEY, nonce, body)
        self.taken(json.loads(row)["value"])
        nonce, nonce_base64 = crypto.generate_nonce_base64()
        answer = crypto.encrypt_chacha20_poly1305(KEY, row, nonce)
        self.send_response(status)
        self.send_header("Content-Type", status_api.CONTENT_TYPE)
        self.send_header("X-Genesis-Nonce", nonce_base64)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def running(
    command: str,
    folder: pathlib.Path,
    taken: Callable[[tp.Any], None],
    *options: str,
    program: str = "",
) -> Iterator[int]:
    """Give the process id of a module of ``node.commands``, whose store is *folder*.

    Each row that it tells goes to *taken*. *program* runs in place of its ``main``.
    """
    handler = type("StatusApi", (_StatusApi,), {"taken": staticmethod(taken)})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    (folder / "node-uuid").write_text(str(NODE))
    (folder / "node-key").write_text(base64.b64encode(KEY).decode())
    (folder / "agent.conf").write_text(f"[universal_agent]\nstatus_endpoint = {endpoint}\n")
    main = f"from exordos_paas_mail.node.commands import {command} as c; raise SystemExit(c.main())"
    own = [f"--store={folder}", f"--credentials={folder}", f"--configuration={folder}/agent.conf"]
    with subprocess.Popen([sys.executable, "-c", program or main, *own, *options]) as daemon:
        try:
            yield daemon.pid
        finally:
            daemon.kill()
            server.shutdown()


def wait_for(what: str, look: Callable[[], bool]) -> None:
    """Wait until it is so; ends the program when that takes too long."""
    deadline = time.monotonic() + _SECONDS
    while not look():
        if time.monotonic() > deadline:
            sys.exit(f"not within {_SECONDS} s: {what}")
        time.sleep(0.1)


def cpu_ms(process: int) -> float:
    """Return what the threads of a process have used so far."""
    threads = pathlib.Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e6


def memory_mb(process: int) -> float:
    """Return the most that a process has had in memory."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) / 1024
