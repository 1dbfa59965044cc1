# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The outside world of the bench: DNS answers, and an MX that keeps what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import pathlib
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import typing as tp

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from aiosmtpd import smtp

from clients import issuing
from exordos_paas_mail.codecs import tls_policies
from exordos_paas_mail.tests.relay import certificates, units

if tp.TYPE_CHECKING:
    import datetime

PUBLIC_ADDRESS = "203.0.113.25"
TLS_ADDRESS = "203.0.113.26"
BROKEN_TLS_ADDRESS = "203.0.113.27"
PUBLIC_IPV6_ADDRESS = "2001:db8::25"
PRIVATE_ADDRESS = "10.80.0.25"
HANGING_ADDRESS = "203.0.113.28"
# Servers whose certificates a public authority has issued, by what is wrong with them.
VALID_ADDRESS = "203.0.113.30"
WRONG_NAME_ADDRESS = "203.0.113.31"
EXPIRED_ADDRESS = "203.0.113.32"
OLD_TLS_ADDRESS = "203.0.113.33"
REFUSING_TLS_ADDRESS = "203.0.113.34"
BY_NAME_ADDRESS = "203.0.113.35"
# Nobody's
GONE_ADDRESS = "203.0.113.99"
# Somebody's who never answers, as behind a firewall that drops what it gets
SILENT_ADDRESS = "203.0.113.98"
DOMAIN = "tenant.example"

ZONE: dict[tuple[str, str], list[str]] = {
    (DOMAIN, "MX"): ["10 mx.public.example."],
    ("mx.public.example", "A"): [PUBLIC_ADDRESS],
    ("mx.public.example", "AAAA"): [PUBLIC_IPV6_ADDRESS],
    ("ipv6.example", "MX"): ["10 mx.ipv6.example."],
    ("mx.ipv6.example", "AAAA"): [PUBLIC_IPV6_ADDRESS],
    ("no-mail.example", "TXT"): ['"v=spf1 -all"'],
    ("utf8.example", "MX"): ["10 mx.tls.example."],
    ("xn--mller-kva.example", "MX"): ["10 mx.public.example."],
    ("elsewhere.example", "MX"): ["10 mx.public.example."],
    ("private.example", "MX"): ["10 mx.private.example."],
    ("mx.private.example", "A"): [PRIVATE_ADDRESS],
    ("both.example", "MX"): ["5 mx.private.example.", "10 mx.public.example."],
    ("loopback.example", "MX"): ["10 localhost.example."],
    ("localhost.example", "A"): ["127.0.0.1"],
    ("metadata.example", "MX"): ["10 metadata-host.example."],
    ("metadata-host.example", "A"): ["169.254.169.254"],
    ("mapped.example", "MX"): ["10 mapped-host.example."],
    ("mapped-host.example", "AAAA"): ["::ffff:10.80.0.25"],
    ("here.example", "MX"): ["10 here-host.example."],
    ("here-host.example", "A"): ["203.0.113.1"],
    ("tls.example", "MX"): ["10 mx.tls.example."],
    ("mx.tls.example", "A"): [TLS_ADDRESS],
    ("broken-tls.example", "MX"): ["10 mx.broken-tls.example."],
    ("mx.broken-tls.example", "A"): [BROKEN_TLS_ADDRESS],
    # What shows its certificate to who asks for its name only; some names are aliases. It has
    # none of one of them.
    ("by-name.example", "MX"): ["10 mx.by-name.example."],
    ("mx.by-name.example", "A"): [BY_NAME_ADDRESS],
    ("alias.example", "MX"): ["10 mx.alias.example."],
    ("also-alias.example", "MX"): ["10 mx.alias.example."],
    ("mx.alias.example", "CNAME"): ["edge.alias.example."],
    ("edge.alias.example", "A"): [BY_NAME_ADDRESS],
    ("second-alias.example", "MX"): ["10 mx.second-alias.example."],
    ("mx.second-alias.example", "CNAME"): ["edge.alias.example."],
    ("unshown.example", "MX"): ["10 mx.unshown.example."],
    ("mx.unshown.example", "CNAME"): ["edge.alias.example."],
    ("first-of-two.example", "MX"): ["10 mx.alias.example.", "20 mx.second-alias.example."],
    ("second-of-two.example", "MX"): ["20 mx.alias.example.", "10 mx.second-alias.example."],
    # Of two servers, the first has another key than it publishes.
    ("by-name.signed.example", "MX"): ["10 mx.forged.signed.example.", "20 mx.by-name.example."],
    ("broken.signed.example", "MX"): ["10 mx.forged.signed.example.", "20 mx.broken-tls.example."],
    ("null.example", "MX"): ["0 ."],
    ("hanging.example", "MX"): ["10 mx.hanging.example."],
    ("mx.hanging.example", "A"): [HANGING_ADDRESS],
    ("gone.example", "MX"): ["10 mx.gone.example."],
    ("mx.gone.example", "A"): [GONE_ADDRESS],
    ("dropped.example", "MX"): ["10 mx.dropped.example."],
    ("mx.dropped.example", "A"): [SILENT_ADDRESS],
    ("signed.example", "MX"): ["10 mx.signed.example."],
    ("mx.signed.example", "A"): [TLS_ADDRESS],
    ("forged.signed.example", "MX"): ["10 mx.forged.signed.example."],
    ("mx.forged.signed.example", "A"): [TLS_ADDRESS],
    ("unsigned.example", "MX"): ["10 mx.unsigned.example."],
    ("mx.unsigned.example", "A"): [TLS_ADDRESS],
    **{
        key: record
        for name, address in {
            "valid": VALID_ADDRESS,
            "wrong-name": WRONG_NAME_ADDRESS,
            "expired": EXPIRED_ADDRESS,
            "old-tls": OLD_TLS_ADDRESS,
            "refusing-tls": REFUSING_TLS_ADDRESS,
            "keyless.signed": VALID_ADDRESS,
        }.items()
        for key, record in {
            (f"{name}.example", "MX"): [f"10 mx.{name}.example."],
            (f"mx.{name}.example", "A"): [address],
        }.items()
    },
    # Domains of one server each, and of another mode of TLS each; no domain has an underscore.
    **{
        (f"{mode.replace('_', '-')}.{server}.example", "MX"): [f"10 mx.{server}.example."]
        for mode in tls_policies.MODES
        for server in ("tls", "public", "forged.signed")
    },
    # No certificate's: what an attacker between relay and MX shows.
    ("_25._tcp.mx.forged.signed.example", "TLSA"): [f"3 1 1 {'00' * 32}"],
    ("_25._tcp.mx.unsigned.example", "TLSA"): [f"3 1 1 {'00' * 32}"],
}
"""What the name server knows.

A domain that starts with "silent." gets SERVFAIL; what is below signed.example
has been validated, says the server to clients that understand it (RFC 4035 3.2.3).
"""
_SHOWN_BY_NAME = ("mx.by-name.example", "mx.alias.example", "mx.second-alias.example")
FAILING: set[str] = set()
"""Names that get SERVFAIL whatever ZONE says, for the time of a test."""


def answer(data: bytes) -> bytes:
    """Return what the name server says to a query."""
    query = dns.message.from_wire(data)
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(question.rdtype)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA | dns.flags.AA
    alias = ZONE.get((name, "CNAME"), []) if kind != "CNAME" else []
    records = ZONE.get((alias[0].rstrip(".") if alias else name, kind))
    if name.startswith("silent.") or name in FAILING:
        response.set_rcode(dns.rcode.SERVFAIL)
    elif records or alias:
        owner = question.name
        if alias:
            response.answer.append(dns.rrset.from_text(owner, 60, "IN", "CNAME", *alias))
            owner = dns.name.from_text(alias[0])
        if records:
            response.answer.append(dns.rrset.from_text(owner, 60, "IN", kind, *records))
    elif not any(known == name for known, _ in list(ZONE)):
        response.set_rcode(dns.rcode.NXDOMAIN)
    if re.search(r"(^|\.)signed\.example$", name) and query.ednsflags & dns.flags.DO:
        response.flags |= dns.flags.AD
    return response.to_wire()


class _Dns(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(answer(data), self.client_address)


def start_dns() -> socketserver.BaseServer:
    """Answer on 127.0.0.1:53 until shut down."""
    server = socketserver.ThreadingUDPServer(("127.0.0.1", 53), _Dns)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="dns", daemon=True).start()
    return server


@dataclasses.dataclass(frozen=True)
class Received:
    """One message as the MX got it."""

    sender: str
    recipients: list[str]
    client: str
    helo: str
    tls: bool
    utf8: bool
    data: bytes


class _Refusing(smtp.SMTP):
    """A server that offers STARTTLS and has none now."""

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        await self.push("454 4.7.0 TLS not available due to local problem")


class _Keep:
    """Keeps messages; a recipient's local part may ask for a refusal."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.count = 0
        self.slow: set[str] = set()

    async def handle_RCPT(  # noqa: N802
        self,
        server: smtp.SMTP,
        session: smtp.Session,
        envelope: smtp.Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if address.startswith("refused@"):
            return "550 5.1.1 No such user: mailbox is unknown here"
        if address.startswith("later@"):
            return "451 4.2.0 Try again later"
        if address.startswith("slow@") and address not in self.slow:
            # Once: who asks again is answered.
            self.slow.add(address)
            await asyncio.sleep(60)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: smtp.SMTP, session: smtp.Session, envelope: smtp.Envelope
    ) -> str:
        self.count += 1
        assert session.peer is not None
        facts = {
            "sender": (envelope.mail_from or "").strip("<>"),
            "recipients": envelope.rcpt_tos,
            "client": session.peer[0],
            "helo": session.host_name,
            "tls": session.ssl is not None,
            "utf8": envelope.smtp_utf8,
        }
        name = f"{time.time_ns():020}-{self.count}"
        (self.folder / f"{name}.eml").write_bytes(envelope.original_content or b"")
        partial = self.folder / f"{name}.part"
        partial.write_text(json.dumps(facts))
        partial.rename(self.folder / f"{name}.json")
        return "250 kept"


class Internet:
    """A name server here, and the MX in the other name space."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._dns = start_dns()
        certificate = folder.with_name("mx.pem")
        key, shown = certificates.make("mx.tls.example")
        certificate.write_bytes(key + shown)
        tlsa = f"3 1 1 {certificates.public_key_digest(shown)}"
        ZONE["_25._tcp.mx.signed.example", "TLSA"] = [tlsa]
        self.authority = issuing.Authority("Public")
        issued = {
            VALID_ADDRESS: self._issue("mx.valid.example", "mx.keyless.signed.example"),
            WRONG_NAME_ADDRESS: self._issue("another.example"),
            EXPIRED_ADDRESS: self._issue("mx.expired.example", ends=-issuing.DAY / 2),
            OLD_TLS_ADDRESS: self._issue("mx.old-tls.example"),
            REFUSING_TLS_ADDRESS: self._issue("mx.refusing-tls.example"),
            BY_NAME_ADDRESS: self._issue("another.example"),
        }
        for address, pem in issued.items():
            (folder.with_name(f"{address}.pem")).write_text(pem)
        for name in _SHOWN_BY_NAME:
            (folder.with_name(f"{name}.pem")).write_text(self._issue(name))
        # One server speaks what no one should any more.
        quiet = "-Wignore:ssl.TLSVersion:DeprecationWarning"
        server = [sys.executable, quiet, "-m", __spec__.name, str(folder), str(certificate)]
        self._mx = subprocess.Popen(
            ["ip", "netns", "exec", "internet", *server],
            stdout=subprocess.PIPE,
        )
        assert self._mx.stdout is not None
        assert self._mx.stdout.readline() == b"listening\n"

    def _issue(self, *names: str, ends: datetime.timedelta = 90 * issuing.DAY) -> str:
        issued = self.authority.issue(*names, ends=ends)
        return issued.key + issued.chain

    def received(self) -> list[Received]:
        """Return what the MX has got so far, in order."""
        return [
            Received(**json.loads(path.read_text()), data=path.with_suffix(".eml").read_bytes())
            for path in sorted(self.folder.glob("*.json"))
        ]

    def wait_for(self, count: int, *, seconds: float = units.PATIENCE) -> list[Received]:
        """Return the messages once *count* of them are there; fail after *seconds*."""
        deadline = time.monotonic() + seconds
        while len(got := self.received()) < count:
            assert time.monotonic() < deadline, f"{len(got)} of {count} messages arrived"
            time.sleep(0.02)
        return got

    def forget(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()

    @contextlib.contextmanager
    def without_dns(self) -> tp.Iterator[None]:
        """Leave port 53 to somebody else for a while."""
        self._close_dns()
        try:
            yield
        finally:
            self._dns = start_dns()

    def _close_dns(self) -> None:
        self._dns.shutdown()
        self._dns.server_close()

    def close(self) -> None:
        self._mx.kill()
        self._mx.wait()
        self._close_dns()


def _serve_mx(folder: pathlib.Path, certificate: pathlib.Path) -> None:
    handler = _Keep(folder)
    loop = asyncio.new_event_loop()

    def serve(
        address: str,
        context: ssl.SSLContext | None,
        *,
        utf8: bool = False,
        kind: type[smtp.SMTP] = smtp.SMTP,
    ) -> None:
        def session() -> smtp.SMTP:
            return kind(
                handler,
                hostname="mx.public.example",
                data_size_limit=None,
                loop=loop,
                tls_context=context,
                enable_SMTPUTF8=utf8,
            )

        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.create_server((address, 25), family=family, backlog=1024)
        loop.run_until_complete(loop.create_server(session, sock=listening))

    good = _context(certificate)
    serve(PUBLIC_ADDRESS, None)
    serve(PRIVATE_ADDRESS, None)
    serve(PUBLIC_IPV6_ADDRESS, None)
    serve(TLS_ADDRESS, good, utf8=True)
    # Without a certificate it offers STARTTLS, and every handshake fails.
    serve(BROKEN_TLS_ADDRESS, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    issued = {
        address: _context(folder.with_name(f"{address}.pem"))
        for address in (VALID_ADDRESS, WRONG_NAME_ADDRESS, EXPIRED_ADDRESS)
    }
    for address, context in issued.items():
        serve(address, context)
    by_name = _context(folder.with_name(f"{BY_NAME_ADDRESS}.pem"))
    named = {name: _context(folder.with_name(f"{name}.pem")) for name in _SHOWN_BY_NAME}

    def choose(session: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: tp.Any) -> None:
        session.context = named.get(name or "", by_name)

    by_name.sni_callback = choose
    serve(BY_NAME_ADDRESS, by_name)
    old = _context(folder.with_name(f"{OLD_TLS_ADDRESS}.pem"))
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1
    old.set_ciphers("ALL:@SECLEVEL=0")
    serve(OLD_TLS_ADDRESS, old)
    refusing = _context(folder.with_name(f"{REFUSING_TLS_ADDRESS}.pem"))
    serve(REFUSING_TLS_ADDRESS, refusing, kind=_Refusing)
    # Connected, a client waits for a greeting that never comes.
    hanging = socket.create_server((HANGING_ADDRESS, 25), backlog=1024)
    assert hanging.fileno() >= 0
    print("listening", flush=True)  # noqa: T201 - what Internet waits for
    loop.run_forever()


def _context(certificate: pathlib.Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


if __name__ == "__main__":
    _serve_mx(*map(pathlib.Path, sys.argv[1:]))
