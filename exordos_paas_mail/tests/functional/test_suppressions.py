# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Recipients that nothing is sent to: by a user, by what servers answer, and by lists."""

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
ACCEPTED = 250
REFUSED = 550
LINES = 100_000
# Lines of an answer of the export.
PAGE = 2_000


@dataclasses.dataclass
class Sender:
    """An account, and what of its recipients is suppressed."""

    owner: rest.Api
    instance: str
    relay: submission.Relay
    account: provisioning.Account
    poll: waiting.Poll

    @property
    def path(self) -> str:
        return f"{self.instance}/suppressions/"

    def entries(self, address: str) -> list[rest.Json]:
        return self.owner.list(self.path, address=address)

    def suppress(self, address: str, **fields: tp.Any) -> rest.Json:
        return self.owner.create(self.path, {"address": address, **fields})

    def remove(self, entry: rest.Json) -> None:
        self.owner.delete(f"{self.path}{entry['uuid']}")

    def rcpt(self, address: str) -> tuple[int, str]:
        """Return the answer to a recipient of a message that is not sent."""
        with self.relay.logged_in(self.account.address, self.account.password) as client:
            client.mail(self.account.address)
            code, text = client.rcpt(address)
        return code, text.decode()

    def wait_for(self, address: str, code: int) -> str:
        """Return what the relay says of a recipient once it says *code*."""
        _, text = self.poll.until(
            f"RCPT of {address} is answered with {code}",
            lambda: self.rcpt(address),
            lambda found: found[0] == code,
        )
        return text

    def send(self, recipient: str) -> str:
        """Return the queue id of a new message."""
        composed = submission.message(self.account.address, recipient)
        with self.relay.logged_in(self.account.address, self.account.password) as client:
            return submission.send(client, self.account.address, recipient, composed)

    def do(self, action: str, body: rest.Json) -> rest.Json:
        """Return an operation once it has ended."""
        asked: rest.Json = self.owner.expect(
            200, "POST", f"{self.instance}/actions/{action}/invoke", body
        )
        return self.poll.until(
            f"{action} has ended",
            lambda: self.owner.read(f"{self.instance}/operations/{asked['uuid']}"),
            lambda found: found["status"] != "PENDING",
        )

    def wait_event(self, kind: str, recipient: str, count: int = 1) -> list[rest.Json]:
        """Return so many events about a recipient once they are told."""
        return self.poll.until(
            f"{count} {kind} of {recipient}",
            lambda: self.owner.list(f"{self.instance}/events/", type=kind, recipient=recipient),
            lambda found: len(found) >= count,
        )


@pytest.fixture
def sender(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    poll: waiting.Poll,
) -> Sender:
    """Return a sender of its own: its account takes its entries along."""
    return Sender(owner, mail.instance_path(instance), relay, accounts.ready(), poll)


def unique(name: str = "someone") -> str:
    """Return an address that nothing was sent to, of a domain that no other test sends to."""
    return f"{name}@s-{uuid.uuid4().hex[:10]}.example.org"


def test_one_recipient_is_refused_and_the_others_are_sent_to(
    sender: Sender, internet: internet_client.Client, stranger: rest.Api
) -> None:
    address = unique()
    entry = sender.suppress(address, detail="the suite asks")
    text = sender.wait_for(address, REFUSED)
    assert entry["created_at"][:10] in text, text
    composed = submission.message(sender.account.address, BOB)
    with sender.relay.logged_in(sender.account.address, sender.account.password) as client:
        client.mail(sender.account.address)
        codes = [client.rcpt(each)[0] for each in (address, BOB)]
        assert codes == [REFUSED, ACCEPTED]
        assert client.data(composed.as_bytes())[0] == ACCEPTED
    received = internet.wait_for_message(BOB, composed["Subject"], sender.poll.seconds)
    assert received["recipients"] == [BOB]
    sender.wait_event("suppressed", address)
    assert stranger.call("GET", f"{sender.path}{entry['uuid']}").status_code == 404
    sender.remove(entry)
    sender.wait_for(address, ACCEPTED)


def test_what_waits_in_the_queue_ends_and_is_told(sender: Sender) -> None:
    address = unique("deferred")
    queue_id = sender.send(address)
    sender.wait_event("deferred", address)
    sender.suppress(address)
    # By then the node knows.
    sender.wait_for(address, REFUSED)
    sender.do("queue_retry", {"queue_ids": [queue_id]})
    path = f"{sender.instance}/events/"
    sender.poll.until(
        "it has ended for its recipient",
        lambda: sender.owner.list(path, type="suppressed", recipient=address),
        lambda found: queue_id in {each["queue_id"] for each in found},
    )
    sender.poll.until(
        "nothing waits",
        lambda: sender.owner.list(f"{sender.instance}/queue/", queue_id=queue_id),
        lambda found: found == [],
    )


def test_a_removal_is_heard_until_a_server_says_so_again(sender: Sender) -> None:
    address = submission.unknown_mailbox()

    def suppressed() -> rest.Json:
        (entry,) = sender.poll.until(f"{address} is suppressed", lambda: sender.entries(address))
        return entry

    sender.send(address)
    first = suppressed()
    assert (first["reason"], first["origin"]) == ("HARD_BOUNCE", "AUTO")
    assert first["detail"].startswith("550"), first
    sender.wait_for(address, REFUSED)
    sender.remove(first)
    sender.wait_for(address, ACCEPTED)
    # All that the log has of the first is taken in, and adds nothing.
    sender.wait_event("failed", address)
    assert sender.entries(address) == []
    sender.send(address)
    second = suppressed()
    assert second["message"] != first["message"]
    sender.remove(second)


def test_long_lists_are_taken_in_told_and_exported(sender: Sender) -> None:
    domain = f"s-{uuid.uuid4().hex[:10]}.example.org"
    wanted = {f"a{number}@{domain}" for number in range(LINES)}
    text = "".join(f"{address}\n" for address in sorted(wanted))
    ended = sender.do("suppressions_import", {"text": text, "account": sender.account.uuid})
    assert (ended["status"], ended["error"]) == ("DONE", "")
    assert (ended["result"]["count"], ended["result"]["failed_count"]) == (LINES, 0)
    for number in (0, LINES - 1):
        sender.wait_for(f"a{number}@{domain}", REFUSED)

    found: set[str] = set()
    body: rest.Json = {}
    pages = 0
    while pages == 0 or body:
        told = _exported(sender, body)
        body = {}
        for line in told.splitlines():
            if line.startswith("# after: "):
                body = {"after": line.removeprefix("# after: ")}
            elif not line.startswith("#"):
                found.add(line.partition(",")[0])
        pages += 1
    assert pages > LINES // PAGE - 1
    assert {address for address in found if address.endswith(f"@{domain}")} == wanted


def _exported(sender: Sender, body: rest.Json) -> str:
    path = f"{sender.instance}/actions/suppressions_export/invoke"
    answer = sender.owner.call("POST", path, body)
    assert answer.status_code == 200, answer.text
    return answer.text
