# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Clients that verify what a relay serves while that is replaced."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import socket
import ssl
import threading
import time
import typing as tp

from cryptography.hazmat.primitives.asymmetric import rsa

from clients import issuing
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

if tp.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SERVED: tp.Final = ("relay.pem", "relay-other.pem")
CLIENTS: tp.Final = (
    ("all there is", "", ssl.TLSVersion.TLSv1_3),
    ("TLS 1.2", "", ssl.TLSVersion.TLSv1_2),
    ("EC alone", "ECDHE-ECDSA-AES128-GCM-SHA256", ssl.TLSVersion.TLSv1_2),
    ("RSA alone", "ECDHE-RSA-AES128-GCM-SHA256", ssl.TLSVersion.TLSv1_2),
)
"""Name, what they speak if not all, and the latest version of it."""

Set: tp.TypeAlias = tuple[issuing.Issued, issuing.Issued]


def issue(authority: issuing.Authority, name: str) -> Set:
    """Return what is served at a time: a pair of EC, and one of RSA."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return authority.issue(name), authority.issue(name, key=key)


def serve(relay: relay_.Relay, pairs: Set) -> None:
    """Have *pairs* be served, in the way of configure: by a rename each, and a reload."""
    for file, pair in zip(SERVED, pairs, strict=True):
        relay_.install(relay_.TLS / file, pair.key + pair.chain)
    relay.units.reload()


@contextlib.contextmanager
def served_in_turn(relay: relay_.Relay, sets: Sequence[Set]) -> Iterator[None]:
    """Serve the first of *sets*, and in the end what was served before."""
    before = {file: (relay_.TLS / file).read_bytes() for file in SERVED}
    serve(relay, sets[0])
    try:
        yield
    finally:
        for file, bundle in before.items():
            relay_.install(relay_.TLS / file, bundle)
        relay.units.reload()


@dataclasses.dataclass
class Verifying:
    """Clients of one kind, one after the other, until *over*."""

    authority: issuing.Authority
    name: str
    ciphers: str
    version: ssl.TLSVersion
    over: threading.Event = dataclasses.field(default_factory=threading.Event)
    ends: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """How many connections ended in which way; 220 is the relay's greeting."""
    served: set[bytes] = dataclasses.field(default_factory=set, repr=False)

    def run(self) -> None:
        """Connect, until it is over."""
        context = ssl.create_default_context(cadata=self.authority.root)
        context.maximum_version = self.version
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        while not self.over.is_set():
            self.ends[self._end(context)] += 1

    def _end(self, context: ssl.SSLContext) -> str:
        try:
            with (
                socket.create_connection(("127.0.0.1", 465), timeout=units.PATIENCE) as held,
                context.wrap_socket(held, server_hostname=relay_.DOMAIN) as session,
            ):
                self.served.add(session.getpeercert(binary_form=True) or b"")
                return session.recv(3).decode()
        except OSError as error:
            return type(error).__name__


def switch(
    relay: relay_.Relay,
    sets: Sequence[Set],
    clients: Sequence[Verifying],
    handshakes: int,
    times: int,
) -> int:
    """Serve *sets* in turn, so many *times* spread over the *handshakes* of *clients*, or more.

    Returns how often they were replaced.
    """
    threads = [threading.Thread(target=client.run) for client in clients]
    switches = 0

    def had() -> int:
        return sum(client.ends.total() for client in clients)

    try:
        for thread in threads:
            thread.start()
        while switches < times or had() < handshakes:
            switches += 1
            serve(relay, sets[switches % len(sets)])
            while had() < min(handshakes, switches * handshakes / times):
                time.sleep(0.001)
    finally:
        for client in clients:
            client.over.set()
        for thread in threads:
            thread.join()
    return switches
