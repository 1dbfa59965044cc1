# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.feedback_reports: what the operator of a mailbox reports (RFC 5965)."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import feedback_reports

Report = feedback_reports.Report
PATH = "b-bvqtdj4-b5-cw-41a22fbee87b40-alice@bounces.example.com"
QUEUE_ID = "1xWwW4-00000z-1O"
OTHER = PATH.replace("bvqtdj4", "bvqtdj5")


@pytest.mark.parametrize(
    ("text", "report"),
    [
        (
            # RFC 5965 appendix B.2, cut.
            "Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n"
            "Original-Mail-From: <somespammer@example.net>\r\n"
            "Original-Rcpt-To: <user@example.com>\r\n"
            "Removal-Recipient: user@example.com",
            Report("abuse", "user@example.com", "SomeGenerator/1.0"),
        ),
        ("feedback-type:ABUSE (a comment)\nUser-Agent:\n a\n\tb", Report("abuse", "", "a b")),
        ("Feedback-Type: not-spam\nFeedback-Type: abuse", Report("not-spam", "", "")),
        ("Feedback-Type: abuse\nOriginal-Rcpt-To: redacted", Report("abuse", "", "")),
        (
            "Feedback-Type: abuse\nOriginal-Rcpt-To: x\nRemoval-Recipient: a@b.example",
            Report("abuse", "a@b.example", ""),
        ),
        ("Feedback-Type: a b\n", Report("", "", "")),
        ("Feedback-Type: abuse\n\nOriginal-Rcpt-To: a@b.example", Report("abuse", "", "")),
        ("", Report("", "", "")),
    ],
)
def test_what_a_report_says(text: str, report: Report) -> None:
    assert feedback_reports.parse(text) == report


@hypothesis.given(st.text(max_size=500))
def test_any_text_is_a_report_or_none(text: str) -> None:
    report = feedback_reports.parse(text)
    assert report.type == "" or report.type.replace("-", "a").isalnum()
    assert not set(report.recipient) & set(" \t\r\n<>")


@pytest.mark.parametrize(
    ("good", "named", "queue_id"),
    [
        ([PATH], [PATH], QUEUE_ID),
        ([PATH, PATH.upper()], [PATH.upper(), PATH], QUEUE_ID),
        ([PATH], [PATH, "srs0=a@list.example"], QUEUE_ID),
        ([PATH], [PATH, OTHER], ""),
        ([PATH], [PATH, PATH.replace("-alice@", "-bob@")], ""),
        ([PATH, OTHER], [PATH, OTHER], ""),
        ([], [PATH], ""),
        (["alice@example.com"], [PATH], ""),
        ([PATH, "alice@example.com"], [PATH], ""),
    ],
)
def test_a_report_is_of_one_message_or_of_none(
    good: list[str], named: list[str], queue_id: str
) -> None:
    assert feedback_reports.message(good, named) == queue_id
