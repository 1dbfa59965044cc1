# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An MX that takes all that is signed, keeps nothing and costs little.

Arguments: COUNT CERTIFICATE ADDRESS ADDRESS, the second with STARTTLS.

COUNT is a file of two numbers, which the processes share: how many messages have come,
and the nanosecond (CLOCK_MONOTONIC) the last of them came in.
"""

from __future__ import annotations

import mmap
import pathlib
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import typing as tp

LAYOUT: tp.Final = struct.Struct("=QQ")


class Counter:
    """The messages that have come so far."""

    def __init__(self, path: pathlib.Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(LAYOUT.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), LAYOUT.size)
        self._lock = threading.Lock()

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            count, _ = self.read()
            LAYOUT.pack_into(self._memory, 0, count + 1, time.monotonic_ns())

    def read(self) -> tuple[int, int]:
        """Return how many have come, and when the last did."""
        count, last = LAYOUT.unpack_from(self._memory)
        return count, last


class _Session(socketserver.StreamRequestHandler):
    server: _Server
    connection: tp.Any

    def handle(self) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._say("220 mx.example ESMTP")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                offered = ["PIPELINING", "SIZE", "8BITMIME"]
                if self.server.context and not self._encrypted():
                    offered.append("STARTTLS")
                self._say("250-mx.example\r\n250-" + "\r\n250-".join(offered) + "\r\n250 HELP")
            elif verb == b"STAR" and self.server.context:
                self._say("220 Go ahead")
                self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb")
            elif verb == b"MAIL" and self.server.context and not self._encrypted():
                self._say("530 Start TLS first")
            elif verb == b"DATA":
                self._say("354 End with a dot")
                signed = False
                while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                    signed |= line.startswith(b"DKIM-Signature:")
                if signed:
                    self.server.counter.add()
                self._say("250 Taken" if signed else "550 Not signed")
            elif verb == b"QUIT":
                self._say("221 Bye")
                return
            else:
                self._say("250 OK")

    def _encrypted(self) -> bool:
        return isinstance(self.connection, ssl.SSLSocket)

    def _say(self, text: str) -> None:
        self.connection.sendall(text.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: str, counter: Counter, context: ssl.SSLContext | None) -> None:
        super().__init__((address, 25), _Session)
        self.counter = counter
        self.context = context

    def handle_error(self, request: tp.Any, client_address: tp.Any) -> None:
        """Pass over a client that went away without QUIT."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main(counter: Counter, certificate: str, clear: str, encrypted: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    servers = [_Server(clear, counter, None), _Server(encrypted, counter, context)]
    for server in servers:
        threading.Thread(target=server.serve_forever).start()
    print("listening", flush=True)


if __name__ == "__main__":
    main(Counter(pathlib.Path(sys.argv[1])), *sys.argv[2:])
