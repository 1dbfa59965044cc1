# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The clients that are tried: which program, where it comes from, by which ports."""

from __future__ import annotations

import dataclasses
import typing as tp

import pytest

STARTTLS: tp.Final = 587
TLS: tp.Final = 465
BOTH: tp.Final = (STARTTLS, TLS)

# What `make client-table` writes.
TABLE: tp.Final = "docs/clients.md"

NODEMAILER: tp.Final = "10.6.1"
PYPI: tp.Final = ("aiosmtplib", "django", "exordos_notification", "yagmail")


@dataclasses.dataclass(frozen=True)
class Client:
    """A program or a library; *source* is the package that brings it, of *registry*.

    *name* is what people call it. *command* sends one message: its settings are
    SERVER, PORT, LOGIN, PASSWORD, RECIPIENT and SUBJECT in the environment, the
    text is on the standard input. One that does not verify takes any certificate.
    """

    name: str
    command: tuple[str, ...]
    source: str
    registry: str = "Debian"
    ports: tuple[int, ...] = BOTH
    verifies: bool = True


@dataclasses.dataclass(frozen=True)
class Satellite:
    """A mail transport agent that hands all mail of its machine to the relay.

    *packages* are installed for it; the first is its own. One that does not verify takes
    any certificate.
    """

    name: str
    packages: tuple[str, ...]
    verifies: bool = True


PROGRAMS_HOME: tp.Final = "/srv/programs"
LIBRARIES_HOME: tp.Final = "/usr/local/lib/mail-clients"
_PYTHON: tp.Final = f"{LIBRARIES_HOME}/python/bin/python"


def _shell(name: str) -> tuple[str, ...]:
    return ("bash", f"{PROGRAMS_HOME}/{name}.sh")


def _python(name: str) -> tuple[str, ...]:
    return (_PYTHON, f"{PROGRAMS_HOME}/{name}.py")


COMMAND_LINE: tp.Final = (
    Client("curl", _shell("curl"), "curl"),
    Client("git send-email", _shell("git-send-email"), "git-email"),
    Client("msmtp", _shell("msmtp"), "msmtp"),
    Client("mutt", _shell("mutt"), "mutt"),
    Client("s-nail", _shell("s-nail"), "s-nail"),
    Client("swaks", _shell("swaks"), "swaks"),
)
DJANGO: tp.Final = Client("Django", _python("with_django"), "django", "PyPI")
JAVA: tp.Final = Client("Java mail", _shell("java"), "libmail-java")
LIBRARIES: tp.Final = (
    Client("aiosmtplib", _python("with_aiosmtplib"), "aiosmtplib", "PyPI"),
    DJANGO,
    Client("Email::Sender (Perl)", ("perl", f"{PROGRAMS_HOME}/send.pl"), "libemail-sender-perl"),
    Client("Go net/smtp", (f"{LIBRARIES_HOME}/send-go",), "golang-go"),
    JAVA,
    Client("nodemailer, pool", ("node", f"{PROGRAMS_HOME}/send.cjs"), "nodemailer", "npm"),
    Client("PHPMailer", ("php", f"{PROGRAMS_HOME}/send.php"), "libphp-phpmailer"),
    Client("Python smtplib", _python("with_smtplib"), "python3"),
    Client("Ruby mail", ("ruby", f"{PROGRAMS_HOME}/send.rb"), "ruby-mail"),
    Client("yagmail", _python("with_yagmail"), "yagmail", "PyPI", verifies=False),
)
PLATFORM: tp.Final = (
    # Its classes speak STARTTLS only.
    Client(
        "exordos_notification",
        _python("with_exordos_notification"),
        "exordos_notification",
        "PyPI",
        (STARTTLS,),
    ),
    Client("Prometheus Alertmanager", _shell("alertmanager"), "prometheus-alertmanager"),
)
SATELLITES: tp.Final = (
    Satellite("dma", ("dma",), verifies=False),
    Satellite("exim4", ("exim4-daemon-light",)),
    Satellite("msmtp-mta", ("msmtp-mta",)),
    Satellite("nullmailer", ("nullmailer",)),
    Satellite("Postfix", ("postfix", "libsasl2-modules")),
)


def runs(clients: tuple[Client, ...]) -> list[tp.Any]:
    """Return (client, port) for each port of *clients*, as parameters of a test."""
    return [
        pytest.param(client, port, id=f"{client.name}-{port}")
        for client in clients
        for port in client.ports
    ]
