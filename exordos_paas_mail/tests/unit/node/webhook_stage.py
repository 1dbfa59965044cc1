# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Receivers of webhooks on this machine, with certificates, and who may connect to them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.server
import ipaddress
import ssl
import tempfile
import threading
import typing as tp

from exordos_paas_mail.node.web import connections
from exordos_paas_mail.tests.unit.node import authority

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exordos_paas_mail.codecs import public_addresses

LOOPBACK: tp.Final = ipaddress.IPv4Address("127.0.0.1")
ELSEWHERE: tp.Final = ipaddress.IPv4Address("127.0.0.2")
DOMAIN: tp.Final = "hooks.example"


@dataclasses.dataclass(frozen=True)
class Request:
    """What a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes
    address: str
    """The address that it came to."""
    connection: int
    """Which of the receiver's connections it came over."""

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answer: tp.TypeAlias = "tuple[int, bytes]"


@dataclasses.dataclass
class Receiver:
    """A server; *answer* says what it answers, and may take its time."""

    port: int
    answer: Callable[[Request], Answer]
    requests: list[Request] = dataclasses.field(default_factory=list)
    connections: int = 0

    def url(self, name: str = "a", path: str = "/") -> str:
        return f"https://{name}.{DOMAIN}:{self.port}{path}"

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.requests]


@functools.cache
def certificate() -> tuple[bytes, bytes]:
    """Return key and certificate of all names below DOMAIN."""
    return authority.issue(f"*.{DOMAIN}")


def context() -> ssl.SSLContext:
    """Return what a client trusts: the certificate above, and no other."""
    made = ssl.create_default_context(cadata=certificate()[1].decode())
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return made


def opener(
    resolve: Callable[[str, float], list[public_addresses.Address]] = lambda *_: [LOOPBACK],
    refused: frozenset[public_addresses.Address] = frozenset(),
) -> connections.Opener:
    """Return who connects to this machine, but for what is *refused*."""
    return connections.Opener(
        resolve, lambda address: not address.is_loopback or address in refused, context()
    )


def server_context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(certificate()))
        file.flush()
        made.load_cert_chain(file.name)
    return made


@contextlib.contextmanager
def receiving(
    answer: Callable[[Request], Answer] = lambda _: (204, b""), host: str = "127.0.0.1"
) -> Iterator[Receiver]:
    """Run a receiver."""
    secure = server_context()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def setup(self) -> None:
            # Here, in a thread of its own: who does not shake hands keeps nobody waiting.
            self.request = secure.wrap_socket(self.request, server_side=True)
            super().setup()
            receiver.connections += 1
            self._number = receiver.connections

        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            body = self.rfile.read(size)
            if len(body) < size:
                # Whoever sends it was killed: this is no request.
                self.close_connection = True
                return
            address = self.request.getsockname()[0]
            request = Request(self.path, dict(self.headers), body, address, self._number)
            code, said = receiver.answer(request)
            receiver.requests.append(request)
            self.send_response(code)
            if 300 <= code < 400:
                self.send_header("Location", receiver.url(path="/elsewhere"))
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that leave."""

    with Server((host, 0), Handler) as server:
        receiver = Receiver(server.server_port, answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
