# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The name of a relay: given, and taken back, while mail goes on."""

from __future__ import annotations

import ssl
import typing as tp

import pytest

from clients import mail, rest, waiting
from exordos_paas_mail.tests.functional import submission, traffic, trusting

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"
PORTS = (submission.RELAY, submission.SUBMISSION, submission.SUBMISSIONS)
ACCEPTED = 250


class Named(tp.NamedTuple):
    """The shared relay while it has a name of its own."""

    hostname: str
    shown: rest.Json
    """The instance, as the API answered the change."""
    meanwhile: traffic.Outcomes
    """What came of the messages that were sent from before the change until after it."""
    accepted: list[str]
    """The subjects of those that were accepted."""


def rename(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    poll: waiting.Poll,
    hostname: str | None,
) -> rest.Json:
    """Give the relay a name, and return once it has nothing of the one before.

    A port greets by the new name when exim has been started anew on it, which comes after its
    certificate was replaced: no look verifies one that is still to go. Who hears a greeting inside
    TLS has to know that certificate, so the API shows it before.
    """
    shown: rest.Json = owner.expect(
        200, "PATCH", mail.instance_path(instance), {"hostname": hostname}
    )
    name = hostname or instance["domain"]
    poll.until(
        f"the API shows the certificate of {name}",
        lambda: owner.read(mail.instance_path(instance)),
        lambda it: it["tls_status"] == "ACTIVE"
        and {*it["tls_names"]} - {*it["ipsv4"]} == {name, instance["domain"]},
    )
    poll.until(
        f"each port greets as {name}",
        lambda: {relay.banner(port) for port in PORTS},
        lambda found: found == {f"{name} ESMTP"},
    )
    poll.until(
        f"the certificate is that of {name}",
        lambda: submission.is_trusted(
            relay, name, ssl.get_server_certificate((relay.host, PORTS[2]))
        ),
    )
    return shown


@pytest.fixture(scope="module")
def named(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> tp.Iterator[Named]:
    """Return the shared relay under a name of its own, published; it gets its old one back."""
    hostname = f"smtp.{instance['domain']}"
    (address,) = instance["ipsv4"]
    reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    internet.publish(hostname, "A", address)
    internet.publish(hostname, "TXT", "v=spf1 a -all")
    internet.publish(reverse, "PTR", f"{hostname}.")
    account = accounts.ready()
    # The relay makes its certificate anew for another name, with the key that it has.
    shown = owner.read(mail.instance_path(instance))["tls_certificate"]
    client = submission.Relay(relay.host, trusting.SameKey(shown))
    sender = traffic.Sender(client, account.address, account.password, BOB)
    try:
        with traffic.repeated(sender.send) as meanwhile:
            shown = rename(owner, instance, relay, poll, hostname)
        yield Named(hostname, shown, meanwhile, sender.accepted)
    finally:
        rename(owner, instance, relay, poll, None)
        internet.publish(reverse, "PTR", f"{instance['domain']}.")
        internet.withdraw(hostname)


def test_the_api_shows_the_name_and_the_relay_stays_active(
    owner: rest.Api, instance: rest.Json, named: Named
) -> None:
    assert named.shown["hostname"] == named.hostname
    found = owner.read(mail.instance_path(instance))
    assert (found["hostname"], found["status"], found["error"]) == (named.hostname, "ACTIVE", "")


def test_mail_goes_on_while_the_name_changes(
    named: Named, internet: internet_client.Client
) -> None:
    assert named.meanwhile.failures == []
    assert named.accepted
    for subject in named.accepted:
        facts = internet.wait_for_message(BOB, subject)
        assert facts["verdict"]["dmarc"] == "pass", facts["verdict"]


def test_clients_that_know_the_domain_and_those_that_know_the_name_trust_one_certificate(
    relay: submission.Relay, instance: rest.Json, named: Named
) -> None:
    certificate = ssl.get_server_certificate((relay.host, submission.SUBMISSIONS))
    names = (named.hostname, instance["domain"], f"other.{instance['domain']}")
    assert [submission.is_trusted(relay, name, certificate) for name in names] == [
        True,
        True,
        False,
    ]


def test_a_message_leaves_by_the_name_and_is_the_domains(
    relay: submission.Relay,
    alice: provisioning.Account,
    instance: rest.Json,
    internet: internet_client.Client,
    named: Named,
) -> None:
    composed = submission.message(alice.address, BOB)
    with relay.logged_in(alice.address, alice.password) as client:
        assert submission.transact(client, alice.address, BOB, composed) == ACCEPTED
    facts = internet.wait_for_message(BOB, composed["Subject"])
    verdict = facts["verdict"]
    assert (facts["helo"], facts["mail_from"]) == (named.hostname, alice.address)
    assert [verdict[key] for key in ("spf", "dkim", "dmarc")] == ["pass"] * 3, verdict
    assert [it["domain"] for it in verdict["signatures"]] == [instance["domain"]]


def test_a_bounce_passes_spf_by_the_name(
    relay: submission.Relay,
    alice: provisioning.Account,
    internet: internet_client.Client,
    named: Named,
) -> None:
    nobody = submission.unknown_mailbox()
    composed = submission.message(alice.address, nobody)
    with relay.logged_in(alice.address, alice.password) as client:
        assert submission.transact(client, alice.address, nobody, composed) == ACCEPTED
    (facts,) = waiting.until(
        "the bounce",
        lambda: [
            it
            for it in internet.messages(recipient=alice.address)
            if composed["Message-ID"].encode() in internet.raw(it["id"])
        ],
        60,
    )
    verdict = facts["verdict"]
    assert (facts["helo"], facts["mail_from"]) == (named.hostname, "")
    assert (verdict["spf"], verdict["spf_domain"]) == ("pass", named.hostname), verdict
    assert (verdict["dkim"], verdict["dmarc"]) == ("pass", "pass"), verdict


@pytest.mark.parametrize(
    "hostname", ["localhost", "192.0.2.1", "smtp.example.com\nMAIL_DOMAIN=evil.example", ""]
)
def test_a_name_that_is_none_is_refused_by_name(
    owner: rest.Api, instance: rest.Json, hostname: str
) -> None:
    answer = owner.call("PATCH", mail.instance_path(instance), {"hostname": hostname})
    assert (answer.status_code, answer.json()["message"].partition(":")[0]) == (400, "hostname")
