# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Domains that publish policies about TLS (MTA-STS): mail keeps to what they enforce."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import select
import threading
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import answers, mta_sts, tls_policies
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import leaving, sts, units
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

Mode = tls_policies.Mode
CLEAR, ENCRYPTED, WAITS = leaving.CLEAR, leaving.ENCRYPTED, leaving.WAITS
PUBLIC, TLS, VALID = "mx.public.example", "mx.tls.example", "mx.valid.example"

pytestmark = pytest.mark.timeout(300)


class Domain(tp.NamedTuple):
    """What a domain has, and what becomes of its mail in the modes auto, encrypt and mta_sts."""

    servers: tuple[str, ...]
    policy: tuple[str, ...]
    outcomes: tuple[str, str, str]
    certificate: str = ""
    """Of its web server, if not its own."""


def enforced(*servers: str) -> tuple[str, ...]:
    return ("mode: enforce", *(f"mx: {server}" for server in servers))


DOMAINS = {
    "named": Domain((VALID,), enforced(VALID), (ENCRYPTED,) * 3),
    "wildcard": Domain((VALID,), enforced("*.valid.example"), (ENCRYPTED,) * 3),
    # The one that is not named comes first.
    "one-of-two": Domain((PUBLIC, VALID), enforced(VALID), (ENCRYPTED,) * 3),
    "unnamed": Domain((VALID,), enforced("mx.other.example"), (WAITS,) * 3),
    "certificate": Domain(
        ("mx.wrong-name.example",), enforced("mx.wrong-name.example"), (WAITS,) * 3
    ),
    "expired": Domain(("mx.expired.example",), enforced("*.expired.example"), (WAITS,) * 3),
    "clear": Domain((PUBLIC,), enforced(PUBLIC), (WAITS,) * 3),
    "testing": Domain((PUBLIC,), ("mode: testing", "mx: a.example"), (CLEAR, WAITS, WAITS)),
    "none": Domain((TLS,), ("mode: none",), (ENCRYPTED, ENCRYPTED, WAITS)),
    "absent": Domain((TLS,), (), (ENCRYPTED, ENCRYPTED, WAITS)),
    # Who stands before its web server has no policy to tell.
    "forged": Domain(
        (PUBLIC,), enforced(VALID), (CLEAR, WAITS, WAITS), certificate="other.example"
    ),
}
# With keys in a signed zone; the certificates of these servers are nobody's.
SIGNED = {
    "signed.example": Domain((), enforced("mx.signed.example"), (ENCRYPTED,) * 3),
    "forged.signed.example": Domain((), enforced("mx.forged.signed.example"), (WAITS,) * 3),
}
WAITING = {
    "unnamed": "MTA-STS: unnamed.sts.example has no mail server that its policy names",
    "testing": "MTA-STS: the policy of testing.sts.example is not enforced (mode: testing)",
    "none": "MTA-STS: the policy of none.sts.example is not enforced (mode: none)",
    "absent": "MTA-STS: absent.sts.example has no policy",
    "forged": "MTA-STS: the policy of forged.sts.example cannot be found out: the certificate of"
    " its web server is not accepted: Hostname mismatch, certificate is not valid for"
    " 'mta-sts.forged.sts.example'.",
}


def full(name: str) -> str:
    return name if "." in name else f"{name}.sts.example"


@pytest.fixture(scope="module")
def stage(
    relay_session: relay_.Relay,
    internet_session: internet_.Internet,
) -> Iterator[tuple[sts.Sts, sts.Web]]:
    records = {
        (full(name), "MX"): [f"{10 + place} {host}." for place, host in enumerate(each.servers)]
        for name, each in DOMAINS.items()
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(sts.published(records))
        stack.enter_context(leaving.trusted(relay_session, internet_session))
        web = stack.enter_context(contextlib.closing(sts.Web(internet_session)))
        for name, each in (DOMAINS | SIGNED).items():
            web.publish(full(name), *each.policy, name=each.certificate)
        daemon = stack.enter_context(contextlib.closing(sts.Sts()))
        daemon.learn(*map(full, DOMAINS | SIGNED))
        yield daemon, web


@pytest.fixture
def daemon(stage: tuple[sts.Sts, sts.Web]) -> sts.Sts:
    return stage[0]


@pytest.fixture
def web(stage: tuple[sts.Sts, sts.Web]) -> sts.Web:
    return stage[1]


@contextlib.contextmanager
def published(web: sts.Web, domain: str, server: str, *policy: str) -> Iterator[None]:
    """Have *domain*, of one server, publish a policy that nobody knows yet."""
    with sts.published({(domain, "MX"): [f"10 {server}."]}):
        web.publish(domain, *policy)
        yield
        web.publish(domain)


@pytest.mark.parametrize("mode", tls_policies.KEEPING)
def test_mail_keeps_to_what_a_domain_enforces(
    relay: relay_.Relay,
    internet: internet_.Internet,
    daemon: sts.Sts,
    mode: Mode,
) -> None:
    if mode is not Mode.AUTO:
        relay.set_tls_policies({"*": mode.value})
    domains = {full(name): each for name, each in (DOMAINS | SIGNED).items()}
    assert relay.send(recipients=[f"a@{domain}" for domain in domains])[0] == 250
    number = tls_policies.KEEPING.index(mode)
    expected = {domain: each.outcomes[number] for domain, each in domains.items()}
    assert leaving.outcomes(relay, domains) == expected
    relay.wait_until_idle()
    got = {
        recipient.rpartition("@")[2]: one.tls
        for one in internet.received()
        for recipient in one.recipients
    }
    assert got == {
        domain: outcome == ENCRYPTED for domain, outcome in expected.items() if outcome != WAITS
    }
    lines = relay.log_lines(r" [=-]> a@(named|one-of-two)\.sts\.example .*T=remote_smtp_mta_sts ")
    assert [re.findall(r"H=(\S+) .*CV=(\w+)", line) for line in lines] == [[(VALID, "yes")]] * 2
    assert relay.log_lines(r" => a@signed\.example .*T=remote_smtp_mta_sts .*CV=dane ")
    told = {event.recipient.rpartition("@")[2]: event for event in leaving.delays(relay)}
    waiting = {domain for domain, outcome in expected.items() if outcome == WAITS}
    assert {domain: event.reason for domain, event in told.items()} == dict.fromkeys(
        waiting, answers.Class.TLS.value
    )
    words = {"unnamed": WAITING["unnamed"]} if mode is not Mode.MTA_STS else WAITING
    said = {full(name): text for name, text in words.items()}
    assert {domain: told[domain].text for domain in said} == said
    assert told["certificate.sts.example"].text.startswith("TLS policy mta_sts: ")


def test_a_server_does_not_prove_a_name_by_that_of_another_domain(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts, web: sts.Web
) -> None:
    # Both are aliases of one server, which has no certificate of the second.
    alias, unshown = "alias.sts.example", "unshown.sts.example"
    names = {alias: "mx.alias.example", unshown: "mx.unshown.example"}
    with contextlib.ExitStack() as stack:
        for domain, name in names.items():
            stack.enter_context(published(web, domain, name, *enforced(name)))
        daemon.learn(*names)
        # Of the other nothing is said: once a server is refused it is not tried for it.
        assert relay.send(recipients=[f"a@{domain}" for domain in names])[0] == 250
        relay.wait_for_log(r"== a@unshown\.sts\.example .*certificate verification failed")
        relay.wait_until_idle()
        assert {to for one in internet.received() for to in one.recipients} <= {f"a@{alias}"}


@pytest.mark.parametrize(
    "policies",
    [{"*": "opportunistic"}, {"*.sts.example": "verify"}],
    ids=["opportunistic", "verify"],
)
def test_what_a_tenant_has_set_goes_before_it(
    relay: relay_.Relay,
    internet: internet_.Internet,
    daemon: sts.Sts,
    policies: dict[str, str],
) -> None:
    relay.set_tls_policies(policies)
    assert relay.send(recipients=["a@unnamed.sts.example"])[0] == 250
    (got,) = internet.wait_for(1)
    assert got.tls
    relay.wait_until_idle()


def test_a_message_may_put_its_arrival_above_it(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts
) -> None:
    data = "TLS-Required: No\r\n" + relay_.message(From=relay_.ALICE)
    assert relay.send(data, recipients=["a@clear.sts.example"])[0] == 250
    internet.wait_for(1)
    relay.wait_until_idle()


def test_an_account_that_requires_tls_keeps_to_it(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts
) -> None:
    relay.set_tls_policies({"*": "opportunistic"}, "alice")
    domains = {"named.sts.example": ENCRYPTED, "unnamed.sts.example": WAITS}
    assert relay.send(recipients=[f"a@{domain}" for domain in domains])[0] == 250
    assert leaving.outcomes(relay, domains) == domains
    relay.wait_until_idle()


def test_a_policy_that_is_withdrawn_counts_until_it_ends(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts, web: sts.Web
) -> None:
    with published(web, "kept.sts.example", PUBLIC, *enforced(VALID)):
        daemon.learn("kept.sts.example")
        assert relay.send(recipients=["a@kept.sts.example"])[0] == 250
        relay.wait_for_log(r"== a@kept\.sts\.example .*no mail server that its policy names")
        # Nothing of it is published any more, and the daemon knows what it has written.
        web.publish("kept.sts.example")
        daemon.kill()
        daemon.start()
        relay.wait_until_idle()
        relay.run_queue()
        assert len(relay.log_lines(r"== a@kept\.sts\.example .*its policy names")) == 2
        # And while it is away.
        daemon.kill()
        try:
            relay.run_queue()
            assert len(relay.log_lines(r"== a@kept\.sts\.example .*its policy names")) == 3
        finally:
            daemon.start()
    assert internet.received() == []


def test_where_nothing_is_known_mail_flows_and_what_has_to_be_known_waits(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts, web: sts.Web
) -> None:
    with published(web, "late.sts.example", PUBLIC, *enforced(VALID)):
        daemon.kill()
        try:
            assert relay.send(recipients=["a@late.sts.example"])[0] == 250
            internet.wait_for(1)
            relay.wait_until_idle()
            relay.set_tls_policies({"late.sts.example": "mta_sts"})
            assert relay.send(recipients=["b@late.sts.example"])[0] == 250
            relay.wait_for_log(r"== b@late\.sts\.example .*late.sts.example is not known now")
            relay.wait_until_idle()
        finally:
            daemon.start()
        deadline = time.monotonic() + units.PATIENCE
        # exim asks, and does not wait for long.
        while not relay.log_lines(r"== b@late\.sts\.example .*server that its policy names"):
            assert time.monotonic() < deadline
            relay.run_queue()


def test_what_cannot_be_read_may_be_a_policy(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts
) -> None:
    shard = sts.KNOWN / mta_sts.shard_of("named.sts.example")
    mode = shard.stat().st_mode
    shard.chmod(0)
    try:
        # Whoever keeps to none does not look.
        relay.set_tls_policies({"named.sts.example": "opportunistic"})
        assert relay.send(recipients=["a@named.sts.example"])[0] == 250
        internet.wait_for(1)
        relay.set_tls_policies({})
        assert relay.send(recipients=["b@named.sts.example"])[0] == 250
        relay.wait_for_log(r"== b@named\.sts\.example .*what is known of \S+ cannot be read now")
        relay.wait_until_idle()
        relay.expect_panic(r"failed to expand ACL message .*Permission denied")
        assert len(internet.received()) == 1
    finally:
        shard.chmod(mode)
    relay.run_queue()
    got = internet.wait_for(2)
    assert [one.recipients for one in got] == [["a@named.sts.example"], ["b@named.sts.example"]]
    assert got[1].tls


def test_an_address_that_is_gone_puts_no_mail_off(
    relay: relay_.Relay,
    internet: internet_.Internet,
    daemon: sts.Sts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = [internet_.GONE_ADDRESS, internet_.VALID_ADDRESS]
    monkeypatch.setitem(internet_.ZONE, (VALID, "A"), addresses)
    # exim tries either first.
    for number in range(6):
        assert relay.send(recipients=[f"{number}@named.sts.example"])[0] == 250
        internet.wait_for(number + 1)
        # Retry times are written at the end of a delivery.
        relay.wait_until_idle()


def test_a_server_without_a_key_is_not_put_off(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts
) -> None:
    relay.set_tls_policies({"valid.example": "dane"})
    assert relay.send(recipients=["a@valid.example"])[0] == 250
    relay.wait_for_log(r"== a@valid\.example ")
    relay.wait_until_idle()
    assert relay.send(recipients=["b@named.sts.example"])[0] == 250
    (got,) = internet.wait_for(1)
    assert got.recipients == ["b@named.sts.example"]
    relay.wait_until_idle()


def test_a_relay_for_which_it_is_off_asks_nobody(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts
) -> None:
    with relay.configured(mta_sts=False):
        assert relay.send(recipients=["a@unnamed.sts.example"])[0] == 250
        internet.wait_for(1)
        relay.set_tls_policies({"*": "mta_sts"})
        assert relay.send(recipients=["b@named.sts.example"])[0] == 250
        relay.wait_for_log(r"== b@named\.sts\.example .*RELAY_MTA_STS=no")
        relay.wait_until_idle()


def test_mail_to_the_tenants_own_people_is_not_bound(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts, web: sts.Web
) -> None:
    web.publish(relay_.DOMAIN, *enforced(VALID))
    daemon.learn(relay_.DOMAIN)
    try:
        assert relay.send(recipients=[f"postmaster@{relay_.DOMAIN}"])[0] == 250
        internet.wait_for(1)
        # What is no role is somebody's behind the MX, as with any domain.
        assert relay.send(recipients=[f"someone@{relay_.DOMAIN}"])[0] == 250
        relay.wait_for_log(r"== someone@tenant\.example .*no mail server that its policy names")
        relay.wait_until_idle()
    finally:
        web.publish(relay_.DOMAIN)


def asked(daemon: sts.Sts, answer: str, until: threading.Event) -> list[str]:
    """Answer whoever asks in place of *daemon*, until the end; return what was asked."""
    lines = []
    while not until.is_set():
        if not select.select([daemon.socket], [], [], 0.1)[0]:
            continue
        connection, _ = daemon.socket.accept()
        with connection, connection.makefile() as file:
            lines.append(file.readline())
            # Who has given up does not hear it.
            with contextlib.suppress(OSError):
                connection.sendall(answer.encode())
    return lines


@contextlib.contextmanager
def replaced(daemon: sts.Sts) -> Iterator[None]:
    """Have exim believe in the daemon, while somebody else is behind its socket, or nobody."""
    daemon.kill()
    daemon.set_sign_of_life(-3600)
    try:
        yield
    finally:
        daemon.start()


UNKNOWN = [f"unknown-{number}.sts.example" for number in range(4)]


def send_to_unknown(relay: relay_.Relay) -> None:
    """Send a message to four domains of which nothing is known; it leaves."""
    relay_.LOG.unlink(missing_ok=True)
    with sts.published({(name, "MX"): [f"10 {PUBLIC}."] for name in UNKNOWN}):
        assert relay.send(recipients=[f"a@{name}" for name in UNKNOWN])[0] == 250
        relay.wait_for_log(r" Completed")
        relay.wait_until_idle()


def test_a_message_waits_once_for_who_hangs(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts
) -> None:
    with replaced(daemon):
        send_to_unknown(relay)
        assert daemon.unanswered() == 1


def test_a_message_waits_for_two_domains(
    relay: relay_.Relay, internet: internet_.Internet, daemon: sts.Sts
) -> None:
    waits: list[str] = []
    deadline = time.monotonic() + 2 * units.PATIENCE
    with replaced(daemon), concurrent.futures.ThreadPoolExecutor() as pool:
        # An answer that comes after two seconds is the last: then there is another message.
        while len(waits) < len(UNKNOWN):
            assert time.monotonic() < deadline, waits
            # One that came when who was to answer had gone is of the message before.
            daemon.unanswered()
            over = threading.Event()
            asking = pool.submit(asked, daemon, mta_sts.UNKNOWN, over)
            try:
                send_to_unknown(relay)
            finally:
                over.set()
            words = [line.split() for line in asking.result()]
            assert {domain for _, domain, _ in words} <= set(UNKNOWN)
            waits = [wait for *_, wait in words]
            assert waits == ["1800", "1800", "0", "0"][: len(waits)]
