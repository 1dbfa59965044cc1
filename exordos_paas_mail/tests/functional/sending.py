# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail that leaves for one domain, and what becomes of it."""

from __future__ import annotations

import dataclasses
import typing as tp

from exordos_paas_mail.tests.functional import provisioning, submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting

EXCHANGER: tp.Final = "mx.stand.test"
"""The exchanger of the stand. Its certificate of this name is its own."""
EXCHANGER_ADDRESS: tp.Final = "10.77.0.3"


@dataclasses.dataclass
class Sender:
    """An account that sends to a domain that no other test sends to."""

    owner: rest.Api
    path: str
    relay: submission.Relay
    account: provisioning.Account
    internet: internet_client.Client
    poll: waiting.Poll
    domain: str

    @property
    def recipient(self) -> str:
        return f"someone@{self.domain}"

    def send(self) -> tuple[str, str]:
        """Return the queue id and the subject of a new message."""
        composed = submission.message(self.account.address, self.recipient)
        with self.relay.logged_in(self.account.address, self.account.password) as client:
            queue_id = submission.send(client, self.account.address, self.recipient, composed)
        return queue_id, composed["Subject"]

    def wait_deferred(self) -> tuple[str, str]:
        """Return the queue id and the subject of a message that waits for its TLS.

        A node learns of a change within seconds; what is sent before goes as it did.
        """

        def attempt() -> tuple[str, str] | None:
            sent = self.send()
            return sent if self._waits_for_tls(sent[0]) else None

        return self.poll.until("a message waits", attempt)

    def _waits_for_tls(self, queue_id: str) -> bool:
        # Another reason, as a name server that is slow, says nothing.
        return {each["class"] for each in self.attempts(queue_id)} == {"tls"}

    def attempts(self, queue_id: str) -> list[rest.Json]:
        """Return what is told of the attempts to deliver a message, once there is one."""
        return self.poll.until(
            f"{queue_id} is tried",
            lambda: [
                each
                for kind in ("deferred", "delivered")
                for each in self.owner.list(f"{self.path}/events/", type=kind, queue_id=queue_id)
            ],
        )

    def arrived(self, subject: str) -> dict[str, tp.Any]:
        return self.internet.wait_for_message(self.recipient, subject, self.poll.seconds)

    def gone(self, queue_id: str) -> None:
        self.poll.until(
            f"{queue_id} is delivered",
            lambda: self.owner.list(f"{self.path}/messages/", queue_id=queue_id),
            lambda found: [each["status"] for each in found] == ["DELIVERED"],
        )
