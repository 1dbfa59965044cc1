# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import main_log

AT = "2026-11-26 11:25:36.641"
ID = "1xWXbc-00007x-20"
ALICE = "alice@example.com"
CIPHER = "TLS1.3:ECDHE_SECP256R1__ECDSA_SECP256R1_SHA256__AES_256_GCM:256"
TLS = main_log.Tls("TLS1.3", CIPHER.partition(":")[2], "no")
MX = main_log.Remote("mx.example.net", "203.0.113.25", 25)
MX_FIELD = "H=mx.example.net [203.0.113.25]:25"

# As exim has written them.
LINES: list[tuple[str, main_log.Entry]] = [
    (
        f"{ID} accepted account={ALICE} recipients=1 size=381 id={ID}",
        main_log.Accepted(ALICE, 1, 381),
    ),
    (
        f"{ID} <= {ALICE} H=(client.example.net) [192.0.2.1]:36734 P=esmtpsa X={CIPHER} CV=no"
        f" A=plain:{ALICE} S=516 id=17.24@example.com from <{ALICE}> for bob@example.net",
        main_log.Arrival(ALICE, "192.0.2.1", "esmtpsa", ALICE, TLS, 516, ""),
    ),
    (
        f"{ID} <= <> R=1xWXbb-00007x-1a U=Debian-exim P=local S=1804 from <> for {ALICE}",
        main_log.Arrival("", "", "local", "", None, 1804, "1xWXbb-00007x-1a"),
    ),
    (
        f"{ID} <= <> H=mx.example.net [2001:db8::25]:4711 P=esmtp S=900 for {ALICE}",
        main_log.Arrival("", "2001:db8::25", "esmtp", "", None, 900, ""),
    ),
    (
        f"{ID} => bob@example.net F=<{ALICE}> R=mx T=remote_smtp S=1279 {MX_FIELD} X={CIPHER}"
        ' CV=no C="250 2.0.0 Kept \\"as\\" 20261126" QT=0.148s DT=0.102s',
        main_log.Delivery(
            "bob@example.net",
            ALICE,
            "remote_smtp",
            MX,
            TLS,
            '250 2.0.0 Kept \\"as\\" 20261126',
            0.148,
        ),
    ),
    (
        f"{ID} -> carol@example.net F=<{ALICE}> R=mx T=remote_smtp S=1279 {MX_FIELD}*"
        ' X=TLS1.3:(AES_256_GCM:256* CV=dane C="250 OK" QT=1m5s DT=0s',
        main_log.Delivery(
            "carol@example.net",
            ALICE,
            "remote_smtp",
            MX,
            main_log.Tls("TLS1.3", "(AES_256_GCM:256", "dane"),
            "250 OK",
            65.0,
        ),
    ),
    (
        f"{ID} => postmaster@example.com F=<> R=role_here T=role_mailbox S=900 QT=1d2h DT=0.001s",
        main_log.Delivery("postmaster@example.com", "", "role_mailbox", None, None, "", 93_600.0),
    ),
    (
        f"{ID} == bob@example.net R=mx T=remote_smtp defer (113): No route to host {MX_FIELD}"
        " DT=3.073s: mx.example.net [203.0.113.25]",
        main_log.Deferral(
            "bob@example.net",
            "remote_smtp",
            MX,
            113,
            "No route to host: mx.example.net [203.0.113.25]",
        ),
    ),
    (
        f"{ID} == bob@example.net R=mx T=remote_smtp defer (-44) {MX_FIELD} DT=0.100s: SMTP error"
        " from remote mail server after RCPT TO:<bob@example.net>: 450 4.2.0 Greylisted",
        main_log.Deferral(
            "bob@example.net",
            "remote_smtp",
            MX,
            -44,
            "SMTP error from remote mail server after RCPT TO:<bob@example.net>:"
            " 450 4.2.0 Greylisted",
        ),
    ),
    (
        f"{ID} == bob@example.net R=mx defer (-1) DT=0s: host lookup did not complete",
        main_log.Deferral("bob@example.net", "", None, -1, "host lookup did not complete"),
    ),
    (
        f"{ID} == bob@example.net routing defer (-52): Retry time not yet reached",
        main_log.Deferral("bob@example.net", "", None, -52, "Retry time not yet reached"),
    ),
    (
        f"{ID} ** bob@example.net F=<{ALICE}> R=mx T=remote_smtp {MX_FIELD} X={CIPHER} CV=yes:"
        " SMTP error from remote mail server after RCPT TO:<bob@example.net>: 550 5.1.1 Nobody"
        " DT=0.013s",
        main_log.Failure(
            "bob@example.net",
            ALICE,
            "remote_smtp",
            MX,
            TLS._replace(verified="yes"),
            "SMTP error from remote mail server after RCPT TO:<bob@example.net>: 550 5.1.1 Nobody",
        ),
    ),
    (
        f"{ID} ** bob@example.net F=<{ALICE}>: Unrouteable address DT=0s",
        main_log.Failure("bob@example.net", ALICE, "", None, None, "Unrouteable address"),
    ),
    (f"{ID} Completed QT=0.045s", main_log.Completed()),
    (
        f"H=(client.example.net) [192.0.2.1]:4711 X={CIPHER} CV=no F=<eve@example.com>"
        f" A=plain:{ALICE} rejected RCPT <bob@example.net>: limit",
        main_log.Refusal(
            "192.0.2.1",
            ALICE,
            "eve@example.com",
            "RCPT",
            temporary=False,
            words="<bob@example.net>: limit",
        ),
    ),
    (
        "H=[192.0.2.1]:4711 F=<> temporarily rejected after DATA: cannot repair the message",
        main_log.Refusal(
            "192.0.2.1", "", "", "after DATA", temporary=True, words="cannot repair the message"
        ),
    ),
    (
        "H=(client.example.net) [192.0.2.1]:4711 rejected MAIL <eve@example.org>",
        main_log.Refusal("192.0.2.1", "", None, "MAIL", temporary=False, words="<eve@example.org>"),
    ),
    (
        "plain authenticator failed for (client.example.net) [192.0.2.1]:4711:"
        " 535 Incorrect authentication data",
        main_log.FailedLogin("192.0.2.1"),
    ),
]


@pytest.mark.parametrize(("text", "entry"), LINES)
def test_a_line_of_exim(text: str, entry: main_log.Entry) -> None:
    line = main_log.parse(f"{AT} [493] {text}")
    of_message = text.startswith(ID)
    at = datetime.datetime(2026, 11, 26, 11, 25, 36, 641_000, datetime.timezone.utc)
    assert line == main_log.Line(at, 493, ID if of_message else "", entry)


@pytest.mark.parametrize(
    "text",
    [
        "exim 4.96 daemon started: pid=105, -q1m, not listening for SMTP",
        "SMTP connection from [192.0.2.1]:4711 lost D=0.1s",
        f"{ID} H=mx.example.net [203.0.113.25]: No route to host",
        f"{ID} Message is frozen",
        "",
        # What is cut, or has something before it.
        f"{ID} => bob@example.net F=<{ALICE}> R=mx T=remote_smtp S=1279 {MX_FIELD}",
        f"{ID} Completed QT=0.0",
        f" {ID} Completed QT=0.045s",
        f"{ID} **** log string overflowed log buffer ****",
        # Of no message.
        "Completed QT=0.045s",
        f"** bob@example.net F=<{ALICE}>: Unrouteable address DT=0s",
    ],
)
def test_what_is_no_entry(text: str) -> None:
    assert main_log.parse(f"{AT} [493] {text}") is None


@pytest.mark.parametrize(
    "line", ["", AT, f"{AT} {ID} Completed", f"2026-13-40 11:25:36.641 [1] {ID} Completed"]
)
def test_what_is_no_line(line: str) -> None:
    assert main_log.parse(line) is None


@pytest.mark.parametrize(
    ("zone", "hour"), [("", 11), (" +0000", 11), (" +0530", 5), (" -0130", 12)]
)
def test_times_are_in_utc(zone: str, hour: int) -> None:
    line = main_log.parse(f"{AT}{zone} [493] {ID} Completed QT=0.045s")
    assert line is not None
    assert (line.at.hour, line.at.utcoffset()) == (hour, datetime.timedelta(0))


# What a client or another server can have written, with what would be taken for a field.
_FIELDS = [
    " H=evil [192.0.2.66]:25",
    ' C="250 OK"',
    " QT=0.100s DT=0.100s",
    "> R=mx",
    " F=<>",
    ": ",
    "\\",
]
_quoted = st.lists(
    st.sampled_from(_FIELDS)
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9),
    max_size=4,
).map(lambda parts: '"' + "".join(parts).replace("\\", "\\\\").replace('"', '\\"') + '"')
_atoms = st.from_regex(r"\A[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,20}\Z")
_addresses = st.builds(
    "{}@{}".format, _atoms | _quoted, st.from_regex(r"\A[a-z0-9-]{1,20}\.[a-z]{2,9}\Z")
)
_words = st.lists(
    st.sampled_from([*_FIELDS, ID, " ** x@example.net F=<>: 550 no", "Completed"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    max_size=6,
).map("".join)
_tls = st.sampled_from([("", None), (f" X={CIPHER} CV=no", TLS)])


class _Sent(tp.NamedTuple):
    recipient: str
    top: str
    sender: str

    @property
    def text(self) -> str:
        """As string_log_address writes it."""
        return self.recipient + (f" <{self.top}>" if self.top != self.recipient else "")


_sent = st.builds(_Sent, _addresses, _addresses, _addresses | st.just("")) | st.builds(
    lambda address, sender: _Sent(address, address, sender), _addresses, _addresses
)


@hypothesis.given(_sent, _words, _tls)
def test_no_address_and_no_answer_passes_for_a_field(
    sent: _Sent, words: str, tls: tuple[str, main_log.Tls | None]
) -> None:
    """The lines of delivery_log, deferral_log and failure_log (deliver.c of 4.96)."""
    answer = words.replace("\\", "\\\\").replace('"', '\\"')
    delivery = (
        f"=> {sent.text} F=<{sent.sender}> R=mx T=remote_smtp S=1 {MX_FIELD}{tls[0]}"
        f' C="{answer}" QT=0.148s DT=0.102s'
    )
    deferral = f"== {sent.text} R=mx T=remote_smtp defer (-44) {MX_FIELD} DT=0.100s: {words}"
    failure = (
        f"** {sent.text} F=<{sent.sender}> R=mx T=remote_smtp {MX_FIELD}{tls[0]}: {words} DT=0.100s"
    )
    entries = [main_log.parse(f"{AT} [493] {ID} {text}") for text in (delivery, deferral, failure)]
    assert [line and line.entry for line in entries] == [
        main_log.Delivery(sent.top, sent.sender, "remote_smtp", MX, tls[1], answer, 0.148),
        main_log.Deferral(sent.top, "remote_smtp", MX, -44, words),
        main_log.Failure(sent.top, sent.sender, "remote_smtp", MX, tls[1], words),
    ]


@hypothesis.given(_addresses, _words)
def test_no_sender_and_no_message_id_passes_for_a_login(sender: str, words: str) -> None:
    line = main_log.parse(
        f"{AT} [493] {ID} <= {sender} H=(client) [192.0.2.1]:1 P=esmtpsa X={CIPHER} CV=no"
        f" A=plain:{ALICE} S=516 id={words} from <{sender}> for bob@example.net"
    )
    assert line is not None
    assert line.entry == main_log.Arrival(sender, "192.0.2.1", "esmtpsa", ALICE, TLS, 516, "")


@hypothesis.given(st.text(max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    main_log.parse(text)
    main_log.parse(f"{AT} [493] {text}")
    main_log.parse(f"{AT} [493] {ID} {text}")
