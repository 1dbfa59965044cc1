# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Logins: who may, over what, and how soon a change is true."""

from __future__ import annotations

import smtplib
import ssl
import typing as tp
import uuid

import pytest
from passlib import hash as passlib_hash

from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import rest
    from exordos_paas_mail.tests.functional import provisioning

PORTS = (submission.RELAY, submission.SUBMISSION, submission.SUBMISSIONS)


def crypt(password: str) -> str:
    hashed: str = passlib_hash.sha512_crypt.using(rounds=5000).hash(password)
    return hashed


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", PORTS)
def test_an_account_logs_in(
    relay: submission.Relay, alice: provisioning.Account, port: int, mechanism: str
) -> None:
    assert relay.login(alice.address, alice.password, port, mechanism) == submission.OK


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", PORTS)
def test_a_wrong_password_and_an_unknown_account_are_refused_alike(
    relay: submission.Relay,
    alice: provisioning.Account,
    instance: rest.Json,
    port: int,
    mechanism: str,
) -> None:
    unknown = f"nobody-{uuid.uuid4().hex[:8]}@{instance['domain']}"
    wrong = alice.password[:-1] + ("0" if alice.password[-1] != "0" else "1")
    codes = [
        relay.login(address, password, port, mechanism)
        for address, password in [
            (alice.address, wrong),
            (alice.address, ""),
            (unknown, alice.password),
            (f"{alice.username}@example.org", alice.password),
        ]
    ]
    assert codes == [submission.REFUSED] * 4


def test_an_address_logs_in_in_any_case(
    relay: submission.Relay, alice: provisioning.Account
) -> None:
    assert relay.login(alice.address.upper(), alice.password) == submission.OK


@pytest.mark.parametrize("port", [submission.RELAY, submission.SUBMISSION])
def test_a_login_before_tls_is_neither_offered_nor_taken(
    relay: submission.Relay, alice: provisioning.Account, port: int
) -> None:
    with relay.plain(port) as client:
        assert client.has_extn("starttls")
        assert not client.has_extn("auth")
        code = submission.authenticate(client, alice.address, alice.password)
        assert 500 <= code < 600
        assert client.mail(alice.address)[0] >= 500 or client.rcpt("bob@example.net")[0] >= 500


def test_465_speaks_tls_from_the_first_octet(relay: submission.Relay) -> None:
    with pytest.raises((smtplib.SMTPServerDisconnected, TimeoutError, ssl.SSLError)):
        smtplib.SMTP(relay.host, submission.SUBMISSIONS, timeout=2)


@pytest.mark.parametrize("port", PORTS)
def test_tls_is_1_2_or_newer(relay: submission.Relay, port: int) -> None:
    with relay.encrypted(port) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.version() in {"TLSv1.2", "TLSv1.3"}
        assert client.has_extn("auth")
        assert {"PLAIN", "LOGIN"} <= set(client.esmtp_features["auth"].split())


@pytest.mark.parametrize("port", [submission.RELAY, submission.SUBMISSION])
def test_the_relay_calls_itself_by_the_domain_and_not_by_its_software(
    relay: submission.Relay, instance: rest.Json, port: int
) -> None:
    with smtplib.SMTP(timeout=30) as client:
        code, banner = client.connect(relay.host, port)
        assert (code, banner.split()[0].decode()) == (220, instance["domain"])
        assert b"exim" not in banner.lower()
        client.ehlo("client.example.net")
        assert client.ehlo_resp is not None
        assert client.ehlo_resp.split()[0].decode() == instance["domain"]
        assert not client.has_extn("chunking")


def test_several_accounts_do_not_touch_each_other(
    owner: rest.Api, accounts: provisioning.Accounts, relay: submission.Relay
) -> None:
    first, second, third = (accounts.make() for _ in range(3))
    for account in (first, second, third):
        accounts.wait_login(account)
    assert relay.login(first.address, second.password) == submission.REFUSED
    owner.expect(204, "DELETE", first.path)
    owner.expect(200, "PATCH", second.path, {"active": False})
    accounts.wait_login(first, submission.REFUSED)
    accounts.wait_login(second, submission.REFUSED)
    assert relay.login(third.address, third.password) == submission.OK


def test_a_disabled_account_logs_in_again_when_it_is_enabled(
    owner: rest.Api, accounts: provisioning.Accounts
) -> None:
    account = accounts.make(active=False)
    witness = accounts.ready()
    assert witness  # made later and known to the node: so is the first
    accounts.wait_login(account, submission.REFUSED)
    owner.expect(200, "PUT", account.path, {"active": True})
    accounts.wait_login(account)
    owner.expect(200, "PATCH", account.path, {"active": False})
    accounts.wait_login(account, submission.REFUSED)


SECRETS: tp.Final[dict[str, tp.Callable[[str], rest.Json]]] = {
    "password": lambda password: {"password": password},
    "crypt hash": lambda password: {"password_hash": crypt(password)},
    "Dovecot prefix": lambda password: {"password_hash": "{SHA512-CRYPT}" + crypt(password)},
}
VERBS: tp.Final = ("PATCH", "PUT")
PREFIXES: tp.Final = ("", "{SHA512-CRYPT}", "{CRYPT}")
PASSWORDS: tp.Final = (
    "pass:word with spaces",
    "$6$looks$like$a$hash",
    "пароль-ключ-ünï",
    "\\quo\"te'${lc:A}",
)


# A node learns of all that is asked for at once in the time of one.
@pytest.fixture(scope="module")
def changed(
    owner: rest.Api, accounts: provisioning.Accounts
) -> dict[tuple[str, str], tuple[provisioning.Account, str]]:
    """Return accounts by verb and secret, just given their password, with the one before."""
    made = {(verb, secret): accounts.make() for verb in VERBS for secret in SECRETS}
    before = {}
    for account in made.values():
        accounts.wait_login(account)
    for (verb, secret), account in made.items():
        before[verb, secret] = account, account.password
        account.password = uuid.uuid4().hex
        owner.expect(200, verb, account.path, SECRETS[secret](account.password))
    return before


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("verb", VERBS)
def test_after_a_change_the_new_password_works_and_the_old_one_is_dead(
    accounts: provisioning.Accounts,
    relay: submission.Relay,
    changed: dict[tuple[str, str], tuple[provisioning.Account, str]],
    verb: str,
    secret: str,
) -> None:
    account, old = changed[verb, secret]
    accounts.wait_login(account)
    assert relay.login(account.address, old) == submission.REFUSED


@pytest.fixture(scope="module")
def hashed(accounts: provisioning.Accounts) -> dict[str, provisioning.Account]:
    """Return accounts just made with a hash, by its prefix."""
    made = {}
    for prefix in PREFIXES:
        password = uuid.uuid4().hex
        made[prefix] = accounts.make(password_hash=prefix + crypt(password))
        made[prefix].password = password
    return made


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_account_made_with_a_hash_logs_in_with_what_was_hashed(
    accounts: provisioning.Accounts, hashed: dict[str, provisioning.Account], prefix: str
) -> None:
    accounts.wait_login(hashed[prefix])


@pytest.fixture(scope="module")
def odd(accounts: provisioning.Accounts) -> dict[str, provisioning.Account]:
    """Return accounts just made, by their passwords."""
    return {password: accounts.make(password=password) for password in PASSWORDS}


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_any_text(
    accounts: provisioning.Accounts, odd: dict[str, provisioning.Account], password: str
) -> None:
    accounts.wait_login(odd[password])
