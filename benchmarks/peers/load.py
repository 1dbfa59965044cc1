# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Clients that submit messages, each one after the other, and tell what became of it.

A process of its own: what it is asked for comes as JSON on its standard input (Task), what
it has to tell leaves as JSON on its standard output (Result). It is made to cost little: one
thread a client, sockets without a library between, one text for all messages. Its CPU is
told, so that whoever reads the result sees whether the client was what took the time.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import socket
import ssl
import sys
import threading
import time
import typing as tp


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What to submit."""

    port: int
    login: str
    password: str
    recipient: str
    size: int
    clients: int
    per_connection: int
    messages: int
    seconds: float
    """Nothing is begun after so many, however few messages there were."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What became of it."""

    accepted: int
    refused: list[str]
    started_ns: int
    seconds: float
    cpu_seconds: float
    """Of this process."""
    latencies: list[float]
    """Seconds until a message was accepted: from the answer before it, or from the connect."""


class RefusedError(Exception):
    """An answer that was not hoped for."""


class _Client:
    def __init__(self, task: Task, context: ssl.SSLContext) -> None:
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", task.port), timeout=60)
        self._file = self._socket.makefile("rb")
        self._expect("220")
        self._command("EHLO client.example", "250")
        self._command("STARTTLS", "220")
        self._socket = context.wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")
        self._command("EHLO client.example", "250")
        token = base64.b64encode(f"\0{task.login}\0{task.password}".encode()).decode()
        self._command(f"AUTH PLAIN {token}", "235")

    def send(self, sender: str, recipient: str, text: bytes) -> None:
        self._command(f"MAIL FROM:<{sender}>", "250")
        self._command(f"RCPT TO:<{recipient}>", "250")
        self._command("DATA", "354")
        self._socket.sendall(text)
        self._expect("250")

    def quit(self) -> None:
        self._command("QUIT", "221")
        self._file.close()
        self._socket.close()

    def _command(self, text: str, code: str) -> None:
        self._socket.sendall(text.encode() + b"\r\n")
        self._expect(code)

    def _expect(self, code: str) -> None:
        while True:
            line = self._file.readline().decode()
            if line[3:4] != "-":
                break
        if line[:3] != code:
            raise RefusedError(line.strip() or "closed the connection")


def message(task: Task) -> bytes:
    line = b"Hello, this is a line of a message of a certain size.\r\n"
    header = (
        f"From: {task.login}\r\nTo: {task.recipient}\r\nSubject: Greetings\r\n"
        "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@client.example>\r\n\r\n"
    ).encode()
    return header + line * ((task.size - len(header)) // len(line)) + b".\r\n"


class _Work:
    """Hands out what is left to send, and takes down what became of it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.latencies: list[float] = []
        self.refused: list[str] = []
        self._left = task.messages
        self._end = time.monotonic() + task.seconds
        self._lock = threading.Lock()
        self._text = message(task)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    def _take(self) -> bool:
        with self._lock:
            if self._left == 0 or time.monotonic() > self._end:
                return False
            self._left -= 1
            return True

    def run(self) -> None:
        try:
            while self._take():
                self._connection()
        except (OSError, RefusedError) as exc:
            self.refused.append(f"{type(exc).__name__}: {exc}")

    def _connection(self) -> None:
        started = time.monotonic()
        client = _Client(self.task, self._context)
        for number in range(self.task.per_connection):
            if number and not self._take():
                break
            client.send(self.task.login, self.task.recipient, self._text)
            now = time.monotonic()
            self.latencies.append(now - started)
            started = now
        client.quit()


def submit(task: Task) -> Result:
    work = _Work(task)
    threads = [threading.Thread(target=work.run) for _ in range(task.clients)]
    started = time.monotonic_ns()
    cpu = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Result(
        accepted=len(work.latencies),
        refused=work.refused,
        started_ns=started,
        seconds=(time.monotonic_ns() - started) / 1e9,
        cpu_seconds=time.process_time() - cpu,
        latencies=sorted(work.latencies),
    )


def main() -> None:
    task = Task(**json.loads(sys.stdin.read()))
    json.dump(dataclasses.asdict(submit(task)), tp.cast("tp.TextIO", sys.stdout))


if __name__ == "__main__":
    main()
