# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail of an account whose instance has it go by a smarthost, and what becomes of it."""

from __future__ import annotations

import dataclasses
import typing as tp
import uuid

from exordos_paas_mail.tests.functional import submission
from exordos_paas_mail.tests.peers import postfix

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning


class Sent(tp.NamedTuple):
    """A message that the relay has taken."""

    queue_id: str
    recipient: str
    subject: str


@dataclasses.dataclass
class Sender:
    """An account, and the smarthost of its instance at *path*."""

    owner: rest.Api
    path: str
    relay: submission.Relay
    account: provisioning.Account
    internet: internet_client.Client
    poll: waiting.Poll
    server: postfix.Postfix

    def choose(self, port: int, password: str | None = None) -> None:
        """Have all mail go by the smarthost."""
        smarthost = {
            "kind": "host",
            "host": self.server.name,
            "port": port,
            "username": postfix.USERNAME,
            "password": password or self.server.password,
        }
        self.owner.expect(200, "PATCH", self.path, {"smarthost": smarthost})

    def send(self) -> Sent:
        """Send to somebody nobody else sends to."""
        recipient = f"{uuid.uuid4().hex}@elsewhere.example"
        composed = submission.message(self.account.address, recipient)
        with self.relay.logged_in(self.account.address, self.account.password) as client:
            queue_id = submission.send(client, self.account.address, recipient, composed)
        return Sent(queue_id, recipient, composed["Subject"])

    def arrived(self, sent: Sent) -> dict[str, tp.Any]:
        """Return the message as the exchanger of the world got it."""
        return self.internet.wait_for_message(sent.recipient, sent.subject, self.poll.seconds)

    def wait_chosen(self, port: int) -> dict[str, tp.Any]:
        """Return a message that went by the smarthost, once one has by its *port*.

        A node learns of a change within seconds; what is sent before goes as it did.
        """
        return self.poll.until(
            "mail goes by the smarthost",
            lambda: self.arrived(self.send()),
            lambda found: (found["client"] == self.server.address and self.server.has_let_in(port)),
        )

    def wait_deferred(self) -> tuple[Sent, rest.Json]:
        """Return a message that waits, and the event that tells so; as ``wait_chosen``."""

        def attempt() -> tuple[Sent, rest.Json] | None:
            sent = self.send()
            (event, *_) = self.poll.until(
                f"{sent.queue_id} is tried",
                lambda: [
                    each
                    for kind in ("deferred", "delivered")
                    for each in self.owner.list(
                        f"{self.path}/events/", type=kind, recipient=sent.recipient
                    )
                ],
            )
            return (sent, event) if event["type"] == "deferred" else None

        return self.poll.until("a message waits", attempt)

    def reason(self, sent: Sent) -> str:
        """Return why a message waits, once the queue tells."""
        (item,) = self.poll.until(
            f"it is said why {sent.queue_id} waits",
            lambda: self.owner.list(f"{self.path}/queue/", queue_id=sent.queue_id),
            lambda found: bool(found and found[0]["last_error"]),
        )
        return str(item["last_error"])

    def retry(self, sent: Sent) -> None:
        """Have a message be tried now."""
        self.owner.expect(
            *(200, "POST", f"{self.path}/actions/queue_retry/invoke"),
            {"queue_ids": [sent.queue_id]},
        )
