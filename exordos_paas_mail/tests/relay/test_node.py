# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What configure and the driver write is what the real exim reads."""

from __future__ import annotations

import base64
import itertools
import pathlib
import socket
import ssl
import subprocess
import typing as tp

import dkim as dkimpy
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from clients import issuing
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import dkim, exim_conf, mail_env, passwd, tls_document, tls_pairs
from exordos_paas_mail.node import health
from exordos_paas_mail.node.commands import configure, status
from exordos_paas_mail.node.parts import accounts, lookup_file
from exordos_paas_mail.tests.relay import certificates, kinds, nodes, units
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

PASSWORD = "a password of an account"
# What the gate has of benchmarks/handshakes.py: each switch once, and some 350 connections.
SWITCHES = 6
CONNECTIONS = 12


@pytest.fixture
def machine(relay: relay_.Relay, tmp_path: pathlib.Path) -> tp.Iterator[nodes.Machine]:
    """Give the machine, and put exim's files back afterwards."""
    with nodes.configured(relay, tmp_path) as machine:
        yield machine


def text(count: int, password_hash: str) -> str:
    return passwd.render(((f"user{n:06}", password_hash) for n in range(count)), relay_.DOMAIN)


def can_log_in(relay: relay_.Relay, name: str) -> bool:
    plain = base64.b64encode(f"\0{name}@{relay_.DOMAIN}\0{PASSWORD}".encode()).decode()
    with relay.connect(587) as client:
        code, _ = client.docmd("AUTH", f"PLAIN {plain}")
    assert code in {235, 535}
    return code == 235


@pytest.mark.parametrize("count", [2, accounts.INDEX_ACCOUNTS_MIN + 1], ids=["file", "index"])
def test_accounts_log_in_as_soon_as_the_driver_has_written_them(
    relay: relay_.Relay, machine: nodes.Machine, count: int
) -> None:
    node_accounts = accounts.Accounts(machine)
    hashed = relay_.crypt(PASSWORD)

    assert node_accounts.ensure(text(count, hashed))
    assert can_log_in(relay, f"user{count - 1:06}")
    assert not can_log_in(relay, f"user{count:06}")

    assert node_accounts.ensure(text(count + 1, hashed))
    assert can_log_in(relay, f"user{count:06}")

    assert node_accounts.ensure(text(count - 1, hashed))
    assert not can_log_in(relay, f"user{count:06}")
    assert node_accounts.faults() == []
    assert not node_accounts.ensure(text(count - 1, hashed))


def test_exim_reads_the_index_and_not_the_file(relay: relay_.Relay, machine: nodes.Machine) -> None:
    """Shown by an index with one account more than its file."""
    hashed = relay_.crypt(PASSWORD)
    accounts.Accounts(machine).ensure(text(accounts.INDEX_ACCOUNTS_MIN, hashed))
    signature = machine.signature(constants.PASSWD_FILE)
    assert signature is not None
    more = lookup_file._index(text(accounts.INDEX_ACCOUNTS_MIN + 1, hashed), signature)
    machine.ensure_file(constants.PASSWD_INDEX_FILE, more, 0o640, exim=True)

    assert can_log_in(relay, f"user{accounts.INDEX_ACCOUNTS_MIN:06}")


def test_an_edit_by_hand_counts_at_once_whatever_the_index_says(
    relay: relay_.Relay, machine: nodes.Machine
) -> None:
    node_accounts = accounts.Accounts(machine)
    whole = text(accounts.INDEX_ACCOUNTS_MIN, relay_.crypt(PASSWORD))
    node_accounts.ensure(whole)
    file = pathlib.Path(constants.PASSWD_FILE)
    file.write_text(whole.replace("user000007@", "eve@"))

    assert (can_log_in(relay, "user000007"), can_log_in(relay, "eve")) == (False, True)

    node_accounts.ensure(whole)
    assert (can_log_in(relay, "user000007"), can_log_in(relay, "eve")) == (True, False)


def test_configure_makes_a_relay_that_signs_with_the_key_it_reports(
    relay: relay_.Relay, machine: nodes.Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*constants.RELAY_FILES, constants.DKIM_PRIVATE_KEY_FILE):
        pathlib.Path(name).unlink()
    machine.ensure_file(constants.MAIL_ENV_FILE, mail_env.render(relay_.DOMAIN).encode(), 0o640)

    assert configure.main([], machine) == 0
    assert configure.main([], machine) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"{relay_.DOMAIN}: nothing to do"

    certificate, relay.certificate = (
        relay.certificate,
        machine.read(constants.TLS_CERTIFICATE_FILE) or b"",
    )
    try:
        assert relay.send()[0] == 250
    finally:
        relay.certificate = certificate
    _, value = dkim.parse((machine.read(constants.DKIM_RECORD_FILE) or b"").decode())
    assert value == dkim.value_of(machine.read(constants.DKIM_PRIVATE_KEY_FILE) or b"")


@pytest.mark.parametrize("half", ["privkey.pem", "fullchain.pem"])
def test_half_of_a_new_pair_leaves_the_old_one_served(
    relay: relay_.Relay, machine: nodes.Machine, capsys: pytest.CaptureFixture[str], half: str
) -> None:
    machine.ensure_file(constants.MAIL_ENV_FILE, mail_env.render(relay_.DOMAIN).encode(), 0o640)
    assert configure.main([], machine) == 0
    key, chain = certificates.make(relay_.DOMAIN)

    relay_.install(relay_.TLS / half, {"privkey.pem": key, "fullchain.pem": chain}[half])
    # exim reads its files anew when they change, seconds later; a reload has it do so now.
    relay.units.reload()
    assert relay.send()[0] == 250
    assert configure.main([], machine) == 78
    assert "belongs to another private key" in capsys.readouterr().err
    relay.units.reload()
    assert relay.send()[0] == 250

    relay.install_pair(key, chain)
    assert configure.main([], machine) == 0
    assert served() == chain.split()


def test_a_new_pair_that_exim_may_not_read_stops_nobody_and_is_served(
    relay: relay_.Relay, machine: nodes.Machine
) -> None:
    machine.ensure_file(constants.MAIL_ENV_FILE, mail_env.render(relay_.DOMAIN).encode(), 0o640)
    assert configure.main([], machine) == 0
    key, chain = certificates.make(relay_.DOMAIN)

    relay_.install(relay_.TLS / "privkey.pem", key, 0o600)
    relay_.install(relay_.TLS / "fullchain.pem", chain, 0o600)
    relay.units.reload()
    assert relay.send()[0] == 250

    assert configure.main([], machine) == 0
    assert served() == chain.split()


def test_what_the_relay_makes_is_of_two_kinds_and_a_pair_that_is_told_is_served_alone(
    relay: relay_.Relay, machine: nodes.Machine
) -> None:
    machine.ensure_file(constants.MAIL_ENV_FILE, mail_env.render(relay_.DOMAIN).encode(), 0o640)
    for name in constants.RELAY_FILES:
        pathlib.Path(name).unlink()
    assert configure.main([], machine) == 0
    files = (constants.TLS_CERTIFICATE_FILE, constants.TLS_OTHER_FILE)
    own = [certificate(machine.read(name) or b"") for name in files]
    assert served_by_kind() == own

    pair = issuing.Authority().issue(relay_.DOMAIN)
    document = tls_document.Document(tls_pairs.Pair(pair.chain, pair.key))
    told = pathlib.Path(constants.TLS_TOLD_FILE)
    told.parent.mkdir(parents=True, exist_ok=True)
    try:
        told.write_bytes(tls_document.render(document))
        assert configure.main([], machine) == 0
        assert served_by_kind() == [certificate(pair.chain.encode()), None]
    finally:
        told.unlink()
    assert configure.main([], machine) == 0
    assert served_by_kind() == own


@pytest.mark.timeout(600)
def test_no_client_that_verifies_fails_while_configure_switches_between_pairs(
    machine: nodes.Machine,
) -> None:
    with kinds.switched(machine) as (relay, clients):
        kinds.switch(relay, clients, SWITCHES, CONNECTIONS)
    assert [client.ends.keys() for client in clients] == [{"served"}] * len(clients), clients
    pairs = {(before, after) for before, after in itertools.pairwise(relay.begun)}
    assert pairs == set(itertools.permutations(relay.certificates, 2))


def certificate(bundle: bytes) -> bytes:
    """Return the first certificate of PEM, DER."""
    return x509.load_pem_x509_certificate(bundle).public_bytes(serialization.Encoding.DER)


def served_by_kind() -> list[bytes | None]:
    """Return what a client gets that knows EC alone, and one that knows RSA alone."""
    found: list[bytes | None] = []
    for kind in ("ECDSA", "RSA"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"ECDHE-{kind}-AES128-GCM-SHA256")
        with socket.create_connection(("127.0.0.1", 465), timeout=units.PATIENCE) as held:
            try:
                with context.wrap_socket(held) as session:
                    found.append(session.getpeercert(binary_form=True))
            except ssl.SSLError as error:
                if error.reason != "SSLV3_ALERT_HANDSHAKE_FAILURE":
                    raise
                found.append(None)
    return found


def served() -> list[bytes]:
    return ssl.get_server_certificate(("127.0.0.1", 465)).encode().split()


def verifies(data: bytes, value: str) -> bool:
    """Return whether a receiver that finds *value* in DNS accepts the signature."""
    return bool(dkimpy.verify(data, dnsfunc=lambda *_, **__: value.encode()))


def test_a_dkim_key_is_replaced_as_documented_and_put_back(
    relay: relay_.Relay, machine: nodes.Machine, internet: internet_.Internet
) -> None:
    """docs/node.md, "To replace a key"; what came in before leaves with the new key."""
    machine.ensure_file(constants.MAIL_ENV_FILE, mail_env.render(relay_.DOMAIN).encode(), 0o640)
    assert configure.main([], machine) == 0
    key = pathlib.Path(constants.DKIM_PRIVATE_KEY_FILE)
    old, new = key.read_bytes(), dkim.generate()

    subprocess.run(["install", "-m", "0600", "/dev/stdin", key], input=new, check=True)
    assert relay.send(relay_.message(From=relay_.ALICE, Subject="before"))[0] == 250
    relay.wait_for_log(r"== someone@elsewhere\.example .* defer")
    relay.expect_panic(
        r"unable to open file for reading: \S+platform\.private|DKIM: signing failed"
    )
    assert configure.main([], machine) == 0
    relay.run_queue()
    assert relay.send(relay_.message(From=relay_.ALICE, Subject="after"))[0] == 250

    old_value, value = dkim.value_of(old), dkim.value_of(new)
    for got in internet.wait_for(2):
        assert (verifies(got.data, value), verifies(got.data, old_value)) == (True, False)
    assert health.Health(machine).read(relay_.DOMAIN).dkim_public_key == value
    (retired,) = pathlib.Path(constants.DKIM_KEYS_DIR).glob("*.retired")
    assert retired.read_bytes() == old

    subprocess.run(["install", "-m", "0600", retired, key], check=True)
    assert configure.main([], machine) == 0
    assert relay.send()[0] == 250
    assert verifies(internet.wait_for(3)[2].data, old_value)


def test_a_configuration_that_exim_refuses_never_replaces_the_old_one(
    relay: relay_.Relay,
    machine: nodes.Machine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine.ensure_file(constants.MAIL_ENV_FILE, mail_env.render(relay_.DOMAIN).encode(), 0o640)
    before = machine.read(constants.EXIM_CONFIG_FILE)
    refused = "primary_hostname = x\nno_such_option = yes\n"
    monkeypatch.setattr(exim_conf, "render", lambda _: refused)

    assert configure.main([], machine) == 1

    assert machine.read(constants.EXIM_CONFIG_FILE) == before
    said = capsys.readouterr().err
    assert "no_such_option" in said
    assert said.count("\n") == 1
    assert relay.send()[0] == 250


def test_the_status_command_counts_the_real_queue(
    relay: relay_.Relay, machine: nodes.Machine
) -> None:
    machine.ensure_file(constants.MAIL_ENV_FILE, mail_env.render(relay_.DOMAIN).encode(), 0o640)
    assert configure.main([], machine) == 0
    for recipient in ("later@elsewhere.example", "a@silent.example"):
        assert relay.send(recipients=[recipient])[0] == 250
    relay.wait_for_log(r"== later@elsewhere\.example .* defer")
    relay.wait_for_log(r"== a@silent\.example .* defer")
    subprocess.run(["exim4", "-Mf", relay.queue()[0]], check=True, capture_output=True)

    found = status.read(machine)

    assert {key: found[key] for key in found if key != "spool_free_bytes"} == {
        "domain": relay_.DOMAIN,
        "hostname": relay_.DOMAIN,
        "error": "",
        "queue_messages": 2,
        "queue_frozen": 1,
        "queue_stuck": 0,
        "queue_oldest_seconds": 0,
        "panic_log_bytes": 0,
        "webhooks_failing": 0,
    }
