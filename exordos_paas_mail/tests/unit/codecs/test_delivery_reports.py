# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import answers, delivery_reports
from exordos_paas_mail.codecs.delivery_reports import Report

POSTFIX = """Reporting-MTA: dns; mx.example.net
X-Postfix-Queue-ID: 4F2B1A0C
Arrival-Date: Thu, 26 Nov 2026 11:25:36 +0000 (UTC)

Final-Recipient: rfc822; bob@inside.example.net
Original-Recipient: rfc822;Bob@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; store.example.net
Diagnostic-Code: smtp; 550 5.1.1 <bob@inside.example.net>: Recipient address
    rejected: User unknown

--4F2B1A0C.1795692336/mx.example.net
Content-Description: Undelivered Message

Final-Recipient: rfc822; nobody@example.net
Action: failed
Status: 5.0.0
"""
EXIM = """Reporting-MTA: dns; exim.example.net

Action: failed
Final-Recipient: rfc822;bob@example.net
Status: 5.0.0
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 552 Mailbox full

Action: delayed
Final-Recipient: rfc822;carol@example.net
Status: 4.0.0
"""
EXCHANGE = """Reporting-MTA: dns;EX.example.net\r
\r
Final-Recipient: RFC822; <dave@example.net>\r
Action: Failed (gone)\r
Status: 5.7.1\r
Diagnostic-Code: x-exchange; Blocked by the DMARC policy of example.com\r
"""


def test_a_report_of_postfix() -> None:
    answer = answers.Answer(
        550, "5.1.1", "<bob@inside.example.net>: Recipient address rejected: User unknown"
    )
    assert delivery_reports.parse(POSTFIX) == [
        Report(
            "Bob@example.net",
            "failed",
            "store.example.net",
            answer,
            answers.Class.RECIPIENT_UNKNOWN,
        )
    ]


def test_a_report_of_exim_tells_of_each_recipient() -> None:
    assert delivery_reports.parse(EXIM) == [
        Report(
            "bob@example.net",
            "failed",
            "mx.example.net",
            answers.Answer(552, "5.0.0", "Mailbox full"),
            answers.Class.MAILBOX_FULL,
        ),
        Report(
            "carol@example.net",
            "delayed",
            "exim.example.net",
            answers.Answer(450, "4.0.0", ""),
            answers.Class.OTHER,
        ),
    ]


def test_a_report_of_exchange() -> None:
    (report,) = delivery_reports.parse(EXCHANGE)
    assert report == Report(
        "dave@example.net",
        "failed",
        "EX.example.net",
        answers.Answer(550, "5.7.1", "Blocked by the DMARC policy of example.com"),
        answers.Class.AUTH,
    )


# As they are in the field; an expired one is Postfix's.
REPORTS = {
    "Gmail": (
        """Reporting-MTA: dns; googlemail.com
Received-From-MTA: dns; alice@example.com
Arrival-Date: Thu, 26 Nov 2026 03:25:36 -0800 (PST)
X-Original-Message-ID: <1@example.com>

Final-Recipient: rfc822; bob@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net. (192.0.2.25, the server for the domain example.net.)
Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please
 550-5.1.1 double-check. For more information, go to
 550 5.1.1  https://support.google.com/mail/?p=NoSuchUser a1-gsmtp
Last-Attempt-Date: Thu, 26 Nov 2026 03:25:38 -0800 (PST)
""",
        ("bob@example.net", "failed", "mx.example.net", 550, "5.1.1", "recipient_unknown"),
    ),
    "Exchange Online": (
        """Reporting-MTA: dns;AM0PR01MB0001.eurprd01.prod.exchangelabs.com
Received-From-MTA: dns;relay.example.com
Arrival-Date: Thu, 26 Nov 2026 11:25:36 +0000

Final-Recipient: rfc822;bob@example.net
Action: failed
Status: 5.1.10
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@example.net not
 found by SMTP address lookup
""",
        (
            *("bob@example.net", "failed", "AM0PR01MB0001.eurprd01.prod.exchangelabs.com"),
            *(550, "5.1.10", "recipient_unknown"),
        ),
    ),
    "expired": (
        """Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; bob@example.net
Action: failed
Status: 4.4.1
Diagnostic-Code: X-Postfix; connect to store.example.net[192.0.2.26]:25: Connection timed out
""",
        ("bob@example.net", "failed", "mx.example.net", 450, "4.4.1", "network"),
    ),
    "qmail": (
        """Reporting-MTA: dns; mx.example.net
Final-Recipient: rfc822; bob@example.net
Action: failed
Status: 5.0.0
Diagnostic-Code: smtp; 553 sorry, no mailbox here by that name. (#5.1.1)
""",
        ("bob@example.net", "failed", "mx.example.net", 553, "5.1.1", "recipient_unknown"),
    ),
    "Mimecast": (
        """Reporting-MTA : dns;eu-smtp-inbound-delivery-1.mimecast.com
Arrival-Date : Sat, 08 Feb 2025 11:22:21 GMT
Action : failed
Status : 5.0.0
Diagnostic-Code : smtp;550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain
Original-Recipient : rfc/822;bob@example.net
Final-Recipient : rfc/822;bob@example.net
""",
        (
            *("bob@example.net", "failed", "eu-smtp-inbound-delivery-1.mimecast.com"),
            *(550, "5.7.54", "policy"),
        ),
    ),
    "Domino": (
        """Reporting-MTA: dns;domino.example.net

Final-Recipient: rfc822;bob@example.net
Action: failed
Status: 5.1.1
Diagnostic-Code: X-Notes; User bob (bob@example.net) not listed in Domino Directory
""",
        ("bob@example.net", "failed", "domino.example.net", 550, "5.1.1", "recipient_unknown"),
    ),
}


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_reports_of_the_field(name: str, end: str) -> None:
    text, expected = REPORTS[name]
    (report,) = delivery_reports.parse(text.replace("\n", end))
    answer = report.answer
    assert (
        *(report.recipient, report.action, report.server),
        *(answer.code, answer.enhanced, report.reason.value),
    ) == expected


@pytest.mark.parametrize("cut", [None, -3, -2, -1])
def test_a_report_may_be_in_base64(cut: int | None) -> None:
    packed = base64.encodebytes(POSTFIX.encode()).decode()[:cut]
    text = packed.replace("\n", "\r\n") + "\r\n--4F2B1A0C/mx--\r\nFinal-Recipient: rfc822; x@y\r\n"
    assert delivery_reports.parse(text)[0] == delivery_reports.parse(POSTFIX)[0]


def test_a_success_is_none_of_a_reason() -> None:
    (report,) = delivery_reports.parse(
        "Final-Recipient: rfc822; eve@example.net\nAction: relayed\nStatus: 2.1.9\n"
    )
    assert (report.action in delivery_reports.DONE, report.answer.code) == (True, 250)


@pytest.mark.parametrize(
    "group",
    [
        "Action: failed\nStatus: 5.1.1",
        "Final-Recipient: rfc822; bob\nAction: failed\nStatus: 5.1.1",
        "Final-Recipient: x400; bob@example.net\nAction: failed\nStatus: 5.1.1",
        "Final-Recipient: rfc822; bob@example.net\nAction: read\nStatus: 5.1.1",
        "Final-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 3.1.1",
        "Final-Recipient: rfc822; bob@example.net\nAction: failed",
        "Final-Recipient: rfc822; a b@example.net\nAction: failed\nStatus: 5.1.1",
    ],
)
def test_what_has_not_the_form_is_passed_over(group: str) -> None:
    assert delivery_reports.parse(group) == []


def test_a_diagnostic_of_another_kind_than_the_status_is_text_alone() -> None:
    (report,) = delivery_reports.parse(
        "Final-Recipient: rfc822; bob@example.net\nAction: delayed\nStatus: 4.4.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user"
    )
    assert report.answer == answers.Answer(450, "4.4.1", "550 5.1.1 no such user")


@hypothesis.given(
    st.text(), st.lists(st.sampled_from([*POSTFIX.splitlines(keepends=True), "\n", "\r\n"]))
)
def test_whatever_comes_is_read_or_passed_over(text: str, lines: list[str]) -> None:
    for hostile in (text, "".join(lines), text.join(lines)):
        reports = delivery_reports.parse(hostile)
        assert len(reports) <= delivery_reports.RECIPIENTS_MAX
        for report in reports:
            assert report.recipient.count("@") >= 1
            assert not any(each.isspace() for each in report.recipient)


def test_a_large_report_is_read_at_once() -> None:
    hostile = "Diagnostic-Code: smtp; " + "x" * 20_000 + "\n" + " " * 20_000 + "\n\n" * 5_000
    group = "Final-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n\n"
    assert len(delivery_reports.parse(hostile + group * 500)) == delivery_reports.RECIPIENTS_MAX
