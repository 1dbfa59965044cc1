# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import email
import re
import socket

import pytest

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

ALICE = relay_.ALICE
DOMAIN = relay_.DOMAIN
TOKEN = base64.b64encode(f"\0{ALICE}\0{relay_.PASSWORD}".encode()).decode()
SWAPPED = base64.b64encode(f"\0{relay_.PASSWORD}\0{ALICE}".encode()).decode()
WORD = base64.b64encode(relay_.PASSWORD.encode()).decode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("port", [25, 465, 587])
def test_the_banner_tells_the_domain_and_no_software(relay: relay_.Relay, port: int) -> None:
    with relay_.Raw(relay, port) as client:
        assert client.answer() == f"220 {DOMAIN} ESMTP\r\n"


def test_ehlo_offers_what_the_relay_does_and_no_more(relay: relay_.Relay) -> None:
    with relay.connect(587) as client:
        assert {name: value.strip() for name, value in client.esmtp_features.items()} == {
            "size": str(25 * 2**20),
            "8bitmime": "",
            "dsn": "",
            "pipelining": "",
            "auth": "PLAIN LOGIN",
            "help": "",
            "smtputf8": "",
        }


def test_a_message_tells_neither_client_nor_login(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    sent = relay_.message(From=f"alice+news@{DOMAIN}", Bcc="hidden@elsewhere.example")
    assert relay.send(sent, sender=f"alice+news@{DOMAIN}")[0] == 250
    (got,) = internet.wait_for(1)
    assert got.helo == DOMAIN
    for secret in (b"127.0.0.1", b"client.example [", ALICE.encode(), b"hidden", b"xim 4"):
        assert secret not in got.data
    (received,) = email.message_from_bytes(got.data).get_all("Received", [])
    assert re.fullmatch(
        rf"by {re.escape(DOMAIN)} with esmtpsa id [\w-]+\s+for someone@elsewhere\.example;"
        r"\s+\w{3}, [\w: +]+",
        received,
    )


def dialogue(relay: relay_.Relay, lines: list[str], *, tls: bool = True) -> None:
    with relay_.Raw(relay, 587, tls=tls) as client:
        if not tls:
            client.answer()
        for line in lines:
            if not client.command(line):
                return


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"AUTH PLAIN {TOKEN}"], id="good"),
        pytest.param([f"AUTH PLAIN {TOKEN} extra"] * 6, id="one word too many"),
        pytest.param([f"AUTH PLAIN={TOKEN}"] * 6, id="equals sign"),
        pytest.param([f"AUTH {TOKEN}"] * 6, id="no mechanism"),
        pytest.param([f"AUTH XOAUTH2 {TOKEN}"] * 6, id="unknown mechanism"),
        pytest.param([f"AUTH PLAIN {TOKEN}x!"] * 6, id="not base64"),
        pytest.param(["AUTH LOGIN", "*", TOKEN, WORD, WORD, WORD, WORD, WORD], id="lost its place"),
        pytest.param([relay_.PASSWORD] * 6, id="typed as a command"),
        pytest.param([f"AUTH PLAIN {TOKEN}"] * 8, id="again and again"),
        pytest.param([f"MAIL FROM:<{ALICE}> {WORD}"] * 6, id="as an option of MAIL"),
        pytest.param([relay_.PASSWORD] * 300, id="typed as a command for ever"),
        pytest.param([f"AUTH {TOKEN}"] * 300, id="no mechanism for ever"),
        pytest.param([f"AUTH PLAIN {SWAPPED}"], id="typed as the login"),
        pytest.param(["AUTH LOGIN", WORD, encoded(ALICE)], id="typed as the login, word by word"),
    ],
)
def test_no_password_is_logged_whatever_a_client_does(
    relay: relay_.Relay, lines: list[str], *, tls: bool
) -> None:
    dialogue(relay, lines, tls=tls)
    said = relay.log()
    assert [
        secret
        for secret in (TOKEN, TOKEN[:30], WORD, WORD[:20], relay_.PASSWORD, "$6$")
        if secret in said
    ] == []


@pytest.mark.parametrize("port", [465, 587])
def test_no_password_is_logged_when_all_commands_come_at_once(
    relay: relay_.Relay, internet: internet_.Internet, port: int
) -> None:
    """As from `openssl s_client < script`."""
    with relay_.Raw(relay, port) as client:
        client.answer()
        if port == 587:
            client.command("EHLO client.example")
            client.start_tls()
        data = relay_.message(From=ALICE)
        client.write(
            f"EHLO script\r\nAUTH PLAIN {TOKEN}\r\nMAIL FROM:<{ALICE}>\r\n"
            f"RCPT TO:<someone@elsewhere.example>\r\nDATA\r\n{data}.\r\nQUIT\r\n".encode()
        )
        answers = "".join(client.answer() for _ in range(7))
    assert re.findall("^([0-9]{3}) ", answers, re.MULTILINE) == [
        "250",
        "235",
        "250",
        "250",
        "354",
        "250",
        "221",
    ]
    internet.wait_for(1)
    assert TOKEN not in relay.log()


@pytest.mark.parametrize(
    ("port", "words"),
    [
        pytest.param(587, f"AUTH PLAIN {TOKEN}", id="before the greeting"),
        pytest.param(587, f"EHLO script\r\nAUTH PLAIN {TOKEN}", id="before STARTTLS"),
        pytest.param(587, f"EHLO script\r\nSTARTTLS\r\nAUTH PLAIN {TOKEN}", id="after STARTTLS"),
        pytest.param(25, f"{TOKEN}\r\n{relay_.PASSWORD}", id="alone"),
    ],
)
def test_no_password_is_logged_that_is_sent_out_of_turn(
    relay: relay_.Relay, port: int, words: str
) -> None:
    with relay.units.paused(port):
        held = socket.create_connection(("127.0.0.1", port), timeout=units.PATIENCE)
        held.sendall(f"{words}\r\nQUIT\r\n".encode())
        held.shutdown(socket.SHUT_WR)
    with held:
        while held.recv(4096):
            pass
    assert [word for word in (TOKEN[:20], relay_.PASSWORD) if word in relay.log()] == []


def test_no_message_is_logged_that_does_not_wait_for_its_turn(relay: relay_.Relay) -> None:
    with relay_.Raw(relay, 587, tls=True) as client:
        client.command(f"AUTH PLAIN {TOKEN}")
        client.command(f"MAIL FROM:<{ALICE}>")
        client.command("RCPT TO:<someone@elsewhere.example>")
        data = relay_.message(From=ALICE, Subject="of nobody's business")
        client.write(f"DATA\r\n{data}.\r\nQUIT\r\n".encode())
        assert [client.answer()[:3] for _ in range(3)] == ["354", "250", "221"]
    assert "business" not in relay.log()


@pytest.mark.parametrize("missing", [True, False], ids=["no accounts", "accounts"])
@pytest.mark.parametrize(
    "line", [f"AUTH PLAIN {SWAPPED}", f"AUTH PLAIN {encoded(chr(0) + 'hunter2' + chr(0) + 'x')}"]
)
def test_a_login_is_logged_only_when_it_is_an_accounts(
    relay: relay_.Relay, line: str, *, missing: bool
) -> None:
    content = relay_.PASSWD.read_text()
    if missing:
        relay_.PASSWD.unlink()
    try:
        with relay_.Raw(relay, 587, tls=True) as client:
            assert client.command(line)[:3] == ("435" if missing else "535")
            client.command("QUIT")
    finally:
        relay_.install(relay_.PASSWD, content)
    assert re.findall(f"hunter2|set_id|{re.escape(relay_.PASSWORD)}", relay.log()) == []
    with relay_.Raw(relay, 587, tls=True) as client:
        assert client.command(f"AUTH PLAIN {relay_.token(ALICE, 'wrong')}")[:3] == "535"
    (failed,) = relay.wait_for_log("set_id")
    assert failed.endswith(f": 535 Incorrect authentication data (set_id={ALICE})")


def test_the_log_tells_an_accepted_message_from_end_to_end(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    _, text = relay.send()
    name = text.removeprefix("OK id=")
    internet.wait_for(1)
    relay.wait_for_queue(0)
    said = "\n".join(relay.log_lines(re.escape(name)))
    for pattern in (
        rf"accepted account={re.escape(ALICE)} recipients=1 size=\d+ from=\S+ message_id=\S+",
        rf"<= {re.escape(ALICE)} H=\(client\.example\) \[127\.0\.0\.1\]:\d+ .*P=esmtpsa .*A=plain:",
        r"=> someone@elsewhere\.example .*R=mx T=remote_smtp .*C=\"250 kept\"",
        rf"{name} Completed",
    ):
        assert re.search(pattern, said), pattern
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[\d+\] "
    assert [line for line in relay.log().splitlines() if not re.match(stamp, line)] == []


def test_no_secret_is_in_the_configuration(relay: relay_.Relay) -> None:
    assert relay_.PASSWD.read_text().split(":")[1][:20] not in relay_.CONFIG.read_text()
