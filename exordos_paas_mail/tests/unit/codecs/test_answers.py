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
    ("reply", "expected"),
    [
        # Gmail
        (r"550-5.2.1 The user you are trying to contact is receiving mail at a rate that", "rate"),
        (r"552-5.3.4 Your message exceeded Google's message size limits.", "content"),
        (r"452-4.2.2 The recipient's inbox is out of storage space.", "mailbox_full"),
        (r"550 5.4.5 Daily user sending limit exceeded.", "rate"),
        (
            r"550-5.7.29 This mail has been blocked because it was not sent over TLS. Gmail\n"
            r"550 5.7.29 requires all bulk email senders to use TLS/SSL - gsmtp",
            "tls",
        ),
        (
            r"421-4.7.29 Your email has been rate limited because this message wasn't sent over a",
            "tls",
        ),
        (r"421 4.7.27 Your email has been rate limited because SPF did not pass", "auth"),
        (r"550 5.7.25 The IP address sending this message does not have a PTR record", "auth"),
        (r"554 5.4.6 Message exceeded 50 hops, this may indicate a mail loop.", "network"),
        # Exchange Online, Outlook.com
        (
            r"550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
            "recipient_unknown",
        ),
        (
            r"550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
            "recipient_unknown",
        ),
        (r"550 5.4.1 Relay Access Denied", "policy"),
        (
            r"421 RP-001 (BAY004-MC1F5) Unfortunately, some messages from 203.0.113.9 weren't"
            r" sent. Please try again. We have limits for how many messages can be sent per hour",
            "rate",
        ),
        (
            r"550 5.7.515 Access denied, sending domain example.com doesn't meet the required"
            r" authentication level.",
            "auth",
        ),
        (
            r"550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.",
            "reputation",
        ),
        (
            r"451 4.7.650 The mail server [203.0.113.9] has been temporarily rate limited due"
            r" to IP reputation.",
            "reputation",
        ),
        (
            r"554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException",
            "mailbox_full",
        ),
        (r"552 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient", "content"),
        (
            r"550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
            "policy",
        ),
        (r"451 5.7.3 STARTTLS is required to send mail", "tls"),
        # Yahoo
        (r"552 1 Requested mail action aborted, mailbox not found", "recipient_unknown"),
        (r"554 delivery error: dd Not a valid recipient - atlas116.mail", "recipient_unknown"),
        (r"554 5.7.9 Message not accepted for policy reasons.", "policy"),
        (r"553 5.7.1 [BL21] Connections will not be accepted from 203.0.113.9", "policy"),
        # GMX, Apple, Mail.ru, Proofpoint, Mimecast, Cisco, T-Online
        (r"552 Requested mail action aborted: exceeded storage allocation", "mailbox_full"),
        (r"452 Requested action not taken: insufficient system storage", "mailbox_full"),
        (r"550 5.1.1 <bob@example.net>: user does not exist", "recipient_unknown"),
        (
            r"550 Message was not accepted -- invalid mailbox. Local mailbox is unavailable: user"
            r" not found",
            "recipient_unknown",
        ),
        (r"451 Ratelimit exceeded for your address", "rate"),
        (r"554 Blocked - see https://ipcheck.proofpoint.com/?ip=203.0.113.9", "reputation"),
        (r"550 Administrative prohibition - envelope blocked", "policy"),
        (
            r"550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369",
            "recipient_unknown",
        ),
        (r"550 #5.1.0 Address rejected.", "recipient_unknown"),
        (
            r"550 #5.7.1 Your access to submit messages to this e-mail system has been rejected.",
            "policy",
        ),
        (
            r"554 IP=203.0.113.9 - A problem occurred. (Ask your postmaster: None/bad reputation)",
            "reputation",
        ),
        # Postfix, exim, qmail, Sendmail
        (r"450 4.7.25 Client host rejected: cannot find your hostname, [203.0.113.9]", "auth"),
        (r"450 4.7.1 Client host rejected: cannot find your reverse hostname", "auth"),
        (r"554 5.7.1 <bob@example.net>: Relay access denied", "policy"),
        (r"550 5.2.2 <bob@example.net>: user has exceeded mailbox size limit", "mailbox_full"),
        (r"452 4.2.2 The user has exceeded his quota limit", "mailbox_full"),
        (r"550 mailbox size limit exceeded", "mailbox_full"),
        (r"550 relay not permitted", "policy"),
        (r"550 Domain example.com has exceeded the max emails per hour (101/100) allowed", "rate"),
        (r"550 no such person at this address", "recipient_unknown"),
        (r"550 sorry, no mailbox here by that name. (#5.1.1)", "recipient_unknown"),
        (r"511 sorry, this account is gone (#5.1.1 - chkuser)", "recipient_unknown"),
        (r"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "policy"),
        (r"552 sorry, that message size exceeds my databytes limit (#5.3.4)", "content"),
        (r"550 sorry, your envelope sender is in my badmailfrom list (#5.7.1)", "policy"),
        (r"450 See #5.1.1", "other"),
        (r"550 5.1.0 - Unknown address error 550-'5.7.1 Access denied'", "policy"),
        (r"550 5.1.0 - Unknown address error 550-'User unknown'", "recipient_unknown"),
        (r"550 5.4.7 Delivery expired (message too old)", "expired"),
        (r"550 5.1.0 <alice@example.com> sender rejected. AUP#CDRBL", "policy"),
        (r"550 Connection frequency limited", "rate"),
        (r"550 unknown; No such domain.", "domain_unknown"),
        (
            r"554 Message rejected: Email address is not verified. The following identities failed"
            r" the check in region EU-WEST-1: alice@example.com",
            "auth",
        ),
    ],
)
def test_the_class_of_what_servers_of_the_world_say(reply: str, expected: str) -> None:
    assert answers.classify(f"{RCPT}{reply}").value == expected


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.7.27 Sender address has null MX",
        "550 5.1.7 <alice@example.com>: Sender address rejected: undeliverable address: host"
        " mx.example.com[203.0.113.25] said: 550 5.1.1 User unknown",
        "550 5.1.0 <alice@example.com>: Sender address rejected: User unknown in local recipient"
        " table",
        r"550-Verification failed for <alice@example.com>\n550-Called: 203.0.113.25\n550-Sent:"
        r" RCPT TO:<alice@example.com>\n550-Response: 550 5.1.1 user unknown\n"
        r"550 Sender verify failed",
        "550 Sender address does not exist",
        "553 5.1.8 <alice@example.com>: Sender address rejected: Domain not found",
        "550 Sender alice@example.com has no MX records: domain does not exist",
        "553 sorry, your envelope sender domain does not exist",
        "550 Domain may not exist or DNS check failed",
    ],
)
def test_a_sender_that_is_not_there_is_no_recipient_that_is_not(reply: str) -> None:
    """What says so would be suppressed: mail to a good address would be refused from then on."""
    assert answers.classify(f"{RCPT}{reply}") is Class.AUTH


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.1.1 User unknown; sender has been notified",
        "550 5.1.1 Address verification failed for bob@example.net, no such user",
        "550 Recipient verification failed for <bob@example.net>: no such user here",
        "550 5.1.1 Invalid sender or recipient: user unknown",
    ],
)
def test_a_recipient_that_is_not_there_may_name_the_sender(reply: str) -> None:
    assert answers.classify(f"{RCPT}{reply}") is Class.RECIPIENT_UNKNOWN


@pytest.mark.parametrize(
    "command",
    [
        "MAIL FROM:<alice@example.com> SIZE=1279",
        "pipelined MAIL FROM:<alice@example.com>",
        "initial connection",
        "EHLO relay.example.com",
    ],
)
@pytest.mark.parametrize("reply", ["550 5.1.1 User unknown", "550 5.1.2 The domain is unknown"])
def test_whoever_knows_no_recipient_yet_says_nothing_of_one(command: str, reply: str) -> None:
    assert answers.classify(f"{AFTER}{command}: {reply}") is Class.AUTH


@pytest.mark.parametrize(
    ("reply", "enhanced"),
    [
        ("550 sorry, no mailbox here by that name. (#5.1.1)", "5.1.1"),
        ("553 sorry (#5.7.1 - chkuser)", "5.7.1"),
        ("451 later (#5.1.1)", ""),
        ("550 5.2.1 see (#5.1.1)", "5.2.1"),
    ],
)
def test_an_enhanced_code_may_be_in_the_text(reply: str, enhanced: str) -> None:
    answer = answers.parse(reply)
    assert answer
    assert answer.enhanced == enhanced


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
