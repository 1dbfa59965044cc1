# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What waits in the queue, and what its sender has done with it, by the API alone."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import typing as tp
import uuid

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning


@dataclasses.dataclass
class Queue:
    """The queue of the shared instance, and a domain that no other test sends to.

    The exchanger of the stand defers what is sent to ``deferred``.
    """

    owner: rest.Api
    path: str
    relay: submission.Relay
    alice: provisioning.Account
    poll: waiting.Poll
    domain: str

    @property
    def deferred(self) -> str:
        return f"deferred@{self.domain}"

    def send(self, recipient: str) -> str:
        """Return the queue id of a new message to *recipient*."""
        composed = submission.message(self.alice.address, recipient)
        with self.relay.logged_in(self.alice.address, self.alice.password) as client:
            return submission.send(client, self.alice.address, recipient, composed)

    def items(self) -> list[rest.Json]:
        return self.owner.list(f"{self.path}/queue/", recipient_domain=self.domain)

    def ids(self) -> list[str]:
        return [each["queue_id"] for each in self.items()]

    def tried(self, queue_id: str, attempts: int = 1) -> rest.Json:
        """Return the one message that waits for the domain, once it was tried so often."""
        (item,) = self.poll.until(
            f"{queue_id} was tried {attempts} times",
            self.items,
            lambda found: [each["queue_id"] for each in found] == [queue_id]
            and found[0]["attempts"] >= attempts,
        )
        return item

    def do(self, action: str, body: rest.Json, where: str = "") -> rest.Json:
        """Return an operation once it has ended."""
        path = f"{self.path}{where}/actions/{action}/invoke"
        asked: rest.Json = self.owner.expect(200, "POST", path, body)
        return self.poll.until(
            f"{action} has ended",
            lambda: self.owner.read(f"{self.path}/operations/{asked['uuid']}"),
            lambda found: found["status"] != "PENDING",
        )

    def told(self) -> list[rest.Json]:
        """Return what queue_domains/ has of the domain."""
        found = self.owner.list(f"{self.path}/queue_domains/")
        return [each for each in found if each["domain"] == self.domain]


@pytest.fixture
def queue(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    alice: provisioning.Account,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> tp.Iterator[Queue]:
    """Return the queue; what still waits for the domain is deleted after the test."""
    domain = f"queue-{uuid.uuid4().hex[:10]}.example.org"
    found = Queue(owner, mail.instance_path(instance), relay, alice, poll, domain)
    yield found
    found.do("queue_resume", {"recipient_domain": domain})
    found.do("queue_delete", {"recipient_domain": domain})


def moment(told: str) -> datetime.datetime:
    """Return a time that the API tells: with a fraction of its second, or without."""
    return datetime.datetime.fromisoformat(told.removesuffix("Z") + "+00:00")


def test_what_waits_is_told_with_its_reason_tried_again_and_deleted(
    queue: Queue, stranger: rest.Api
) -> None:
    first = queue.send(queue.deferred)
    shown = queue.tried(first)
    assert (shown["sender"], shown["recipients"]) == (queue.alice.address, [queue.deferred])
    assert "451" in shown["last_error"]
    assert "Mailbox busy" in shown["last_error"]
    # The node reads exim's plans more seldom than its queue.
    (planned,) = queue.poll.until(
        "its next attempt is told", queue.items, lambda found: bool(found and found[0]["retry_at"])
    )
    times = (planned["retry_at"], shown["last_attempt_at"], shown["arrived_at"])
    retry_at, last_attempt_at, arrived_at = map(moment, times)
    assert retry_at > last_attempt_at >= arrived_at
    told = queue.poll.until("the domain is told", queue.told)
    assert (told[0]["messages"], told[0]["suspended_until"]) == (1, None)
    instance = queue.poll.until(
        "the instance counts it",
        lambda: queue.owner.read(queue.path),
        lambda found: bool(found["queue_messages"]),
    )
    assert instance["queue_oldest_at"] <= shown["arrived_at"]
    assert stranger.call("GET", f"{queue.path}/queue/").status_code == 404

    ended = queue.do("queue_retry", {"queue_ids": [first]})
    assert (ended["status"], ended["result"]["done"]) == ("DONE", [first])
    queue.tried(first, shown["attempts"] + 1)

    second = queue.send(queue.deferred)
    queue.poll.until("both wait", queue.ids, lambda found: found == [first, second])
    gone = "1vNvOk-00000000001-0001"
    ended = queue.do("queue_delete", {"queue_ids": [first, gone]})
    assert (ended["status"], ended["result"]["done"]) == ("DONE", [first])
    assert list(ended["result"]["failed"]) == [gone]
    queue.poll.until("the first is gone", queue.ids, lambda found: found == [second])
    ended = queue.do("queue_delete", {"recipient_domain": queue.domain})
    assert (ended["status"], ended["result"]["done"]) == ("DONE", [second])
    queue.poll.until("the second is gone", queue.ids, lambda found: found == [])
    for queue_id in (first, second):
        queue.poll.until(
            f"{queue_id} is told as deleted",
            functools.partial(queue.owner.list, f"{queue.path}/messages/", queue_id=queue_id),
            lambda found: [each["status"] for each in found] == ["DELETED"],
        )


def test_the_sender_of_a_message_that_is_bounced_gets_a_report(
    queue: Queue, internet: internet_client.Client
) -> None:
    queue_id = queue.send(queue.deferred)
    shown = queue.tried(queue_id)
    ended = queue.do("bounce", {}, f"/queue/{shown['uuid']}")
    assert (ended["status"], ended["result"]["done"]) == ("DONE", [queue_id])
    queue.poll.until("it is gone", queue.ids, lambda found: found == [])
    reports = queue.poll.until(
        "the report arrives",
        lambda: [
            each
            for each in internet.messages(queue.alice.address)
            if queue.deferred.encode() in internet.raw(each["id"])
        ],
    )
    assert len(reports) == 1


def test_a_domain_that_is_suspended_waits_until_it_is_resumed(queue: Queue) -> None:
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    suspension = {
        "recipient_domain": queue.domain,
        "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        "reason": "they asked for an hour",
    }
    ended = queue.do("queue_suspend", suspension)
    assert ended["status"] == "DONE"
    told = queue.poll.until("the suspension is told", queue.told)
    assert (told[0]["suspended_until"], told[0]["suspended_reason"]) == (
        *(f"{until:%Y-%m-%dT%H:%M:%S}.000000Z", "they asked for an hour"),
    )
    recipient = f"somebody@{queue.domain}"
    queue_id = queue.send(recipient)
    queue.poll.until("it waits", queue.ids, lambda found: found == [queue_id])
    ended = queue.do("queue_resume", {"recipient_domain": queue.domain})
    assert ended["status"] == "DONE"
    queue.poll.until("it is delivered", queue.ids, lambda found: found == [])
    queue.poll.until(
        "it is told as delivered",
        lambda: queue.owner.list(f"{queue.path}/messages/", queue_id=queue_id),
        lambda found: [each["status"] for each in found] == ["DELIVERED"],
    )
    queue.poll.until("the suspension is over", queue.told, lambda found: found == [])
