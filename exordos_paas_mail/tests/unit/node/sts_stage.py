# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Domains that publish policies (MTA-STS), their web server on this machine, and who asks it."""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import ssl
import tempfile
import threading
import typing as tp

from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node.sts import finder
from exordos_paas_mail.node.web import connections, errors
from exordos_paas_mail.tests.unit.node import authority

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK: tp.Final = ipaddress.IPv4Address("127.0.0.1")
DOMAIN: tp.Final = "bank.example"


def policy(mode: str = "enforce", max_age: int = 604_800, *mx: str) -> bytes:
    rows = ["version: STSv1", f"mode: {mode}", f"max_age: {max_age}"]
    return "\r\n".join([*rows, *(f"mx: {name}" for name in mx or ["mx.bank.example"])]).encode()


class Site:
    """What domains publish; each is there to be changed."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {DOMAIN: "1"}
        """Of the TXT records."""
        self.silent: set[str] = set()
        """Names that no name server answers for."""
        self.code, self.kind, self.body = 200, "text/plain", policy()
        self.headers: dict[str, str] = {}
        self.raw = b""
        """What is answered in place of all that, again and again, until nobody reads it."""
        self.hanging = threading.Event()
        """While it is set the web server is asked in vain."""
        self.over = threading.Event()
        self.fetches = 0
        self.refused = False
        self.port = 0
        self.context = ssl.create_default_context()

    def texts(self, name: str, seconds: float) -> list[str]:
        domain = name.removeprefix("_mta-sts.")
        if domain in self.silent:
            raise errors.DeliveryError(f"{name} cannot be resolved within {seconds:g} seconds")
        return [f"v=STSv1; id={self.ids[domain]};"] if domain in self.ids else []

    def finder(self) -> finder.Finder:
        opener = connections.Opener(lambda *_: [LOOPBACK], lambda _: self.refused, self.context)
        return finder.Finder(self.texts, opener, self.port)


@contextlib.contextmanager
def site(name: str = f"mta-sts.{DOMAIN}") -> Iterator[Site]:
    """Run the web server, whose certificate is *name*'s."""
    made = Site()
    key, certificate = authority.issue(name)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.fetches += 1
            if made.hanging.is_set():
                made.over.wait(60)
            with contextlib.suppress(OSError):
                while made.raw:
                    self.wfile.write(made.raw)
            known = self.path == "/.well-known/mta-sts.txt"
            with contextlib.suppress(OSError):
                self.send_response(made.code if known else 404)
                for field in {"Content-Type": made.kind, **made.headers}.items():
                    self.send_header(*field)
                self.send_header("Content-Length", str(len(made.body)))
                self.end_headers()
                self.wfile.write(made.body)

        def log_message(self, *_: tp.Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(key + certificate)
        file.flush()
        context.load_cert_chain(file.name)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.port = server.server_address[1]
    made.context = ssl.create_default_context(cadata=certificate.decode())
    made.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        yield made
    finally:
        made.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def request(domain: str = DOMAIN, wait: int = mta_sts.WAIT_MAX) -> str:
    return f"know {domain} {wait}"
