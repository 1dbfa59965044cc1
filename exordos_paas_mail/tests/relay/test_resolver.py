# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""DANE by the node's own resolver: unbound, kept by its keeper, and exim that believes it."""

from __future__ import annotations

import pathlib
import time
import typing as tp

import dns.name
import dns.rdatatype
import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import resolv_conf
from exordos_paas_mail.node.resolver import choice, keeper
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import resolving

# Mail that was put off is tried again, and a resolver is given time.
pytestmark = pytest.mark.timeout(900)

DOMAINS = {name: f"{name}.dane.example" for name in ("fits", "wrong", "bogus", "unsigned")}
BOGUS = (dns.name.from_text(f"_25._tcp.mx.{DOMAINS['bogus']}"), dns.rdatatype.TLSA)


def records() -> dict[tuple[str, str], list[str]]:
    """Return domains of one server, whose key is published rightly or wrongly."""
    right = internet_.ZONE["_25._tcp.mx.signed.example", "TLSA"]
    wrong = [f"3 1 1 {'00' * 32}"]
    found: dict[tuple[str, str], list[str]] = {}
    for name, domain in DOMAINS.items():
        host = f"mx.{domain}"
        found[domain, "MX"] = [f"10 {host}."]
        found[host, "A"] = [internet_.TLS_ADDRESS]
        # What is not signed is not believed, and what is wrong there holds nothing up.
        found[f"_25._tcp.{host}", "TLSA"] = right if name in {"fits", "bogus"} else wrong
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have validation that was slow, and so was given up, be tried again within a test."""
    monkeypatch.setattr(choice, "_WAIT_MIN", 30.0)


@pytest.fixture
def stage(
    relay: relay_.Relay,
    internet: internet_.Internet,
    monkeypatch: pytest.MonkeyPatch,
) -> tp.Iterator[resolving.Stage]:
    monkeypatch.setattr(keeper, "_PROBE_PERIOD", 0.0)
    with resolving.staged(internet, records(), [DOMAINS["unsigned"]]) as made:
        made.root.damaged.add(BOGUS)
        yield made


def delivered(relay: relay_.Relay, *waits: str) -> None:
    """Send to each of DOMAINS: all arrives but for *waits*, which is tried and waits."""
    recipients = {name: f"a@{domain}" for name, domain in DOMAINS.items()}
    for recipient in recipients.values():
        assert relay.send(recipients=[recipient])[0] == 250
    ends = time.monotonic() + resolving.SECONDS
    for name, recipient in recipients.items():
        mark = "==" if name in waits else "=>"
        # What a slow answer has put off is tried again.
        while not relay.log_lines(rf" {mark} {recipient} "):
            assert time.monotonic() < ends, relay.log()
            relay.run_queue()
    # Nor by another attempt.
    relay.run_queue()
    relay.wait_until_idle(seconds=resolving.SECONDS)
    arrived = {name for name, one in recipients.items() if relay.log_lines(rf" => {one} .* X=TLS")}
    assert arrived == DOMAINS.keys() - set(waits), relay.log()


@pytest.mark.usefixtures("impatient")
def test_a_key_that_is_published_and_signed_is_asked_for(
    relay: relay_.Relay, stage: resolving.Stage
) -> None:
    stage.become("validating")
    assert resolv_conf.is_ours(pathlib.Path(constants.RESOLV_CONF_FILE).read_text())
    delivered(relay, "wrong", "bogus")
    assert relay.log_lines(rf" => a@{DOMAINS['fits']} .* CV=dane ")
    assert not relay.log_lines(rf" => a@{DOMAINS['unsigned']} .* CV=dane ")


@pytest.mark.usefixtures("impatient")
def test_what_must_leave_by_dane_waits_where_nothing_is_signed(
    relay: relay_.Relay, stage: resolving.Stage
) -> None:
    relay.set_tls_policies({"unsigned.dane.example": "dane"})
    stage.become("validating")
    delivered(relay, "wrong", "bogus", "unsigned")


def test_where_the_network_strips_signatures_none_is_believed(
    relay: relay_.Relay, stage: resolving.Stage
) -> None:
    stage.server.strips = True
    stage.become("plain")
    relay.set_tls_policies({"fits.dane.example": "dane"})
    delivered(relay, "fits")


@pytest.mark.usefixtures("impatient")
def test_without_unbound_mail_leaves_as_the_network_has_it(
    relay: relay_.Relay, stage: resolving.Stage
) -> None:
    stage.become("validating")
    stage.node.broken.append("it does not start")
    stage.node.stop_unit(constants.RESOLVER_UNIT)
    stage.become("away")
    assert pathlib.Path(constants.RESOLV_CONF_FILE).read_text() == resolving.NETWORK
    delivered(relay)
    stage.node.broken.clear()
    stage.become("validating")


def test_a_root_that_cannot_be_verified_is_not_believed(
    relay: relay_.Relay, stage: resolving.Stage
) -> None:
    """Its signatures look right, and are not: only unbound finds that out."""
    stage.root.damaged.add((dns.name.root, dns.rdatatype.DNSKEY))
    stage.become("plain")
    delivered(relay)
