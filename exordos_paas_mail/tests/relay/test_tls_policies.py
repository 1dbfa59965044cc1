# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How mail leaves for which domain: each mode of a policy, to each kind of server."""

from __future__ import annotations

import re
import ssl
import subprocess
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import answers, tls_policies
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.parts import tls_policies as part
from exordos_paas_mail.tests.relay import leaving, units
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    from exordos_paas_mail.tests.relay import internet as internet_

Mode = tls_policies.Mode
CLEAR, ENCRYPTED, WAITS = leaving.CLEAR, leaving.ENCRYPTED, leaving.WAITS

# By its domain, what a message of each mode comes to: auto, opportunistic, encrypt, verify, dane.
# None has a policy of MTA-STS (test_mta_sts): of that mode all wait.
OUTCOMES = {
    "elsewhere.example": (CLEAR, CLEAR, WAITS, WAITS, WAITS),
    "broken-tls.example": (CLEAR, CLEAR, WAITS, WAITS, WAITS),
    "refusing-tls.example": (CLEAR, CLEAR, WAITS, WAITS, WAITS),
    "old-tls.example": (CLEAR, CLEAR, WAITS, WAITS, WAITS),
    "tls.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, WAITS, WAITS),
    "wrong-name.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, WAITS, WAITS),
    "expired.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, WAITS, WAITS),
    "valid.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, ENCRYPTED, WAITS),
    "keyless.signed.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, ENCRYPTED, WAITS),
    "by-name.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, ENCRYPTED, WAITS),
    "alias.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, ENCRYPTED, WAITS),
    "signed.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, ENCRYPTED, ENCRYPTED),
    "forged.signed.example": (WAITS, ENCRYPTED, WAITS, WAITS, WAITS),
    "unsigned.example": (ENCRYPTED, ENCRYPTED, ENCRYPTED, WAITS, WAITS),
}


@pytest.fixture
def world(relay: relay_.Relay, internet: internet_.Internet) -> Iterator[internet_.Internet]:
    """Give an internet whose authority the relay trusts."""
    with leaving.trusted(relay, internet):
        yield internet


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", Mode)
def test_mail_leaves_as_its_policy_says(
    relay: relay_.Relay, world: internet_.Internet, mode: Mode
) -> None:
    relay.set_tls_policies({"*": mode.value})
    for domain in OUTCOMES:
        assert relay.send(recipients=[f"a@{domain}"])[0] == 250
    number = list(Mode).index(mode)
    expected = {domain: (*each, WAITS)[number] for domain, each in OUTCOMES.items()}
    assert leaving.outcomes(relay, OUTCOMES) == expected
    relay.wait_until_idle()
    got = {one.recipients[0].rpartition("@")[2]: one.tls for one in world.received()}
    assert got == {
        domain: outcome == ENCRYPTED for domain, outcome in expected.items() if outcome != WAITS
    }
    told = {event.recipient.rpartition("@")[2]: event for event in leaving.delays(relay)}
    # A policy that is missing is found so on the way to a server: there is no attempt.
    policy = "" if mode is Mode.MTA_STS else mode.value
    assert {event.tls_policy for event in told.values()} <= {policy}
    if mode is Mode.AUTO:
        return
    assert {domain: event.reason for domain, event in told.items()} == {
        domain: answers.Class.TLS.value for domain, outcome in expected.items() if outcome == WAITS
    }
    words = "MTA-STS" if mode is Mode.MTA_STS else f"TLS policy {mode.value}"
    assert {event.text.partition(":")[0] for event in told.values()} <= {words}


@pytest.mark.parametrize(
    ("server", "refused"),
    [
        pytest.param("public", ("encrypt", "verify", "dane", "mta_sts"), id="that has no TLS"),
        pytest.param("tls", ("verify", "dane", "mta_sts"), id="that proves nothing"),
        pytest.param(
            "forged.signed",
            ("auto", "encrypt", "verify", "dane", "mta_sts"),
            id="of another key",
        ),
    ],
)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one message"])
def test_a_server_is_put_off_only_for_mail_that_asks_for_more(
    relay: relay_.Relay,
    internet: internet_.Internet,
    server: str,
    refused: tuple[str, ...],
    *,
    together: bool,
) -> None:
    domains = {mode: f"{mode.replace('_', '-')}.{server}.example" for mode in tls_policies.MODES}
    relay.set_tls_policies({domain: mode for mode, domain in domains.items()})
    # The strictest first
    recipients = [f"a@{domains[mode]}" for mode in reversed(tls_policies.MODES)]
    for each in [recipients] if together else [[one] for one in recipients]:
        assert relay.send(recipients=each)[0] == 250
        # Retry times are written at the end of a delivery.
        relay.wait_until_idle()
    found = leaving.outcomes(relay, domains.values())
    waiting = tuple(mode for mode in tls_policies.MODES if found[domains[mode]] == WAITS)
    assert waiting == refused
    # Nor by what is tried again.
    for mode in set(tls_policies.MODES) - set(refused):
        internet.forget()
        assert relay.send(recipients=[f"b@{domains[mode]}"])[0] == 250
        internet.wait_for(1)
    relay.wait_until_idle()


def test_one_connection_for_two_domains_asks_for_the_name_of_their_mx_record(
    relay: relay_.Relay, world: internet_.Internet
) -> None:
    relay.set_tls_policies({"*": "verify"})
    recipients = ["a@alias.example", "a@also-alias.example"]
    assert relay.send(recipients=recipients)[0] == 250
    (got,) = world.wait_for(1)
    assert (sorted(got.recipients), got.tls) == (recipients, True)


@pytest.mark.parametrize("domain", ["first-of-two.example", "second-of-two.example"])
def test_of_two_aliases_of_one_server_the_one_that_is_verified_is_asked_for(
    relay: relay_.Relay, world: internet_.Internet, domain: str
) -> None:
    relay.set_tls_policies({"*": "verify"})
    assert relay.send(recipients=[f"a@{domain}"])[0] == 250
    (got,) = world.wait_for(1)
    assert got.tls


def test_a_server_proves_the_name_that_each_of_two_domains_has_for_it(
    relay: relay_.Relay, world: internet_.Internet
) -> None:
    relay.set_tls_policies({"*": "verify"})
    recipients = ["a@alias.example", "a@second-alias.example"]
    assert relay.send(recipients=recipients)[0] == 250
    got = world.wait_for(2)
    assert sorted((one.recipients, one.tls) for one in got) == [([to], True) for to in recipients]


def test_a_server_does_not_prove_the_name_of_one_domain_by_that_of_another(
    relay: relay_.Relay, world: internet_.Internet
) -> None:
    relay.set_tls_policies({"*": "verify"})
    # Of the other nothing is said: once a server is refused it is not tried for it.
    assert relay.send(recipients=["a@alias.example", "a@unshown.example"])[0] == 250
    relay.wait_for_log(r"== a@unshown\.example .*certificate verification failed")
    relay.wait_until_idle()
    assert {to for one in world.received() for to in one.recipients} <= {"a@alias.example"}


@pytest.mark.parametrize(
    ("domain", "mode", "encrypted"),
    [
        pytest.param("by-name.signed.example", "verify", True, id="the name it is asked for"),
        pytest.param("broken.signed.example", "auto", False, id="that it has to encrypt"),
    ],
)
def test_what_a_published_key_asks_of_a_server_is_not_asked_of_the_next(
    relay: relay_.Relay, world: internet_.Internet, domain: str, mode: str, *, encrypted: bool
) -> None:
    relay.set_tls_policies({"*": mode})
    assert relay.send(recipients=[f"a@{domain}"])[0] == 250
    (got,) = world.wait_for(1)
    assert got.tls == encrypted
    relay.wait_for_log(rf"=> a@{re.escape(domain)} ")


def test_mail_that_waited_for_a_policy_leaves_when_it_is_another(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    relay.set_tls_policies({"tls.example": "verify"})
    assert relay.send(recipients=["a@tls.example"])[0] == 250
    relay.wait_for_log(r"== a@tls\.example .*certificate verification failed")
    relay.wait_until_idle()
    relay.set_tls_policies({"tls.example": "encrypt"})
    # Not by force: the retry time of the other policy is none of this one.
    relay.run_due()
    (got,) = internet.wait_for(1)
    assert got.tls


def transport(domain: str) -> str:
    shown = subprocess.run(
        ["exim4", "-bt", f"a@{domain}"], check=False, capture_output=True, text=True
    )
    return "".join(re.findall(r"router = mx, transport = (\w+)", shown.stdout))


@pytest.mark.parametrize("long", [False, True], ids=["short", "indexed"])
def test_exim_finds_the_policy_of_the_longest_name(
    relay: relay_.Relay, internet: internet_.Internet, *, long: bool
) -> None:
    policies = {
        "*": "encrypt",
        "*.forged.signed.example": "opportunistic",
        "signed.example": "dane",
        "*.signed.example": "verify",
        "keyless.signed.example": "auto",
        "xn--mller-kva.example": "verify",
    }
    others = [f"user{number:06}" for number in range(5000 if long else 1)]
    text = tls_policies.render(policies.items(), others, relay_.DOMAIN)
    part.TlsPolicies(machine.Machine()).ensure(text)
    assert relay_.TLS_POLICIES_INDEX.exists() == long
    file = tls_policies.parse(text, relay_.DOMAIN)
    names = (
        *("tls.example", "signed.example", "forged.signed.example", "keyless.signed.example"),
        *("auto.forged.signed.example", "xn--mller-kva.example"),
    )
    found = {name: transport(name) for name in names}
    modes = dict(tls_policies.TRANSPORTS.items())
    assert {name: modes[one] for name, one in found.items()} == {
        name: file.mode(name, "") for name in found
    }
    # Without a policy of the domain's own that mode has no way out (test_mta_sts).
    assert set(found.values()) == set(tls_policies.TRANSPORTS) - {"remote_smtp_mta_sts"}
    assert transport("Signed.EXAMPLE") == "remote_smtp_dane"
    assert found["keyless.signed.example"] == "remote_smtp"
    # An index that is late is none.
    if long:
        relay.set_tls_policies({"signed.example": "encrypt"})
        assert transport("signed.example") == "remote_smtp_encrypt"


def test_mail_of_an_account_that_requires_tls_never_leaves_in_clear(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    relay.set_tls_policies({"tls.example": "opportunistic"}, "alice")
    for domain in ("elsewhere.example", "tls.example"):
        assert relay.send(recipients=[f"a@{domain}"])[0] == 250
    assert relay.send(login=relay_.BOB, recipients=["b@elsewhere.example"])[0] == 250
    got = internet.wait_for(2)
    assert sorted((one.recipients[0], one.tls) for one in got) == [
        ("a@tls.example", True),
        ("b@elsewhere.example", False),
    ]
    relay.wait_for_log(r"== a@elsewhere\.example .*did not offer TLS support")
    relay.wait_until_idle()


@pytest.mark.parametrize(
    ("header", "goes"),
    [
        pytest.param("TLS-Required: No\r\n", True, id="No"),
        pytest.param("tls-required:\r\n no \r\n", True, id="in another case, and folded"),
        pytest.param("TLS-Required: Yes\r\n", False, id="another word"),
        pytest.param("TLS-Required: No\r\nTLS-Required: No\r\n", False, id="twice"),
        pytest.param("", False, id="none"),
    ],
)
def test_a_message_may_put_its_arrival_above_what_the_recipient_publishes(
    relay: relay_.Relay, internet: internet_.Internet, header: str, *, goes: bool
) -> None:
    data = header + relay_.message(From=relay_.ALICE)
    assert relay.send(data, recipients=["a@forged.signed.example"])[0] == 250
    if goes:
        (got,) = internet.wait_for(1)
        # It is for the servers after this one as well (RFC 8689 5).
        assert header.encode() in got.data
    else:
        relay.wait_for_log(r"== a@forged\.signed\.example ")
    relay.wait_until_idle()
    assert len(internet.received()) == goes


@pytest.mark.parametrize(
    ("policies", "requiring"),
    [({"forged.signed.example": "encrypt"}, ()), ({}, ("alice",))],
    ids=["its policy", "its account"],
)
def test_a_message_does_not_put_itself_above_its_tenant(
    relay: relay_.Relay,
    internet: internet_.Internet,
    policies: dict[str, str],
    requiring: tuple[str, ...],
) -> None:
    relay.set_tls_policies(policies, *requiring)
    data = "TLS-Required: No\r\n" + relay_.message(From=relay_.ALICE)
    assert relay.send(data, recipients=["a@forged.signed.example"])[0] == 250
    relay.wait_for_log(r"== a@forged\.signed\.example ")
    relay.wait_until_idle()
    assert internet.received() == []


def test_all_transports_verify_by_authorities_that_are_loaded_once(relay: relay_.Relay) -> None:
    relay.set_tls_policies({"tls.example": "verify"})
    assert relay.send(recipients=["a@tls.example"])[0] == 250
    relay.wait_for_log(r"== a@tls\.example .*certificate verification failed")
    relay.wait_until_idle()
    # It loads them because there is something to deliver
    run = subprocess.run(["exim4", "-d+tls", "-qff"], check=True, capture_output=True)
    said = run.stderr.decode(errors="replace")
    loaded = re.findall(r"TLS: preloading CA bundle for transport '(\w+)'", said)
    shared = re.findall(r"TLS: transport '(\w+)' uses the CA bundle of '(\w+)'", said)
    transports = re.findall(r"^(\w+):\n  driver = smtp$", relay_.CONFIG.read_text(), re.MULTILINE)
    # Those of the mode dane trust nobody
    assert loaded == ["remote_smtp", "remote_smtp_dane"]
    assert sorted([*loaded, *(name for name, _ in shared)]) == sorted(transports)
    assert {of for _, of in shared} == {"remote_smtp"}


@pytest.mark.timeout(240)
def test_mail_leaves_by_all_modes_when_exim_has_read_its_certificates_anew(
    relay: relay_.Relay, world: internet_.Internet
) -> None:
    listener = relay.units.listeners[465]
    try:
        # What is loaded a second time takes the place of what was shared
        for _ in range(2):
            certificate = relay.install_certificate().decode()
            deadline = time.monotonic() + units.PATIENCE
            while ssl.get_server_certificate(("127.0.0.1", 465)).split() != certificate.split():
                assert time.monotonic() < deadline, "the certificate is not read"
                time.sleep(0.1)
        assert (relay.units.listeners[465], listener.poll()) == (listener, None)
        for number, mode in enumerate(Mode):
            relay.set_tls_policies({"*": mode.value})
            for domain in ("valid.example", "tls.example"):
                recipient = f"{mode.value}@{domain}"
                assert relay.send(recipients=[recipient], port=465)[0] == 250
                leaves = (*OUTCOMES[domain], WAITS)[number] == ENCRYPTED
                relay.wait_for_log(rf"{'=>' if leaves else '=='} {re.escape(recipient)} ")
        # The queue run that a relay begins with would log in the next test what waits here.
        relay.forget_queue()
    finally:
        relay.units.restart()


def test_what_the_next_server_need_not_keep_is_not_promised(relay: relay_.Relay) -> None:
    with relay.login() as client:
        assert not client.has_extn("REQUIRETLS")
        # It is not left out, as if it were nothing: the message does not begin.
        code, text = client.docmd("MAIL", f"FROM:<{relay_.ALICE}> REQUIRETLS")
        assert (code, text.decode()) == (
            501,
            f"<{relay_.ALICE}> REQUIRETLS: malformed address:"
            f" REQUIRETLS may not follow <{relay_.ALICE}>",
        )
        assert client.rcpt("a@tls.example")[0] == 503
        assert client.mail(relay_.ALICE)[0] == 250


def test_nothing_leaves_by_a_file_that_was_cut(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    relay.set_tls_policies({"elsewhere.example": "encrypt", "tls.example": "opportunistic"})
    whole = relay_.TLS_POLICIES.read_text()
    relay_.install(relay_.TLS_POLICIES, whole.rpartition(".:")[0])
    assert relay.send(recipients=["a@tls.example"])[0] == 250
    relay.wait_for_log(r"== a@tls\.example .*the TLS policies are not known now")
    relay.wait_until_idle()
    assert internet.received() == []
    relay_.install(relay_.TLS_POLICIES, whole)
    relay.run_queue()
    (got,) = internet.wait_for(1)
    assert got.tls
