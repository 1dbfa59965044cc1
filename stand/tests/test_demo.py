# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import io
import re
import shlex
import socketserver
import ssl
import subprocess
import threading
import typing as tp

import pytest
from rich import console

from clients import issuing, owners
from stand import demo, steps

if tp.TYPE_CHECKING:
    import pathlib

VALUES = {
    "seconds": 61.23,
    "host": "10.77.0.20",
    "url": "http://10.77.0.9:8080/v1/types/mail",
    "outside": "http://10.77.0.1:8053",
    "token": "TOKEN",
    "instance": {"uuid": "UUID"},
    "records": [
        {"name": "demo.example", "type": "A", "value": "10.77.0.20"},
        {"name": "demo.example", "type": "TXT", "value": "v=spf1 -all"},
    ],
    "roots": "/stand/roots.pem",
    "person": demo.Person(owners.Owner("demo-1", "secret", "PROJECT"), "account-secret"),
    "facts": {
        "mail_from": "alice@demo.example",
        "client": "10.77.0.20",
        "helo": "demo.example",
        "tls": "TLSv1.3",
        "verdict": {
            "spf": "pass",
            "dmarc": "pass",
            "signatures": [{"result": "pass", "domain": "demo.example", "selector": "platform"}],
        },
    },
}


def lines(first_word: str) -> list[list[str]]:
    report = demo._report(VALUES).replace("\\\n", " ")
    found = [line for line in report.splitlines() if line.strip().startswith(f"{first_word} ")]
    return [shlex.split(line) for line in found]


def test_the_commands_shown_can_be_pasted_as_they_are() -> None:
    account = [
        *("--auth", "PLAIN", "--auth-user", "alice@demo.example"),
        *("--auth-password", "account-secret"),
        *("--from", "alice@demo.example", "--to", "bob@example.net"),
    ]
    server = ["swaks", "--server", "10.77.0.20", "--port"]
    verified = ["--tls-verify", "$NAMED", "--tls-ca-path", "$SSL_CERT_FILE"]
    assert lines("swaks") == [
        [*server, "587", "--tls", *verified, *account],
        [*server, "465", "--tls-on-connect", *verified, *account],
    ]
    (printed,) = lines("printf")
    assert printed[printed.index("|") :] == [
        *("|", "curl", "-sS", "--ssl-reqd", "--cacert", "$SSL_CERT_FILE"),
        *("--connect-to", "demo.example:587:10.77.0.20:587"),
        *(
            "smtp://demo.example:587/demo.example.net",
            "--user",
            "alice@demo.example:account-secret",
        ),
        *("--mail-from", "alice@demo.example", "--mail-rcpt", "bob@example.net"),
        *("--upload-file", "-"),
    ]
    assert lines("export")[:3] == [
        ["export", "TOKEN=TOKEN"],
        ["export", "INSTANCE=http://10.77.0.9:8080/v1/types/mail/instances/UUID"],
        ["export", "SSL_CERT_FILE=/stand/roots.pem"],
    ]
    assert [command[-1] for command in lines("curl")] == [
        "$INSTANCE",
        "$INSTANCE/accounts/",
        '{"username": "carol", "password": "carol-account-secret"}',
        "http://10.77.0.1:8053/messages?recipient=bob@example.net",
    ]


@pytest.mark.parametrize(
    ("version", "options"),
    [("20201014.0", ""), ("20240103.0", "--tls-verify-target demo.example")],
)
def test_swaks_is_told_the_name_where_it_knows_how(
    tmp_path: pathlib.Path, version: str, options: str
) -> None:
    swaks = tmp_path / "swaks"
    swaks.write_text(f"#!/bin/sh\necho 'swaks version {version}'\n")
    swaks.chmod(0o755)
    (line,) = (each for each in demo._report(VALUES).splitlines() if "export NAMED" in each)
    script = f'{line}\nprintf %s "$NAMED"'
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    shown = subprocess.run(["sh", "-c", script], env=environment, check=True, capture_output=True)
    assert shown.stdout.decode() == options


@pytest.mark.parametrize("port", [587, 465])
@pytest.mark.parametrize(
    ("name", "is_taken"), [(demo.DOMAIN, True), ("other.example", False)], ids=["its", "another's"]
)
def test_a_login_is_made_by_whoever_proves_the_name_alone(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    port: int,
    name: str,
    *,
    is_taken: bool,
) -> None:
    authority = issuing.Authority()
    issued = authority.issue(name)
    pair, roots = tmp_path / "pair.pem", tmp_path / "roots.pem"
    pair.write_text(issued.key + issued.chain)
    roots.write_text(authority.root)
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pair)
    with relay(server, is_implicit=port == 465) as told:
        monkeypatch.setattr(demo, "_PORTS", (told, told) if port == 465 else (0, 0))
        if is_taken:
            demo._login("127.0.0.1", told, "secret").quit()
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                demo._login("127.0.0.1", told, "secret")


@contextlib.contextmanager
def relay(context: ssl.SSLContext, *, is_implicit: bool) -> tp.Iterator[int]:
    """Give the port of a relay that takes every login."""

    class Session(socketserver.StreamRequestHandler):
        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def _encrypt(self) -> None:
            self.connection = context.wrap_socket(self.request, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)

        def handle(self) -> None:
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                if is_implicit:
                    self._encrypt()
                self._say("220 relay")
                while line := self.rfile.readline():
                    verb = line.split()[0].upper()
                    if verb == b"EHLO":
                        self._say("250-relay\r\n250-STARTTLS\r\n250 AUTH PLAIN")
                    elif verb == b"STARTTLS":
                        self._say("220 go on")
                        self._encrypt()
                    elif verb == b"QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("235 welcome")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_records_shown_are_those_of_the_api() -> None:
    shown = [line.strip() for line in demo._report(VALUES).splitlines()]
    assert {"demo.example. A 10.77.0.20", "demo.example. TXT v=spf1 -all"} <= set(shown)


def test_a_step_is_shown_with_its_note_and_a_failed_one_ends_the_run() -> None:
    shown = steps.Steps(count=2)
    shown.console = console.Console(file=io.StringIO(), width=100, highlight=False)
    with shown.step("first [thing]") as step:
        step.note = "[10.77.0.20]"
    with pytest.raises(RuntimeError, match="broken"), shown.step("second"):
        raise RuntimeError("broken")
    assert isinstance(shown.console.file, io.StringIO)
    printed = shown.console.file.getvalue().splitlines()
    assert [re.sub(r" +[0-9]+\.[0-9] s +", " N s ", line) for line in printed] == [
        "✓ 1/2  first [thing] N s [10.77.0.20]",
        "✗ 2/2  second N s failed",
    ]
