# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import smtplib

import pytest

from exordos_paas_mail.codecs import cdb, exim_conf
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

PORTS = (25, 465, 587)
PASSWORD = relay_.PASSWORD.encode()
START_TLS = (530, b"5.7.0 Start TLS first: send STARTTLS, then log in")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", PORTS)
def test_an_account_logs_in_and_sends(relay: relay_.Relay, port: int, mechanism: str) -> None:
    with relay.connect(port) as client:
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        client.user, client.password = relay_.ALICE, relay_.PASSWORD
        method = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        assert client.auth(mechanism, method)[0] == 235
        assert client.mail(relay_.ALICE)[0] == 250


@pytest.mark.parametrize(
    ("login", "password"),
    [
        pytest.param(relay_.ALICE, "wrong", id="wrong password"),
        pytest.param(relay_.ALICE, "", id="empty password"),
        pytest.param(relay_.ALICE, relay_.PASSWORD + " ", id="password with a space more"),
        pytest.param(relay_.ALICE, relay_.PASSWORD.upper(), id="password in capitals"),
        pytest.param(relay_.BOB, relay_.PASSWORD, id="another account's password"),
        pytest.param(f"nobody@{relay_.DOMAIN}", relay_.PASSWORD, id="unknown login"),
        pytest.param("bob", relay_.PASSWORD, id="another login without a domain"),
        pytest.param(f"{relay_.ALICE} x", relay_.PASSWORD, id="login with a word more"),
        pytest.param("alice@elsewhere.example", relay_.PASSWORD, id="login of another domain"),
        pytest.param("", "", id="nothing"),
        pytest.param("*", relay_.PASSWORD, id="a wildcard"),
        pytest.param("passwd", relay_.PASSWORD, id="the index's own record"),
        pytest.param("${run{/bin/true}}", "${run{/bin/true}}", id="an expansion"),
        pytest.param(f"{relay_.ALICE}:", relay_.PASSWORD, id="login with a colon"),
        pytest.param(f"{relay_.ALICE}\nx", relay_.PASSWORD, id="login with a line break"),
        pytest.param("x" * 3000, "y" * 3000, id="very long"),
        pytest.param("\N{SNOWMAN}" * 40, "\N{SNOWMAN}" * 40, id="not ASCII"),
        pytest.param("a/b/c", "x", id="login with slashes"),
        pytest.param("a/leaky", "x", id="login with an option of a limit"),
        pytest.param("a / readonly / per_byte", "x", id="login with options of a limit"),
    ],
)
@pytest.mark.parametrize("port", PORTS)
def test_bad_credentials_are_535(relay: relay_.Relay, port: int, login: str, password: str) -> None:
    token = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
    with relay.connect(port) as client:
        assert client.docmd("AUTH", f"PLAIN {token}")[0] == 535
        assert client.mail(relay_.ALICE)[0] == (530 if port != 25 else 250)


@pytest.mark.parametrize("login", [relay_.ALICE.upper(), "alice", "Alice"])
@pytest.mark.parametrize("port", PORTS)
def test_a_login_in_capitals_or_without_the_domain_is_the_same_account(
    relay: relay_.Relay, port: int, login: str
) -> None:
    with relay.connect(port) as client:
        assert client.docmd("AUTH", f"PLAIN {relay_.token(login, relay_.PASSWORD)}")[0] == 235
        assert client.mail(relay_.ALICE)[0] == 250


@pytest.mark.parametrize("port", [25, 587])
def test_nothing_is_offered_or_taken_before_tls(relay: relay_.Relay, port: int) -> None:
    token = base64.b64encode(f"\0{relay_.ALICE}\0{relay_.PASSWORD}".encode()).decode()
    with smtplib.SMTP("127.0.0.1", port, timeout=units.PATIENCE) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert "starttls" in client.esmtp_features
        assert client.docmd("AUTH", f"PLAIN {token}") == START_TLS
        assert client.docmd("AUTH", token) == START_TLS
        if port == 587:
            assert client.mail(relay_.ALICE) == START_TLS
    assert token not in relay.log()
    assert len(relay.log_lines(r"\[127\.0\.0\.1\]:\d+ rejected AUTH: no TLS")) == 2


def as_bytes(login: str) -> bytes:
    return f"\0{login}\0{relay_.PASSWORD}".encode()


@pytest.mark.parametrize(
    ("token", "answer"),
    [
        pytest.param(as_bytes("alice@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444"), 235),
        pytest.param(as_bytes("Alice@\u041f\u0420\u0418\u041c\u0415\u0420.\u0420\u0424"), 235),
        pytest.param(as_bytes("alice@\u043f\u0440\u0438\u043c\u0435\u0440.xn--p1ai"), 235),
        pytest.param(as_bytes("alice@xn--e1afmkfd.xn--p1ai"), 235),
        pytest.param(as_bytes("alice"), 235),
        pytest.param(
            as_bytes("alice@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444.example"), 535
        ),
        pytest.param(as_bytes("alice@\u043f\u0440\u0438\u043c\u0435\u0440"), 535),
        pytest.param(b"\0alice@\xcf\xf0\xe8\xec\xe5\xf0.\xf0\xf4\0" + PASSWORD, 535),
    ],
    ids=[
        *("U-labels", "capital U-labels", "a U-label and an A-label", "A-labels", "no domain"),
        *("a longer name", "a shorter name", "not UTF-8"),
    ],
)
def test_a_login_is_taken_in_each_spelling_of_its_domain(
    relay: relay_.Relay, token: bytes, answer: int
) -> None:
    accounts = relay_.PASSWD.read_text()
    domain = "xn--e1afmkfd.xn--p1ai"
    with relay.configured(domain=domain):
        relay_.install(relay_.PASSWD, f"alice@{domain}:{relay_.crypt(relay_.PASSWORD)}\n")
        try:
            with relay.connect(587) as client:
                assert (
                    client.docmd("AUTH", f"PLAIN {base64.b64encode(token).decode()}")[0] == answer
                )
        finally:
            relay_.install(relay_.PASSWD, accounts)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "hello", [["HELO printer"], ["HELO"], []], ids=["HELO", "HELO without a name", "nothing"]
)
def test_a_printer_logs_in_without_ehlo_but_not_without_tls(
    relay: relay_.Relay, port: int, hello: list[str]
) -> None:
    with relay_.Raw(relay, port) as client:
        client.answer()
        for line in hello:
            assert client.command(line)[:3] == "250"
        if port != 465:
            refused = client.command(f"AUTH PLAIN {relay_.token(relay_.ALICE, relay_.PASSWORD)}")
            assert refused == f"530 {START_TLS[1].decode()}\r\n"
            client.command("EHLO printer")
            client.start_tls()
            for line in hello:
                assert client.command(line)[:3] == "250"
        assert client.command("AUTH LOGIN")[:3] == "334"
        client.command(base64.b64encode(relay_.ALICE.encode()).decode())
        assert client.command(base64.b64encode(PASSWORD).decode())[:3] == "235"
        assert client.command(f"MAIL FROM:<{relay_.ALICE}>")[:3] == "250"


def test_changed_accounts_count_for_the_next_connection_without_a_reload(
    relay: relay_.Relay,
) -> None:
    accounts = {login: relay_.crypt(word) for login, word in relay.passwords.items()}
    carol = f"carol@{relay_.DOMAIN}"
    relay.set_accounts({**accounts, carol: relay_.crypt("new here")})
    with relay.connect(587) as client:
        assert client.login(carol, "new here")[0] == 235
    relay.set_accounts(accounts)
    with relay.connect(587) as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        client.login(carol, "new here")
    assert refused.value.smtp_code == 535


def test_a_session_ends_with_its_account(relay: relay_.Relay) -> None:
    accounts = {login: relay_.crypt(word) for login, word in relay.passwords.items()}
    with relay.login() as client:
        assert client.mail(relay_.ALICE)[0] == 250
        assert client.rset()[0] == 250
        relay.set_accounts({relay_.BOB: accounts[relay_.BOB]})
        try:
            assert client.mail(relay_.ALICE) == (550, b"5.7.1 Account is disabled")
        finally:
            relay.set_accounts(accounts)


def test_a_session_does_not_outlive_its_password(relay: relay_.Relay) -> None:
    """Changed because somebody else knew it; the owner's client comes again at once."""
    accounts = {login: relay_.crypt(word) for login, word in relay.passwords.items()}
    with relay.login() as client, relay.login(login=relay_.BOB) as other:
        assert client.mail(relay_.ALICE)[0] == 250
        assert client.rset()[0] == 250
        unchanged = relay_.PASSWD.read_text()
        word = next(line for line in unchanged.splitlines() if line.startswith(relay_.BOB))
        bob = word.partition(":")[2]
        relay.set_accounts({relay_.ALICE: relay_.crypt("another"), relay_.BOB: bob})
        try:
            answers = [client.docmd("MAIL", f"FROM:<{relay_.ALICE}>")[0] for _ in range(2)]
            assert answers == [421, 421]
            assert other.mail(relay_.BOB)[0] == 250
            with relay.connect(587) as again:
                assert again.login(relay_.ALICE, "another")[0] == 235
                assert again.mail(relay_.ALICE)[0] == 250
        finally:
            relay.set_accounts(accounts)


def test_accounts_that_cannot_be_read_are_a_temporary_failure(relay: relay_.Relay) -> None:
    content = relay_.PASSWD.read_text()
    relay_.PASSWD.unlink()
    try:
        with relay.connect(587) as client, pytest.raises(smtplib.SMTPAuthenticationError) as failed:
            client.login(relay_.ALICE, relay_.PASSWORD)
        assert failed.value.smtp_code // 100 == 4
    finally:
        relay_.install(relay_.PASSWD, content)


@pytest.mark.parametrize(
    ("tie", "answer"), [pytest.param("right", 535, id="of this file"), ("of another file", 235)]
)
def test_the_index_is_believed_only_when_made_from_this_file(
    relay: relay_.Relay, tie: str, answer: int
) -> None:
    """The index here knows nobody: with the right tie alice does not exist."""
    facts = relay_.PASSWD.stat()
    right = exim_conf.index_tie(inode=facts.st_ino, size=facts.st_size, mtime=int(facts.st_mtime))
    records = {exim_conf.INDEX_TIE_KEY: right if tie == "right" else f"{right}0"}
    relay_.install(relay_.INDEX, cdb.render(records.items()))
    token = base64.b64encode(f"\0{relay_.ALICE}\0{relay_.PASSWORD}".encode()).decode()
    try:
        with relay.connect(587) as client:
            assert client.docmd("AUTH", f"PLAIN {token}")[0] == answer
    finally:
        relay_.INDEX.unlink()


def test_an_account_logs_in_through_the_index(relay: relay_.Relay) -> None:
    records = dict(line.split(":", 1) for line in relay_.PASSWD.read_text().splitlines())
    facts = relay_.PASSWD.stat()
    records[exim_conf.INDEX_TIE_KEY] = exim_conf.index_tie(
        inode=facts.st_ino, size=facts.st_size, mtime=int(facts.st_mtime)
    )
    relay_.install(relay_.INDEX, cdb.render(records.items()))
    try:
        with relay.login():
            pass
        with relay.connect(587) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("passwd", records[exim_conf.INDEX_TIE_KEY])
    finally:
        relay_.INDEX.unlink()


def test_too_many_failures_for_one_account_stop_only_that_account_at_that_address(
    relay: relay_.Relay,
) -> None:
    bad = base64.b64encode(f"\0{relay_.ALICE}\0wrong".encode()).decode()
    good = base64.b64encode(f"\0{relay_.ALICE}\0{relay_.PASSWORD}".encode()).decode()
    with relay.configured(failed_logins_per_account=3):
        for expected in (535, 535, 535, 435):
            with relay.connect(587) as client:
                code, text = client.docmd("AUTH", f"PLAIN {bad}")
                assert code == expected
        assert relay_.sentence(text) == (
            "Unable to authenticate at present: More than 3 failed logins in 15 minutes "
            "from this address to this account: try again in 15 minutes"
        )
        with relay.connect(587) as client:
            assert client.docmd("AUTH", f"PLAIN {good}")[0] == 435
        relay.login(login=relay_.BOB).quit()
        relay.login(source="127.0.0.2").quit()


def test_too_many_failures_from_one_address_stop_that_address(relay: relay_.Relay) -> None:
    with relay.configured(failed_logins_per_address=3):
        for number in range(4):
            guess = base64.b64encode(f"\0guess{number}\0wrong".encode()).decode()
            with relay.connect(587) as client:
                assert client.docmd("AUTH", f"PLAIN {guess}")[0] == 535
        with relay.connect(587) as client, pytest.raises(smtplib.SMTPAuthenticationError) as late:
            client.login(relay_.ALICE, relay_.PASSWORD)
        assert late.value.smtp_code == 454
        assert isinstance(late.value.smtp_error, bytes)
        assert relay_.sentence(late.value.smtp_error) == (
            "4.7.0 More than 3 failed logins in 15 minutes from this address: "
            "try again in 15 minutes"
        )
        assert relay.log_lines(r"rejected AUTH: too many failed logins$")
        relay.login(source="127.0.0.2").quit()
