# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Several domains: who may send, what signs, and whom a report is from."""

from __future__ import annotations

import email
import re
import subprocess
import typing as tp

import pytest

from exordos_paas_mail.tests.relay import domains
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

ALICE = relay_.ALICE
DOMAIN = relay_.DOMAIN
SHOP = "shop.example"
NOREPLY = f"noreply@{SHOP}"
PRIMARY_LINE = f"{DOMAIN}:send:platform/rsa/sign\n"
TABLE = (
    "new.example:pending:m1r/rsa/hold\n"
    "off.example:inactive:m1r/rsa/sign\n"
    "only.example:send:m1e/ed25519/sign\n"
    "pale.example:send:\n"
    f"{SHOP}:send:m1e/ed25519/sign m1r/rsa/sign m2r/rsa/hold\n"
    f"{PRIMARY_LINE}"
    "web.shop.example:send:m1r/rsa/sign\n"
)
SHOP_SIGNATURES = [(SHOP, "m1e", "ed25519-sha256"), (SHOP, "m1r", "rsa-sha256")]
PRIMARY_SIGNATURES = [(DOMAIN, "platform", "rsa-sha256")]
WEB_SIGNATURES = [("web.shop.example", "m1r", "rsa-sha256")]


@pytest.fixture
def told(relay: relay_.Relay) -> tp.Iterator[relay_.Relay]:
    """Give a relay of several domains, whose accounts may send as any address of them."""
    relay.set_senders("domain", bob=["*@*.shop.example", "own"])
    domains.tell(TABLE)
    with pytest.MonkeyPatch.context() as patch:
        for name in (SHOP, "web.shop.example"):
            patch.setitem(internet_.ZONE, (name, "MX"), ["10 mx.public.example."])
        yield relay
        relay.forget_queue()
    domains.forget()


def leaves_signed(
    relay: relay_.Relay, internet: internet_.Internet, **how: tp.Any
) -> list[tuple[str, str, str]]:
    """Send a message; returns what the signatures are that it arrives with, all good."""
    code, answer = relay.send(**how)
    assert code == 250, answer
    (got,) = internet.wait_for(1)
    return domains.signatures(relay, got.data)


def test_mail_of_a_further_domain_is_signed_by_it_with_each_key_that_signs(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    data = relay_.message(From=NOREPLY)
    assert leaves_signed(told, internet, data=data, sender=NOREPLY) == SHOP_SIGNATURES


def test_mail_of_the_primary_is_signed_by_it(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    assert leaves_signed(told, internet) == PRIMARY_SIGNATURES


def test_a_node_that_was_never_told_is_the_relay_of_its_own_domain(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    relay.set_senders("domain")
    assert leaves_signed(relay, internet) == PRIMARY_SIGNATURES
    code, answer = relay.send(relay_.message(From=NOREPLY), sender=NOREPLY)
    assert (code, "is not an address of the login" in answer) == (553, True), answer


@pytest.mark.parametrize(
    ("sender", "written", "signatures"),
    [
        pytest.param(ALICE, NOREPLY, SHOP_SIGNATURES, id="From decides, not the envelope"),
        pytest.param(NOREPLY, ALICE, PRIMARY_SIGNATURES, id="the other way round"),
        pytest.param(NOREPLY, f"x@{SHOP.upper()}", SHOP_SIGNATURES, id="upper case"),
        pytest.param(NOREPLY, f"Shop <{NOREPLY}>", SHOP_SIGNATURES, id="with a name"),
        pytest.param(NOREPLY, f'"a, {ALICE}" <{NOREPLY}>', SHOP_SIGNATURES, id="in a name"),
        pytest.param(NOREPLY, f"{NOREPLY} ({ALICE})", SHOP_SIGNATURES, id="in a comment"),
        pytest.param(NOREPLY, f"Shop: Orders <{NOREPLY}>", SHOP_SIGNATURES, id="repaired"),
        pytest.param(NOREPLY, f"=?utf-8?q?a=40b=2Eexample?= <{NOREPLY}>", SHOP_SIGNATURES),
        pytest.param(NOREPLY, "x@web.shop.example", WEB_SIGNATURES, id="a domain below another"),
        pytest.param(
            NOREPLY, f"{ALICE}, {NOREPLY}", SHOP_SIGNATURES + PRIMARY_SIGNATURES, id="two authors"
        ),
    ],
)
def test_the_domain_of_from_signs(
    told: relay_.Relay,
    internet: internet_.Internet,
    sender: str,
    written: str,
    signatures: list[tuple[str, str, str]],
) -> None:
    data = relay_.message(From=written, Sender=NOREPLY)
    found = leaves_signed(told, internet, data=data, sender=sender)
    assert found == sorted(signatures)


def test_a_host_below_a_domain_is_signed_for_by_the_domain(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    root = f"root@host.{SHOP}"
    data = relay_.message(From=root)
    found = leaves_signed(told, internet, data=data, sender=root, login=relay_.BOB)
    assert found == SHOP_SIGNATURES


def test_a_report_of_a_satellite_is_signed_by_its_domain(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    data = relay_.message(From=f"MAILER-DAEMON@host.{DOMAIN}")
    assert leaves_signed(told, internet, data=data, sender="") == PRIMARY_SIGNATURES


REFUSED = {
    "new.example": r"m1r\._domainkey\.new\.example",
    "off.example": r"off\.example is switched off: set active of the domain to true",
    "only.example": r"only\.example is not verified yet",
    "pale.example": r"pale\.example is not verified yet: it has no DKIM key yet",
    "foreign.example": r"is not an address of the login alice@tenant\.example",
    "host.shop.example": r"is not an address of the login alice@tenant\.example",
    "shop.example.foreign.example": r"is not an address of the login alice@tenant\.example",
    "notshop.example": r"is not an address of the login alice@tenant\.example",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_domain_that_cannot_send_is_refused_by_name_with_what_to_do(
    told: relay_.Relay, internet: internet_.Internet, name: str
) -> None:
    address = f"noreply@{name}"
    ways: tuple[dict[str, tp.Any], ...] = (
        {"sender": address},
        {"data": relay_.message(From=address)},
        {"data": relay_.message(From=ALICE, Sender=address)},
        {"data": relay_.message(From=ALICE, Resent_From=address)},
    )
    for how in ways:
        code, answer = told.send(**how)
        said = relay_.sentence(answer.encode())
        assert (code, address in said) == (553, True), said
        assert re.search(REFUSED[name], said), said
    assert internet.received() == []


def test_a_change_of_the_table_holds_in_an_open_session(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    with told.login() as client:
        assert client.mail("a@new.example")[0] == 553
        domains.tell(
            TABLE.replace("new.example:pending:m1r/rsa/hold", "new.example:send:m1r/rsa/sign")
        )
        assert client.mail("a@new.example")[0] == 250
        client.rset()
        domains.tell(TABLE.replace(f"{SHOP}:send:", f"{SHOP}:inactive:"))
        code, answer = client.mail(NOREPLY)
        assert (code, b"switched off" in answer) == (553, True)
        domains.tell(TABLE.replace("".join(re.findall(rf"^{SHOP}:.*\n", TABLE, re.MULTILINE)), ""))
        assert client.mail(NOREPLY)[0] == 553
        domains.tell(TABLE)
        assert client.mail(NOREPLY)[0] == 250


def test_the_next_key_signs_once_it_is_told_to(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    line = f"{DOMAIN}:send:m2e/ed25519/sign m2r/rsa/sign platform/rsa/hold\n"
    domains.tell(TABLE.replace(PRIMARY_LINE, line))
    assert leaves_signed(told, internet) == [
        (DOMAIN, "m2e", "ed25519-sha256"),
        (DOMAIN, "m2r", "rsa-sha256"),
    ]


DAMAGE: dict[str, tp.Callable[[tp.Any], tp.Any]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x00\xff no key\n"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:80]),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "unreadable": lambda path: path.chmod(0o600),
    "in an unreadable directory": lambda path: path.parent.chmod(0o700),
    "with its directory gone": lambda path: path.parent.rename(path.parent.with_name("gone")),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("selector", ["m1r", "m1e"])
def test_mail_waits_for_each_key_and_never_leaves_without_its_signature(
    told: relay_.Relay, internet: internet_.Internet, damage: str, selector: str
) -> None:
    path = domains.path(SHOP, selector)
    DAMAGE[damage](path)

    assert told.send(relay_.message(From=NOREPLY), sender=NOREPLY)[0] == 250

    told.wait_for_log(r"== someone@elsewhere\.example .* defer")
    assert internet.received() == []
    relay_.PANIC_LOG.unlink(missing_ok=True)
    domains.forget()
    domains.tell(TABLE)
    told.run_queue()
    (got,) = internet.wait_for(1)
    assert domains.signatures(told, got.data) == SHOP_SIGNATURES


@pytest.mark.parametrize(
    ("selector", "sender"),
    [
        pytest.param("m1r", NOREPLY, id="one of two keys"),
        pytest.param("m1e", f"x@host.{SHOP}", id="a host below the domain"),
    ],
)
def test_a_missing_key_of_one_domain_delays_no_mail_of_another(
    told: relay_.Relay, internet: internet_.Internet, selector: str, sender: str
) -> None:
    told.set_senders("domain", alice=["own", f"*@{SHOP}", f"*@*.{SHOP}"])
    domains.path(SHOP, selector).unlink()
    assert told.send(relay_.message(From=sender), sender=sender)[0] == 250
    told.wait_for_log(r"== someone@elsewhere\.example .* defer")
    told.wait_until_idle()

    assert leaves_signed(told, internet) == PRIMARY_SIGNATURES

    internet.forget()
    domains.tell(TABLE)
    told.run_queue()
    (got,) = internet.wait_for(1)
    assert domains.signatures(told, got.data) == SHOP_SIGNATURES


LOSS: dict[str, tp.Callable[[], tp.Any]] = {
    "the table is lost": domains.TABLE.unlink,
    "the table is empty": lambda: domains.TABLE.write_text(""),
    "the table is cut": lambda: domains.TABLE.write_text(TABLE[: TABLE.index(SHOP) + 4]),
    "the domain is gone": lambda: domains.TABLE.write_text(PRIMARY_LINE),
    "no key signs": lambda: domains.TABLE.write_text(
        PRIMARY_LINE + f"{SHOP}:send:m1e/ed25519/hold m1r/rsa/hold\n"
    ),
}


@pytest.mark.parametrize("loss", LOSS)
def test_mail_waits_for_its_domain_and_never_leaves_unsigned(
    told: relay_.Relay, internet: internet_.Internet, loss: str
) -> None:
    path = domains.path(SHOP, "m1r")
    path.chmod(0o600)
    assert told.send(relay_.message(From=NOREPLY), sender=NOREPLY)[0] == 250
    told.wait_for_log(r"== someone@elsewhere\.example .* defer")
    path.chmod(0o640)
    LOSS[loss]()

    told.run_queue()

    told.wait_for_queue(1)
    assert internet.received() == []
    relay_.PANIC_LOG.unlink(missing_ok=True)
    domains.tell(TABLE)
    told.run_queue()
    (got,) = internet.wait_for(1)
    assert domains.signatures(told, got.data) == SHOP_SIGNATURES


@pytest.mark.parametrize("loss", ["the table is lost", "the table is empty", "the table is cut"])
def test_a_lost_table_is_a_temporary_failure(told: relay_.Relay, loss: str) -> None:
    LOSS[loss]()
    for sender in (ALICE, NOREPLY):
        code, answer = told.send(sender=sender)
        assert (code, "Which domains may send is not known now" in answer) == (451, True), answer


def test_a_bounce_is_of_the_domain_that_the_mail_was_of(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    for sender, name, signatures in (
        (NOREPLY, SHOP, SHOP_SIGNATURES),
        ("x@web.shop.example", "web.shop.example", WEB_SIGNATURES),
        (ALICE, DOMAIN, PRIMARY_SIGNATURES),
    ):
        internet.forget()
        data = relay_.message(From=sender)
        assert told.send(data, sender=sender, recipients=["refused@elsewhere.example"])[0] == 250
        (bounce,) = internet.wait_for(1)
        assert (bounce.sender, bounce.recipients) == ("", [sender])
        fields = email.message_from_bytes(bounce.data)
        assert fields["From"] == f"Mail Delivery System <mailer-daemon@{name}>"
        assert fields["Message-ID"]
        assert domains.signatures(told, bounce.data) == signatures


def test_a_bounce_to_a_host_below_a_domain_is_of_the_domain(
    told: relay_.Relay, internet: internet_.Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = f"root@host.{SHOP}"
    monkeypatch.setitem(internet_.ZONE, (f"host.{SHOP}", "MX"), ["10 mx.public.example."])
    recipients = ["refused@elsewhere.example"]
    data = relay_.message(From=root)
    assert told.send(data, sender=root, login=relay_.BOB, recipients=recipients)[0] == 250
    (bounce,) = internet.wait_for(1)
    assert email.message_from_bytes(bounce.data)["From"].endswith(f"<mailer-daemon@{SHOP}>")
    assert domains.signatures(told, bounce.data) == SHOP_SIGNATURES


def test_a_bounce_of_a_domain_that_may_no_longer_send_is_the_primarys(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    path = domains.path(SHOP, "m1r")
    path.chmod(0o600)
    assert told.send(relay_.message(From=NOREPLY), sender=NOREPLY)[0] == 250
    told.wait_for_log(r"== someone@elsewhere\.example .* defer")
    relay_.PANIC_LOG.unlink(missing_ok=True)
    domains.tell(TABLE.replace(f"{SHOP}:send:", f"{SHOP}:inactive:"))
    (name,) = told.queue()
    # A message that is being delivered is left alone.
    told.wait_until_idle()

    subprocess.run(["exim4", "-Mg", name], check=True, capture_output=True)
    told.wait_until_idle()
    # Its host has just failed, as exim sees it.
    told.run_queue()

    (bounce,) = internet.wait_for(1)
    assert email.message_from_bytes(bounce.data)["From"].endswith(f"<mailer-daemon@{DOMAIN}>")
    assert domains.signatures(told, bounce.data) == PRIMARY_SIGNATURES


def test_roots_own_mail_is_signed_by_the_primary(
    told: relay_.Relay, internet: internet_.Internet
) -> None:
    for written, signatures in (
        ("root", PRIMARY_SIGNATURES),
        (NOREPLY, SHOP_SIGNATURES),
        ("x@foreign.example", PRIMARY_SIGNATURES),
    ):
        internet.forget()
        text = f"From: {written}\nTo: someone@elsewhere.example\n\nHello.\n"
        subprocess.run(["exim4", "-t"], input=text.encode(), check=True)
        (got,) = internet.wait_for(1)
        assert domains.signatures(told, got.data) == signatures


def test_a_domain_without_a_server_elsewhere_has_its_postmaster_here(
    told: relay_.Relay, internet: internet_.Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(internet_.ZONE, (SHOP, "MX"), ["10 here-host.example."])
    with relay_.Raw(told, 25, tls=False) as client:
        client.answer()
        client.command("HELO mx.elsewhere.example")
        client.command("MAIL FROM:<x@elsewhere.example>")
        assert client.command(f"RCPT TO:<postmaster@{SHOP}>").startswith("250")
        assert client.command(f"RCPT TO:<noreply@{SHOP}>").startswith("550")
        assert client.command("RCPT TO:<postmaster@foreign.example>").startswith("550")
