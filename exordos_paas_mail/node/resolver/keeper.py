# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the node's own resolver as the network and relay.env have it, look by look."""

from __future__ import annotations

import configparser
import hashlib
import time
import typing as tp
import urllib.parse

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import (
    resolv_conf,
    resolver_settings,
    resolver_status,
    trust_anchors,
    unbound_conf,
)
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.machine import watched
from exordos_paas_mail.node.resolver import choice, network, probing

if tp.TYPE_CHECKING:
    from collections.abc import Callable

_FAILURES: tp.Final = (ValueError, OSError, machine.MachineError)
_PROBE_PERIOD: tp.Final = 10.0
_STATUS_PERIOD: tp.Final = 15.0
# A host name has one label of its own before the network's domain.
_HOST_LABELS_MIN: tp.Final = 3
_MODE: tp.Final = 0o644
_Mode = resolver_status.Mode


def _parse_anchors(data: bytes | None) -> tuple[trust_anchors.Anchor, ...]:
    try:
        return () if data is None else trust_anchors.parse(data.decode("ascii", "replace"))
    except ValueError:
        return ()


def _control_plane_zones(data: bytes | None) -> tuple[str, ...]:
    """Return the domains that the control plane's names are in: the network's own."""
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string("" if data is None else data.decode("utf-8", "replace"))
    except configparser.Error:
        return ()
    urls = [value for part in config.values() for value in part.values() if "://" in value]
    found: dict[str, None] = {}
    for url in urls:
        try:
            host = urllib.parse.urlsplit(url).hostname or ""
        except ValueError:
            continue
        labels = host.split(".")
        zone = ".".join(labels[1:])
        # Not an IPv4 address
        is_name = len(labels) >= _HOST_LABELS_MIN and not labels[-1].isdigit()
        if is_name and resolver_settings.is_zone(zone):
            found[zone] = None
    return tuple(found)


class Keeper:
    """Keeps the resolver of one machine; ``turn`` is one look at it."""

    def __init__(self, node: machine.Machine, prober: probing.Prober | None = None) -> None:
        self._node = node
        self._prober = prober or probing.Prober()
        self._choice = choice.Choice()
        self._resolv_conf = network.ResolvConf(node)
        self._anchors = watched.Watched(node, constants.ROOT_KEY_FILE, _parse_anchors)
        self._zones = watched.Watched(node, constants.AGENT_CONFIG_FILE, _control_plane_zones)
        self._settings = resolver_settings.Settings()
        self._remarks: list[str] = []
        self._why = ""
        self._is_applied = False
        self._next_probe = self._next_status = 0.0
        self._told: tuple[object, ...] = ()

    def turn(self) -> list[str]:
        """Look once; returns what was done or could not be, in words."""
        self._remarks = []
        done: list[str] = []
        self._read_settings()
        try:
            if self._settings.is_on:
                mode, server = self._keep(done)
            else:
                mode, server = self._let_go(done)
                self._why = "RELAY_RESOLVER=no"
        except _FAILURES as error:
            # The node asks whom it asked, and is told so.
            self._remarks.append(" ".join(str(error).split()))
            mode, server = self._actual_mode(), ""
        detail = "; ".join(filter(None, [self._why, *self._remarks]))
        return [*done, *self._tell(mode, server, detail)]

    def _read_settings(self) -> None:
        try:
            self._settings = self._asked_for()
        except (ValueError, OSError) as error:
            # What it asks for is not known: what was asked for last goes on.
            self._remarks.append(str(error))

    def _asked_for(self) -> resolver_settings.Settings:
        settings = resolver_settings.Settings()
        for name in (constants.RELAY_ENV_FILE, constants.RELAY_ENV_KEPT_FILE):
            data = self._node.read(name) or b""
            try:
                settings = resolver_settings.parse(data.decode("ascii"), settings)
            except UnicodeDecodeError as error:
                raise ValueError(f"{name}: not plain ASCII") from error
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return settings

    def _keep(self, done: list[str]) -> tuple[_Mode, str]:
        given = self._resolv_conf.read()
        self._choice.offer(given.servers)
        _, anchors = self._anchors.read()
        now = time.monotonic()
        is_due = now >= self._next_probe
        if is_due:
            self._ask_network(anchors)
        wanted = self._choice.wanted(now)
        if wanted is None:
            done += self._give_back()
            self._why = self._why or "the network gives no server on another machine"
            return _Mode.AWAY, ""
        keys = anchors if wanted.validates else ()
        is_new = self._configure(wanted, given, keys, done)
        if is_due or is_new:
            is_well = self._judge(wanted)
            # What has failed is looked at again at the next look.
            self._next_probe = time.monotonic() + _PROBE_PERIOD if is_well else 0.0
        if not self._choice.is_served:
            done += self._give_back()
            self._why = f"{constants.RESOLVER_UNIT} does not answer"
            return _Mode.AWAY, wanted.server
        if self._resolv_conf.put(given.search, validates=wanted.validates):
            done.append(f"{constants.RESOLV_CONF_FILE}: the node asks its own resolver")
        if wanted.validates:
            return _Mode.VALIDATING, wanted.server
        self._why = self._why or f"{constants.RESOLVER_UNIT} could not validate"
        return _Mode.PLAIN, wanted.server

    def _ask_network(self, anchors: tuple[trust_anchors.Anchor, ...]) -> None:
        key_ids = {anchor.key_id for anchor in anchors}
        found: dict[str, probing.Answer] = {}
        for server in self._choice.asked():
            found[server] = self._prober.ask_network(server, key_ids)
        self._choice.hear({server: answer.heard for server, answer in found.items()})
        self._why = next((answer.why for answer in found.values() if answer.why), "")

    def _configure(
        self,
        wanted: choice.Wanted,
        given: resolv_conf.Network,
        anchors: tuple[trust_anchors.Anchor, ...],
        done: list[str],
    ) -> bool:
        """Have unbound run as it is wanted; returns whether that was anything to do."""
        _, own_zones = self._zones.read()
        zones = {*own_zones, *given.search, *self._settings.private_zones}
        text = unbound_conf.render(
            wanted.server,
            wanted.private,
            sorted(zone for zone in zones if resolver_settings.is_zone(zone)),
            [anchor.record for anchor in anchors],
            ipv6=self._node.has_ipv6_loopback(),
        ).encode()
        self._node.ensure_file(constants.UNBOUND_CONF_FILE, text, _MODE)
        # It is gone after a boot, as unbound is; a kill before it is written costs one start.
        digest = hashlib.sha256(text).hexdigest().encode()
        self._is_applied = self._node.read(constants.UNBOUND_APPLIED_FILE) == digest
        if self._is_applied:
            return False
        if not self._begin(self._node.restart_unit):
            return True
        self._is_applied = True
        self._node.write_volatile(constants.UNBOUND_APPLIED_FILE, digest, _MODE)
        does = "validates" if anchors else "does not validate"
        done.append(f"{constants.RESOLVER_UNIT} asks {wanted.server} and {does}")
        return True

    def _judge(self, wanted: choice.Wanted) -> bool:
        """Ask the resolver itself; returns whether all is as it should be."""
        # While unbound is not as it is wanted, who answers on its port is somebody else.
        is_working = self._is_applied and self._prober.is_working(
            resolv_conf.OWN_ADDRESS, validates=wanted.validates
        )
        if is_working or not self._choice.is_silent:
            self._choice.judge(passed=is_working, now=time.monotonic())
        if not is_working:
            # One that was stopped by hand; one that runs goes on.
            self._begin(self._node.start_unit)
        return is_working and not self._choice.is_silent

    def _begin(self, start: Callable[[str], None]) -> bool:
        """Start unbound; one that cannot be started does not answer, and is judged by that."""
        try:
            start(constants.RESOLVER_UNIT)
        except machine.MachineError as error:
            self._remarks.append(" ".join(str(error).split()))
            return False
        return True

    def _let_go(self, done: list[str]) -> tuple[_Mode, str]:
        done += self._give_back()
        if self._node.ensure_absent(constants.UNBOUND_CONF_FILE):
            self._node.stop_unit(constants.RESOLVER_UNIT)
            self._node.ensure_absent(constants.UNBOUND_APPLIED_FILE)
            done.append(f"{constants.RESOLVER_UNIT} is off")
        self._choice = choice.Choice()
        self._next_probe = 0.0
        return _Mode.OFF, ""

    def _give_back(self) -> list[str]:
        if self._resolv_conf.give_back():
            return [f"{constants.RESOLV_CONF_FILE}: the node asks the network's servers"]
        return []

    def _actual_mode(self) -> _Mode:
        text = self._node.read(constants.RESOLV_CONF_FILE) or b""
        if not resolv_conf.is_ours(text.decode("utf-8", "replace")):
            return _Mode.AWAY
        return _Mode.VALIDATING if b"trust-ad" in text else _Mode.PLAIN

    def _tell(self, mode: _Mode, server: str, detail: str) -> list[str]:
        now = time.monotonic()
        told = (mode, server, detail)
        is_news = told != self._told
        if now < self._next_status and not is_news:
            return []
        self._next_status = now + _STATUS_PERIOD
        status = resolver_status.Status(time.time_ns() // 1_000_000, mode, server, detail)
        try:
            self._node.write_volatile(
                constants.RESOLVER_STATUS_FILE, resolver_status.render(status), _MODE
            )
        except OSError as error:
            return [f"{constants.RESOLVER_STATUS_FILE}: {error}"]
        self._told = told
        return [f"{mode.value}: {detail}" if detail else mode.value] if is_news else []
