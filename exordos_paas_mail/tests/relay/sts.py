# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exordos-mail-sts beside the relay, and the web server of domains that publish policies."""

from __future__ import annotations

import contextlib
import http.server
import pathlib
import shutil
import socket
import ssl
import tempfile
import threading
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.tests.relay import activated, units
from exordos_paas_mail.tests.relay import internet as internet_

if tp.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ADDRESS: tp.Final = "203.0.113.1"
KNOWN: tp.Final = pathlib.Path(constants.STS_DIR)

_CONFIGURATION: tp.Final = pathlib.Path("/run/exim4-of-sts.conf")


class Sts(activated.Daemon):
    """The daemon, which knows nothing yet. It asks web servers of private networks."""

    def __init__(self) -> None:
        shutil.rmtree(KNOWN, ignore_errors=True)
        for left in activated.STORE.glob("sts.sqlite*"):
            left.unlink()
        _CONFIGURATION.write_text(mta_sts.render_settings(mta_sts.Settings(private=True)) + "\n")
        super().__init__(
            *(constants.STS_UNIT, constants.STS_SOCKET, constants.STS_ALIVE_FILE),
            f"--configuration={_CONFIGURATION}",
        )

    def learn(self, *domains: str) -> None:
        """Return once all is found out of *domains*: exim would not wait for so long."""
        for domain in domains:
            # A look that is slow is begun anew, and has a minute then.
            deadline = time.monotonic() + 2 * units.PATIENCE
            while self._ask(f"know {domain} {mta_sts.WAIT_MAX}\n") == mta_sts.UNKNOWN:
                assert time.monotonic() < deadline, domain
                time.sleep(0.05)

    def _ask(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(units.PATIENCE)
            client.connect(self.socket.getsockname())
            client.sendall(line.encode())
            with client.makefile() as file:
                return file.read()

    def close(self) -> None:
        super().close()
        _CONFIGURATION.unlink()
        shutil.rmtree(KNOWN)


class Web:
    """The web server of all domains, each with a certificate of its own."""

    def __init__(self, internet: internet_.Internet) -> None:
        self._authority = internet.authority
        self._policies: dict[str, str] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}
        policies = self._policies

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = self.headers.get("Host", "")
                body = policies.get(host, "").encode()
                with contextlib.suppress(OSError):
                    self.send_response(200 if body else 404)
                    self.send_header("Content-Type", "text/plain")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: tp.Any) -> None:
                """Say nothing."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: tp.Any) -> None:
                """Say nothing of who does not believe the certificate."""

        self._server = Server((ADDRESS, 443), Handler)
        context = self._context("other.example")
        context.sni_callback = self._choose
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def publish(self, domain: str, *rows: str, name: str = "") -> None:
        """Have *domain* publish a policy of *rows*, or else none any more.

        *name* is what the web server's certificate is for, if not for its own.
        """
        host = f"mta-sts.{domain}"
        of_dns = (f"_mta-sts.{domain}", "TXT"), (host, "A")
        if not rows:
            for key in of_dns:
                internet_.ZONE.pop(key, None)
            self._policies.pop(host, None)
            return
        self._contexts[host] = self._context(name or host)
        self._policies[host] = "\r\n".join(["version: STSv1", "max_age: 604800", *rows])
        for key, value in zip(of_dns, ('"v=STSv1; id=1;"', ADDRESS), strict=True):
            internet_.ZONE[key] = [value]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for host in list(self._policies):
            self.publish(host.removeprefix("mta-sts."))

    def _context(self, name: str) -> ssl.SSLContext:
        issued = self._authority.issue(name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(issued.key + issued.chain)
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def _choose(self, secured: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        secured.context = self._contexts.get(name or "", secured.context)


@contextlib.contextmanager
def published(records: Mapping[tuple[str, str], list[str]]) -> Iterator[None]:
    """Have the name server know *records* as well."""
    internet_.ZONE.update(records)
    try:
        yield
    finally:
        for key in records:
            del internet_.ZONE[key]
