# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A relay with a resolver of its own, in a network whose server has a signed root."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import shlex
import subprocess
import typing as tp

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from clients import waiting
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import resolv_conf
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.resolver import keeper
from exordos_paas_mail.tests.relay import signed_dns, units

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from exordos_paas_mail.tests.relay import internet as internet_

SERVER: tp.Final = "203.0.113.1"
NETWORK: tp.Final = f"nameserver {SERVER}\nsearch lan.example\n"
SECONDS: tp.Final = 120


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
        # As Type=notify has it
        waiting.until("unbound answers, or has ended", self._is_begun, SECONDS, pause=0.05)

    def _is_begun(self) -> bool:
        if self.running[0].poll() is not None:
            return True
        # It answers that by itself, whatever the network's server does (RFC 6761).
        question = dns.message.make_query("localhost.", dns.rdatatype.A)
        try:
            dns.query.udp(question, resolv_conf.OWN_ADDRESS, timeout=1)
        except (OSError, dns.exception.Timeout):
            return False
        return True

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

        waiting.until(mode, look, SECONDS, lambda told: told == mode, pause=0.1)
        assert look() == mode


@contextlib.contextmanager
def staged(
    internet: internet_.Internet,
    records: Mapping[tuple[str, str], list[str]],
    unsigned: Collection[str] = (),
) -> Iterator[Stage]:
    """Give a node in a network whose server knows *records*; afterwards all is as before."""
    root = signed_dns.Root(records, unsigned)
    key, conf = pathlib.Path(constants.ROOT_KEY_FILE), pathlib.Path(constants.RESOLV_CONF_FILE)
    before = {path: path.read_text() for path in (key, conf)}
    for name in (constants.RESOLVER_STATUS_FILE, constants.NETWORK_RESOLV_CONF_FILE):
        pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(constants.UNBOUND_APPLIED_FILE).unlink(missing_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(internet.without_dns())
        server = signed_dns.Server(root, SERVER)
        stack.callback(server.close)
        for path, text in before.items():
            stack.callback(path.write_text, text)
        key.write_text(f"{root.anchor}\n")
        # In place: the bench has mounted it.
        conf.write_text(NETWORK)
        node = Node()
        stack.callback(node.stop_unit, constants.RESOLVER_UNIT)
        yield Stage(node, root, server, keeper.Keeper(node))
