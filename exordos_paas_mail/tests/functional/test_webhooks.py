# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Webhooks from the API to the node and back.

The internet of the stand has private addresses, so this is what a node does with a
webhook whose name leads to one: nothing arrives, and its user is told why.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as tp
import uuid

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

# The exchanger of the stand.
PRIVATE = "10.77.0.3"
REASON = f"its name leads to {PRIVATE}, which is not public"
BOB = "bob@example.net"


@dataclasses.dataclass
class Webhook:
    """A webhook of the shared instance."""

    owner: rest.Api
    instance: str
    path: str
    poll: waiting.Poll

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


@pytest.fixture
def webhook(
    owner: rest.Api, instance: rest.Json, world: internet_client.Client, poll: waiting.Poll
) -> tp.Iterator[Webhook]:
    """Return a webhook whose name leads to a private address."""
    name = f"hooks-{uuid.uuid4().hex[:10]}.example.net"
    world.publish(name, "A", PRIVATE)
    path = mail.instance_path(instance)
    made = owner.create(
        f"{path}/webhooks/", {"url": f"https://{name}/mail", "events": ["message.accepted"]}
    )
    found = Webhook(owner, path, f"{path}/webhooks/{made['uuid']}", poll)
    yield found
    owner.delete(found.path)
    world.withdraw(name)


def test_a_test_of_a_webhook_tells_why_it_does_not_arrive(
    webhook: Webhook, owner: rest.Api, stranger: rest.Api
) -> None:
    ended = webhook.do("test")
    assert (ended["action"], ended["status"], ended["error"]) == ("webhook_test", "ERROR", REASON)
    (attempt,) = webhook.deliveries("webhook.test")
    assert (attempt["event"], attempt["code"], attempt["error"]) == (ended["uuid"], None, REASON)
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
