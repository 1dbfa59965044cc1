# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""One message of a client: what it is told to send, and as what that arrives."""

from __future__ import annotations

import dataclasses
import email
import email.message
import email.policy
import typing as tp
import uuid

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import provisioning

# A character that is not ASCII, and a dot that SMTP doubles on its way (RFC 5321 4.5.2).
TEXT: tp.Final = "It works: 12 €.\n.A line that begins with a dot.\n"
_PASS: tp.Final = {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
_SECONDS: tp.Final = 60


@dataclasses.dataclass(frozen=True)
class Order:
    """A message to send by *account*, to a recipient that no other message has."""

    account: provisioning.Account
    port: int
    recipient: str = dataclasses.field(
        default_factory=lambda: f"{uuid.uuid4().hex}@elsewhere.example"
    )

    @property
    def server(self) -> str:
        """The relay's name: the instance's domain."""
        return self.account.address.rpartition("@")[2]

    @property
    def subject(self) -> str:
        """A subject that no other message has."""
        return f"It works {self.recipient.partition('@')[0]}"

    def environment(self) -> dict[str, str]:
        """Return what a client's command finds in its environment."""
        return {
            "SERVER": self.server,
            "PORT": str(self.port),
            "LOGIN": self.account.address,
            "PASSWORD": self.account.password,
            "RECIPIENT": self.recipient,
            "SUBJECT": self.subject,
        }


def verify(
    internet: internet_client.Client, order: Order, text: str = TEXT, subject: str | None = None
) -> None:
    """Wait for the message: it is the account's by every check of its receiver, with its text.

    A *subject* that is not the order's own is given. Raises TimeoutError.
    """
    subject = order.subject if subject is None else subject
    facts = internet.wait_for_message(order.recipient, subject, _SECONDS)
    verdict = facts["verdict"]
    assert {check: verdict[check] for check in _PASS} == _PASS, verdict
    assert facts["mail_from"] == order.account.address
    arrived = email.message_from_bytes(internet.raw(facts["id"]), policy=email.policy.default)
    sender = tp.cast("tp.Any", arrived["From"]).addresses
    assert [it.addr_spec for it in sender] == [order.account.address]
    assert _text(arrived) == text


def _text(message: email.message.Message) -> str:
    body = tp.cast("email.message.EmailMessage", message).get_body(("plain", "html"))
    assert body is not None, message.as_string()
    # Ruby mail ends each line by a carriage return of its own, yagmail by a <br>.
    content = str(body.get_content()).replace("\r", "")
    return content.replace("<br>", "\n").strip("\n") + "\n"
