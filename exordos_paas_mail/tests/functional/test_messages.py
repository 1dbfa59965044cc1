# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What became of mail, as its sender learns it from the API."""

from __future__ import annotations

import email.message
import email.policy
import re
import typing as tp

from clients import mail
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    import smtplib

    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"
# The exchanger of the stand has no such mailbox.
NOBODY = "refused@example.net"


def send(
    client: smtplib.SMTP, sender: str, recipient: str, composed: email.message.EmailMessage
) -> str:
    """Return the queue id that the relay answers to a message."""
    client.mail(sender)
    client.rcpt(recipient)
    code, answer = client.data(composed.as_bytes(policy=email.policy.SMTP))
    assert code == 250, answer
    found = re.search(rb"id=(\S+)", answer)
    assert found, answer
    return found[1].decode()


def test_a_sender_finds_what_became_of_a_message(
    owner: rest.Api,
    stranger: rest.Api,
    relay: submission.Relay,
    alice: provisioning.Account,
    instance: rest.Json,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> None:
    composed = submission.message(alice.address, BOB, X_Mail_Tag="suite")
    refused = submission.message(alice.address, NOBODY)
    with relay.logged_in(alice.address, alice.password) as client:
        well = send(client, alice.address, BOB, composed)
        badly = send(client, alice.address, NOBODY, refused)
    path = f"{mail.instance_path(instance)}/messages/"

    def status(queue_id: str) -> tp.Any:
        return [each["status"] for each in owner.list(path, queue_id=queue_id)]

    poll.until(f"{well} is told", lambda: status(well), lambda found: found == ["DELIVERED"])
    poll.until(f"{badly} is told", lambda: status(badly), lambda found: found == ["FAILED"])

    (told,) = owner.list(path, queue_id=well)
    shown = ("sender", "header_from", "header_message_id", "tags", "recipients_count")
    assert {name: told[name] for name in shown} == {
        "sender": alice.address,
        "header_from": composed["From"],
        "header_message_id": composed["Message-ID"].strip("<>"),
        "tags": ["suite"],
        "recipients_count": 1,
    }
    (delivered,) = owner.list(f"{path}{told['uuid']}/events/", type="delivered")
    assert (delivered["recipient"], delivered["code"], delivered["attempt"]) == (BOB, 250, 1)
    assert delivered["tls"]
    arrived = internet.wait_for_message(BOB, composed["Subject"])
    assert b"X-Mail-Tag" not in internet.raw(arrived["id"])

    (told,) = owner.list(path, queue_id=badly)
    (failed,) = owner.list(f"{path}{told['uuid']}/events/", type="failed")
    assert (failed["recipient"], failed["code"], failed["enhanced_code"], failed["class"]) == (
        *(NOBODY, 550, "5.1.1", "recipient_unknown"),
    )
    # Other tests write to nobody, too.
    found = {each["queue_id"] for each in owner.list(path, recipient=NOBODY)}
    assert (badly in found, well in found) == (True, False)
    assert stranger.call("GET", path).status_code == 404
