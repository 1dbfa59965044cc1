# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime
import re
import string
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import main_log
from exordos_paas_mail.tests.unit.codecs import log_lines, texts
from exordos_paas_mail.tests.unit.codecs.log_lines import ALICE, AT, CIPHER, ID, MX, MX_FIELD, TLS


@pytest.mark.parametrize(("text", "entry"), log_lines.LINES)
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


@pytest.mark.parametrize(
    ("queued", "seconds"),
    [
        ("4.999s", 4.999),
        ("5s", 5.0),
        ("1w2d3m", 777_780.0),
        # Less than nothing, of 4.96 and of newer releases
        ("429479", 0.0),
        ("4294794496.123s", 0.0),
    ],
)
def test_a_delivery_is_read_however_long_it_took(queued: str, seconds: float) -> None:
    done = f"=> bob@example.net F=<{ALICE}> R=mx T=remote_smtp S=1279 {MX_FIELD} QT={queued}"
    line = main_log.parse(f"{AT} [493] {ID} {done} DT={queued}")
    assert line is not None
    assert isinstance(line.entry, main_log.Delivery)
    assert line.entry.queued == seconds
    assert main_log.parse(f"{AT} [493] {ID} Completed QT={queued}") is not None


# What a client or another server can have written, with what would be taken for a field.
_FIELDS = [
    "x@example.org routing defer (-1): ",
    'x@example.org <"x"@example.org> routing defer (-1): ',
    'x@example.org <"x"@example.org> F=<> T=x S=1 QT=0s DT=0s',
    " <x@example.org> R=mx defer (-1)",
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
_atoms = texts.words(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~.-", 20)
_labels = texts.words(string.ascii_lowercase + string.digits + "-", 20)
_addresses = st.builds("{}@{}.{}".format, _atoms | _quoted, _labels, texts.top_labels(9))
_words = st.lists(
    st.sampled_from([*_FIELDS, ID, " ** x@example.net F=<>: 550 no", "Completed"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    max_size=6,
).map("".join)
_tls = st.sampled_from([("", None), (f" X={CIPHER} CV=no", TLS)])


class _Sent(tp.NamedTuple):
    recipient: str
    sender: str

    @property
    def text(self) -> str:
        """As string_log_address writes the recipient."""
        local, _, domain = self.recipient.rpartition("@")
        bare = "".join(pair[-1] for pair in re.findall(r'\\.|[^"]', local)).lower()
        as_sent = "" if bare == local else f" <{self.recipient}>"
        return f"{bare}@{domain}{as_sent}"


_sent = st.builds(_Sent, _addresses, _addresses | st.just(""))


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
        main_log.Delivery(sent.recipient, sent.sender, "remote_smtp", MX, tls[1], answer, 0.148),
        main_log.Deferral(sent.recipient, "remote_smtp", MX, -44, words),
        main_log.Failure(sent.recipient, sent.sender, "remote_smtp", MX, tls[1], words),
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
