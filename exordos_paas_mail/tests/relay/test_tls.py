# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import collections
import socket
import ssl
import threading
import typing as tp

import pytest

from clients import issuing
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.relay import internet as internet_

HANDSHAKES = 500


@pytest.mark.parametrize(
    ("version", "spoken"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_clients_speak_tls_1_2_or_later(
    relay: relay_.Relay, version: ssl.TLSVersion, *, spoken: bool
) -> None:
    context = relay.tls_context()
    context.minimum_version = context.maximum_version = version
    # Python's own floor would hide the relay's.
    context.set_ciphers("ALL:@SECLEVEL=0")
    held = socket.create_connection(("127.0.0.1", 465), timeout=10)
    with held:
        if spoken:
            with context.wrap_socket(held) as session:
                assert session.recv(3) == b"220"
        else:
            with pytest.raises(ssl.SSLError, match="ALERT"):
                context.wrap_socket(held)


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384"])
def test_ciphers_without_forward_secrecy_or_strength_are_refused(
    relay: relay_.Relay, cipher: str
) -> None:
    context = relay.tls_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", 465), timeout=10) as held,
        pytest.raises(ssl.SSLError, match="ALERT"),
    ):
        context.wrap_socket(held)


def test_the_installed_certificate_is_served(relay: relay_.Relay) -> None:
    served = ssl.get_server_certificate(("127.0.0.1", 465))
    assert served.split() == relay.certificate.decode().split()


def test_a_renewed_certificate_is_served_after_a_reload(relay: relay_.Relay) -> None:
    new = relay.install_certificate()
    relay.units.reload()
    assert ssl.get_server_certificate(("127.0.0.1", 465)).split() == new.decode().split()


class Verifying:
    """Clients that verify what they are served, one after the other, until *over*."""

    def __init__(self, authority: issuing.Authority) -> None:
        self.context = ssl.create_default_context(cadata=authority.root)
        self.over = threading.Event()
        self.ends: collections.Counter[str] = collections.Counter()
        self.served: set[bytes] = set()

    def run(self) -> None:
        while not self.over.is_set():
            self.ends[self._end()] += 1

    def _end(self) -> str:
        try:
            with (
                socket.create_connection(("127.0.0.1", 465), timeout=30) as held,
                self.context.wrap_socket(held, server_hostname=relay_.DOMAIN) as session,
            ):
                self.served.add(session.getpeercert(binary_form=True) or b"")
                return session.recv(3).decode()
        except OSError as error:
            return type(error).__name__


@pytest.mark.timeout(300)
def test_no_client_is_refused_or_misled_while_the_pair_is_replaced(relay: relay_.Relay) -> None:
    authority = issuing.Authority()
    pairs = [authority.issue(relay_.DOMAIN) for _ in range(4)]

    def serve(pair: issuing.Issued) -> None:
        relay_.install(relay_.TLS / "relay.pem", pair.key + pair.chain)
        relay.units.reload()

    before = (relay_.TLS / "relay.pem").read_bytes()
    serve(pairs[0])
    clients = Verifying(authority)
    threads = [threading.Thread(target=clients.run) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        switches = 0
        while clients.ends.total() < HANDSHAKES:
            switches += 1
            serve(pairs[switches % len(pairs)])
    finally:
        clients.over.set()
        for thread in threads:
            thread.join()
        relay_.install(relay_.TLS / "relay.pem", before)
        relay.units.reload()
    assert clients.ends.keys() == {"220"}, (clients.ends, switches)
    assert len(clients.served) == len(pairs)
    assert switches > len(pairs)


@pytest.mark.parametrize(
    ("domain", "encrypted"),
    [
        pytest.param("tls.example", True, id="offered"),
        pytest.param("elsewhere.example", False, id="not offered"),
        pytest.param("broken-tls.example", False, id="offered and broken"),
    ],
)
def test_mail_leaves_encrypted_wherever_that_works(
    relay: relay_.Relay, internet: internet_.Internet, domain: str, *, encrypted: bool
) -> None:
    assert relay.send(recipients=[f"a@{domain}"])[0] == 250
    (got,) = internet.wait_for(1)
    assert got.tls == encrypted


def test_a_host_that_publishes_its_key_is_held_to_it(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    assert relay.send(recipients=["a@signed.example"])[0] == 250
    (got,) = internet.wait_for(1)
    assert got.tls
    relay.wait_for_log(r"=> a@signed\.example .* CV=dane ")

    internet.forget()
    assert relay.send(recipients=["a@forged.signed.example"])[0] == 250
    relay.wait_for_log(r"== a@forged\.signed\.example .*certificate verification failed")
    assert internet.received() == []


def test_a_published_key_without_dnssec_holds_nobody(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    assert relay.send(recipients=["a@unsigned.example"])[0] == 250
    (got,) = internet.wait_for(1)
    assert got.tls
