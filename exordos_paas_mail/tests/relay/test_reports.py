# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What other servers say of mail that accounts have sent, and ask before they take it."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    import pathlib

DOMAIN = relay_.DOMAIN
ALICE = relay_.ALICE
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
