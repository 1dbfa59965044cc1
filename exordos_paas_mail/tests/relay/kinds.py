# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A relay that configure switches between its own pairs and those of authorities, and clients.

What a tenant chooses by ``tls`` is one of two things to a node: pairs of its own, or a pair that
it is told. Clients trust all that is switched between and nothing else, and ask for the name.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import pathlib
import socket
import ssl
import threading
import time
import typing as tp

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from clients import issuing
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import mail_env, tls_document, tls_pairs
from exordos_paas_mail.node.commands import configure
from exordos_paas_mail.node.documents import ledger
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

    from exordos_paas_mail.tests.relay import nodes

ORDER: tp.Final = ("own", "EC", "own", "RSA", "EC", "RSA")
"""What is served one after the other, from the first again: each comes after each other."""
CLIENTS: tp.Final = tuple(
    itertools.product((465, 587), (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2))
)
"""Port, and the latest version of TLS that a client speaks."""

_OWN: tp.Final = (constants.TLS_CERTIFICATE_FILE, constants.TLS_OTHER_FILE)
_EVENTS: tp.Final = pathlib.Path(constants.EVENTS_DIR)
_DOCUMENT: tp.Final = str(pathlib.Path(constants.TLS_TOLD_FILE).relative_to(_EVENTS))


class Switched:
    """The relay of a machine, which serves its own pairs as it begins."""

    def __init__(self, machine: nodes.Machine) -> None:
        self._machine = machine
        self._ledger = ledger.Ledger(_EVENTS)
        machine.ensure_file(constants.MAIL_ENV_FILE, mail_env.render(relay_.DOMAIN).encode(), 0o640)
        # Those of the bench are an operator's, as far as configure can tell.
        for name in constants.RELAY_FILES:
            pathlib.Path(name).unlink()
        configure.run(machine)
        own = [(machine.read(name) or b"").decode() for name in _OWN]
        # The authorities of one domain's owner, who has gone from one to the other.
        authorities = {"EC": issuing.Authority("First"), "RSA": issuing.Authority("Second")}
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._told = {
            "own": None,
            "EC": authorities["EC"].issue(relay_.DOMAIN),
            "RSA": authorities["RSA"].issue(relay_.DOMAIN, key=key),
        }
        self.certificates = {
            name: frozenset(map(_der, own if pair is None else [pair.leaf]))
            for name, pair in self._told.items()
        }
        """By what is served, the certificates that a client may be shown, DER."""
        self.trusted = "".join([*map(_certificate, own), *(it.root for it in authorities.values())])
        """All that clients trust, PEM."""
        self.begun = ["own"]
        """What has been switched to, the last maybe not yet."""
        self.done = 0
        """The place in it of what is served by now for certain."""

    def switch(self, name: str) -> None:
        """Tell the machine to serve what is called *name*, and have it configure itself."""
        pair = self._told[name]
        document = tls_document.Document(pair and tls_pairs.Pair(pair.chain, pair.key))
        self.begun.append(name)
        self._ledger.write(_DOCUMENT, tls_document.render(document), len(self.begun))
        configure.run(self._machine)
        self.done = len(self.begun) - 1

    def close(self) -> None:
        """Have nothing be told any more; configure has not seen to it."""
        self._ledger.remove(_DOCUMENT)


@dataclasses.dataclass
class Client:
    """A client after the other of one kind, each with one connection, until *over*."""

    relay: Switched
    port: int
    version: ssl.TLSVersion
    over: threading.Event = dataclasses.field(default_factory=threading.Event)
    ends: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """How many connections ended in which way; "served" is the good one."""
    since: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    """Connections by the place of what was served for certain when they began."""

    def run(self) -> None:
        """Connect, until it is over."""
        context = ssl.create_default_context(cadata=self.relay.trusted)
        context.maximum_version = self.version
        while not self.over.is_set():
            first = self.relay.done
            try:
                shown = self._connect(context)
            except (OSError, EOFError) as error:
                self.ends[repr(error)] += 1
            else:
                may = self.relay.begun[first:]
                known = frozenset().union(*(self.relay.certificates[name] for name in may))
                self.ends["served" if shown in known else f"none of {may}"] += 1
            self.since[first] += 1

    def _connect(self, context: ssl.SSLContext) -> bytes:
        """Return the certificate that is shown, once the relay has answered behind it."""
        address = ("127.0.0.1", self.port)
        with socket.create_connection(address, timeout=units.PATIENCE) as held:
            if self.port == 587:
                with held.makefile("rb") as answers:
                    _expect(b"220", answers)
                    held.sendall(b"EHLO client.example\r\n")
                    _expect(b"250", answers)
                    held.sendall(b"STARTTLS\r\n")
                    _expect(b"220", answers)
            with context.wrap_socket(held, server_hostname=relay_.DOMAIN) as session:
                with session.makefile("rb") as answers:
                    if self.port == 587:
                        session.sendall(b"EHLO client.example\r\n")
                    _expect(b"250" if self.port == 587 else b"220", answers)
                    session.sendall(b"QUIT\r\n")
                    _expect(b"221", answers)
                return session.getpeercert(binary_form=True) or b""


def _expect(code: bytes, answers: tp.BinaryIO) -> None:
    """Read an answer, which is to begin with *code*; raises EOFError for another, and for none."""
    line = b"-" * 4
    while line[3:4] == b"-":
        line = answers.readline()
    if not line.startswith(code):
        raise EOFError(line)


@contextlib.contextmanager
def switched(machine: nodes.Machine) -> tp.Iterator[tuple[Switched, list[Client]]]:
    """Give the relay of *machine*, and clients that connect meanwhile, of each of CLIENTS."""
    relay = Switched(machine)
    clients = [Client(relay, *each) for each in CLIENTS]
    threads = [threading.Thread(target=client.run) for client in clients]
    try:
        for thread in threads:
            thread.start()
        yield relay, clients
    finally:
        for client in clients:
            client.over.set()
        for thread in threads:
            thread.join()
        relay.close()


def switch(relay: Switched, clients: Sequence[Client], times: int, connections: int) -> None:
    """Switch so many *times*, once each client has had *connections* to what is served."""
    for name in itertools.islice(itertools.cycle((*ORDER[1:], ORDER[0])), times):
        _wait_for(relay, clients, connections)
        relay.switch(name)
    _wait_for(relay, clients, connections)


def _wait_for(relay: Switched, clients: Sequence[Client], connections: int) -> None:
    # Each of them may take as long as a test waits for anything.
    deadline = time.monotonic() + units.PATIENCE * connections
    while any(client.since[relay.done] < connections for client in clients):
        assert time.monotonic() < deadline, clients
        time.sleep(0.005)


def _certificate(pem: str) -> str:
    """Return the first certificate of *pem*, which may have a key before it."""
    return ssl.DER_cert_to_PEM_cert(_der(pem))


def _der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
