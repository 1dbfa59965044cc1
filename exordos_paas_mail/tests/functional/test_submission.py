# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail: what leaves, as what it arrives, and what does not leave."""

from __future__ import annotations

import email
import email.policy
import typing as tp

import dkim
import pytest

from clients import waiting
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"
PORTS = (submission.RELAY, submission.SUBMISSION, submission.SUBMISSIONS)
ACCEPTED = 250


@pytest.mark.parametrize("port", PORTS)
def test_a_message_arrives_and_passes_every_check_of_its_receiver(
    relay: submission.Relay,
    alice: provisioning.Account,
    instance: rest.Json,
    internet: internet_client.Client,
    port: int,
) -> None:
    composed = submission.message(alice.address, BOB)
    with relay.logged_in(alice.address, alice.password, port) as client:
        assert submission.transact(client, alice.address, BOB, composed) == ACCEPTED
    facts = internet.wait_for_message(BOB, composed["Subject"])
    verdict = facts["verdict"]
    assert {key: verdict[key] for key in ("spf", "dkim", "dmarc")} == {
        "spf": "pass",
        "dkim": "pass",
        "dmarc": "pass",
    }, verdict
    assert [(it["domain"], it["selector"]) for it in verdict["signatures"]] == [
        (instance["domain"], "platform")
    ]
    assert {key: facts[key] for key in ("client", "helo", "mail_from", "recipients")} == {
        "client": instance["ipsv4"][0],
        "helo": instance["domain"],
        "mail_from": alice.address,
        "recipients": [BOB],
    }
    assert facts["tls"] in {"TLSv1.2", "TLSv1.3"}


def test_a_message_verifies_against_the_record_the_api_returned(
    relay: submission.Relay,
    alice: provisioning.Account,
    instance: rest.Json,
    internet: internet_client.Client,
) -> None:
    composed = submission.message(alice.address, BOB)
    with relay.logged_in(alice.address, alice.password) as client:
        assert submission.transact(client, alice.address, BOB, composed) == ACCEPTED
    raw = internet.raw(internet.wait_for_message(BOB, composed["Subject"])["id"])
    asked = []

    def lookup(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name.decode().rstrip("."))
        key: str = instance["dkim_public_key"]
        return key.encode()

    assert dkim.verify(raw, dnsfunc=lookup)
    assert asked == [f"{instance['dkim_selector']}._domainkey.{instance['domain']}"]
    assert not dkim.verify(raw.replace(b"Hello.", b"Hallo."), dnsfunc=lookup)


def test_a_message_arrives_with_its_own_body_and_without_its_senders_whereabouts(
    relay: submission.Relay,
    alice: provisioning.Account,
    internet: internet_client.Client,
) -> None:
    composed = submission.message(alice.address, BOB, Bcc="hidden@example.net")
    with relay.logged_in(alice.address, alice.password) as client:
        assert client.sock is not None
        ours = client.sock.getsockname()[0]
        assert submission.transact(client, alice.address, BOB, composed) == ACCEPTED
    raw = internet.raw(internet.wait_for_message(BOB, composed["Subject"])["id"])
    arrived = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert arrived.get_content() == composed.get_content().replace("\n", "\r\n")
    assert arrived["Bcc"] is None
    received = " ".join(map(str, arrived.get_all("Received", [])))
    assert received
    for secret in (ours, "client.example.net", "[127.0.0.1]", alice.username):
        assert secret not in received


def test_a_tagged_address_is_the_accounts_own(
    relay: submission.Relay,
    alice: provisioning.Account,
    internet: internet_client.Client,
) -> None:
    tagged = alice.address.replace("@", "+orders@")
    composed = submission.message(tagged, BOB)
    with relay.logged_in(alice.address, alice.password) as client:
        assert submission.transact(client, tagged, BOB, composed) == ACCEPTED
    facts = internet.wait_for_message(BOB, composed["Subject"])
    assert (facts["mail_from"], facts["verdict"]["dmarc"]) == (tagged, "pass")


def test_mail_to_the_accounts_own_domain_goes_to_its_exchanger(
    relay: submission.Relay,
    alice: provisioning.Account,
    instance: rest.Json,
    internet: internet_client.Client,
) -> None:
    colleague = f"colleague@{instance['domain']}"
    composed = submission.message(alice.address, colleague)
    with relay.logged_in(alice.address, alice.password) as client:
        assert submission.transact(client, alice.address, colleague, composed) == ACCEPTED
    assert internet.wait_for_message(colleague, composed["Subject"])["verdict"]["dmarc"] == "pass"


def test_a_message_refused_at_its_destination_comes_back_as_a_signed_bounce(
    relay: submission.Relay,
    alice: provisioning.Account,
    internet: internet_client.Client,
) -> None:
    nobody = submission.unknown_mailbox()
    composed = submission.message(alice.address, nobody)
    with relay.logged_in(alice.address, alice.password) as client:
        accepted = submission.transact(client, alice.address, nobody, composed)
        assert accepted == ACCEPTED
    (facts,) = waiting.until(
        "the bounce",
        lambda: [
            it
            for it in internet.messages(recipient=alice.address)
            if composed["Message-ID"].encode() in internet.raw(it["id"])
        ],
        60,
    )
    assert facts["mail_from"] == ""
    assert (facts["verdict"]["spf"], facts["verdict"]["dmarc"]) == ("pass", "pass")
    assert facts["verdict"]["dkim"] == "pass"
    assert b"550 5.1.1 No such mailbox" in internet.raw(facts["id"])


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "recipient", [BOB, "postmaster@example.net", '"bob@example.net"@example.net']
)
def test_nobody_relays_without_a_login(
    relay: submission.Relay, alice: provisioning.Account, port: int, recipient: str
) -> None:
    for sender in (alice.address, "eve@example.org", ""):
        with relay.encrypted(port) as client:
            composed = submission.message(alice.address, recipient)
            code = submission.transact(client, sender, recipient, composed)
            assert 500 <= code < 600, (port, sender, code)


SPOOFED = "ceo@example.org"


@pytest.mark.parametrize("port", [submission.RELAY, submission.SUBMISSION])
@pytest.mark.parametrize(
    ("envelope", "headers"),
    [
        pytest.param(SPOOFED, {}, id="envelope of another domain"),
        pytest.param(None, {"From": SPOOFED}, id="From of another domain"),
        pytest.param(None, {"Sender": SPOOFED}, id="Sender of another domain"),
        pytest.param(None, {"From": f"a@example.org, {SPOOFED}"}, id="two authors"),
        pytest.param("", {"From": SPOOFED}, id="null sender, From of another domain"),
    ],
)
def test_an_account_sends_as_itself_only(
    relay: submission.Relay,
    alice: provisioning.Account,
    port: int,
    envelope: str | None,
    headers: dict[str, str],
) -> None:
    composed = submission.message(alice.address, BOB, **headers)
    with relay.logged_in(alice.address, alice.password, port) as client:
        sender = alice.address if envelope is None else envelope
        assert 550 <= submission.transact(client, sender, BOB, composed) <= 554


def test_a_recipient_whose_domain_does_not_exist_is_refused_at_once(
    relay: submission.Relay, alice: provisioning.Account
) -> None:
    with relay.logged_in(alice.address, alice.password) as client:
        assert client.mail(alice.address)[0] == ACCEPTED
        code, _ = client.rcpt("bob@no-such-domain.invalid")
        assert code == 550
