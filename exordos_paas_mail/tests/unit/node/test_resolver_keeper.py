# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The node's own resolver as its keeper leaves it, look by look."""

from __future__ import annotations

import json
import pathlib
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import resolv_conf
from exordos_paas_mail.node.resolver import choice, keeper, probing

if tp.TYPE_CHECKING:
    from collections.abc import Collection

    from exordos_paas_mail.tests.unit.node import fake_node

NEAR, FAR = "10.0.0.2", "8.8.8.8"
NETWORK = f"nameserver {NEAR}\nnameserver {FAR}\nsearch corp.example\n"
STUB = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n"
OURS = {
    mode: resolv_conf.render(("corp.example",), validates=mode == "validating")
    for mode in ("validating", "plain")
}
ANCHOR = ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n"
SIGNED = probing.Answer(choice.Heard.SIGNED)
STRIPPED = probing.Answer(choice.Heard.STRIPPED, "it hands no signatures on")
SILENT = probing.Answer(choice.Heard.NOTHING, "it does not answer")


class Servers(probing.Prober):
    """The servers of the network, and the node's own, as far as they can be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = {NEAR: SIGNED, FAR: SIGNED}
        self.works = True

    def ask_network(self, server: str, key_ids: Collection[int]) -> probing.Answer:
        assert set(key_ids) == {38696}
        return self.answers[server]

    def is_working(self, server: str, *, validates: bool) -> bool:
        assert server == "127.0.0.1"
        return self.works


class Stage:
    """A node with a keeper whose next look is always one that asks."""

    def __init__(self, fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeper, "_PROBE_PERIOD", 0.0)
        self.fake = fake
        self.servers = Servers()
        for name in (
            constants.UNBOUND_CONF_FILE,
            constants.RESOLVER_STATUS_FILE,
            constants.NETWORK_RESOLV_CONF_FILE,
        ):
            fake.path(name).parent.mkdir(parents=True)
        fake.write(constants.ROOT_KEY_FILE, ANCHOR)
        fake.write(
            constants.AGENT_CONFIG_FILE,
            "[universal_agent]\norch_endpoint = http://cp.local.genesis.example:11011\n",
        )
        fake.write(constants.RESOLV_CONF_FILE, NETWORK)
        self.keeper = keeper.Keeper(fake.machine, self.servers)

    def turn(self) -> str:
        """Look once; returns the mode that is told."""
        self.keeper.turn()
        return self.told()["mode"]

    def told(self) -> dict[str, str]:
        return tp.cast("dict[str, str]", json.loads(self.fake.read(constants.RESOLVER_STATUS_FILE)))

    @property
    def resolv_conf(self) -> str:
        return self.fake.read(constants.RESOLV_CONF_FILE)

    @property
    def unbound_conf(self) -> str:
        return self.fake.read(constants.UNBOUND_CONF_FILE)


@pytest.fixture
def stage(fake: fake_node.FakeNode, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(fake, monkeypatch)


RESTART = f"systemctl restart {constants.RESOLVER_UNIT}"
START = f"systemctl --no-block start {constants.RESOLVER_UNIT}"


def test_a_node_asks_its_own_resolver_and_a_second_look_does_nothing(stage: Stage) -> None:
    assert stage.turn() == "validating"
    assert stage.resolv_conf == OURS["validating"]
    assert stage.fake.calls() == [RESTART]
    assert 'trust-anchor: ". IN DS 38696' in stage.unbound_conf
    # What only the network knows: its search domain, and where the control plane is.
    private = [line for line in stage.unbound_conf.splitlines() if "domain-insecure" in line]
    names = ("corp.example", "home.arpa", "local.genesis.example")
    assert {f'  domain-insecure: "{name}."' for name in names} <= set(private)
    assert stage.keeper.turn() == []
    assert stage.fake.calls() == []
    # Nor does another keeper, while unbound runs.
    assert keeper.Keeper(stage.fake.machine, stage.servers).turn() == ["validating"]
    assert stage.fake.calls() == []


def test_after_a_boot_the_resolver_is_started(stage: Stage) -> None:
    stage.turn()
    stage.fake.calls()
    # /run is empty then.
    stage.fake.path(constants.UNBOUND_APPLIED_FILE).unlink()
    stage.turn()
    assert stage.fake.calls() == [RESTART]


def test_where_signatures_are_stripped_it_does_not_validate(stage: Stage) -> None:
    stage.servers.answers[NEAR] = STRIPPED
    assert stage.turn() == "plain"
    assert stage.resolv_conf == OURS["plain"]
    assert "trust-anchor:" not in stage.unbound_conf
    assert stage.told()["detail"] == "it hands no signatures on"
    stage.servers.answers[NEAR] = SIGNED
    assert [stage.turn() for _ in range(3)] == ["plain", "plain", "validating"]
    assert stage.resolv_conf == OURS["validating"]


def test_where_unbound_fails_the_node_asks_the_network_as_before(stage: Stage) -> None:
    stage.turn()
    stage.servers.works = False
    modes = [stage.turn() for _ in range(6)]
    assert modes == [*["validating"] * 3, *["plain"] * 2, "away"]
    assert stage.resolv_conf == NETWORK
    assert stage.told()["detail"] == "exordos-mail-resolver does not answer"
    calls = stage.fake.calls()
    assert (calls.count(RESTART), calls.count(START)) == (2, 6)
    stage.servers.works = True
    assert [stage.turn() for _ in range(3)] == ["away", "away", "plain"]
    assert stage.told()["detail"] == "exordos-mail-resolver could not validate"
    assert stage.resolv_conf == OURS["plain"]


def test_two_answers_that_are_missed_restart_nothing(stage: Stage) -> None:
    stage.turn()
    stage.fake.calls()
    stage.servers.answers[NEAR] = SILENT
    stage.servers.works = False
    assert [stage.turn() for _ in range(2)] == ["validating", "validating"]
    assert RESTART not in stage.fake.calls()
    assert stage.resolv_conf == OURS["validating"]


def test_another_server_is_asked_for_all_but_private_names(stage: Stage) -> None:
    stage.fake.write(constants.RELAY_ENV_FILE, "RELAY_PRIVATE_ZONES=corp\n")
    stage.turn()
    stage.servers.answers[NEAR] = SILENT
    assert [stage.turn() for _ in range(4)] == ["validating"] * 4
    conf = stage.unbound_conf
    assert f'  name: "."\n  forward-addr: {FAR}\n' in conf
    assert f'  name: "corp."\n  forward-addr: {NEAR}\n' in conf
    assert conf.count(f"forward-addr: {FAR}") == 1


def test_what_the_network_writes_is_followed(stage: Stage) -> None:
    stage.turn()
    stage.fake.write(constants.RESOLV_CONF_FILE, f"nameserver {FAR}\n")
    stage.turn()
    assert stage.resolv_conf == resolv_conf.render((), validates=True)
    assert f"forward-addr: {FAR}" in stage.unbound_conf
    assert NEAR not in stage.unbound_conf
    stage.fake.write(constants.RELAY_ENV_FILE, "RELAY_RESOLVER=no\n")
    assert stage.turn() == "off"
    assert stage.resolv_conf == f"nameserver {FAR}\n"


def test_a_resolver_that_is_off_leaves_nothing_behind(stage: Stage) -> None:
    stage.turn()
    stage.fake.write(constants.RELAY_ENV_KEPT_FILE, "RELAY_RESOLVER=no\n")
    stage.fake.calls()
    assert stage.turn() == "off"
    assert stage.resolv_conf == NETWORK
    assert not stage.fake.path(constants.UNBOUND_CONF_FILE).exists()
    assert stage.fake.calls() == [f"systemctl stop {constants.RESOLVER_UNIT}"]
    stage.turn()
    assert stage.fake.calls() == []
    stage.fake.path(constants.RELAY_ENV_KEPT_FILE).unlink()
    assert stage.turn() == "validating"


def test_a_link_of_systemd_resolved_is_put_back(stage: Stage) -> None:
    link = stage.fake.path(constants.RESOLV_CONF_FILE)
    link.unlink()
    link.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    stage.fake.write("/run/systemd/resolve/stub-resolv.conf", STUB)
    stage.fake.write(constants.UPSTREAM_RESOLV_CONF_FILE, NETWORK)
    assert stage.turn() == "validating"
    assert not link.is_symlink()
    assert f"forward-addr: {NEAR}" in stage.unbound_conf
    # What it hears later is followed.
    stage.fake.write(constants.UPSTREAM_RESOLV_CONF_FILE, f"nameserver {FAR}\n")
    stage.turn()
    assert f"forward-addr: {FAR}" in stage.unbound_conf
    stage.fake.write(constants.RELAY_ENV_FILE, "RELAY_RESOLVER=no\n")
    stage.turn()
    assert link.readlink() == pathlib.Path("../run/systemd/resolve/stub-resolv.conf")
    assert stage.fake.read("/run/systemd/resolve/stub-resolv.conf") == STUB


def test_what_is_written_where_a_link_led_is_followed(stage: Stage) -> None:
    link = stage.fake.path(constants.RESOLV_CONF_FILE)
    link.unlink()
    written = "/run/NetworkManager/resolv.conf"
    stage.fake.write(written, NETWORK)
    link.symlink_to(f"..{written}")
    stage.turn()
    assert not link.is_symlink()
    stage.fake.write(written, f"nameserver {FAR}\nsearch other.example\n")
    assert stage.turn() == "validating"
    assert stage.resolv_conf == resolv_conf.render(("other.example",), validates=True)
    assert f"forward-addr: {FAR}" in stage.unbound_conf
    assert NEAR not in stage.unbound_conf
    # Where it is gone, what it was counts.
    stage.fake.path(written).unlink()
    assert stage.turn() == "validating"
    assert stage.resolv_conf == OURS["validating"]


def test_a_public_server_is_not_asked_in_place_of_a_first_that_cannot_be(stage: Stage) -> None:
    network = f"nameserver fe80::1%eth0\nnameserver {FAR}\n"
    stage.fake.write(constants.RESOLV_CONF_FILE, network)
    # That of resolved, which nobody asks here, is no substitute.
    stage.fake.write(constants.UPSTREAM_RESOLV_CONF_FILE, f"nameserver {FAR}\n")
    assert stage.turn() == "away"
    assert stage.resolv_conf == network


@pytest.mark.parametrize("text", ["nameserver 127.0.0.1\n", ""])
def test_a_network_without_a_server_is_left_alone(stage: Stage, text: str) -> None:
    stage.fake.write(constants.RESOLV_CONF_FILE, text)
    assert stage.turn() == "away"
    assert stage.told()["detail"] == "the network gives no server on another machine"
    assert stage.resolv_conf == text
    assert stage.fake.calls() == []


def test_settings_that_cannot_be_read_end_nothing(stage: Stage) -> None:
    stage.fake.write(constants.RELAY_ENV_FILE, "RELAY_PRIVATE_ZONES=corp\n")
    stage.turn()
    before = stage.unbound_conf
    for bad, why in (
        (b"RELAY_RESOLVER=nope\n", "RELAY_RESOLVER is neither yes nor no"),
        (b"\xff\n", "not plain ASCII"),
    ):
        stage.fake.path(constants.RELAY_ENV_FILE).write_bytes(bad)
        stage.fake.write(constants.RESOLV_CONF_FILE, NETWORK)
        assert stage.turn() == "validating"
        assert stage.told()["detail"] == f"{constants.RELAY_ENV_FILE}: {why}"
        assert (stage.resolv_conf, stage.unbound_conf) == (OURS["validating"], before)


@pytest.mark.parametrize("is_somebody_there", [True, False])
def test_a_machine_that_refuses_leaves_the_node_with_whom_it_asks(
    stage: Stage, *, is_somebody_there: bool
) -> None:
    """Whoever else answers on the resolver's port is none of ours."""
    stage.fake.fail("systemctl", "restart", "no such unit")
    stage.servers.works = is_somebody_there
    for _ in range(10):
        assert stage.turn() == "away"
        assert stage.told()["detail"].endswith(f"{RESTART}: exit status 1: no such unit")
        assert stage.resolv_conf == NETWORK
    stage.fake.heal("systemctl", "restart")
    stage.servers.works = True
    assert [stage.turn() for _ in range(3)] == ["away", "away", "plain"]


def test_a_resolver_that_cannot_be_started_again_is_asked_no_more(stage: Stage) -> None:
    stage.turn()
    stage.servers.works = False
    for verb in ("restart", "start"):
        stage.fake.fail("systemctl", verb, "no such unit")
    modes = [stage.turn() for _ in range(6)]
    assert modes == [*["validating"] * 3, *["plain"] * 2, "away"]
    assert stage.resolv_conf == NETWORK


def test_a_disk_that_refuses_changes_nothing(stage: Stage) -> None:
    stage.fake.path(constants.UNBOUND_CONF_FILE).mkdir()
    folder = stage.fake.path(constants.UNBOUND_CONF_FILE).parent
    folder.rename(folder.with_name("gone"))
    assert stage.turn() == "away"
    assert "No such file or directory" in stage.told()["detail"]
    assert (stage.resolv_conf, stage.fake.calls()) == (NETWORK, [])
    folder.with_name("gone").rename(folder)
    assert stage.turn() == "validating"


def test_without_keys_of_the_root_nothing_is_validated(stage: Stage) -> None:
    stage.fake.write(constants.ROOT_KEY_FILE, "damaged\n")

    class Keyless(Servers):
        def ask_network(self, server: str, key_ids: Collection[int]) -> probing.Answer:
            assert set(key_ids) == set()
            return STRIPPED

    stage.keeper = keeper.Keeper(stage.fake.machine, Keyless())
    assert stage.turn() == "plain"


def test_a_file_of_ours_without_the_networks_is_not_taken_away(stage: Stage) -> None:
    stage.fake.write(constants.RESOLV_CONF_FILE, OURS["validating"])
    stage.fake.write(constants.NETWORK_RESOLV_CONF_FILE, "damaged")
    assert stage.turn() == "away"
    assert stage.resolv_conf == OURS["validating"]
