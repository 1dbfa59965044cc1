# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What became of mail, as its sender learns it from the API."""

from __future__ import annotations

import email.message
import email.policy
import typing as tp

from clients import mail
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"
# The exchanger of the stand has no such mailbox.


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
    nobody = submission.unknown_mailbox()
    refused = submission.message(alice.address, nobody)
    with relay.logged_in(alice.address, alice.password) as client:
        well = submission.send(client, alice.address, BOB, composed)
        badly = submission.send(client, alice.address, nobody, refused)
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
        *(nobody, 550, "5.1.1", "recipient_unknown"),
    )
    assert [each["queue_id"] for each in owner.list(path, recipient=nobody)] == [badly]
    assert stranger.call("GET", path).status_code == 404


def test_what_a_server_reports_later_is_told_of_the_message(
    owner: rest.Api,
    relay: submission.Relay,
    alice: provisioning.Account,
    instance: rest.Json,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> None:
    composed = submission.message(alice.address, BOB)
    with relay.logged_in(alice.address, alice.password) as client:
        queue_id = submission.send(client, alice.address, BOB, composed)
    arrived = internet.raw(internet.wait_for_message(BOB, composed["Subject"])["id"])
    report = email.message.EmailMessage()
    report["From"], report["To"] = "MAILER-DAEMON@mx.example.net", alice.address
    report["Content-Type"] = 'multipart/report; report-type=delivery-status; boundary="b/1"'
    said = (
        "Reporting-MTA: dns; mx.example.net\n\n"
        f"Final-Recipient: rfc822; {BOB}\nAction: failed\nStatus: 5.2.2\n"
        "Diagnostic-Code: smtp; 552 5.2.2 mailbox full\n"
    )
    header = arrived.decode().replace("\r\n", "\n").partition("\n\n")[0]
    parts = {"message/delivery-status": said, "text/rfc822-headers": header}
    body = "".join(f"--b/1\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts.items())
    octets = f"{report.as_string().rstrip()}\n\n{body}--b/1--\n".replace("\n", "\r\n").encode()
    with relay.plain(submission.RELAY) as client:
        assert client.mail("")[0] == 250
        assert client.rcpt(alice.address)[0] == 250
        assert client.data(octets)[0] == 250

    path = f"{mail.instance_path(instance)}/events/"
    (told,) = poll.until(
        "the report is told", lambda: owner.list(path, queue_id=queue_id, type="bounced")
    )
    assert (told["recipient"], told["enhanced_code"], told["class"]) == (
        *(BOB, "5.2.2", "mailbox_full"),
    )
