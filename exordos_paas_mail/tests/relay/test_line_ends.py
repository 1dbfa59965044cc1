# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lines that end in LF or CR: stored as lines, sent in CRLF, and no end of the data.

The distribution's exim4 turns a bare LF into a space and signs the result; the
relay's own has exordos/images/exim_line_ends.patch.
"""

from __future__ import annotations

import email
import email.policy

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import signatures, smuggling

ALICE = relay_.ALICE
PORTS = [25, 465, 587]
HEAD = f"From: {ALICE}\r\nTo: someone@elsewhere.example\r\nSubject: lines\r\n\r\n".encode()


def deliver(
    relay: relay_.Relay, internet: internet_.Internet, port: int, content: bytes
) -> tuple[str, bytes]:
    """Return subject and body of *content*, sent without a change, as the MX has them."""
    with smuggling.submission(relay, port) as client:
        client.write(content + b".\r\n")
        assert client.answer()[:3] == "250"
        # In step: nothing of the content was taken for a command.
        assert client.command("NOOP") == "250 OK\r\n"
    (got,) = internet.wait_for(1)
    assert signatures.verify(relay, got.data)
    head, _, body = got.data.partition(b"\r\n\r\n")
    fields = email.message_from_bytes(head, policy=email.policy.default)
    assert fields["From"] == ALICE
    return fields["Subject"], body


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    ("sent", "received"),
    [
        pytest.param(
            b"line one\nline two\n\npara two\r\n",
            b"line one\r\nline two\r\n\r\npara two\r\n",
            id="LF",
        ),
        pytest.param(b"a\rb\r\n", b"a\r\nb\r\n", id="CR"),
        pytest.param(b"a\r\r\nb\r\n", b"a\r\n\r\nb\r\n", id="CR CRLF"),
        pytest.param(b"a\n\rb\r\n", b"a\r\n\r\nb\r\n", id="LF CR"),
        pytest.param(b"\na\r\n", b"\r\na\r\n", id="LF first"),
        pytest.param(b"a\n\r\n", b"a\r\n\r\n", id="LF last"),
        # A client that ends lines in LF doubles dots after LF, or not at all.
        pytest.param(b"a\n..b\r\n", b"a\r\n.b\r\n", id="dot doubled after LF"),
        pytest.param(b"a\n.b\r\n", b"a\r\n.b\r\n", id="dot after LF"),
        pytest.param(b"a\n...\nb\r\n", b"a\r\n..\r\nb\r\n", id="dots after LF"),
        pytest.param(b"a\n.\nb\r\n", b"a\r\n.\r\nb\r\n", id="LF dot LF"),
        pytest.param(b"a\n.\r\nb\r\n", b"a\r\n.\r\nb\r\n", id="LF dot CRLF"),
        pytest.param(b"a\n.\rb\r\n", b"a\r\n.\r\nb\r\n", id="LF dot CR"),
        pytest.param(b"a\n..\r\nb\r\n", b"a\r\n.\r\nb\r\n", id="LF dots CRLF"),
        pytest.param(b"a\r\n.\nb\r\n", b"a\r\n.\r\nb\r\n", id="CRLF dot LF"),
        pytest.param(b"a\r\n.\rb\r\n", b"a\r\n.\r\nb\r\n", id="CRLF dot CR"),
        pytest.param(b"a\r\n.\r\r\nb\r\n", b"a\r\n.\r\n\r\nb\r\n", id="CRLF dot CR CRLF"),
        pytest.param(b"a\r\n.\n.\nb\r\n", b"a\r\n.\r\n.\r\nb\r\n", id="CRLF dot LF dot LF"),
        pytest.param(b"a\r.\r\nb\r\n", b"a\r\n.\r\nb\r\n", id="CR dot CRLF"),
        pytest.param(b"a\r..b\r\n", b"a\r\n..b\r\n", id="CR dots"),
        pytest.param(b".\nb\r\n", b".\r\nb\r\n", id="dot LF first"),
        # As ever (RFC 5321 4.5.2)
        pytest.param(b"a\r\n..b\r\n", b"a\r\n.b\r\n", id="dot doubled after CRLF"),
        pytest.param(b"a\r\n.b\r\n", b"a\r\nb\r\n", id="dot after CRLF"),
    ],
)
def test_every_line_end_arrives_as_crlf_and_no_dot_is_lost(
    relay: relay_.Relay, internet: internet_.Internet, port: int, sent: bytes, received: bytes
) -> None:
    assert deliver(relay, internet, port, HEAD + sent) == ("lines", received)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param("From: {}\nSubject: lines\n\na\r\nb\r\n", id="header in LF, body in CRLF"),
        pytest.param("From: {}\nSubject: lines\n\na\nb\r\n", id="all in LF"),
        pytest.param("From: {}\r\nSubject: lines\n\na\nb\r\n", id="first line alone in CRLF"),
        pytest.param("From: {}\r\nSubject: lines\r\n\na\nb\r\n", id="only the separator in LF"),
        pytest.param("From: {}\nSubject: lines\r\n\r\na\r\nb\r\n", id="first line alone in LF"),
        pytest.param("From: {}\nX:\n y\nSubject: lines\n\r\na\nb\r\n", id="folded in LF"),
    ],
)
def test_a_header_in_lf_is_a_header(
    relay: relay_.Relay, internet: internet_.Internet, port: int, content: str
) -> None:
    sent = content.format(ALICE).encode()

    assert deliver(relay, internet, port, sent) == ("lines", b"a\r\nb\r\n")


@pytest.mark.parametrize("end", smuggling.ENDS, ids=repr)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["header in LF", "header in CRLF"])
@pytest.mark.parametrize("port", PORTS)
def test_what_follows_another_end_is_text(
    relay: relay_.Relay, internet: internet_.Internet, port: int, line_end: str, end: bytes
) -> None:
    head = line_end.join([f"From: {ALICE}", "Subject: first", "", "Hello."]).encode()
    with smuggling.submission(relay, port) as client:
        # Its own end is that of the message it is hidden in.
        client.write(head + end + smuggling.SMUGGLED)
        assert client.answer()[:3] == ("554" if b"\0" in end else "250")
        assert client.command("NOOP") == "250 OK\r\n"
    relay.wait_for_queue(0)
    assert [one.recipients for one in internet.received()] in (
        [["someone@elsewhere.example"]],
        [] if b"\0" in end else None,
    )


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("head", [b".\n", b"X: y\n.\r\n", b"X: y\n.\n", b"X: y\r\n.\n"], ids=repr)
def test_a_dot_in_the_header_ends_the_message_only_between_crlf(
    relay: relay_.Relay, internet: internet_.Internet, port: int, head: bytes
) -> None:
    start = f"From: {ALICE}\r\nSubject: first\r\n".encode()
    with smuggling.submission(relay, port) as client:
        client.write(start + head + smuggling.SMUGGLED)
        client.answer()
        assert client.command("NOOP") == "250 OK\r\n"
    relay.wait_for_queue(0)
    recipients = [one.recipients for one in internet.received()]
    assert ["victim@elsewhere.example"] not in recipients, recipients


MEGABYTE = 2**20
REFUSED = [
    # Reading stops at any octet of the three that a line counts for.
    *(
        pytest.param(HEAD + b"x" * shift + b"x.\r\n" * (MEGABYTE // 3 + 1), id=f"a line, {shift}")
        for shift in range(3)
    ),
    pytest.param(HEAD + b"x" * (MEGABYTE + 9) + b"\n.\n", id="LF dot LF"),
    pytest.param(HEAD + b"x" * (MEGABYTE + 9) + b"\n.\r\n", id="LF dot CRLF"),
    pytest.param(
        HEAD.replace(b"\r", b"") + b"x" * (MEGABYTE + 9) + b"\n.\n", id="header in LF, LF dot LF"
    ),
    *(
        pytest.param(
            HEAD[:-2] + b"X: " + b"y" * shift + b"\r\n" + b" .\r\n" * (2**16 // 3),
            id=f"header, {shift}",
        )
        for shift in range(3)
    ),
    pytest.param(
        HEAD[:-2].replace(b"\r", b"") + b"X: " + b"y" * 2**16 + b"\n.\r\n", id="header field"
    ),
]


@pytest.mark.parametrize("port", PORTS)
def test_nothing_hidden_in_a_message_that_is_too_big_is_obeyed(
    relay: relay_.Relay, internet: internet_.Internet, port: int
) -> None:
    """The rest of a refused message is skipped to its own end (RFC 5321 4.2.5)."""
    wrong = {}
    with relay.configured(message_size_mb=1):
        for case in REFUSED:
            content = case.values[0]
            assert isinstance(content, bytes)
            with smuggling.submission(relay, port) as client:
                client.write(content + smuggling.SMUGGLED)
                said = [client.answer()[:3], client.command("NOOP")]
            if said != ["552", "250 OK\r\n"]:
                wrong[case.id] = said
        relay.wait_for_queue(0)
    assert wrong == {}
    assert internet.received() == []


@pytest.mark.parametrize("port", PORTS)
def test_a_link_local_address_with_its_interface_is_taken_at_ehlo(
    relay: relay_.Relay, port: int
) -> None:
    """4.96 of Debian answers 421, with a line in paniclog."""
    with relay_.Raw(relay, port) as client:
        client.answer()
        assert client.command("EHLO [fe80::1%eth0]")[:3] == "250"
        assert client.command("NOOP") == "250 OK\r\n"


def test_no_octet_of_an_ehlo_name_breaks_a_line_of_the_log(relay: relay_.Relay) -> None:
    text = relay_.CONFIG.read_text()
    junk = text.replace("helo_allow_chars", "helo_accept_junk_hosts = *\nhelo_allow_chars", 1)
    relay_.install(relay_.CONFIG, junk)
    relay.units.restart()
    try:
        with relay_.Raw(relay, 25) as client:
            client.answer()
            client.command("EHLO a\x0bb\x1b[1m\rc")
            client.command("RCPT TO:<x@elsewhere.example>")
            client.command("QUIT")
        (line,) = relay.wait_for_log("SMTP connection from .* closed by QUIT")
    finally:
        relay.configure()
        relay.units.restart()
    assert line.isprintable()
    assert r"(a\vb\033[1m\rc)" in line
