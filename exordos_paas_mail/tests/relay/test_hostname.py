# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A relay with a name of its own says that name wherever it says who it is."""

from __future__ import annotations

import email
import email.policy
import re
import typing as tp

import pytest

from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.relay import internet as internet_

DOMAIN = relay_.DOMAIN
HOSTNAME = "smtp.tenant-mail.example"
WITHOUT_ID = f"From: {relay_.ALICE}\r\nTo: someone@elsewhere.example\r\n\r\nHello.\r\n"


@pytest.fixture
def named(relay: relay_.Relay) -> tp.Iterator[relay_.Relay]:
    with relay.configured(hostname=HOSTNAME):
        yield relay
        # No delivery of the named relay is left to run under the other name.
        relay.forget_queue()


@pytest.mark.parametrize("port", [25, 465, 587])
def test_a_client_is_greeted_by_it(named: relay_.Relay, port: int) -> None:
    with relay_.Raw(named, port) as client:
        assert client.answer() == f"220 {HOSTNAME} ESMTP\r\n"
        assert client.command("EHLO client.example").startswith(f"250-{HOSTNAME} Hello ")


def test_a_message_leaves_by_it_and_is_signed_by_the_domain(
    named: relay_.Relay, internet: internet_.Internet
) -> None:
    assert named.send(WITHOUT_ID)[0] == 250
    (got,) = internet.wait_for(1)
    assert (got.helo, got.sender) == (HOSTNAME, relay_.ALICE)
    arrived = email.message_from_bytes(got.data, policy=email.policy.default)
    (received,) = arrived.get_all("Received", [])
    assert str(received).startswith(f"by {HOSTNAME} with ")
    assert str(arrived["Message-ID"]).endswith(f"@{HOSTNAME}>")
    (signature,) = arrived.get_all("DKIM-Signature", [])
    assert re.findall(r"\bd=([^;\s]+)", str(signature)) == [DOMAIN]


def test_a_bounce_leaves_by_it_in_the_name_of_the_domain(
    named: relay_.Relay, internet: internet_.Internet
) -> None:
    assert named.send(recipients=["refused@elsewhere.example"])[0] == 250
    (bounce,) = internet.wait_for(1)
    assert (bounce.helo, bounce.sender) == (HOSTNAME, "")
    arrived = email.message_from_bytes(bounce.data, policy=email.policy.default)
    assert arrived["From"].addresses[0].addr_spec == f"mailer-daemon@{DOMAIN}"
    assert re.findall(r"\bd=([^;\s]+)", str(arrived["DKIM-Signature"])) == [DOMAIN]


@pytest.mark.parametrize("role", ["postmaster", "Abuse", "mailer-daemon"])
def test_the_roles_of_the_name_are_the_domains(
    named: relay_.Relay, internet: internet_.Internet, role: str
) -> None:
    with relay_.Raw(named, 25, tls=True) as client:
        client.command("MAIL FROM:<a@elsewhere.example>")
        answer = client.command(f"RCPT TO:<{role}@{HOSTNAME.upper()}> NOTIFY=NEVER")
        assert answer.startswith("250"), answer
        client.command("DATA")
        assert client.command("From: a@elsewhere.example\r\n\r\nHello.\r\n.")[:3] == "250"
    (got,) = internet.wait_for(1)
    assert got.recipients == [f"{role}@{DOMAIN}"]


@pytest.mark.parametrize(
    "recipient",
    [
        f"alice@{HOSTNAME}",
        f"postmaster@x.{HOSTNAME}",
        f"postmaster@{HOSTNAME.replace('.', 'x')}.example",
        f"x.postmaster@{HOSTNAME}",
    ],
)
def test_nobody_else_is_behind_the_name(named: relay_.Relay, recipient: str) -> None:
    with relay_.Raw(named, 25, tls=True) as client:
        client.command("MAIL FROM:<>")
        assert client.command(f"RCPT TO:<{recipient}>").startswith("550 5.7.1 ")


def test_an_account_does_not_send_in_the_name_of_the_machine(named: relay_.Relay) -> None:
    for sender in (f"alice@{HOSTNAME}", f"postmaster@{HOSTNAME}"):
        code, text = named.send(sender=sender)
        assert (code, text.startswith("5.7.1 ")) == (553, True), text
