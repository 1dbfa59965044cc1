# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Logins by credentials."""

from __future__ import annotations

import os
import smtplib
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import cdb, credentials, crypt_strings, exim_conf, main_log
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

SECRET = credentials.make()
OTHER = credentials.make()
GOOD = (235, b"Authentication succeeded")
BAD = (535, b"Incorrect authentication data")
ENDED = (421, b"4.7.0 The credential cannot be used any more: log in with another")


def of(
    secret: credentials.Secret = SECRET, username: str = "alice", **more: tp.Any
) -> credentials.Credential:
    made = credentials.Credential(secret.prefix, username, secret.digest)
    return made._replace(**more)


def answer(
    relay: relay_.Relay, password: str, login: str = relay_.ALICE, port: int = 587
) -> tuple[int, bytes]:
    with relay.connect(port) as client:
        return client.docmd("AUTH", f"PLAIN {relay_.token(login, password)}")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", [25, 465, 587])
@pytest.mark.parametrize("login", [relay_.ALICE, "ALICE"])
def test_a_credential_logs_in_and_sends(
    relay: relay_.Relay, port: int, mechanism: str, login: str
) -> None:
    relay.set_credentials(of(), of(OTHER))
    with relay.connect(port) as client:
        client.user, client.password = login, SECRET.secret_key
        method = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        assert client.auth(mechanism, method)[0] == 235
        sent = client.sendmail(relay_.ALICE, ["a@elsewhere.example"], relay_.message(From=login))
        assert sent == {}
    assert answer(relay, OTHER.secret_key) == GOOD
    # What the account had before goes on.
    assert answer(relay, relay_.PASSWORD) == GOOD


def changed(secret_key: str, at: int) -> str:
    other = "a" if secret_key[at] != "a" else "b"
    return f"{secret_key[:at]}{other}{secret_key[at + 1 :]}"


@pytest.mark.parametrize(
    ("known", "login", "password"),
    [
        pytest.param([of()], relay_.ALICE, OTHER.secret_key, id="unknown"),
        pytest.param([of()], relay_.ALICE, changed(SECRET.secret_key, -1), id="its end"),
        pytest.param([of()], relay_.ALICE, changed(SECRET.secret_key, 15), id="its middle"),
        pytest.param([of()], relay_.ALICE, SECRET.secret_key + "\n", id="a line break more"),
        pytest.param([of()], relay_.ALICE, SECRET.secret_key.upper(), id="in capitals"),
        pytest.param([of()], relay_.ALICE, SECRET.prefix, id="the prefix alone"),
        pytest.param([of()], relay_.ALICE, SECRET.digest, id="the digest"),
        pytest.param([of()], relay_.BOB, SECRET.secret_key, id="of another account"),
        pytest.param([of()], f"{relay_.ALICE} x", SECRET.secret_key, id="a word more"),
        pytest.param([of()], "a/b", SECRET.secret_key, id="a login with a slash"),
        pytest.param([of(username="zoe")], f"zoe@{relay_.DOMAIN}", SECRET.secret_key, id="no one"),
        pytest.param([of(ends=1)], relay_.ALICE, SECRET.secret_key, id="expired"),
        pytest.param([of(networks=("192.0.2.0/24",))], relay_.ALICE, SECRET.secret_key, id="net"),
        pytest.param([of(networks=("::/0",))], relay_.ALICE, SECRET.secret_key, id="IPv6"),
        pytest.param([], relay_.ALICE, SECRET.secret_key, id="none"),
    ],
)
@pytest.mark.parametrize("is_indexed", [False, True])
def test_what_is_no_credential_of_the_account_is_the_same_535(
    relay: relay_.Relay,
    known: list[credentials.Credential],
    login: str,
    password: str,
    is_indexed: bool,  # noqa: FBT001
) -> None:
    relay.set_credentials(*known)
    if is_indexed:
        index()
    assert answer(relay, password, login) == BAD
    assert password not in relay.log()


def index() -> None:
    """Make the index of the file, as the driver does."""
    facts = relay_.CREDENTIALS.stat()
    tie = exim_conf.index_tie(inode=facts.st_ino, size=facts.st_size, mtime=int(facts.st_mtime))
    lines = [line.split(":", 1) for line in relay_.CREDENTIALS.read_text().splitlines()]
    records = [(exim_conf.INDEX_TIE_KEY, tie), *((key, value) for key, value in lines)]
    relay_.install(relay_.CREDENTIALS_INDEX, cdb.render(records))


@pytest.mark.parametrize("networks", [("127.0.0.0/8",), ("::1/128", "127.0.0.1/32"), ()])
def test_a_credential_counts_where_it_may_be_used_from_and_before_its_end(
    relay: relay_.Relay, networks: tuple[str, ...]
) -> None:
    relay.set_credentials(of(networks=networks, ends=int(time.time()) + 600))
    assert answer(relay, SECRET.secret_key) == GOOD
    index()
    assert answer(relay, SECRET.secret_key) == GOOD


def test_a_credential_is_found_through_the_index(relay: relay_.Relay) -> None:
    relay.set_credentials(of())
    index()
    # What the file does not say any more, and has the same size, inode and time.
    stat = relay_.CREDENTIALS.stat()
    with relay_.CREDENTIALS.open("r+") as file:
        file.write("z")
    os.utime(relay_.CREDENTIALS, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert answer(relay, SECRET.secret_key) == GOOD


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([], id="deleted"),
        pytest.param([of(ends=1)], id="ended"),
        pytest.param([of(networks=("192.0.2.0/24",))], id="of another network"),
        pytest.param([of(digest=OTHER.digest)], id="another secret"),
    ],
)
def test_an_open_session_does_not_outlive_its_credential(
    relay: relay_.Relay, after: list[credentials.Credential]
) -> None:
    relay.set_credentials(of(), of(OTHER))
    with relay.connect(587) as client, relay.connect(465) as other, relay.login() as third:
        assert client.login(relay_.ALICE, SECRET.secret_key)[0] == 235
        assert other.login(relay_.ALICE, OTHER.secret_key)[0] == 235
        for each in (client, other, third):
            assert each.mail(relay_.ALICE)[0] == 250
            assert each.rset()[0] == 250
        relay.set_credentials(*after, of(OTHER))
        answers = [client.docmd("MAIL", f"FROM:<{relay_.ALICE}>") for _ in range(2)]
        assert answers == [ENDED, ENDED]
        # Those that another one has opened, and a password, go on.
        assert other.mail(relay_.ALICE)[0] == 250
        assert third.mail(relay_.ALICE)[0] == 250


def test_an_account_without_a_password_is_one_that_nobody_logs_in_to_by_a_password(
    relay: relay_.Relay,
) -> None:
    relay.set_credentials(of())
    accounts = {login: relay_.crypt(word) for login, word in relay.passwords.items()}
    relay.set_accounts({**accounts, relay_.ALICE: crypt_strings.NO_PASSWORD})
    try:
        for word in (relay_.PASSWORD, "", "*", crypt_strings.NO_PASSWORD, "no-password"):
            assert answer(relay, word) == BAD
        assert answer(relay, SECRET.secret_key) == GOOD
        with relay.connect(587) as client:
            client.login(relay_.ALICE, SECRET.secret_key)
            assert client.mail(relay_.ALICE)[0] == 250
        # Still an account whose addresses are its own.
        with relay.login(login=relay_.BOB) as client:
            relay.set_senders("account")
            assert client.mail(relay_.ALICE)[0] == 553
    finally:
        relay.set_accounts(accounts)


def test_credentials_that_cannot_be_read_are_a_temporary_failure(relay: relay_.Relay) -> None:
    assert not relay_.CREDENTIALS.exists()
    assert answer(relay, SECRET.secret_key)[0] == 435
    assert answer(relay, SECRET.secret_key, "nobody")[0] == 435
    assert answer(relay, relay_.PASSWORD) == GOOD


def test_failures_with_credentials_count_as_those_with_passwords(relay: relay_.Relay) -> None:
    relay.set_credentials(of())
    with relay.configured(failed_logins_per_account=3):
        answers = [answer(relay, OTHER.secret_key)[0] for _ in range(4)]
        assert answers == [535, 535, 535, 435]
        assert answer(relay, SECRET.secret_key)[0] == 435


def test_the_log_says_which_credential_has_sent(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    relay.set_credentials(of())
    with relay.connect(587) as client:
        client.login(relay_.ALICE, SECRET.secret_key)
        client.sendmail(relay_.ALICE, ["a@elsewhere.example"], relay_.message(From=relay_.ALICE))
    assert relay.send()[0] == 250
    internet.wait_for(2)
    entries = [line.entry for text in relay.log().splitlines() if (line := main_log.parse(text))]
    accepted = [entry for entry in entries if isinstance(entry, main_log.Accepted)]
    assert [(one.credential, one.client) for one in accepted] == [
        (SECRET.prefix, "127.0.0.1"),
        ("", ""),
    ]
    assert SECRET.secret_key not in relay.log()
    spool = "".join(
        path.read_text(errors="replace") for path in relay_.SPOOL.rglob("*-H") if path.is_file()
    )
    assert SECRET.digest not in spool


def test_a_rotation_with_an_overlap_refuses_nobody(relay: relay_.Relay) -> None:
    """A client that sends all the time, in new and in open sessions, goes over to the new one."""
    relay.set_credentials(of())
    secret = SECRET
    pool = relay.connect(587)
    pool.login(relay_.ALICE, secret.secret_key)
    answers = []
    try:
        for number in range(30):
            if number == 10:
                relay.set_credentials(of(ends=int(time.time()) + 3600), of(OTHER))
            if number == 15:
                secret = OTHER
                pool.quit()
                pool = relay.connect(587)
                answers.append(pool.login(relay_.ALICE, secret.secret_key)[0])
            if number == 20:
                relay.set_credentials(of(ends=int(time.time()) - 1), of(OTHER))
            answers.append(answer(relay, secret.secret_key)[0])
            answers.append(pool.mail(relay_.ALICE)[0])
            pool.rset()
    finally:
        pool.close()
    assert set(answers) == {235, 250}
    with relay.connect(587) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(relay_.ALICE, SECRET.secret_key)
