# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A mail client: what an account's owner configures, and what an attacker tries."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email.message
import email.policy
import email.utils
import re
import smtplib
import socket
import ssl
import typing as tp
import uuid

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import trusting

T = tp.TypeVar("T")

SUBMISSION: tp.Final = 587
SUBMISSIONS: tp.Final = 465
RELAY: tp.Final = 25
OK: tp.Final = 235
REFUSED: tp.Final = 535
_SECONDS: tp.Final = 30
_CLIENT: tp.Final = "client.example.net"


def unknown_mailbox() -> str:
    """Return an address that the stand's exchanger refuses, and that nobody has written to.

    The second message to one is the relay's to refuse: the address is suppressed.
    """
    return f"refused+{uuid.uuid4()}@example.net"


@dataclasses.dataclass(frozen=True)
class Relay:
    """One relay, by address, and what its clients know it by."""

    host: str
    trust: trusting.Trust

    def answers(self, port: int = SUBMISSION) -> bool:
        """Return whether anybody takes a connection, within two seconds."""
        try:
            with socket.create_connection((self.host, port), timeout=2):
                return True
        except OSError:
            return False

    def banner(self, port: int = SUBMISSION) -> str:
        """Return what a client is greeted with, without the code."""
        if port != SUBMISSIONS:
            return _greeting(smtplib.SMTP(timeout=_SECONDS), self.host, port)
        return self._verified(
            lambda context: _greeting(
                smtplib.SMTP_SSL(timeout=_SECONDS, context=context), self.host, port
            )
        )

    def plain(self, port: int = SUBMISSION) -> smtplib.SMTP:
        """Return a session before STARTTLS, after EHLO."""
        client = smtplib.SMTP(self.host, port, local_hostname=_CLIENT, timeout=_SECONDS)
        client.ehlo()
        return client

    def encrypted(self, port: int = SUBMISSION) -> smtplib.SMTP:
        """Return a session inside TLS, after EHLO: by STARTTLS, or from the start on 465.

        Raises ssl.SSLCertVerificationError, an OSError, where the relay is not the one that is
        known.
        """
        return self._verified(lambda context: self._encrypted(port, context))

    def _verified(self, attempt: tp.Callable[[ssl.SSLContext], T]) -> T:
        """Make an attempt; once more where the relay turns out to have a new certificate."""
        try:
            return attempt(self.trust.context())
        except ssl.SSLCertVerificationError:
            if not self.trust.is_renewed():
                raise
        return attempt(self.trust.context())

    def _encrypted(self, port: int, context: ssl.SSLContext) -> smtplib.SMTP:
        if port == SUBMISSIONS:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, port, local_hostname=_CLIENT, timeout=_SECONDS, context=context
            )
        else:
            client = self.plain(port)
        try:
            if port != SUBMISSIONS:
                client.starttls(context=context)
            assert isinstance(client.sock, ssl.SSLSocket)
            self.trust.check(client.sock)
        except OSError:
            client.close()
            raise
        client.ehlo()
        return client

    def login(
        self, address: str, password: str, port: int = SUBMISSION, mechanism: str = "PLAIN"
    ) -> int:
        """Return the code that ends one AUTH exchange."""
        with self.encrypted(port) as client:
            return authenticate(client, address, password, mechanism)

    def try_login(self, address: str, password: str) -> int | str:
        """Return the code of a login, or why there was none.

        For who waits: a relay may be off, booting, or between two configurations. What
        smtplib and ssl raise is an OSError.
        """
        try:
            return self.login(address, password)
        except OSError as error:
            return repr(error)

    @contextlib.contextmanager
    def logged_in(
        self, address: str, password: str, port: int = SUBMISSION
    ) -> tp.Iterator[smtplib.SMTP]:
        """Give a session of an account."""
        with self.encrypted(port) as client:
            code = authenticate(client, address, password)
            assert code == OK, f"login of {address} on {port}: {code}"
            yield client


def _greeting(client: smtplib.SMTP, host: str, port: int) -> str:
    with client:
        code, words = client.connect(host, port)
    assert code == 220, words
    return words.decode()


def is_trusted(relay: Relay, hostname: str, certificate: str | None = None) -> bool:
    """Return whether a client that trusts *certificate* alone takes the relay for *hostname*.

    None is one with its own defaults, which trusts public authorities.
    """
    context = ssl.create_default_context(cadata=certificate)
    with relay.plain() as client:
        client.docmd("STARTTLS")
        assert client.sock is not None
        try:
            context.wrap_socket(client.sock, server_hostname=hostname).close()
        except ssl.SSLCertVerificationError:
            return False
    return True


def authenticate(
    client: smtplib.SMTP, address: str, password: str, mechanism: str = "PLAIN"
) -> int:
    """Return the code that ends an AUTH exchange (RFC 4954) by *mechanism*."""
    user, secret = address.encode(), password.encode()
    if mechanism == "PLAIN":
        initial = _b64(b"\0".join([b"", user, secret]))
        code, _ = client.docmd("AUTH", f"PLAIN {initial}")
        return code
    code, _ = client.docmd("AUTH", "LOGIN")
    for answer in (user, secret):
        if code != 334:
            break
        code, _ = client.docmd(_b64(answer))
    return code


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def message(sender: str, recipient: str, **headers: str) -> email.message.EmailMessage:
    """Return a message with a subject nobody else has; *headers* replace or add."""
    composed = email.message.EmailMessage()
    composed["From"] = f"Suite <{sender}>"
    composed["To"] = recipient
    composed["Subject"] = f"end-to-end {uuid.uuid4().hex}"
    composed["Date"] = email.utils.formatdate()
    composed["Message-ID"] = email.utils.make_msgid(domain=sender.rpartition("@")[2])
    composed.set_content("Hello.\n.A line that begins with a dot.\n")
    for name, value in headers.items():
        del composed[name.replace("_", "-")]
        composed[name.replace("_", "-")] = value
    return composed


def transact(
    client: smtplib.SMTP, sender: str, recipient: str, composed: email.message.EmailMessage
) -> int:
    """Return the code that ends one mail transaction: of the first command refused, or of DATA."""
    code, _ = client.mail(sender)
    if code == 250:
        code, _ = client.rcpt(recipient)
    if code == 250:
        # smtplib sends octets as they are, and a bare line feed ends no line (RFC 5321 2.3.8).
        code, _ = client.data(composed.as_bytes(policy=email.policy.SMTP))
    return code


def send(
    client: smtplib.SMTP, sender: str, recipient: str, composed: email.message.EmailMessage
) -> str:
    """Return the queue id of a message, which the relay takes."""
    client.mail(sender)
    client.rcpt(recipient)
    code, answer = client.data(composed.as_bytes(policy=email.policy.SMTP))
    found = queue_id(answer)
    assert code == 250, answer
    assert found, answer
    return found


def queue_id(answer: bytes) -> str:
    """Return the queue id that the relay's *answer* to a message tells, empty where it has none."""
    found = re.search(rb"id=(\S+)", answer)
    return found[1].decode() if found else ""
