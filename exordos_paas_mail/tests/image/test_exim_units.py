# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""exim's units under the real systemd: what clients and operators see of them."""

from __future__ import annotations

import collections
import contextlib
import socket
import ssl
import threading
import time
import typing as tp
from unittest import mock

import pytest

from clients import waiting
from exordos_paas_mail import constants
from exordos_paas_mail.node import machine
from exordos_paas_mail.tests.image import guests
from imaging import commands

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.image import containers

# The first test waits for the image to be built.
pytestmark = pytest.mark.timeout(900)

PORTS = (25, 465, 587)
RELOADS = 20
RESTARTS = 3
LISTENERS = tuple(f"exim4@{port}.service" for port in PORTS)
# How a connection ends that is served, and one whose process is gone before it has greeted.
SERVED = frozenset({"220 221", "220 "})
CUT = frozenset({" ", "BrokenPipeError", "ConnectionResetError", "SSLEOFError"})
SOCKETS = tuple(f"exim4@{port}.socket" for port in PORTS)


@tp.final
class Clients:
    """Connects without pause on every port, and counts how it ends."""

    def __init__(self, guest: guests.Guest) -> None:
        self._guest = guest
        self._over = threading.Event()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self.ends: collections.Counter[tuple[int, str]] = collections.Counter()
        self._threads = [threading.Thread(target=self._connect, args=(port,)) for port in PORTS]

    def _connect(self, port: int) -> None:
        while not self._over.is_set():
            self.ends[port, self._end(port)] += 1

    def _end(self, port: int) -> str:
        address = (self._guest.host, self._guest.ports[port])
        try:
            with contextlib.ExitStack() as stack:
                held = stack.enter_context(socket.create_connection(address, timeout=60))
                if port == 465:
                    held = stack.enter_context(self._tls.wrap_socket(held))
                greeting = held.recv(512)
                held.sendall(b"QUIT\r\n")
                return f"{greeting[:3].decode()} {held.recv(512)[:3].decode()}"
        except OSError as error:
            return type(error).__name__

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def processes(guest: guests.Guest) -> list[str]:
    """Return the main process of the queue runner and of each listener."""
    shown = guest.run(
        *("systemctl", "show", "--property=MainPID", "--value", *constants.EXIM_PROCESS_UNITS)
    )
    return shown.split()


def states(guest: guests.Guest) -> dict[str, str]:
    return guests.unit_states(guest, constants.EXIM_UNIT, *constants.EXIM_PROCESS_UNITS, *SOCKETS)


def is_stopped(guest: guests.Guest) -> bool:
    return set(states(guest).values()) == {"inactive"}


@pytest.fixture
def relay(container: containers.Container) -> containers.Container:
    guests.deliver_mail_env(container)
    guests.set_account(container)
    return container


def test_systemd_tells_by_how_much_the_clock_was_ahead_when_exim_started(
    relay: containers.Container,
) -> None:
    def run(*command: str) -> str:
        return relay.run(*command)

    with mock.patch.object(machine.Machine, "_run", staticmethod(run)):
        units = machine.Machine().relay_units()
    # A container has this machine's clocks, which may be set meanwhile, by seconds.
    ahead = time.time() - time.monotonic()
    assert [(one.name, one.runs) for one in units] == [
        (name, True) for name in constants.EXIM_PROCESS_UNITS
    ]
    assert [one.ahead for one in units] == [pytest.approx(ahead, abs=60)] * len(units)


def test_no_client_is_refused_by_a_reload_or_a_restart(relay: containers.Container) -> None:
    unit = constants.EXIM_UNIT
    with guests.session(relay, 587) as open_before:
        open_before.login(guests.SENDER, guests.PASSWORD)
        with Clients(relay) as clients:
            for _ in range(RELOADS):
                before = processes(relay)
                relay.run("systemctl", "reload", unit)
                after = processes(relay)
                assert (after[0], set(before[1:]) & set(after[1:])) == (before[0], set())
            for _ in range(RESTARTS):
                before = processes(relay)
                relay.run("systemctl", "restart", unit)
                assert set(states(relay).values()) == {"active"}
                assert set(before) & set(processes(relay)) == set()
        assert open_before.mail(guests.SENDER)[0] == 250
    assert {end for _, end in clients.ends} == {"220 221"}, clients.ends
    assert {port for port, _ in clients.ends} == set(PORTS)
    assert set(states(relay).values()) == {"active"}


def test_operators_stop_start_and_reload_it_as_one_unit(relay: containers.Container) -> None:
    unit = constants.EXIM_UNIT
    # They would start it again.
    relay.run("systemctl", "stop", constants.AGENT_UNIT, constants.KEEPER_UNIT)
    relay.run("systemctl", "stop", unit)
    waiting.until("all of the relay is inactive", lambda: is_stopped(relay) or None, 10)
    with pytest.raises(ConnectionRefusedError):
        guests.session(relay, 587)

    relay.run("systemctl", "start", unit)
    assert set(states(relay).values()) == {"active"}
    assert {guests.log_in(relay, port) for port in PORTS} == {235}

    running = processes(relay)
    relay.run("sh", "-c", "echo no_such_option = 1 >>/etc/exim4/exim4.conf")
    with pytest.raises(commands.CommandError):
        relay.run("systemctl", "reload", unit)
    assert processes(relay) == running
    assert guests.log_in(relay, 465) == 235


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
@pytest.mark.parametrize("unit", constants.EXIM_PROCESS_UNITS)
def test_a_process_that_ends_comes_back_and_nobody_is_refused(
    relay: containers.Container, unit: str, signal: str
) -> None:
    place = constants.EXIM_PROCESS_UNITS.index(unit)
    before = processes(relay)
    with Clients(relay) as clients:
        relay.run("systemctl", "kill", f"--signal={signal}", "--kill-whom=main", unit)

        def is_back() -> bool | None:
            now = processes(relay)
            return (
                now[place] not in {"0", before[place]} and set(states(relay).values()) == {"active"}
            ) or None

        waiting.until(f"{unit} is back", is_back, 10)
        after = processes(relay)
    assert [pid for pid in after if pid in before] == [
        pid for number, pid in enumerate(before) if number != place
    ]
    served = {each: count for each, count in clients.ends.items() if each[1] in SERVED}
    cut = clients.ends - collections.Counter(served)
    # What is killed takes the connection along that it has accepted and begun no session for: one.
    own = {(port, end) for port in PORTS for end in CUT if unit == f"exim4@{port}.service"}
    assert cut.keys() <= (own if signal == "KILL" else set()), clients.ends
    assert cut.total() <= 1, clients.ends
    assert {port for port, _ in served} == set(PORTS)
