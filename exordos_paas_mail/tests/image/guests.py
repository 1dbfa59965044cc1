# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the image tests ask of a node, be it a container or a virtual machine."""

from __future__ import annotations

import functools
import json
import pathlib
import smtplib
import ssl
import typing as tp
import uuid

from clients import waiting
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import mail_env, passwd, password_hashes

DOMAIN = "image.example.com"
OWNER = mail_env.Owner(uuid.UUID(int=1), uuid.UUID(int=2))
USERNAME = "bob"
PASSWORD = "a good pass:word"
SENDER = f"{USERNAME}@{DOMAIN}"
# Nobody answers for it on a machine that reaches nobody: the message waits.
RECIPIENT = "someone@elsewhere.example.org"
_SET_ACCOUNTS = pathlib.Path(__file__).with_name("set_accounts.py")
_PYTHON = "/opt/exordos_paas_mail/bin/python"
_SMTP_SECONDS = 60


class Guest(tp.Protocol):
    """A node that is up."""

    host: str

    @property
    def ports(self) -> tp.Mapping[int, int]:
        """Return the port on *host* that each port of the relay is reached by."""

    def run(self, *command: str, stdin: str = "", check: bool = True) -> str:
        """Run *command* in the node as root, return its output."""


class Facts(tp.NamedTuple):
    """What a node must keep for ever, and what mail it holds."""

    dkim_key: str
    dkim_record: str
    tls_key: str
    tls_other: str
    certificate: str
    queue: list[str]


def unit_states(guest: Guest, *units: str) -> dict[str, str]:
    """Return the active state of each unit."""
    shown = guest.run("systemctl", "show", "--property=ActiveState", "--value", *units)
    return dict(zip(units, shown.split(), strict=True))


def deliver_mail_env(guest: Guest, domain: str = DOMAIN) -> None:
    """Do what the base image's agent does with the Config of the control plane."""
    path = constants.MAIL_ENV_FILE
    guest.run(
        "install", "-m", "0640", "/dev/stdin", path, stdin=mail_env.render(domain, None, OWNER)
    )
    guest.run("systemctl", "restart", constants.CONFIGURE_UNIT)


@functools.cache
def _hash() -> str:
    return password_hashes.hash_plaintext(PASSWORD)


def stage_driver(guest: Guest, others: tp.Mapping[str, str] | None = None) -> str:
    """Put what has the image's driver make the account on the node; return its directory.

    ``run.py`` reads ``target.json`` from standard input and prints the report. *others*
    are the hashes of more accounts, by user name.
    """
    directory = "/run/image-test"
    guest.run("mkdir", "-p", directory)
    guest.run("cp", "/dev/stdin", f"{directory}/run.py", stdin=_SET_ACCOUNTS.read_text())
    accounts = {USERNAME: _hash(), **(others or {})}
    target = json.dumps([DOMAIN, passwd.render(accounts.items(), DOMAIN)])
    guest.run("cp", "/dev/stdin", f"{directory}/target.json", stdin=target)
    return directory


def set_account(guest: Guest, others: tp.Mapping[str, str] | None = None) -> dict[str, tp.Any]:
    """Have the image's driver make the account, and *others*; return what it reports."""
    directory = stage_driver(guest, others)
    target = guest.run("cat", f"{directory}/target.json")
    said = guest.run(_PYTHON, f"{directory}/run.py", stdin=target)
    return tp.cast("dict[str, tp.Any]", json.loads(said))


def trusting() -> ssl.SSLContext:
    """Return a client's context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def session(guest: Guest, port: int) -> smtplib.SMTP:
    """Return an encrypted session on *port* that is not logged in."""
    if port == 465:
        return smtplib.SMTP_SSL(
            guest.host, guest.ports[port], context=trusting(), timeout=_SMTP_SECONDS
        )
    client = smtplib.SMTP(guest.host, guest.ports[port], timeout=_SMTP_SECONDS)
    client.starttls(context=trusting())
    return client


def log_in(guest: Guest, port: int, password: str = PASSWORD) -> int:
    """Return the code that AUTH on *port* ends with."""
    with session(guest, port) as client:
        client.ehlo("client.example.net")
        client.user, client.password = SENDER, password
        try:
            return client.auth("plain", client.auth_plain)[0]
        except smtplib.SMTPAuthenticationError as refused:
            return refused.smtp_code


def send(guest: Guest) -> None:
    """Hand a message to the relay that it cannot deliver for now."""
    with session(guest, 587) as client:
        client.login(SENDER, PASSWORD)
        client.sendmail(SENDER, RECIPIENT, f"From: {SENDER}\r\nSubject: kept\r\n\r\nkept\r\n")


def certificate(guest: Guest) -> str:
    """Return the certificate the relay serves, as PEM."""
    with session(guest, 465) as client:
        served = tp.cast("ssl.SSLSocket", client.sock).getpeercert(binary_form=True)
    return ssl.DER_cert_to_PEM_cert(tp.cast("bytes", served))


def facts(guest: Guest) -> Facts:
    """Return what a re-image must not change."""

    def digest(path: str) -> str:
        return guest.run("sha256sum", path).split()[0]

    spooled = guest.run("find", "/var/spool/exim4/input", "-name", "*-[DH]", "-printf", "%f\\n")
    return Facts(
        dkim_key=digest(constants.DKIM_PRIVATE_KEY_FILE),
        dkim_record=digest(constants.DKIM_RECORD_FILE),
        tls_key=digest(constants.TLS_PRIVATE_KEY_FILE),
        tls_other=digest(constants.TLS_OTHER_FILE),
        certificate=certificate(guest),
        queue=sorted(spooled.split()),
    )


def wait_for_queue(guest: Guest, length: int, seconds: float = 60) -> None:
    """Wait until the relay holds *length* messages."""
    waiting.until(
        f"{length} messages in the queue",
        lambda: int(guest.run("exim4", "-bpc")),
        seconds,
        lambda found: found == length,
    )
