# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import socket
import ssl
import time

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import smuggling, units

ALICE = relay_.ALICE


@pytest.mark.parametrize("end", smuggling.ENDS, ids=repr)
@pytest.mark.parametrize("port", [465, 587])
def test_only_crlf_dot_crlf_ends_a_message(
    relay: relay_.Relay, internet: internet_.Internet, port: int, end: bytes
) -> None:
    with smuggling.submission(relay, port) as client:
        head = f"From: {ALICE}\r\nSubject: first\r\n\r\nHello.".encode()
        client.write(head + end + smuggling.SMUGGLED)
        client.answer()
        client.socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError, ssl.SSLError):
            client.answer()
    relay.wait_for_queue(0)
    time.sleep(0.2)
    recipients = [one.recipients for one in internet.received()]
    assert ["victim@elsewhere.example"] not in recipients, recipients


@pytest.mark.parametrize("port", [25, 587])
@pytest.mark.parametrize(
    ("words", "codes"),
    [
        pytest.param("EHLO client.example", ["220", "250", "221"], id="SMTP"),
        pytest.param(
            f"POST / HTTP/1.1\r\n\r\nMAIL FROM:<{ALICE}>",
            ["220", "500", "500", "503", "221"],
            id="HTTP",
        ),
    ],
)
def test_a_client_that_talks_first_is_answered_in_turn_and_gets_no_further(
    relay: relay_.Relay, port: int, words: str, codes: list[str]
) -> None:
    """RFC 5321 3.1 has a client wait for the greeting; a browser that is led here does not."""
    with relay.units.paused(port):
        held = socket.create_connection(("127.0.0.1", port), timeout=units.PATIENCE)
        held.sendall(f"{words}\r\nQUIT\r\n".encode())
    with held, held.makefile("rb") as answers:
        assert [line[:3].decode() for line in answers if line[3:4] == b" "] == codes


def test_commands_after_starttls_in_the_clear_are_not_obeyed(relay: relay_.Relay) -> None:
    """CVE-2011-0411: what came before TLS must not be read as if inside it."""
    with relay_.Raw(relay, 587) as client:
        client.answer()
        client.command("EHLO client.example")
        client.write(b"STARTTLS\r\nEHLO injected.example\r\n")
        assert client.answer()[:3] == "220"
        client.encrypt()
        assert client.command("QUIT")[:3] == "221"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"a\x00b\r\n", "554", id="NUL"),
        pytest.param(b"\xff\xfe\xfd\r\n", "250", id="any other octet"),
    ],
)
def test_lines_and_octets_that_break_other_mail_servers_are_refused(
    relay: relay_.Relay, body: bytes, code: str
) -> None:
    with smuggling.submission(relay) as client:
        client.write(f"From: {ALICE}\r\n\r\n".encode() + body + b".\r\n")
        assert client.answer()[:3] == code


def test_a_header_that_is_too_long_is_refused(relay: relay_.Relay) -> None:
    with smuggling.submission(relay) as client:
        client.write(f"From: {ALICE}\r\n".encode() + b"X: y\r\n" * 40_000 + b"\r\nHello.\r\n.\r\n")
        assert client.answer()[:1] == "5"


@pytest.mark.parametrize(
    "address",
    [
        f"{ALICE}\x00",
        "${run{/usr/bin/touch /tmp/pwned}}@tenant.example",
        "$local_part@tenant.example",
        "a" * 500 + "@tenant.example",
        "alice@" + "a." * 300 + "example",
        '"alice\\"@tenant.example',
        "al\u0131ce@tenant.example",
    ],
    ids=range(7),
)
def test_an_envelope_sender_cannot_carry_more_than_an_address(
    relay: relay_.Relay, internet: internet_.Internet, address: str
) -> None:
    with relay.login() as client:
        assert client.sock is not None
        client.sock.sendall(f"MAIL FROM:<{address}>\r\n".encode())
        assert client.getreply()[0] in {500, 501, 503, 553, 555}
    assert internet.received() == []


def test_bdat_is_unknown(relay: relay_.Relay) -> None:
    """CVE-2026-45185 needs CHUNKING."""
    with relay.login() as client:
        assert "chunking" not in client.esmtp_features
        client.mail(ALICE)
        client.rcpt("someone@elsewhere.example")
        assert client.docmd("BDAT", "10 LAST")[0] in {500, 503}


@pytest.mark.parametrize("command", ["VRFY alice", "EXPN alice", "ETRN tenant.example", "TURN"])
def test_a_client_learns_nothing_of_accounts(relay: relay_.Relay, command: str) -> None:
    with relay.connect(25) as client:
        code, text = client.docmd(command)
        assert (code in {252, 458, 500, 501, 502, 550}, b"@" in text) == (True, False), (code, text)
