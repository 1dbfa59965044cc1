# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What mail programs and libraries do in everyday use, and the relay has to take."""

from __future__ import annotations

import base64
import email
import email.message
import email.policy
import re

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

ALICE = relay_.ALICE
DOMAIN = relay_.DOMAIN


def encoded(text: str) -> str:
    """Return what AUTH carries for *text*."""
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "dialogue",
    [
        pytest.param(
            [("AUTH LOGIN", "334 VXNlcm5hbWU6"), (encoded(ALICE), "334 UGFzc3dvcmQ6")],
            id="LOGIN, word by word",
        ),
        pytest.param(
            [(f"AUTH LOGIN {encoded(ALICE)}", "334 UGFzc3dvcmQ6")], id="LOGIN, initial response"
        ),
        pytest.param([(f"auth login {encoded(ALICE.upper())}", "334 ")], id="LOGIN, other case"),
    ],
)
@pytest.mark.parametrize("port", [25, 465, 587])
def test_auth_login_is_spoken_in_each_of_its_forms(
    relay: relay_.Relay, port: int, dialogue: list[tuple[str, str]]
) -> None:
    with relay.connect(port) as client:
        for line, expected in dialogue:
            code, text = client.docmd(line)
            assert f"{code} {text.decode()}".startswith(expected)
        assert client.docmd(encoded(relay_.PASSWORD))[0] == 235
        assert client.mail(ALICE)[0] == 250


@pytest.mark.parametrize("identity", ["", ALICE], ids=["no identity", "own identity"])
@pytest.mark.parametrize("initial", [True, False], ids=["initial response", "asked for"])
def test_auth_plain_is_spoken_in_each_of_its_forms(
    relay: relay_.Relay, identity: str, *, initial: bool
) -> None:
    word = encoded(f"{identity}\0{ALICE}\0{relay_.PASSWORD}")
    with relay.connect(587) as client:
        if initial:
            assert client.docmd(f"AUTH PLAIN {word}")[0] == 235
        else:
            assert client.docmd("AUTH PLAIN")[0] == 334
            assert client.docmd(word)[0] == 235


def test_a_client_may_think_again_about_its_login(relay: relay_.Relay) -> None:
    """RFC 4954 4: "*" cancels."""
    with relay.connect(587) as client:
        assert client.docmd("AUTH LOGIN")[0] == 334
        assert client.docmd("*")[0] == 501
        assert client.login(ALICE, relay_.PASSWORD)[0] == 235


@pytest.mark.parametrize(
    "password",
    [
        'a:b$c{d}e\\f"g%h/i',
        "${lookup{x}lsearch{/etc/passwd}}",
        "spaces  inside ",
        "p\N{LATIN SMALL LETTER A WITH DIAERESIS}ss \N{SNOWMAN}",
        "$6$salt$looks-like-a-hash",
        "x" * 200,
    ],
    ids=range(6),
)
def test_a_password_holds_any_character(relay: relay_.Relay, password: str) -> None:
    accounts = relay_.PASSWD.read_text()
    carol = f"carol@{DOMAIN}"
    relay_.install(relay_.PASSWD, f"{accounts}{carol}:{relay_.crypt(password)}\n")
    try:
        with relay.connect(587) as client:
            assert client.docmd(f"AUTH PLAIN {relay_.token(carol, password)}")[0] == 235
    finally:
        relay_.install(relay_.PASSWD, accounts)


NAMES = [
    *("localhost", "MY_PC", "a_b.local", "3f2a9c0d", "host:8080", "user@host", "a,b;c", "$x{y}"),
    *("[127.0.0.1]", "[IPv6:::1]", "[IPv6:fe80::1]", "[192.168.1.7]", "[]", "[WORKGROUP]", "["),
    *("My own PC", "PC (2)", "(null)", "=?utf-8?q?x?=", "a=b", '"quoted"', "<me>", "/", ""),
    "M\N{LATIN CAPITAL LETTER U WITH DIAERESIS}LLER-PC",
    "\N{SNOWMAN}" * 85,
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("verb", ["EHLO", "HELO", "ehlo"])
def test_a_client_may_call_itself_what_its_system_does(
    relay: relay_.Relay, internet: internet_.Internet, verb: str, name: str
) -> None:
    """And nothing else of a log line or of the message is what it would have been."""
    with relay_.Raw(relay, 587) as client:
        client.answer()
        assert client.command(f"{verb} {name}".strip(" ")).startswith("250")
        client.command("EHLO before.example")
        client.start_tls()
        assert client.command(f"{verb} {name}".strip(" ")).startswith("250")
        client.command(f"AUTH PLAIN {relay_.token(ALICE, relay_.PASSWORD)}")
        client.command(f"MAIL FROM:<{ALICE}>")
        client.command("RCPT TO:<someone@elsewhere.example>")
        client.command("DATA")
        assert client.command(relay_.message(From=ALICE) + ".").startswith("250")
        client.command("QUIT")
    (got,) = internet.wait_for(1)
    (line,) = relay.log_lines(rf"<= {ALICE}")
    found = re.search(r"<= \S+ H=\((.*)\) \[127\.0\.0\.1\]:\d+ P=\S+ X=", line)
    assert found is not None, line
    # exim may write other than ASCII as it is, or in octal
    escaped = "".join(chr(n) if n < 128 else f"\\{n:o}" for n in name.encode())
    assert found[1] in {name, escaped}
    (received,) = email.message_from_bytes(got.data).get_all("Received", [])
    assert received.startswith(f"by {DOMAIN} with ")


@pytest.mark.parametrize(
    "name",
    [
        "a) [203.0.113.9]:25 P=esmtpsa A=plain:bob@tenant.example (b",
        "a A=plain:bob@tenant.example",
        "[a] (b",
        "x" * 1021,
        "x" * 12_000,
    ],
    ids=range(5),
)
@pytest.mark.parametrize("port", [25, 587])
def test_a_name_that_reads_as_more_of_a_log_line_is_refused_and_not_logged(
    relay: relay_.Relay, port: int, name: str
) -> None:
    with relay_.Raw(relay, port) as client:
        client.answer()
        refused = client.command(f"EHLO {name}")
        assert refused == "501 5.5.2 Use a host name or an address in brackets\r\n"
        assert client.command("EHLO client.example").startswith("250")
    assert relay.log_lines(r"\] \[127\.0\.0\.1\]:\d+ rejected the name in HELO or EHLO$")
    assert "bob@" not in relay.log()
    assert name[:60] not in relay.log()


@pytest.mark.parametrize("name", ["tab\tA=b", "bell\a", "\x1b[2J", "a\rb", "\x7f"], ids=range(5))
def test_no_control_character_of_a_name_reaches_the_log(relay: relay_.Relay, name: str) -> None:
    """It is refused, unless exim has escaped it."""
    with relay_.Raw(relay, 587) as client:
        client.answer()
        assert client.command(f"EHLO {name}")[:3] in {"250", "501"}
        client.command("QUIT")
    assert re.findall(r"[^\n -~]", relay.log()) == []


@pytest.mark.parametrize(
    "options",
    [["BODY=8BITMIME"], ["BODY=7BIT"], ["AUTH=<>"], ["SIZE=1000"], ["RET=FULL", "ENVID=QQ+2D"]],
    ids=lambda options: options[0],
)
def test_options_of_a_message_that_are_offered_are_taken(
    relay: relay_.Relay, options: list[str]
) -> None:
    with relay.login() as client:
        assert client.mail(ALICE, options)[0] == 250


def test_commands_come_in_one_packet(relay: relay_.Relay, internet: internet_.Internet) -> None:
    """RFC 2920, as Postfix and Go's net/smtp servers' clients do."""
    with relay_.Raw(relay, 587, tls=True) as client:
        client.command(f"AUTH PLAIN {relay_.token(ALICE, relay_.PASSWORD)}")
        client.write(
            f"MAIL FROM:<{ALICE}> SIZE=100\r\nRCPT TO:<a@elsewhere.example>\r\n"
            "RCPT TO:<b@elsewhere.example> NOTIFY=FAILURE,DELAY\r\nDATA\r\n".encode()
        )
        assert [client.answer()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        client.write(f"From: {ALICE}\r\n\r\nHello.\r\n.\r\nQUIT\r\n".encode())
        assert [client.answer()[:3] for _ in range(2)] == ["250", "221"]
    (got,) = internet.wait_for(1)
    assert sorted(got.recipients) == ["a@elsewhere.example", "b@elsewhere.example"]


@pytest.mark.parametrize("check", ["NOOP", "RSET"])
def test_a_pool_checks_its_session_before_each_of_many_messages(
    relay: relay_.Relay, internet: internet_.Internet, check: str
) -> None:
    with relay.login() as client:
        for number in range(80):
            assert client.docmd(check)[0] == 250
            assert client.mail(ALICE)[0] == 250
            assert client.rcpt(f"r{number}@elsewhere.example")[0] == 250
            assert client.data(relay_.message(From=ALICE))[0] == 250
    internet.wait_for(80)


def test_a_client_that_hangs_up_without_quit_has_sent_its_message(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    client = relay.login()
    client.mail(ALICE)
    client.rcpt("someone@elsewhere.example")
    assert client.data(relay_.message(From=ALICE))[0] == 250
    client.close()
    internet.wait_for(1)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param("To: a@elsewhere.example\r\nCc:\r\nBcc: \r\nReply-To:\r\n", id="empty fields"),
        pytest.param("To: undisclosed-recipients:;\r\n", id="undisclosed recipients"),
        pytest.param(
            "To: Team: a@elsewhere.example, B <b@elsewhere.example>;\r\n",
            id="a group of recipients",
        ),
        pytest.param("To: a@elsewhere.example,\r\n\tb@elsewhere.example,\r\n", id="folded list"),
        pytest.param('To: "a@elsewhere.example" <a@elsewhere.example>\r\n', id="address as name"),
        pytest.param("To: =?utf-8?q?M=C3=BCller=2C?= <a@elsewhere.example>\r\n", id="encoded name"),
        pytest.param("To: M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller <a@elsewhere.example>\r\n"),
        pytest.param("Subject: \N{SNOWMAN}\r\n", id="a subject that is not encoded"),
        pytest.param(
            "List-Id: <news.tenant.example>\r\nList-Unsubscribe: <https://tenant.example/u>\r\n"
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nPrecedence: bulk\r\n",
            id="a newsletter",
        ),
        pytest.param("Return-Path: <someone@elsewhere.example>\r\n", id="a path back"),
        pytest.param("X-SMTPAPI: " + " ".join(["word"] * 150) + "\r\n", id="a long field"),
        pytest.param(
            "To: " + ",\r\n ".join(f"r{n}@elsewhere.example" for n in range(400)) + "\r\n",
            id="many recipients in a field",
        ),
    ],
)
def test_what_is_written_in_headers_every_day_is_taken(
    relay: relay_.Relay, internet: internet_.Internet, headers: str
) -> None:
    assert relay.send(f"From: {ALICE}\r\n{headers}\r\nHello.\r\n".encode())[0] == 250
    internet.wait_for(1)


def test_a_refused_header_is_named_with_the_reason(relay: relay_.Relay) -> None:
    code, text = relay.send(f"From: {ALICE}\r\nTo: a@b.example; c@d.example\r\n\r\nHello.\r\n")
    assert code == 554
    assert text.startswith("5.6.0 To: ")


def test_hidden_recipients_stay_hidden(relay: relay_.Relay, internet: internet_.Internet) -> None:
    hidden = "hidden@elsewhere.example"
    data = f"From: {ALICE}\r\nBcc: {hidden}\r\nResent-From: {ALICE}\r\nResent-Bcc: {hidden}\r\n"
    recipients = ["someone@elsewhere.example", hidden]
    assert relay.send(f"{data}\r\nHello.\r\n", recipients=recipients)[0] == 250
    (got,) = internet.wait_for(1)
    assert (sorted(got.recipients), b"hidden" in got.data) == (sorted(recipients), False)


def test_a_whole_multipart_message_arrives_as_it_was(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = f'"M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller, Alice" <{ALICE}>'
    message["To"] = "someone@elsewhere.example"
    message["Subject"] = "Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}e"
    message.set_content("Hello.\n")
    message.add_alternative("<p>" + "word " * 1000 + "</p>", subtype="html")
    message.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream")
    with relay.login() as client:
        assert client.send_message(message) == {}
    (got,) = internet.wait_for(1)
    arrived = email.message_from_bytes(
        got.data.replace(b"\r\n", b"\n"), policy=email.policy.default
    )
    parts = [
        [part.get_content() for part in one.walk() if not part.is_multipart()]
        for one in (arrived, message)
    ]
    assert parts[0] == parts[1]
    assert (arrived["Subject"], arrived["From"]) == (message["Subject"], message["From"])
