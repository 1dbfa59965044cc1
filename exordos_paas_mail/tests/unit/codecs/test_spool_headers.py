# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import spool_headers

# As exim 4.96 writes it of a message with DSN options, one recipient of three done with.
WHOLE = b"""1xWfZB-00000c-2E-H
Debian-exim 103 107
<alice@tenant.example>
1795722937 0
-received_time_usec .911234
-received_time_complete 1795722937.953211
--helo_name client.example
--host_address [192.0.2.7]:50412
-host_auth plain
-aclc _key 18
alice@tenant.examp
-aclc _credential 8
0a1b2c3d
-aclm _lines 26
-frozen 1
-auth_id evil@x

-body_linecount 3
-max_received_linelength 76
--auth_id alice@tenant.example
-frozen 1795722999
--tls_cipher TLS1.3:ECDHE
YN done@elsewhere.EXAMPLE
NN other@elsewhere.example
4
done@elsewhere.example
later@Elsewhere.example rfc822;later@elsewhere.example 30,6  0,-1#3
"two words, 3#3"@elsewhere.example  0,1  0,-1#3
plain@elsewhere.example

130P Received: by mail
\tfor someone
011  To: a@b
"""


def test_an_envelope_is_read() -> None:
    assert spool_headers.parse(WHOLE) == spool_headers.Envelope(
        sender="alice@tenant.example",
        account="alice@tenant.example",
        arrived_at=1795722937,
        frozen=True,
        recipients=(
            "later@Elsewhere.example",
            '"two words, 3#3"@elsewhere.example',
            "plain@elsewhere.example",
        ),
        size=len(WHOLE) - WHOLE.index(b"130P"),
    )


def test_what_a_variable_holds_is_no_variable() -> None:
    hidden = WHOLE.replace(b"--auth_id alice@tenant.example\n-frozen 1795722999\n", b"")
    envelope = spool_headers.parse(hidden)
    assert (envelope.account, envelope.frozen) == ("", False)


@pytest.mark.parametrize(("value", "optional"), [(b"3\nyes", True), (b"0\n", False)])
def test_a_message_may_say_that_tls_is_not_required(value: bytes, *, optional: bool) -> None:
    says = WHOLE.replace(b"--auth_id", b"-aclm _tls_optional " + value + b"\n--auth_id", 1)
    assert spool_headers.parse(says).tls_optional == optional
    assert not spool_headers.parse(WHOLE).tls_optional


def test_a_report_has_no_sender_and_no_account() -> None:
    data = b"x-H\nroot 0 0\n<>\n1795722937 0\n-local\nXX\n1\na@b.example\n\n005  x: y\n"
    assert spool_headers.parse(data) == spool_headers.Envelope(
        "", "", 1795722937, frozen=False, recipients=("a@b.example",), size=10
    )


def test_an_arrival_is_read_from_envelope_and_header() -> None:
    envelope = WHOLE[: WHOLE.index(b"130P")]
    header = b"".join(
        b"%03d%c %s" % (len(text), kind, text)
        for kind, text in (
            (ord("F"), b"From: Alice\n <alice@tenant.example>\n"),
            (ord("*"), b"Message-ID: <0@x>\n"),
            (ord("I"), b"Message-ID: <1@x>\n"),
            (ord("F"), b"From: other@x.example\n"),
            (ord(" "), b"X-Mail-Tag: welcome\n"),
            (ord("*"), b"X-Mail-Tag: taken away\n"),
            (ord(" "), b"x-mail-tag : second,\n\tfolded\n"),
            (ord(" "), b"X-Mail-Tag: =?utf-8?q?n=C3=BA?=\n"),
            (ord(" "), b"X-Mail-Tag: =?none?q?n?= n\xc3\xba\xff\n"),
            (ord(" "), b"X-Mail-Tags: none\n"),
        )
    )
    assert spool_headers.parse_arrival(envelope + header) == spool_headers.Arrival(
        sender="alice@tenant.example",
        account="alice@tenant.example",
        arrived_at=1795722937000,
        client="192.0.2.7",
        recipients=4,
        header_from=" Alice\n <alice@tenant.example>\n",
        message_id=" <1@x>\n",
        tags=(" welcome\n", " second,\n\tfolded\n", " n\u00fa\n", " =?none?q?n?= n\u00fa\ufffd\n"),
        credential="mlk_0a1b2c3d",
    )


@pytest.mark.parametrize("name", [b"0A1b2c3d", b"0a1b2c3d4", b"0a1b\nc3d", b""])
def test_what_is_no_name_of_a_credential_is_none(name: bytes) -> None:
    data = WHOLE.replace(b"8\n0a1b2c3d\n", b"%d\n%s\n" % (len(name), name))
    assert spool_headers.parse_arrival(data).credential == ""


@hypothesis.given(st.integers(0, len(WHOLE) - len("011  To: a@b\n") - 40))
def test_half_an_envelope_is_none(size: int) -> None:
    with pytest.raises(ValueError, match=r"envelope|invalid literal"):
        spool_headers.parse(WHOLE[:size])


@hypothesis.given(st.binary(max_size=300), st.integers(0, len(WHOLE)))
def test_a_harmed_envelope_is_refused_or_read(noise: bytes, at: int) -> None:
    try:
        envelope = spool_headers.parse(WHOLE[:at] + noise + WHOLE[at:])
        spool_headers.parse_arrival(WHOLE[:at] + noise + WHOLE[at:])
    except ValueError:
        return
    assert all(one.isprintable() for one in (*envelope.recipients, envelope.account))


def test_the_journal_names_who_has_it_now() -> None:
    data = b"A@Elsewhere.example\nb@elsewhere.example\nhalf@elsew"
    assert spool_headers.journalled(data) == {"A@elsewhere.example", "b@elsewhere.example"}
    assert spool_headers.journalled(b"") == frozenset()
