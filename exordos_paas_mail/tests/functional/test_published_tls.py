# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What domains publish about TLS: keys in a signed zone (DANE), and policies (MTA-STS).

The zone is one of the world's, which are signed; the MX of each domain is the exchanger, under a
name of the domain's own. It shows a certificate of a public authority to who asks for that name.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import smtplib
import ssl
import typing as tp
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from clients import mail
from exordos_paas_mail.tests.functional import provisioning, sending, submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting

FACTS: tp.Final = ("type", "mx", "verified", "tls_policy", "class")


class Domain(tp.NamedTuple):
    """What a domain publishes, and what is told of mail that waits for it."""

    waits: str
    policy: tuple[str, ...] = ()
    """Of MTA-STS."""
    tlsa: str = ""
    mode: str = "auto"
    """What its sender asks for."""
    expired: bool = False
    """The certificate of its web server."""
    unreachable: bool = False
    """Its web server: nobody listens there."""


ENFORCED_ELSEWHERE: tp.Final = ("mode: enforce", "mx: mx.other.example")
WAITING: tp.Final = {
    "another-key": Domain(
        "TLS session: (certificate verification failed): Verification failed."
        " The certificate differs. ",
        tlsa=f"3 1 1 {'00' * 32}",
    ),
    "unnamed": Domain(
        "MTA-STS: {domain} has no mail server that its policy names", ENFORCED_ELSEWHERE
    ),
    "testing": Domain(
        "MTA-STS: the policy of {domain} is not enforced (mode: testing)",
        ("mode: testing", "mx: mx.other.example"),
        mode="mta_sts",
    ),
    "expired": Domain(
        "MTA-STS: the policy of {domain} cannot be found out: the certificate of its web server"
        " is not accepted: certificate has expired",
        ENFORCED_ELSEWHERE,
        mode="mta_sts",
        expired=True,
    ),
    "unreachable": Domain(
        "MTA-STS: the policy of {domain} cannot be found out: no connection to its web server:"
        " Connection refused",
        ENFORCED_ELSEWHERE,
        mode="mta_sts",
        unreachable=True,
    ),
}
# What their mail leaves by that waits without: nothing is known that binds it.
LESS: tp.Final = {"auto": "opportunistic", "mta_sts": "auto"}


class Waiting(tp.NamedTuple):
    """A message that waits, and what was told of its first attempt."""

    sender: sending.Sender
    policy: str
    """The path of its sender's."""
    told: rest.Json
    subject: str


@pytest.fixture(scope="module")
def zone(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> sending.Sender:
    """Return a sender to a zone that nobody has asked for; the domains of a test are below it."""
    path, domain = mail.instance_path(instance), f"{uuid.uuid4().hex[:10]}.example"
    # A node that could not validate tries again after ten minutes.
    poll = dataclasses.replace(poll, seconds=2 * poll.seconds)
    return sending.Sender(owner, path, relay, accounts.ready(), internet, poll, domain)


def domain_of(zone: sending.Sender, name: str) -> sending.Sender:
    """Return a sender to a domain that is made now; the suite forgets all names at its end."""
    made = dataclasses.replace(zone, domain=f"{name}.{zone.domain}")
    made.internet.publish(made.domain, "MX", f"10 mx.{made.domain}.")
    made.internet.publish(f"mx.{made.domain}", "A", sending.EXCHANGER_ADDRESS)
    return made


def publish_policy(sender: sending.Sender, *rows: str, expired: bool = False) -> None:
    sender.internet.publish(f"_mta-sts.{sender.domain}", "TXT", f"v=STSv1; id={uuid.uuid4().hex};")
    body = "".join(f"{row}\r\n" for row in ("version: STSv1", *rows, "max_age: 604800"))
    sender.internet.serve(f"mta-sts.{sender.domain}", body=body, expired=expired)


def key_of_exchanger() -> str:
    """Return the digest of the exchanger's key, as a TLSA record ``3 1 1`` has it (RFC 6698)."""
    context = ssl.create_default_context()
    # What it shows is what is asked here: nobody knows it before.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(sending.EXCHANGER_ADDRESS, timeout=60) as client:
        client.starttls(context=context)
        assert isinstance(client.sock, ssl.SSLSocket)
        shown = x509.load_der_x509_certificate(client.sock.getpeercert(binary_form=True) or b"")
    key = shown.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(key).hexdigest()


def sent_until(
    sender: sending.Sender, what: str, accept: tp.Callable[[rest.Json], bool]
) -> tuple[rest.Json, str]:
    """Send until the first attempt is told as *accept* has it; return that, and the subject.

    What is sent before a node validates, or has found a policy out, leaves as without.
    """

    def look() -> tuple[rest.Json, str]:
        queue_id, subject = sender.send()
        return sender.attempts(queue_id)[0], subject

    return sender.poll.until(what, look, lambda found: accept(found[0]))


def facts(event: rest.Json) -> tuple[str | None, ...]:
    return tuple(event[name] for name in FACTS)


def says(text: str, event: rest.Json) -> bool:
    return bool(event["text"] == text)


def delivered_by(sender: sending.Sender, queue_id: str) -> list[tuple[str | None, ...]]:
    return [facts(each) for each in sender.attempts(queue_id) if each["type"] == "delivered"]


def test_mail_to_a_server_with_its_key_in_a_signed_zone_leaves_by_it(zone: sending.Sender) -> None:
    sender = domain_of(zone, "fits")
    name = f"_25._tcp.mx.{sender.domain}"
    sender.internet.publish(name, "TLSA", f"3 1 1 {key_of_exchanger()}")
    found, subject = sent_until(sender, "by DANE", lambda it: it["verified"] == "dane")
    assert facts(found) == ("delivered", f"mx.{sender.domain}", "dane", "auto", None)
    assert sender.arrived(subject)["tls"].startswith("TLS")


def test_mail_leaves_to_a_server_that_an_enforced_policy_names(zone: sending.Sender) -> None:
    sender = domain_of(zone, "valid")
    publish_policy(sender, "mode: enforce", f"mx: mx.{sender.domain}")
    found, subject = sent_until(sender, "by MTA-STS", lambda it: it["verified"] == "mta_sts")
    assert facts(found) == ("delivered", f"mx.{sender.domain}", "mta_sts", "mta_sts", None)
    assert sender.arrived(subject)["tls"].startswith("TLS")


@pytest.fixture(scope="module")
def waiting_(zone: sending.Sender) -> tp.Iterator[dict[str, Waiting]]:
    """Return a message to each of the domains in WAITING: all are to be told of at once."""
    senders = {name: domain_of(zone, name) for name in WAITING}
    policies = f"{zone.path}/tls_policies/"
    made: dict[str, str] = {}
    for name, sender in senders.items():
        domain = WAITING[name]
        if domain.policy:
            publish_policy(sender, *domain.policy, expired=domain.expired)
        if domain.unreachable:
            sender.internet.publish(f"mta-sts.{sender.domain}", "A", sending.EXCHANGER_ADDRESS)
        if domain.tlsa:
            sender.internet.publish(f"_25._tcp.mx.{sender.domain}", "TLSA", domain.tlsa)
        asked = {"domain": sender.domain, "mode": domain.mode}
        made[name] = f"{policies}{zone.owner.create(policies, asked)['uuid']}"
    found: dict[str, Waiting] = {}
    for name, sender in senders.items():
        text = WAITING[name].waits.format(domain=sender.domain)
        told, subject = sent_until(sender, text, functools.partial(says, text))
        found[name] = Waiting(sender, made[name], told, subject)
    yield found
    for path in made.values():
        zone.owner.delete(path)


@pytest.mark.parametrize("name", WAITING)
def test_mail_that_cannot_leave_as_it_has_to_waits_and_says_so_at_once(
    waiting_: dict[str, Waiting], name: str
) -> None:
    sender, _, told, subject = waiting_[name]
    assert (told["type"], told["class"], told["attempt"]) == ("deferred", "tls", 1)
    (item,) = sender.poll.until(
        "the queue tells why it waits",
        lambda: sender.owner.list(f"{sender.path}/queue/", queue_id=told["queue_id"]),
        lambda items: [each["queue_id"] for each in items if each["last_error"]] != [],
    )
    assert (item["class"], item["last_error"]) == ("tls", told["text"])
    assert sender.internet.messages(sender.recipient, subject) == []


def test_what_waits_leaves_by_itself_when_its_sender_asks_for_less(
    waiting_: dict[str, Waiting],
) -> None:
    for name, waiting in waiting_.items():
        mode = LESS[WAITING[name].mode]
        waiting.sender.owner.expect(200, "PATCH", waiting.policy, {"mode": mode})
    for name, (sender, _, told, _) in waiting_.items():
        delivered = sender.poll.until(
            f"{name} is delivered",
            functools.partial(delivered_by, sender, told["queue_id"]),
        )
        mode = LESS[WAITING[name].mode]
        assert delivered == [("delivered", f"mx.{sender.domain}", "no", mode, None)]
        # Of what was sent before, too.
        sender.poll.until(
            f"nothing waits for {name}",
            functools.partial(
                sender.owner.list, f"{sender.path}/queue/", recipient_domain=sender.domain
            ),
            lambda items: items == [],
        )
