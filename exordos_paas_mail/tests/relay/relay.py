# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A configured relay, and the ways a test touches it."""

from __future__ import annotations

import base64
import contextlib
import datetime
import os
import pathlib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import typing as tp

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from passlib import hash as passlib_hash

from exordos_paas_mail.codecs import certificates as pairs
from exordos_paas_mail.codecs import credentials, exim_conf, holds, senders, tls_policies
from exordos_paas_mail.tests.relay import certificates, internet, units

DOMAIN: tp.Final = internet.DOMAIN
PASSWORD: tp.Final = "correct horse battery staple"
ALICE: tp.Final = f"alice@{DOMAIN}"
BOB: tp.Final = f"bob@{DOMAIN}"
TLS: tp.Final = pathlib.Path("/etc/exim4/tls")
DKIM: tp.Final = pathlib.Path("/etc/exim4/dkim")
PASSWD: tp.Final = pathlib.Path("/etc/exim4/passwd")
INDEX: tp.Final = pathlib.Path("/etc/exim4/passwd.cdb")
CREDENTIALS: tp.Final = pathlib.Path("/etc/exim4/credentials")
CREDENTIALS_INDEX: tp.Final = pathlib.Path("/etc/exim4/credentials.cdb")
SENDERS: tp.Final = pathlib.Path("/etc/exim4/senders")
SENDERS_INDEX: tp.Final = pathlib.Path("/etc/exim4/senders.cdb")
HOLDS: tp.Final = pathlib.Path("/etc/exim4/holds")
HOLDS_INDEX: tp.Final = pathlib.Path("/etc/exim4/holds.cdb")
TLS_POLICIES: tp.Final = pathlib.Path("/etc/exim4/tls/policies")
TLS_POLICIES_INDEX: tp.Final = pathlib.Path("/etc/exim4/tls/policies.cdb")
CONFIG: tp.Final = pathlib.Path("/etc/exim4/exim4.conf")
LOG: tp.Final = units.LOG
PANIC_LOG: tp.Final = pathlib.Path("/var/log/exim4/paniclog")
REPAIR: tp.Final = pathlib.Path("/usr/local/sbin/exordos-mail-repair")
SPOOL: tp.Final = pathlib.Path("/var/spool/exim4")
APART: tp.Final = SPOOL / holds.QUEUE


def crypt(password: str) -> str:
    """Return the hash the control plane would send."""
    return tp.cast("str", passlib_hash.sha512_crypt.using(rounds=5000).hash(password))


def token(login: str, password: str) -> str:
    """Return the initial response of AUTH PLAIN (RFC 4616)."""
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


def sentence(text: bytes) -> str:
    """Return what an answer says, without line breaks and the codes that repeat after them."""
    return re.sub(r"\r?\n(\d{3}[- ])?(\d\.\d\.\d )?", " ", text.decode()).strip()


def install(path: pathlib.Path, content: str | bytes, mode: int = 0o640) -> None:
    """Put a file in place as the driver does: written aside, then renamed."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    shutil.chown(aside, "root", "Debian-exim")
    aside.chmod(mode)
    aside.rename(path)


def install_repair() -> None:
    """Put the command of these tests' environment where the image has it.

    exim runs it as its own user, who may have no way to an interpreter in a home. The
    bench's file system is a layer above the machine's: the way is open here alone.
    """
    REPAIR.unlink(missing_ok=True)
    REPAIR.symlink_to(pathlib.Path(sys.prefix, "bin", REPAIR.name))
    for folder in pathlib.Path(sys.executable).resolve().parents:
        folder.chmod(folder.stat().st_mode | 0o011)


class Relay:
    """exim4 on its own ports, with the product's configuration and units."""

    def __init__(self) -> None:
        self.units = units.Units()
        self.passwords = {ALICE: PASSWORD, BOB: "bob's own"}
        for folder in (TLS, DKIM):
            folder.mkdir(exist_ok=True)
            shutil.chown(folder, "root", "Debian-exim")
            folder.chmod(0o750)
        self.install_certificate()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        install(DKIM / "platform.private", certificates.pem(key))
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.dkim_record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
        install_repair()
        self.set_accounts({login: crypt(word) for login, word in self.passwords.items()})
        self.configure()

    def install_certificate(self) -> bytes:
        key, self.certificate = certificates.make(DOMAIN)
        self.install_pair(key, self.certificate)
        install(TLS / "relay.pem", pairs.bundle(key, self.certificate))
        key, self.other_certificate = certificates.make(DOMAIN, kind="RSA")
        # As configure leaves it: what is served beside the first is what is kept for that.
        for name in ("other.pem", "relay-other.pem"):
            install(TLS / name, pairs.bundle(key, self.other_certificate))
        return self.certificate

    def install_pair(self, key: bytes, chain: bytes) -> None:
        """Install a pair as an operator does: it is served once configure has seen it."""
        install(TLS / "privkey.pem", key)
        install(TLS / "fullchain.pem", chain)

    def configure(self, **settings: tp.Any) -> None:
        """Render exim4.conf; a restart makes it count."""
        rendered = exim_conf.render(exim_conf.Settings(**{"domain": DOMAIN, **settings}))
        install(CONFIG, rendered, 0o640)

    def set_accounts(self, accounts: dict[str, str]) -> None:
        """Replace the passwd file: login to hash."""
        install(PASSWD, "".join(f"{login}:{word}\n" for login, word in sorted(accounts.items())))

    def set_credentials(self, *known: credentials.Credential) -> None:
        """Replace the file of credentials."""
        install(CREDENTIALS, credentials.render(known, DOMAIN))

    def set_senders(self, policy: str, **entries: tp.Collection[str]) -> None:
        """Replace the senders file: a policy, and the entries of accounts by user name."""
        lines = [(username, senders.line(listed)) for username, listed in entries.items()]
        install(SENDERS, senders.render(policy, lines, DOMAIN))

    def set_holds(self, **states: str) -> None:
        """Replace the file of holds: what becomes of the mail of accounts, by user name."""
        at = int(time.time() * 1000)
        lines = [(name, holds.Hold(holds.State(state), at)) for name, state in states.items()]
        install(HOLDS, holds.render(lines, DOMAIN))

    def set_tls_policies(self, policies: tp.Mapping[str, str], *requiring: str) -> None:
        """Replace the file of TLS policies: modes by domain, and accounts that require TLS."""
        install(TLS_POLICIES, tls_policies.render(policies.items(), requiring, DOMAIN))

    @contextlib.contextmanager
    def configured(self, **settings: tp.Any) -> tp.Iterator[None]:
        """Run with other settings for a while."""
        self.configure(**settings)
        self.units.restart()
        try:
            yield
        finally:
            self.configure()
            self.units.restart()

    # As a client

    def tls_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.certificate.decode())
        context.check_hostname = False
        return context

    def connect(self, port: int, source: str = "127.0.0.1") -> smtplib.SMTP:
        """Connect with TLS, on any port, no login yet."""
        address = (source, 0)
        if port == 465:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                "127.0.0.1",
                port,
                local_hostname="client.example",
                context=self.tls_context(),
                timeout=units.PATIENCE,
                source_address=address,
            )
        else:
            client = smtplib.SMTP(
                "127.0.0.1",
                port,
                local_hostname="client.example",
                timeout=units.PATIENCE,
                source_address=address,
            )
            client.starttls(context=self.tls_context())
        client.ehlo()
        return client

    def login(self, port: int = 587, login: str = ALICE, **kwargs: tp.Any) -> smtplib.SMTP:
        client = self.connect(port, **kwargs)
        client.login(login, self.passwords[login])
        return client

    def send(
        self,
        data: str | bytes | None = None,
        *,
        login: str = ALICE,
        sender: str | None = None,
        recipients: tp.Sequence[str] = ("someone@elsewhere.example",),
        port: int = 587,
    ) -> tuple[int, str]:
        """Submit one message; return the code and text of the last answer."""
        with self.login(port, login) as client:
            code, text = client.mail(login if sender is None else sender)
            for recipient in recipients:
                if code // 100 == 2:
                    code, text = client.rcpt(recipient)
            if code // 100 == 2:
                code, text = client.data(message(From=login) if data is None else data)
            return code, text.decode()

    # As an operator

    def log(self) -> str:
        return LOG.read_text(errors="surrogateescape") if LOG.exists() else ""

    def log_lines(self, pattern: str) -> list[str]:
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def expect_panic(self, pattern: str) -> None:
        """Assert that exim's panic log says this, once or more, and nothing else."""
        lines = PANIC_LOG.read_text().splitlines()
        PANIC_LOG.unlink()
        assert lines
        others = [line for line in lines if not re.search(pattern, line)]
        assert others == [], others

    def queue(self) -> list[str]:
        """Return the ids of the queued messages, as `exim4 -bpr` shows them."""
        shown = subprocess.run(["exim4", "-bpr"], check=True, capture_output=True, text=True)
        return re.findall(r"\b(\w{6}-\w{6}-\w{2})\b", shown.stdout)

    def wait_for_queue(self, count: int, *, seconds: float = units.PATIENCE) -> list[str]:
        deadline = time.monotonic() + seconds
        while len(queued := self.queue()) != count:
            assert time.monotonic() < deadline, f"{len(queued)} messages queued, {count} expected"
            time.sleep(0.05)
        return queued

    def wait_for_log(self, pattern: str, *, seconds: float = units.PATIENCE) -> list[str]:
        deadline = time.monotonic() + seconds
        while not (found := self.log_lines(pattern)):
            assert time.monotonic() < deadline, f"not logged: {pattern}"
            time.sleep(0.02)
        return found

    def run_queue(self) -> None:
        """Try every queued message now, as an operator would."""
        subprocess.run(["exim4", "-qff"], check=True)

    def run_due(self) -> None:
        """Try every queued message whose retry time has come."""
        subprocess.run(["exim4", "-q"], check=True)

    def try_due(self, *names: str) -> None:
        """Try messages whose time has come, as exordos-mail-queue has exim do."""
        subprocess.run(["exim4", "-Mc", *names], check=True)

    def age(self, name: str, *, hours: int) -> None:
        """Have the message *name* be in the queue for *hours* longer."""
        self._age(name, 3600 * hours)

    def _age(self, name: str, seconds: int) -> None:
        (header,) = (SPOOL / "input").glob(f"**/{name}-H")
        text = header.read_text()
        (arrived,) = re.findall(r"^(\d{10}) \d+$", text, re.MULTILINE)
        # In place: the file stays exim's.
        header.write_text(text.replace(arrived, str(int(arrived) - seconds)))

    def pass_time(self, *names: str, minutes: int) -> None:
        """Have *minutes* have passed for messages, and for what exim knows of attempts."""
        shown = ["exim_dumpdb", "-z", str(SPOOL), "retry"]
        hints = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
        asked = ""
        for key, times in re.findall(r"^  ([RT]:.*?) -?\d+ -?\d+ .*\n(.*)$", hints, re.MULTILINE):
            asked += f"{key}\n"
            # When it failed first, was tried last, is tried next (exim specification, 54.11).
            for field, text in enumerate(times.rstrip(" *").split("  "), start=2):
                moment = datetime.datetime.strptime(f"{text}+0000", "%d-%b-%Y %H:%M:%S%z")
                moment -= datetime.timedelta(minutes=minutes)
                asked += f"{field} {moment.astimezone():%y%m%d%H%M}\n"
        fixing = ["exim_fixdb", str(SPOOL), "retry"]
        subprocess.run(fixing, input=asked, text=True, check=True, capture_output=True)
        for name in names:
            self._age(name, 60 * minutes)

    def pass_frozen(self, name: str, *, seconds: int) -> None:
        """Have the message *name* be frozen for *seconds* longer."""
        (header,) = (SPOOL / "input").glob(f"**/{name}-H")
        text = header.read_text()
        (since,) = re.findall(r"^-frozen (\d+)$", text, re.MULTILINE)
        header.write_text(text.replace(f"-frozen {since}", f"-frozen {int(since) - seconds}"))

    def wait_until_idle(self, *, seconds: float = units.PATIENCE) -> None:
        """Wait until no session is open and nothing is being delivered."""
        deadline = time.monotonic() + seconds
        while not self.units.is_idle():
            assert time.monotonic() < deadline, "sessions or deliveries are under way"
            time.sleep(0.01)

    def forget_queue(self, *, seconds: float = units.PATIENCE) -> None:
        """Empty the queue, once nothing is being delivered.

        exim may lose track of a message that is removed just when its delivery begins. What a
        process that was killed left of a message is in no queue, and goes too.
        """
        deadline = time.monotonic() + seconds
        while not self.units.is_idle():
            assert time.monotonic() < deadline, "sessions or deliveries are under way"
            time.sleep(0.01)
        while queued := self.queue():
            assert time.monotonic() < deadline, f"{len(queued)} messages are stuck"
            subprocess.run(["exim4", "-Mrm", *queued], check=False, capture_output=True)
        for path in (SPOOL / "input").rglob("*"):
            if path.is_file():
                path.unlink()
        shutil.rmtree(APART, ignore_errors=True)

    def hints(self, database: str) -> str:
        """Return what exim_dumpdb shows of a database."""
        command: list[str | pathlib.Path] = ["exim_dumpdb", SPOOL, database]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def forget_counts(self) -> None:
        """Forget rate limits and retry times."""
        for path in (SPOOL / "db").glob("*"):
            path.unlink()


def message(body: str = "Hello.\r\n", **headers: str) -> str:
    fields = {
        "To": "someone@elsewhere.example",
        "Subject": "Greetings",
        "Date": "Sun, 22 Nov 2026 12:00:00 +0000",
        "Message-ID": "<1@client.example>",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n" + body


@tp.final
class Raw:
    """A client that writes what it is told, when it is told."""

    def __init__(
        self, relay: Relay, port: int, *, tls: bool = False, source: str = "127.0.0.1"
    ) -> None:
        self.socket: socket.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=units.PATIENCE, source_address=(source, 0)
        )
        self.relay = relay
        if port == 465:
            self.socket = relay.tls_context().wrap_socket(self.socket)
        self._file = self.socket.makefile("rb")
        if tls:
            self.answer()
            self.command("EHLO client.example")
            self.start_tls()
            self.command("EHLO client.example")

    def start_tls(self) -> None:
        assert self.command("STARTTLS").startswith("220 ")
        self.encrypt()

    def encrypt(self) -> None:
        self.socket = self.relay.tls_context().wrap_socket(self.socket)
        self._file = self.socket.makefile("rb")

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> str:
        """Return one whole answer, "" at the end of the connection."""
        lines = []
        while line := self._file.readline():
            lines.append(line.decode())
            if line[3:4] != b"-":
                break
        return "".join(lines)

    def command(self, text: str) -> str:
        self.write(text.encode() + b"\r\n")
        return self.answer()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_ours() -> bool:
    return os.environ.get("MAILAAS_RELAY_BENCH") == "1"
