# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import errno

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import answers
from exordos_paas_mail.codecs.answers import Class

AFTER = "SMTP error from remote mail server after "
RCPT = f"{AFTER}RCPT TO:<bob@example.net>: "
DATA = f"{AFTER}pipelined end of data: "


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (f"{RCPT}550 5.1.1 Nobody", answers.Answer(550, "5.1.1", "Nobody")),
        (f"{RCPT}550", answers.Answer(550, "", "")),
        (
            rf"{DATA}550-5.7.26 This mail\n550-5.7.26  is unauthenticated\n550 5.7.26 x - gsmtp",
            answers.Answer(550, "5.7.26", "This mail is unauthenticated x - gsmtp"),
        ),
        (
            f"{AFTER}MAIL FROM:<alice@example.com> SIZE=1279 BODY=8BITMIME: 421 Later",
            answers.Answer(421, "", "Later"),
        ),
        (f"{AFTER}initial connection: 554 No", answers.Answer(554, "", "No")),
        (f"{AFTER}EHLO relay.example.com: 502 Cannot", answers.Answer(502, "", "Cannot")),
        # What somebody wrote into an address is not the answer.
        (
            f'{AFTER}RCPT TO:<": 550 5.1.1 no> x"@example.net>: 451 4.7.1 Later',
            answers.Answer(451, "4.7.1", "Later"),
        ),
        ("SMTP timeout after RCPT TO:<bob@example.net>", None),
        ("Unrouteable address", None),
    ],
)
def test_what_the_other_server_answered(words: str, answer: answers.Answer | None) -> None:
    assert answers.answer(words) == answer


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # About the address
        (
            f"{RCPT}550 5.1.1 The email account that you tried to reach does not exist.",
            "recipient_unknown",
        ),
        (
            f"{RCPT}550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in"
            " local recipient table",
            "recipient_unknown",
        ),
        (
            f"{RCPT}550 5.5.0 Requested action not taken: mailbox unavailable: no such user",
            "recipient_unknown",
        ),
        (
            f"{RCPT}550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP"
            " address lookup",
            "recipient_unknown",
        ),
        (
            f"{RCPT}554 delivery error: dd This user doesn't have a yahoo.com account",
            "recipient_unknown",
        ),
        (
            f"{RCPT}550 Requested action not taken: mailbox unavailable. Unknown user",
            "recipient_unknown",
        ),
        (
            f"{RCPT}550 5.2.1 The email account that you tried to reach is inactive.",
            "recipient_disabled",
        ),
        (
            f"{RCPT}554 30 Sorry, your message cannot be delivered. This mailbox is disabled"
            " (554.30)",
            "recipient_disabled",
        ),
        (f"{RCPT}550 5.1.2 We weren't able to find the recipient domain.", "domain_unknown"),
        (f"{RCPT}556 5.1.10 null MX", "domain_unknown"),
        (f"{RCPT}550 5.7.1 Unable to relay", "policy"),
        ("Unrouteable address", "domain_unknown"),
        ("all relevant MX records point to non-existent hosts", "domain_unknown"),
        # Not, whatever the code says
        (f"{RCPT}550 5.1.1 Rejected: 203.0.113.9 is listed at zen.spamhaus.org", "reputation"),
        (
            f"{RCPT}550 5.7.1 Unfortunately, messages from [203.0.113.9] weren't sent. ... on"
            " our block list (S3140).",
            "reputation",
        ),
        (
            rf"{DATA}550-5.7.1 [203.0.113.9] Our system has detected that this message"
            r" is\n550-5.7.1 likely unsolicited mail.",
            "reputation",
        ),
        (
            f"{RCPT}554 5.7.1 Service unavailable; Client host [203.0.113.9] blocked using"
            " b.barracudacentral.org",
            "reputation",
        ),
        (f"{RCPT}450 5.1.1 User unknown", "other"),
        (
            f"{RCPT}450 4.2.1 The user you are trying to contact is receiving mail too quickly.",
            "rate",
        ),
        (f"{RCPT}450 4.2.1 Later", "rate"),
        (f"{RCPT}451 4.7.1 Greylisting in action, please come back later", "rate"),
        (f"{RCPT}421 4.7.28 Our system has detected an unusual rate of mail", "rate"),
        (
            f"{RCPT}421 4.7.0 [TSS04] Messages from 203.0.113.9 temporarily deferred due to"
            " unexpected volume",
            "rate",
        ),
        (
            f"{RCPT}452 4.2.2 The email account that you tried to reach is over quota.",
            "mailbox_full",
        ),
        (f"{RCPT}552 5.2.2 Mailbox full", "mailbox_full"),
        (
            f"{DATA}550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
            "auth",
        ),
        (
            f"{DATA}550 5.7.509 Access denied, sending domain example.com does not pass DMARC"
            " verification",
            "auth",
        ),
        (f"{AFTER}initial connection: 554 5.7.25 no PTR record", "auth"),
        (f"{DATA}552 5.3.4 Message size exceeds fixed limit", "content"),
        (f"{DATA}554 5.6.0 Malformed", "content"),
        (f"{DATA}550 5.7.1 Message contains a virus", "content"),
        (f"{RCPT}530 5.7.0 Must issue a STARTTLS command first", "tls"),
        (f"{RCPT}550 5.7.1 Not here", "policy"),
        (f"{RCPT}550 No", "other"),
        # What exim found itself
        ("SMTP timeout after RCPT TO:<bob@example.net>", "network"),
        ("Remote host closed connection in response to EHLO relay.example.com", "network"),
        ("host lookup did not complete", "network"),
        ("a TLS session is required, but the server did not offer TLS support", "tls"),
        ("DANE error: tlsa lookup DEFER", "tls"),
        ("retry timeout exceeded", "expired"),
        ("something new", "other"),
    ],
)
def test_the_class_of_a_failure(words: str, expected: str) -> None:
    assert answers.classify(words).value == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EHOSTUNREACH, Class.NETWORK),
        (-37, Class.TLS),
        (-54, Class.NETWORK),
        (-27, Class.OTHER),
    ],
)
def test_the_class_of_an_error_number(number: int, expected: Class) -> None:
    assert answers.classify("mx.example.net [203.0.113.25]", number) is expected


def test_a_policy_goes_before_the_error_number_of_another_router() -> None:
    words = "MTA-STS: a.example has no mail server that its policy names"
    assert answers.classify(words, -32) is Class.TLS


def test_an_answer_goes_before_the_error_number() -> None:
    assert answers.classify(f"{RCPT}450 4.2.2 Mailbox full", -44) is Class.MAILBOX_FULL


@hypothesis.given(st.text(max_size=300), st.integers(-100, 200))
def test_any_words_have_a_class(text: str, number: int) -> None:
    assert isinstance(answers.classify(text, number), Class)
    assert isinstance(answers.classify(f"{RCPT}{text}", number), Class)
    answers.parse(text)
