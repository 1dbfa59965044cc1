# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A server that takes mail for all the world from who logs in, in the other name space."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import time
import typing as tp

from aiosmtpd import smtp

from clients import issuing
from exordos_paas_mail.codecs import smarthosts
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.documents import ledger
from exordos_paas_mail.node.documents import smarthost as smarthost_
from exordos_paas_mail.tests.relay import internet, units

NAME: tp.Final = "smart.example"
PRIVATE_NAME: tp.Final = "smart.private.example"
OTHER_NAME: tp.Final = "other.example"
# Its provider's name for it is another, which its certificate has not
ALIAS: tp.Final = "mail.smart.example"
ALIAS_OF: tp.Final = "edge.provider.example"
ADDRESS: tp.Final = "203.0.113.40"
PRIVATE_ADDRESS: tp.Final = "10.80.0.40"
# Without TLS, and where nobody listens
BARE_NAME: tp.Final = "bare.example"
BARE_ADDRESS: tp.Final = "203.0.113.41"
_CERTIFIED: tp.Final = (NAME, PRIVATE_NAME, BARE_NAME, ALIAS)
USERNAME: tp.Final = "tenant@smart.example"
PASSWORD: tp.Final = "of the smarthost"

_TRUSTED = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
_DIRECTORY = pathlib.Path("/var/lib/exordos/mail_events")
_ZONE: tp.Final = {
    (NAME, "A"): [ADDRESS],
    (NAME, "MX"): [f"10 {NAME}."],
    (PRIVATE_NAME, "A"): [PRIVATE_ADDRESS],
    # What the certificate does not name
    (OTHER_NAME, "A"): [ADDRESS],
    (ALIAS, "CNAME"): [f"{ALIAS_OF}."],
    (ALIAS_OF, "A"): [ADDRESS],
    (BARE_NAME, "A"): [BARE_ADDRESS],
    ("sub.utf8.example", "MX"): ["10 mx.public.example."],
    ("here.smart.example", "A"): ["203.0.113.1"],
    ("loop.smart.example", "A"): ["127.0.0.1"],
    ("metadata.smart.example", "A"): ["169.254.169.254"],
}


class Got(tp.NamedTuple):
    """A message as the smarthost got it."""

    login: str
    port: int
    mechanism: str
    tls: bool
    sender: str
    recipients: list[str]
    data: bytes


class Server:
    """The smarthost; *folder* has what it gets, and what it asks for."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        (folder / "got").mkdir(parents=True)
        self.ask(USERNAME, PASSWORD)
        authority = issuing.Authority("Smarthost")
        # Shown to who asks for one of its names, and to nobody else
        issued = authority.issue(*_CERTIFIED)
        (folder / "pair.pem").write_text(issued.key + issued.chain)
        issued = authority.issue(ALIAS_OF)
        (folder / "other.pem").write_text(issued.key + issued.chain)
        self._trusted = _TRUSTED.read_bytes() if _TRUSTED.exists() else None
        _TRUSTED.parent.mkdir(parents=True, exist_ok=True)
        _TRUSTED.write_bytes((self._trusted or b"") + authority.root.encode())
        for address in (ADDRESS, BARE_ADDRESS, PRIVATE_ADDRESS):
            subprocess.run(
                ["ip", "-n", "internet", "addr", "add", f"{address}/24", "dev", "wire"], check=True
            )
        internet.ZONE.update(_ZONE)
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", __spec__.name, str(self.folder)]
        process = subprocess.Popen(
            ["ip", "netns", "exec", "internet", *command], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        return process

    @contextlib.contextmanager
    def down(self) -> tp.Iterator[None]:
        """Refuse connections while the block runs."""
        self._process.kill()
        self._process.wait()
        try:
            yield
        finally:
            self._process = self._started()

    @contextlib.contextmanager
    def paused(self) -> tp.Iterator[tp.Callable[[], None]]:
        """Answer no EHLO over TLS while the block runs; gives what waits for one."""
        pause, begun = self.folder / "pause", self.folder / "begun"
        pause.touch()

        def wait() -> None:
            deadline = time.monotonic() + units.PATIENCE
            while not begun.exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)

        try:
            yield wait
        finally:
            pause.unlink()
            begun.unlink(missing_ok=True)

    def ask(self, username: str, password: str, mechanisms: str = "PLAIN LOGIN") -> None:
        """Let who logs in so send, and nobody else, by *mechanisms* of AUTH."""
        (self.folder / "asked").write_text(json.dumps([username, password, mechanisms]))

    def forget(self) -> None:
        self.ask(USERNAME, PASSWORD)
        for path in (self.folder / "got").iterdir():
            path.unlink()
        (self.folder / "tried").unlink(missing_ok=True)

    def tried(self) -> list[tuple[str, str]]:
        """Return the user names and passwords that it was told, right or wrong."""
        path = self.folder / "tried"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def got(self) -> list[Got]:
        """Return the messages, in order."""
        return [
            Got(**json.loads(path.read_text()), data=path.with_suffix(".eml").read_bytes())
            for path in sorted((self.folder / "got").glob("*.json"))
        ]

    def wait_for(self, count: int, *, seconds: float = units.PATIENCE) -> list[Got]:
        """Return the messages once *count* of them are there; fail after *seconds*."""
        deadline = time.monotonic() + seconds
        while len(got := self.got()) < count:
            assert time.monotonic() < deadline, f"{len(got)} of {count} messages arrived"
            time.sleep(0.02)
        return got

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for key in _ZONE:
            del internet.ZONE[key]
        for address in (ADDRESS, BARE_ADDRESS, PRIVATE_ADDRESS):
            subprocess.run(
                ["ip", "-n", "internet", "addr", "del", f"{address}/24", "dev", "wire"], check=True
            )
        if self._trusted is None:
            _TRUSTED.unlink()
        else:
            _TRUSTED.write_bytes(self._trusted)


class Told:
    """What a node is told of its smarthost, and makes of it."""

    def __init__(self, directory: pathlib.Path = _DIRECTORY) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._node = machine.Machine()
        self._ledger = ledger.Ledger(directory)
        self._collection = smarthost_.Smarthost(self._ledger, self._node.forget_retry_hints)
        self._revision = 0

    def tell(self, **fields: tp.Any) -> None:
        """Have mail go by a smarthost, that of these tests where *fields* do not say otherwise."""
        port = fields.get("port", 587)
        default = {
            "host": NAME,
            "port": port,
            "tls": smarthosts.default_tls(port),
            "username": USERNAME,
            "password": PASSWORD,
        }
        self._take(smarthosts.Smarthost(**{**default, **fields}))

    def tell_none(self) -> None:
        """Have mail go by MX records."""
        self._take(None)

    def _take(self, told: smarthosts.Smarthost | None) -> None:
        self._revision += 1
        content = smarthosts.render(told)
        self._collection.take(smarthosts.SHARD, content, self._revision)
        # As the daemon, which is exim's user.
        table = self._ledger.directory / smarthost_.TABLE
        _give(table.parent)
        _give(table)
        self._collection.finish([smarthosts.SHARD])

    def forget(self) -> None:
        """Leave nothing of it."""
        for name in (smarthost_.TABLE, smarthost_.TRIED):
            (self._ledger.directory / name).unlink(missing_ok=True)


def _give(path: pathlib.Path) -> None:
    subprocess.run(["chown", "Debian-exim:Debian-exim", path], check=True)


class _Take:
    """Keeps messages; a recipient's local part may ask for a refusal."""

    def __init__(self, folder: pathlib.Path, port: int) -> None:
        self._folder = folder
        self._port = port

    async def handle_RCPT(  # noqa: N802
        self,
        server: smtp.SMTP,
        session: smtp.Session,
        envelope: smtp.Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if address.startswith("refused@"):
            return "550 5.7.1 Not to that one, by us"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: smtp.SMTP, session: smtp.Session, envelope: smtp.Envelope
    ) -> str:
        login, mechanism = session.auth_data or ("", "")
        facts = {
            "login": login,
            "port": self._port,
            "mechanism": mechanism,
            "tls": session.ssl is not None or self._port == 465,
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
        }
        path = self._folder / "got" / f"{time.time_ns():020}"
        path.with_suffix(".eml").write_bytes(envelope.original_content or b"")
        path.with_suffix(".part").write_text(json.dumps(facts))
        path.with_suffix(".part").rename(path.with_suffix(".json"))
        return "250 taken"


class _Session(smtp.SMTP):
    """A session that takes the login that is asked for at the time."""

    def __init__(self, folder: pathlib.Path, port: int, **kwargs: tp.Any) -> None:
        self._folder = folder
        _, _, mechanisms = self._asked()
        kwargs["auth_exclude_mechanism"] = {"PLAIN", "LOGIN"} - set(mechanisms.split())
        super().__init__(_Take(folder, port), hostname=NAME, authenticator=self._is_asked, **kwargs)

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        if self.session is not None and self.session.ssl is not None:
            while (self._folder / "pause").exists():
                (self._folder / "begun").touch()
                await asyncio.sleep(0.05)
        await super().smtp_EHLO(hostname)

    def _asked(self) -> list[str]:
        return tp.cast("list[str]", json.loads((self._folder / "asked").read_text()))

    def _is_asked(
        self,
        server: smtp.SMTP,
        session: smtp.Session,
        envelope: smtp.Envelope,
        mechanism: str,
        told: tp.Any,
    ) -> smtp.AuthResult:
        words = [told.login.decode(), told.password.decode()]
        with (self._folder / "tried").open("a") as file:
            file.write(f"{json.dumps(words)}\n")
        if words == self._asked()[:2]:
            return smtp.AuthResult(success=True, auth_data=(words[0], mechanism))
        return smtp.AuthResult(success=False, handled=False)


def _serve(folder: pathlib.Path) -> None:
    loop = asyncio.new_event_loop()
    named = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    named.load_cert_chain(folder / "pair.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "other.pem")

    def choose(session: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: tp.Any) -> None:
        if name in _CERTIFIED:
            session.context = named

    context.sni_callback = choose

    def serve(address: str, port: int, tls: str) -> None:
        def session() -> smtp.SMTP:
            return _Session(
                folder,
                port,
                loop=loop,
                auth_required=True,
                auth_require_tls=tls == smarthosts.STARTTLS,
                tls_context=context if tls == smarthosts.STARTTLS else None,
            )

        implicit = context if tls == smarthosts.IMPLICIT else None
        listening = socket.create_server((address, port), backlog=1024)
        loop.run_until_complete(loop.create_server(session, sock=listening, ssl=implicit))

    for port in smarthosts.PORTS:
        serve(ADDRESS, port, smarthosts.default_tls(port))
    serve(PRIVATE_ADDRESS, 587, smarthosts.STARTTLS)
    serve(BARE_ADDRESS, 587, "")
    print("listening", flush=True)  # noqa: T201 - what Server waits for
    with contextlib.suppress(KeyboardInterrupt):
        loop.run_forever()


if __name__ == "__main__":
    _serve(pathlib.Path(sys.argv[1]))
