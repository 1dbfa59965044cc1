# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""DANE by the node's own resolver: unbound, kept by its keeper, and exim that believes it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shlex
import subprocess
import time
import typing as tp

import dns.name
import dns.rdatatype
import pytest

from clients import waiting
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import resolv_conf
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.resolver import keeper
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import signed_dns, units

# Mail that was put off is tried again, and a resolver is given time.
pytestmark = pytest.mark.timeout(900)

SERVER = "203.0.113.1"
NETWORK = f"nameserver {SERVER}\nsearch lan.example\n"
DOMAINS = {name: f"{name}.dane.example" for name in ("fits", "wrong", "bogus", "unsigned")}
BOGUS = (dns.name.from_text(f"_25._tcp.mx.{DOMAINS['bogus']}"), dns.rdatatype.TLSA)
_SECONDS: tp.Final = 120


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


@dataclasses.dataclass(frozen=True)
class Node(machine.Machine):
    """The bench, with the resolver's unit run as systemd runs it."""

    running: list[subprocess.Popen[bytes]] = dataclasses.field(default_factory=list)
    broken: list[str] = dataclasses.field(default_factory=list)
    """Why the unit does not start, where it does not."""

    def restart_unit(self, unit: str) -> None:
        self.stop_unit(unit)
        self.start_unit(unit)

    def start_unit(self, unit: str) -> None:
        assert unit == constants.RESOLVER_UNIT
        if self.broken:
            raise machine.MachineError(self.broken[0])
        if self.running and self.running[0].poll() is None:
            return
        self.running.clear()
        service = units.read(f"{unit}.service")["Service"]
        user = service["User"][0]
        capability = f"+{service['AmbientCapabilities'][0].removeprefix('CAP_').lower()}"
        (command,) = service["ExecStart"]
        self.running.append(
            subprocess.Popen(
                [
                    *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"),
                    *(f"--inh-caps={capability}", f"--ambient-caps={capability}"),
                    *shlex.split(command),
                ]
            )
        )

    def stop_unit(self, unit: str) -> None:
        assert unit == constants.RESOLVER_UNIT
        for process in self.running:
            process.terminate()
            process.wait()
        self.running.clear()


@dataclasses.dataclass
class Stage:
    """A node with its keeper, in a network whose server is *server*."""

    node: Node
    root: signed_dns.Root
    server: signed_dns.Server
    keeper: keeper.Keeper

    def become(self, mode: str) -> None:
        """Look until the node is in that mode, and then once more: it stays there."""

        def look() -> str:
            self.keeper.turn()
            told: str = json.loads(pathlib.Path(constants.RESOLVER_STATUS_FILE).read_text())["mode"]
            return told

        waiting.until(mode, look, _SECONDS, lambda told: told == mode, pause=0.1)
        assert look() == mode


@pytest.fixture
def stage(
    relay: relay_.Relay,
    internet: internet_.Internet,
    monkeypatch: pytest.MonkeyPatch,
) -> tp.Iterator[Stage]:
    monkeypatch.setattr(keeper, "_PROBE_PERIOD", 0.0)
    root = signed_dns.Root(records(), [DOMAINS["unsigned"]])
    root.damaged.add(BOGUS)
    key, conf = pathlib.Path(constants.ROOT_KEY_FILE), pathlib.Path(constants.RESOLV_CONF_FILE)
    before = {path: path.read_text() for path in (key, conf)}
    for name in (constants.RESOLVER_STATUS_FILE, constants.NETWORK_RESOLV_CONF_FILE):
        pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(constants.UNBOUND_APPLIED_FILE).unlink(missing_ok=True)
    node = Node()
    with internet.without_dns():
        server = signed_dns.Server(root, SERVER)
        key.write_text(f"{root.anchor}\n")
        # In place: the bench has mounted it.
        conf.write_text(NETWORK)
        yield Stage(node, root, server, keeper.Keeper(node))
        node.stop_unit(constants.RESOLVER_UNIT)
        server.close()
        for path, text in before.items():
            path.write_text(text)


def delivered(relay: relay_.Relay, *waits: str) -> None:
    """Send to each of DOMAINS: all arrives but for *waits*, which is tried and waits."""
    recipients = {name: f"a@{domain}" for name, domain in DOMAINS.items()}
    for recipient in recipients.values():
        assert relay.send(recipients=[recipient])[0] == 250
    ends = time.monotonic() + _SECONDS
    for name, recipient in recipients.items():
        mark = "==" if name in waits else "=>"
        # What a slow answer has put off is tried again.
        while not relay.log_lines(rf" {mark} {recipient} "):
            assert time.monotonic() < ends, relay.log()
            relay.run_queue()
    # Nor by another attempt.
    relay.run_queue()
    relay.wait_until_idle(seconds=_SECONDS)
    arrived = {name for name, one in recipients.items() if relay.log_lines(rf" => {one} .* X=TLS")}
    assert arrived == DOMAINS.keys() - set(waits), relay.log()


def test_a_key_that_is_published_and_signed_is_asked_for(relay: relay_.Relay, stage: Stage) -> None:
    stage.become("validating")
    assert resolv_conf.is_ours(pathlib.Path(constants.RESOLV_CONF_FILE).read_text())
    delivered(relay, "wrong", "bogus")
    assert relay.log_lines(rf" => a@{DOMAINS['fits']} .* CV=dane ")
    assert not relay.log_lines(rf" => a@{DOMAINS['unsigned']} .* CV=dane ")


def test_what_must_leave_by_dane_waits_where_nothing_is_signed(
    relay: relay_.Relay, stage: Stage
) -> None:
    relay.set_tls_policies({"unsigned.dane.example": "dane"})
    stage.become("validating")
    delivered(relay, "wrong", "bogus", "unsigned")


def test_where_the_network_strips_signatures_none_is_believed(
    relay: relay_.Relay, stage: Stage
) -> None:
    stage.server.strips = True
    stage.become("plain")
    relay.set_tls_policies({"fits.dane.example": "dane"})
    delivered(relay, "fits")


def test_without_unbound_mail_leaves_as_the_network_has_it(
    relay: relay_.Relay, stage: Stage
) -> None:
    stage.become("validating")
    stage.node.broken.append("it does not start")
    stage.node.stop_unit(constants.RESOLVER_UNIT)
    stage.become("away")
    assert pathlib.Path(constants.RESOLV_CONF_FILE).read_text() == NETWORK
    delivered(relay)
    stage.node.broken.clear()
    stage.become("plain")


def test_a_root_that_cannot_be_verified_is_not_believed(relay: relay_.Relay, stage: Stage) -> None:
    """Its signatures look right, and are not: only unbound finds that out."""
    stage.root.damaged.add((dns.name.root, dns.rdatatype.DNSKEY))
    stage.become("plain")
    delivered(relay)
