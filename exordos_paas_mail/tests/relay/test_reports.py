# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What other servers say of mail that accounts have sent, and ask before they take it."""

from __future__ import annotations

import pathlib
import re
import typing as tp

import pytest

from exordos_paas_mail.codecs import mail_events, main_log
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

DOMAIN = relay_.DOMAIN
ALICE = relay_.ALICE
BOB = "bob@elsewhere.example"
BOUNCE = "From: MAILER-DAEMON\r\nTo: alice\r\nSubject: Undeliverable\r\n\r\nIt was not.\r\n"
NOT_ELSEWHERE = pytest.mark.parametrize(
    "records", [[], ["10 here-host.example."]], ids=["no MX", "MX is here"]
)


def report(
    relay: relay_.Relay, *, sender: str = "", recipient: str = ALICE, data: str = BOUNCE
) -> list[str]:
    """Bring a message on 25 without TLS or a login; return the answers from RCPT on."""
    with relay_.Raw(relay, 25) as client:
        client.answer()
        client.command("EHLO mx.elsewhere.example")
        assert client.command(f"MAIL FROM:<{sender}>")[:3] == "250"
        answers = [client.command(f"RCPT TO:<{recipient}>")]
        if answers[0][:3] == "250":
            assert client.command("DATA")[:3] == "354"
            answers.append(client.command(f"{data}."))
        return answers


@pytest.fixture
def mailbox(relay: relay_.Relay) -> tp.Iterator[pathlib.Path]:
    path = relay_.SPOOL / "postmaster"
    yield path
    relay.forget_queue()
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "recipient", [ALICE, f"Alice@{DOMAIN.upper()}", f"alice+news@{DOMAIN}", f"alice+a+b@{DOMAIN}"]
)
def test_a_report_to_an_account_goes_to_its_mailbox_unsigned(
    relay: relay_.Relay, internet: internet_.Internet, recipient: str
) -> None:
    assert [answer[:3] for answer in report(relay, recipient=recipient)] == ["250", "250"]
    (got,) = internet.wait_for(1)
    assert (got.sender, b"DKIM-Signature" in got.data) == ("", False)
    assert [one.lower() for one in got.recipients] == [recipient.lower()]
    assert b"It was not." in got.data


def delivery_report(
    returned: str, *, text: str = "It was not.", kind: str = "text/rfc822-headers"
) -> str:
    """Return a report of delivery (RFC 3464) that returns the header *returned*."""
    lines = [
        "From: MAILER-DAEMON@mx.elsewhere.example",
        f"To: {ALICE}",
        "Subject: Undelivered Mail Returned to Sender",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        '\tboundary="b/1"',
        "",
        "--b/1",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        text,
        "--b/1",
        "Content-Description: Delivery report",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.elsewhere.example",
        "",
        f"Final-Recipient: rfc822; {BOB}",
        "Action: failed",
        "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user",
        "",
        "--b/1",
        f"Content-Type: {kind}",
        "",
        *returned.splitlines(),
        "",
        "--b/1--",
        "",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def reported(relay: relay_.Relay) -> list[mail_events.Event]:
    """Return the events of the reports in the log."""
    found = [main_log.parse(line) for line in relay.log_lines(" reported ")]
    return [event for line in found if line is not None for event in mail_events.of(line)]


@pytest.mark.parametrize("kind", ["text/rfc822-headers", "message/rfc822"])
def test_what_a_report_says_is_told_of_the_message_that_it_returns(
    relay: relay_.Relay, internet: internet_.Internet, kind: str
) -> None:
    assert relay.send(recipients=[BOB])[0] == 250
    (got,) = internet.wait_for(1)
    header = got.data.decode().replace("\r\n", "\n").partition("\n\n")[0]
    queue_id = re.search(r"^Received: by \S+ with esmtpsa id (\S+)", header, re.MULTILINE)
    message_id = re.search(r"^Message-ID: <(.*)>$", header, re.MULTILINE | re.IGNORECASE)
    assert queue_id
    assert message_id
    assert report(relay, data=delivery_report(header, kind=kind))[-1][:3] == "250"
    (event,) = reported(relay)
    assert (event.type, event.queue_id, event.message_id) == (
        *(mail_events.Type.BOUNCED, queue_id[1], message_id[1]),
    )
    assert (event.account, event.recipient, event.enhanced, event.reason) == (
        *(ALICE, BOB, "5.1.1", "recipient_unknown"),
    )


@pytest.mark.parametrize(
    "text",
    ["${run{/bin/touch /tmp/expanded}}", "\\N $1 ${if", "x\ty" * 2000, "Content-Type: message/"],
)
def test_a_report_is_never_expanded(
    relay: relay_.Relay, internet: internet_.Internet, text: str
) -> None:
    returned = f"Message-ID: <{text.split()[0][:200]}>\nSubject: {text[:900]}"
    assert report(relay, data=delivery_report(returned, text=text[:900]))[-1][:3] == "250"
    internet.wait_for(1)
    (event,) = reported(relay)
    assert (event.queue_id, event.recipient) == ("", BOB)
    assert not pathlib.Path("/tmp/expanded").exists()


def test_a_report_of_another_kind_and_a_long_one_pass_and_tell_nothing(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    """A receipt that a reader sends (RFC 8098), and one whose text goes on for too long."""
    receipt = delivery_report("X: y").replace("message/delivery-status", "message/disposition")
    late = delivery_report("X: y", text="\r\n".join(["x" * 76] * 700))
    for data in (receipt, late, BOUNCE):
        assert report(relay, data=data)[-1][:3] == "250"
    internet.wait_for(3)
    assert reported(relay) == []


@NOT_ELSEWHERE
def test_a_report_is_kept_here_when_the_mailbox_is_nowhere_else(
    relay: relay_.Relay,
    monkeypatch: pytest.MonkeyPatch,
    mailbox: pathlib.Path,
    records: list[str],
) -> None:
    monkeypatch.setitem(internet_.ZONE, (DOMAIN, "MX"), records)
    assert [answer[:3] for answer in report(relay)] == ["250", "250"]
    relay.wait_for_queue(0)
    assert "\nSubject: Undeliverable\n" in mailbox.read_text()


@NOT_ELSEWHERE
def test_the_relays_own_bounce_is_kept_here_as_well(
    relay: relay_.Relay,
    internet: internet_.Internet,
    monkeypatch: pytest.MonkeyPatch,
    mailbox: pathlib.Path,
    records: list[str],
) -> None:
    monkeypatch.setitem(internet_.ZONE, (DOMAIN, "MX"), records)
    assert relay.send(recipients=["refused@elsewhere.example"])[0] == 250
    relay.wait_for_queue(0)
    assert f"\nEnvelope-to: {ALICE}\n" in mailbox.read_text()
    assert "mailbox is unknown here" in mailbox.read_text()
    assert internet.received() == []


def test_a_report_that_comes_back_is_kept_here(
    relay: relay_.Relay, internet: internet_.Internet, mailbox: pathlib.Path
) -> None:
    """From an MX that sends what it has no mailbox for to the relay."""
    hop = f"Received: by {DOMAIN} with esmtp id 1; 1 Jan 2026\r\n"
    assert [answer[:3] for answer in report(relay, data=hop + BOUNCE)] == ["250", "250"]
    relay.wait_for_queue(0)
    assert "\nSubject: Undeliverable\n" in mailbox.read_text()
    assert internet.received() == []


@pytest.mark.parametrize(
    ("recipient", "answer"),
    [
        (f"nobody@{DOMAIN}", f"550 5.1.1 There is no account nobody@{DOMAIN}\r\n"),
        (f"xalice@{DOMAIN}", f"550 5.1.1 There is no account xalice@{DOMAIN}\r\n"),
        (f"nobody+alice@{DOMAIN}", f"550 5.1.1 There is no account nobody+alice@{DOMAIN}\r\n"),
        ("alice@elsewhere.example", None),
    ],
)
def test_a_report_to_nobody_is_refused(
    relay: relay_.Relay, recipient: str, answer: str | None
) -> None:
    (refused,) = report(relay, recipient=recipient)
    assert refused == (answer or "550 5.7.1 Relaying denied: start TLS (STARTTLS), then log in\r\n")


@pytest.mark.parametrize("sender", ["", "postmaster@asks.example", "double-bounce@mx.asks.example"])
def test_a_server_that_asks_whether_an_account_exists_is_told(
    relay: relay_.Relay, sender: str
) -> None:
    """Exim's and Postfix's callouts; a message from any but the null sender is refused."""
    answers = report(relay, sender=sender)
    assert answers[0][:3] == "250"
    assert answers[1][:9] == ("250 OK id" if not sender else "550 5.7.1")
    (unknown,) = report(relay, sender=sender, recipient=f"nobody@{DOMAIN}")
    assert unknown[:9] == "550 5.1.1"


@pytest.mark.parametrize("sender", ["someone@elsewhere.example", f"bob@{DOMAIN}"])
def test_other_mail_to_an_account_is_still_refused(relay: relay_.Relay, sender: str) -> None:
    assert report(relay, sender=sender) == [
        "550 5.1.1 No mailbox here takes mail without a login\r\n"
    ]


def test_a_report_has_a_megabyte_at_most(relay: relay_.Relay) -> None:
    large = BOUNCE + ("x" * 78 + "\r\n") * 13_500
    assert report(relay, data=large)[1][:9] == "552 5.3.4"


def test_reports_are_limited_by_client_address_apart_from_role_mail(relay: relay_.Relay) -> None:
    with relay.configured(reports_per_hour=2, role_messages_per_hour=60):
        answers = [report(relay)[0] for _ in range(4)]
        (unknown,) = report(relay, recipient=f"nobody@{DOMAIN}")
        assert report(relay, recipient=f"postmaster@{DOMAIN}")[0][:3] == "250"
    assert [answer[:3] for answer in answers] == ["250", "250", "451", "451"]
    # Who guesses names is stopped as well.
    assert unknown[:3] == "451"
    assert relay_.sentence(answers[3].encode()) == (
        "451-4.7.1 More than 2 reports an hour from this address: "
        "one more is taken every 1800 seconds"
    )


def test_a_report_keeps_no_hash_in_the_spool(
    relay: relay_.Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internet_, "FAILING", {DOMAIN})
    report(relay)
    (name,) = relay.wait_for_queue(1)
    (header,) = (relay_.SPOOL / "input").glob(f"**/{name}-H")
    assert "$6$" not in header.read_text()
    monkeypatch.setattr(internet_, "FAILING", set())
    relay.run_queue()
    relay.wait_for_queue(0)


def test_a_report_waits_while_the_accounts_cannot_be_read(relay: relay_.Relay) -> None:
    content = relay_.PASSWD.read_text()
    relay_.PASSWD.unlink()
    try:
        assert report(relay)[0][:1] == "4"
    finally:
        relay_.install(relay_.PASSWD, content)
