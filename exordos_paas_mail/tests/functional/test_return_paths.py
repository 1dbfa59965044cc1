# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What other servers report of mail that they had taken: from DNS to events and suppressions."""

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

ACCEPTED = 250
REFUSED = 550
OPERATOR = "feedback@operator.example"


@dataclasses.dataclass
class Reported:
    """An account whose mail leaves with a return path of the relay's, and who reports of it."""

    owner: rest.Api
    instance: str
    relay: submission.Relay
    account: provisioning.Account
    internet: internet_client.Client
    poll: waiting.Poll

    @property
    def domain(self) -> str:
        return self.account.address.rpartition("@")[2]

    def send(self, recipient: str) -> str:
        """Return the envelope sender that a message of the account's arrives with."""
        composed = submission.message(self.account.address, recipient)
        with self.relay.logged_in(self.account.address, self.account.password) as client:
            submission.send(client, self.account.address, recipient, composed)
        subject = composed["Subject"]
        return str(self._arrived(recipient, subject)["mail_from"])

    def _arrived(self, recipient: str, subject: str) -> dict[str, tp.Any]:
        return self.internet.wait_for_message(recipient, subject, self.poll.seconds)

    def bring(self, path: str, report: str, sender: str = "") -> int:
        """Bring a report as another server does; return the code that ends it."""
        with self.relay.plain(submission.RELAY) as client:
            client.mail(sender)
            code, _ = client.rcpt(path)
            if code == ACCEPTED:
                code, _ = client.data(report.replace("\n", "\r\n").encode())
        return code

    def wait_event(self, kind: str, **asked: str) -> rest.Json:
        """Return the event of a type once it is told."""
        (event,) = self.poll.until(
            f"{kind} is told",
            lambda: self.owner.list(f"{self.instance}/events/", type=kind, **asked),
        )
        return event

    def wait_entry(self, address: str) -> rest.Json:
        (entry,) = self.poll.until(
            f"{address} is suppressed",
            lambda: self.owner.list(f"{self.instance}/suppressions/", address=address),
        )
        return entry

    def wait_forwarded(self, recipient: str, subject: str) -> None:
        self._arrived(recipient, subject)


@pytest.fixture(scope="module")
def reported(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> tp.Iterator[Reported]:
    """Return the sender once its mail leaves with return paths; others get theirs back."""
    path, domain = mail.instance_path(instance), instance["domain"]
    (primary,) = owner.list(mail.domains_path(instance), primary="true")
    primary_path = f"{mail.domains_path(instance)}{primary['uuid']}"
    bounces = f"bounces.{domain}"
    owner.expect(200, "PATCH", primary_path, {"bounce_handling": {"kind": "managed"}})
    internet.publish(bounces, "MX", f"10 {domain}.")
    spf = " ".join(f"ip4:{address}" for address in instance["ipsv4"])
    internet.publish(bounces, "TXT", f"v=spf1 {spf} -all")
    # It is checked by itself, or by this; 429 where it was a moment ago.
    owner.call("POST", f"{primary_path}/actions/check/invoke")
    poll.until(
        f"{bounces} is used",
        lambda: owner.read(primary_path),
        lambda found: found["return_path"] == bounces,
    )
    found = Reported(owner, path, relay, accounts.ready(), internet, poll)
    poll.until(
        "mail leaves with a return path",
        lambda: found.send(unique()),
        lambda sender: sender.endswith(f"@{bounces}"),
    )
    yield found
    owner.expect(200, "PATCH", primary_path, {"bounce_handling": {"kind": "none"}})
    internet.withdraw(bounces)
    poll.until(
        "mail leaves as it was sent",
        lambda: found.send(unique()),
        lambda sender: sender == found.account.address,
    )


def unique() -> str:
    """Return an address that nothing was sent to, of a domain that no other test sends to."""
    return f"someone@r-{uuid.uuid4().hex[:10]}.example.org"


def bounce(recipient: str, subject: str) -> str:
    """Return a report (RFC 3464) that there is no such mailbox after all."""
    return f"""\
From: MAILER-DAEMON@mx.example.org
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It was not delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such mailbox

--b--
"""


def complaint(path: str, subject: str) -> str:
    """Return a report (RFC 5965) that a message is not wanted, without who says so."""
    return f"""\
From: {OPERATOR}
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is a complaint.
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Loop/1.0
Version: 1

--b
Content-Type: message/rfc822

Return-Path: <{path}>
Subject: Hello

--b--
"""


def test_a_bounce_that_comes_later_is_told_suppresses_and_goes_on(reported: Reported) -> None:
    recipient, subject = unique(), f"bounce {uuid.uuid4().hex}"
    path = reported.send(recipient)
    # It is known whom it has reached before it is reported of.
    delivered = reported.wait_event("delivered", recipient=recipient)
    for _ in range(2):
        assert reported.bring(path, bounce(recipient, subject)) == ACCEPTED
    entry = reported.wait_entry(recipient)
    assert (entry["reason"], entry["origin"], entry["message"]) == (
        *("HARD_BOUNCE", "AUTO", delivered["message"]),
    )
    assert "5.1.1" in entry["detail"], entry
    reported.wait_forwarded(reported.account.address, subject)
    reported.poll.until(
        "it is counted once of two reports",
        lambda: reported.owner.list(
            f"{reported.instance}/stats/", account=reported.account.uuid, step="1d"
        ),
        lambda found: sum(step["bounced"] for step in found) == 1,
    )


def test_a_complaint_is_told_counts_suppresses_and_goes_on(reported: Reported) -> None:
    recipient, subject = unique(), f"complaint {uuid.uuid4().hex}"
    path = reported.send(recipient)
    reported.wait_event("delivered", recipient=recipient)
    feedback = f"fbl@bounces.{reported.domain}"
    assert reported.bring(feedback, complaint(path, subject), OPERATOR) == ACCEPTED
    entry = reported.wait_entry(recipient)
    assert (entry["reason"], entry["origin"], entry["expires_at"]) == ("COMPLAINT", "AUTO", None)
    event = reported.wait_event("complained", message=entry["message"])
    assert event["account"] == reported.account.uuid
    reported.wait_forwarded(f"abuse@{reported.domain}", subject)
    reported.poll.until(
        "it is counted",
        lambda: reported.owner.list(
            f"{reported.instance}/stats/", account=reported.account.uuid, step="1d"
        ),
        lambda found: sum(step["complained"] for step in found) == 1,
    )


def test_what_the_relay_has_not_made_is_refused(reported: Reported) -> None:
    path = reported.send(unique())
    # b-<second>-<process>-<fraction>-<mac>-<local part>: the mac of nothing.
    mac = path.split("-")[4]
    made_up = path.replace(mac, "0" * len(mac))
    subject = f"none {uuid.uuid4().hex}"
    assert reported.bring(made_up, bounce(unique(), subject)) == REFUSED
    feedback = f"fbl@bounces.{reported.domain}"
    assert reported.bring(feedback, complaint(made_up, subject), OPERATOR) == REFUSED
    assert reported.bring(path, bounce(unique(), subject), OPERATOR) == REFUSED
