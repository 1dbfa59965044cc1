# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import typing as tp

import pytest

from clients import issuing
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import switching, units

if tp.TYPE_CHECKING:
    import pathlib

    from exordos_paas_mail.tests.relay import internet as internet_

HANDSHAKES = 500
SWITCHES = 20


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
    held = socket.create_connection(("127.0.0.1", 465), timeout=units.PATIENCE)
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
        socket.create_connection(("127.0.0.1", 465), timeout=units.PATIENCE) as held,
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


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    ("algorithms", "kind"),
    [
        pytest.param("ECDSA+SHA256", "EC", id="EC"),
        pytest.param("RSA-PSS+SHA256:RSA+SHA256", "RSA", id="RSA"),
        pytest.param("RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA256", "EC", id="both"),
    ],
)
def test_a_client_that_knows_only_one_kind_of_key_gets_that_one(
    relay: relay_.Relay, tmp_path: pathlib.Path, version: str, algorithms: str, kind: str
) -> None:
    certificate = {"EC": relay.certificate, "RSA": relay.other_certificate}[kind]
    trusted = tmp_path / "relay.pem"
    trusted.write_bytes(certificate)

    done = subprocess.run(
        [
            *("openssl", "s_client", "-connect", "127.0.0.1:465", "-showcerts", version),
            *("-sigalgs", algorithms, "-CAfile", str(trusted), "-verify_return_error"),
            *("-verify_hostname", relay_.DOMAIN),
        ],
        input=b"QUIT\r\n",
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    chain = re.findall(r"-----BEGIN CERTIFICATE.*?END CERTIFICATE-----\n", shown, re.DOTALL)
    assert chain == [certificate.decode()]
    assert "Verify return code: 0 (ok)" in shown


@pytest.mark.timeout(300)
def test_no_client_is_refused_or_misled_while_the_pairs_are_replaced(relay: relay_.Relay) -> None:
    authority = issuing.Authority()
    sets = [switching.issue(authority, relay_.DOMAIN) for _ in range(4)]
    with switching.served_in_turn(relay, sets):
        clients = [switching.Verifying(authority, *knows) for knows in switching.CLIENTS]
        switches = switching.switch(relay, sets, clients, HANDSHAKES, SWITCHES)
    assert [client.ends.keys() for client in clients] == [{"220"}] * len(clients), clients
    assert [len(client.served) for client in clients] == [len(sets)] * len(clients)
    assert switches >= SWITCHES


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
