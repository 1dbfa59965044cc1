# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Webhooks from the API to the node, and to a server at a public address of the stand's internet.

Where a name leads to a private address, as that of the exchanger, nothing arrives and the
webhook's user is told why.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import typing as tp
import uuid

import pytest
import standardwebhooks

from clients import mail
from exordos_paas_mail.tests.functional import stand_control, submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

# The exchanger of the stand.
PRIVATE = "10.77.0.3"
REASON = f"its name leads to {PRIVATE}, which is not public"
BOB = "bob@example.net"
# As if the next attempt was the last of all, and due: the pauses before it are three days.
AGE = """
import sqlite3
box = sqlite3.connect("/var/lib/exordos/mail_events/webhooks.sqlite")
with box:
    aged = box.execute("UPDATE waiting SET attempts = 9, next_at = 1 WHERE attempts > 0")
print(aged.rowcount)
"""


@dataclasses.dataclass
class Webhook:
    """A webhook of the shared instance."""

    owner: rest.Api
    instance: str
    path: str
    poll: waiting.Poll
    secret: str = dataclasses.field(repr=False)

    def do(self, action: str, body: rest.Json | None = None) -> rest.Json:
        """Return an operation once it has ended."""
        asked: rest.Json = self.owner.expect(
            200, "POST", f"{self.path}/actions/{action}/invoke", body or {}
        )
        return self.poll.until(
            f"{action} has ended",
            lambda: self.owner.read(f"{self.instance}/operations/{asked['uuid']}"),
            lambda found: found["status"] != "PENDING",
        )

    def deliveries(self, kind: str) -> list[rest.Json]:
        """Return the attempts with events of a type, once there are some."""
        return self.poll.until(
            f"{kind} was sent", lambda: self.owner.list(f"{self.path}/deliveries/", type=kind)
        )

    def wait_status(self, status: str) -> rest.Json:
        return self.poll.until(
            f"the webhook is {status}",
            lambda: self.owner.read(self.path),
            lambda found: found["status"] == status,
        )


@dataclasses.dataclass
class Site:
    """The server that a webhook is sent to, on the stand's internet."""

    world: internet_client.Client
    name: str
    webhook: Webhook

    def answer(self, *codes: int) -> None:
        """Answer with *codes*, and forget what came."""
        self.world.serve(self.name, *codes)

    def test(self) -> None:
        """Have a test arrive: each is one attempt, which a busy machine may be late for."""
        tested = self.webhook.poll.until(
            "a test arrives",
            lambda: self.webhook.do("test"),
            lambda ended: ended["status"] == "DONE",
        )
        assert tested["error"] == ""
        came = self.world.asked(self.name)
        assert {asked["code"] for asked in came} == {200}
        verifier = standardwebhooks.Webhook(self.webhook.secret)
        told = [verifier.verify(asked["body"], asked["headers"]) for asked in came]
        assert {event["type"] for event in told} == {"webhook.test"}

    def wait_for_recipients(self, wanted: set[str], count: int = 0) -> set[str | None]:
        """Return whom *count* events or more are about, *wanted* among them, once they came."""

        def look() -> dict[str, str | None]:
            return {
                asked["headers"]["webhook-id"]: json.loads(asked["body"])["data"].get("recipient")
                for asked in self.world.asked(self.name)
            }

        found = self.webhook.poll.until(
            f"what is about {wanted} arrives",
            look,
            lambda them: wanted <= {*them.values()} and len(them) >= count,
        )
        return {*found.values()}

    def wait_for(self, kind: str, *codes: int) -> rest.Json:
        """Return the event of *kind*, once it was answered with *codes*; each attempt is verified.

        The last answer may be given again: the node may have given up waiting for it.
        """
        verifier = standardwebhooks.Webhook(self.webhook.secret)
        # As they are first seen: what is older than some minutes verifies no more.
        verified: list[tuple[int, str, rest.Json]] = []

        def look() -> list[tuple[int, str, rest.Json]]:
            for asked in self.world.asked(self.name)[len(verified) :]:
                event = verifier.verify(asked["body"], asked["headers"])
                verified.append((asked["code"], asked["headers"]["webhook-id"], event))
            return [each for each in verified if each[2]["type"] == kind]

        found = self.webhook.poll.until(
            f"{kind} is answered with {codes}",
            look,
            lambda them: (
                [code for code, _, _ in them] == [*codes, *[codes[-1]] * (len(them) - len(codes))]
            ),
        )
        # Each attempt is of the same event.
        assert len({identifier for _, identifier, _ in found}) == 1
        event = found[-1][2]
        assert all(each == event for _, _, each in found)
        return event


def make(owner: rest.Api, path: str, name: str, poll: waiting.Poll, *events: str) -> Webhook:
    """Return a new webhook at the server *name*."""
    body = {"url": f"https://{name}/mail", "events": events}
    made = owner.create(f"{path}/webhooks/", body)
    return Webhook(owner, path, f"{path}/webhooks/{made['uuid']}", poll, made["secret_key"])


@pytest.fixture
def site(
    owner: rest.Api, instance: rest.Json, world: internet_client.Client, poll: waiting.Poll
) -> tp.Iterator[Site]:
    """Return a server at a public address, and a webhook of the shared instance that leads to it.

    Its name is resolved, and its certificate verified, as those of any public server are.
    """
    name = f"hooks-{uuid.uuid4().hex[:10]}.example.net"
    world.serve(name)
    path = mail.instance_path(instance)
    found = Site(world, name, make(owner, path, name, poll, "message.accepted", "account.created"))
    yield found
    owner.delete(found.webhook.path)
    world.shut(name)


@pytest.fixture
def webhook(
    owner: rest.Api, instance: rest.Json, world: internet_client.Client, poll: waiting.Poll
) -> tp.Iterator[Webhook]:
    """Return a webhook whose name leads to a private address."""
    name = f"hooks-{uuid.uuid4().hex[:10]}.example.net"
    world.publish(name, "A", PRIVATE)
    found = make(owner, mail.instance_path(instance), name, poll, "message.accepted")
    yield found
    owner.delete(found.path)
    world.withdraw(name)


def test_a_test_of_a_webhook_tells_why_it_does_not_arrive(
    webhook: Webhook, owner: rest.Api, stranger: rest.Api
) -> None:
    # An attempt may end before its name is looked up.
    ended = webhook.poll.until(
        "a test tells the reason",
        lambda: webhook.do("test"),
        lambda found: found["error"] == REASON,
    )
    assert (ended["action"], ended["status"]) == ("webhook_test", "ERROR")
    attempts = webhook.poll.until(
        "the attempt is told",
        lambda: {each["event"]: each for each in webhook.deliveries("webhook.test")},
        lambda found: ended["uuid"] in found,
    )
    attempt = attempts[ended["uuid"]]
    assert (attempt["code"], attempt["error"]) == (None, REASON)
    assert "secret_key" not in owner.read(webhook.path)
    assert stranger.call("GET", webhook.path).status_code == 404


def test_an_event_is_tried_again_told_and_replayed(
    webhook: Webhook, owner: rest.Api, relay: submission.Relay, alice: provisioning.Account
) -> None:
    # The node knows of the webhook from here on.
    webhook.do("test")
    begun = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    composed = submission.message(alice.address, BOB)
    with relay.logged_in(alice.address, alice.password) as client:
        submission.send(client, alice.address, BOB, composed)
    attempts = webhook.deliveries("message.accepted")
    assert {each["error"] for each in attempts} == {REASON}
    shown = webhook.poll.until(
        "the webhook fails",
        lambda: owner.read(webhook.path),
        lambda found: found["status"] == "FAILING",
    )
    assert (shown["last_error"], shown["last_success_at"]) == (REASON, None)
    assert shown["waiting"] >= 1
    replayed = webhook.do("replay", {"from": f"{begun:%Y-%m-%dT%H:%M:%SZ}"})
    assert (replayed["status"], replayed["error"]) == ("DONE", "")
    assert replayed["result"]["count"] >= 1


def test_what_the_control_plane_alone_knows_is_sent_too(
    webhook: Webhook, owner: rest.Api, accounts: provisioning.Accounts
) -> None:
    owner.expect(200, "PATCH", webhook.path, {"events": ["account.created"]})
    # The node knows of the webhook from here on.
    webhook.do("test")
    accounts.make()
    # An attempt may end before its name is looked up; it is tried again.
    webhook.poll.until(
        "the account was told",
        lambda: webhook.deliveries("account.created"),
        lambda found: REASON in {each["error"] for each in found},
    )


def send(relay: submission.Relay, alice: provisioning.Account, recipient: str = BOB) -> str:
    """Return the queue id of a new message."""
    composed = submission.message(alice.address, recipient)
    with relay.logged_in(alice.address, alice.password) as client:
        return submission.send(client, alice.address, recipient, composed)


def test_events_arrive_signed_at_a_public_server_after_an_error_and_until_it_is_gone(
    site: Site,
    relay: submission.Relay,
    alice: provisioning.Account,
    accounts: provisioning.Accounts,
) -> None:
    site.test()

    site.answer(500, 204)
    queue_id = send(relay, alice)
    told = site.wait_for("message.accepted", 500, 204)
    assert (told["data"]["queue_id"], told["data"]["sender"]) == (queue_id, alice.address)
    made = accounts.make()
    told = site.wait_for("account.created", 204)
    assert told["data"]["login"] == made.address

    (asked, *_) = site.world.asked(site.name)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(site.webhook.secret).verify(
            json.dumps({**json.loads(asked["body"]), "type": "message.failed"}), asked["headers"]
        )
    shown = site.webhook.wait_status("ACTIVE")
    assert (shown["given_up"], shown["failing_since"]) == (0, None)

    site.answer(410)
    accounts.make()
    site.wait_for("account.created", 410)
    assert site.webhook.wait_status("DISABLED")["last_error"] == "answered 410"


def test_nothing_of_whom_was_erased_is_replayed(
    site: Site,
    relay: submission.Relay,
    alice: provisioning.Account,
    owner: rest.Api,
) -> None:
    owner.expect(200, "PATCH", site.webhook.path, {"events": ["message.delivered"]})
    # The node knows of the webhook from here on.
    site.webhook.do("test")
    begun = datetime.datetime.now(datetime.timezone.utc)
    gone, kept = (f"{name}-{uuid.uuid4().hex[:10]}@example.net" for name in ("gone", "kept"))
    sent = {recipient: send(relay, alice, recipient) for recipient in (gone, kept)}
    site.wait_for_recipients({gone, kept})
    path = site.webhook.instance
    owner.expect(200, "POST", f"{path}/actions/erase/invoke", {"recipient": gone})
    site.webhook.poll.until(
        "it is erased",
        lambda: owner.list(f"{path}/messages/", queue_id=sent[gone]),
        lambda found: found == [],
    )
    # What came is forgotten.
    site.answer(200)
    replayed = site.webhook.do("replay", {"from": f"{begun:%Y-%m-%dT%H:%M:%SZ}"})
    assert (replayed["status"], replayed["error"]) == ("DONE", "")
    assert gone not in site.wait_for_recipients({kept}, replayed["result"]["count"])


def test_a_webhook_to_which_nothing_arrives_is_disabled_and_tried_again_when_it_is_asked_for(
    site: Site,
    instance: rest.Json,
    stand: stand_control.Stand,
    relay: submission.Relay,
    alice: provisioning.Account,
    owner: rest.Api,
) -> None:
    site.webhook.do("test")
    site.answer(503)
    queue_id = send(relay, alice)
    # One is kept as failed before it is aged: the daemon reads what it has kept.
    site.webhook.wait_status("FAILING")
    service, python = "exordos-mail-webhooks", "/usr/bin/python3 -c"
    aged = stand.shell(
        instance["ipsv4"][0],
        f"systemctl stop {service} && runuser -u Debian-exim -- {python} '{AGE}';"
        f" status=$?; systemctl start {service}; exit $status",
    )
    assert int(aged) >= 1
    shown = site.webhook.wait_status("DISABLED")
    assert shown["last_error"] == "answered 503"

    site.answer(200)
    owner.expect(200, "PATCH", site.webhook.path, {"active": True})
    told = site.wait_for("message.accepted", 200)
    assert told["data"]["queue_id"] == queue_id
    site.webhook.wait_status("ACTIVE")
