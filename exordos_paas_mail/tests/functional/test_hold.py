# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An account that is put on hold and released, by the API alone."""

from __future__ import annotations

import dataclasses
import typing as tp
import uuid

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"


@dataclasses.dataclass
class Sender:
    """An account whose mail is kept apart while it is on hold."""

    owner: rest.Api
    path: str
    relay: submission.Relay
    account: provisioning.Account
    poll: waiting.Poll
    domain: str
    """One that no other test sends to; the exchanger of the stand defers ``deferred``."""

    @property
    def deferred(self) -> str:
        return f"deferred@{self.domain}"

    def send(self, recipient: str) -> tuple[str, str]:
        """Return the queue id and the subject of a new message."""
        composed = submission.message(self.account.address, recipient)
        with self.relay.logged_in(self.account.address, self.account.password) as client:
            queue_id = submission.send(client, self.account.address, recipient, composed)
        return queue_id, composed["Subject"]

    def act(self, action: str, body: rest.Json) -> rest.Json:
        path = f"{self.account.path}/actions/{action}/invoke"
        answer: rest.Json = self.owner.expect(200, "POST", path, body)
        return tp.cast("rest.Json", answer["hold"])

    def wait_for(self, queue_id: str, status: str) -> None:
        self.poll.until(
            f"{queue_id} is {status}",
            lambda: self.owner.list(f"{self.path}/messages/", queue_id=queue_id),
            lambda found: [each["status"] for each in found] == [status],
        )

    def apart(self) -> set[str]:
        found = self.owner.list(f"{self.path}/queue/", account=self.account.uuid, held="true")
        return {each["queue_id"] for each in found}

    def wait_apart(self, *queue_ids: str) -> None:
        self.poll.until(f"{queue_ids} are apart", self.apart, lambda found: found == set(queue_ids))

    def events(self) -> list[str]:
        """Return the types of the events of the account alone, in their order."""
        found = self.owner.list(f"{self.path}/events/", account=self.account.uuid)
        return [each["type"] for each in found if each["message"] is None]


@pytest.fixture
def sender(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    poll: waiting.Poll,
) -> tp.Iterator[Sender]:
    """Return the sender; what still waits for its domain is deleted after the test."""
    account = accounts.ready(on_limit="hold")
    domain = f"hold-{uuid.uuid4().hex[:10]}.example.org"
    path = mail.instance_path(instance)
    yield Sender(owner, path, relay, account, poll, domain)
    body = {"recipient_domain": domain}
    owner.expect(200, "POST", f"{path}/actions/queue_delete/invoke", body)


def test_what_an_account_on_hold_has_is_kept_apart_and_delivered_by_its_release(
    sender: Sender, internet: internet_client.Client
) -> None:
    waits, _ = sender.send(sender.deferred)
    sender.wait_for(waits, "DEFERRED")
    held = sender.act("hold", {"reason": "the suite asks"})
    assert (held["active"], held["by"], held["reason"]) == (True, "USER", "the suite asks")
    # By then the node knows.
    sender.wait_apart(waits)
    sender.wait_for(waits, "HELD")
    apart, subject = sender.send(BOB)
    sender.wait_for(apart, "HELD")
    sender.wait_apart(waits, apart)
    assert internet.messages(BOB, subject) == []

    released = sender.act("release", {"messages": "deliver"})
    assert (released["active"], released["release"]) == (False, "deliver")
    internet.wait_for_message(BOB, subject)
    sender.wait_for(apart, "DELIVERED")
    sender.wait_for(waits, "DEFERRED")
    sender.wait_apart()
    sender.poll.until("both are events", sender.events, lambda found: found == ["held", "released"])


def test_a_release_deletes_what_is_apart(sender: Sender) -> None:
    waits, _ = sender.send(sender.deferred)
    sender.wait_for(waits, "DEFERRED")
    sender.act("hold", {"reason": "the suite asks"})
    sender.wait_apart(waits)
    sender.act("release", {"messages": "delete"})
    sender.wait_for(waits, "DELETED")
    sender.wait_apart()


def test_nobody_else_holds_or_releases_an_account(sender: Sender, stranger: rest.Api) -> None:
    for action, body in (("hold", {"reason": "r"}), ("release", {"messages": "deliver"})):
        path = f"{sender.account.path}/actions/{action}/invoke"
        assert stranger.call("POST", path, body).status_code == 404
