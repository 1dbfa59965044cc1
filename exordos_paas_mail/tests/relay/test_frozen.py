# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail whose delivery process is killed, as the kernel does when memory runs out."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import typing as tp

from exordos_paas_mail.codecs import queue_list
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import units

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.relay import relay as relay_

# As the kernel writes an address: in the byte order of the machine.
_MX = f"{int.from_bytes(socket.inet_aton(internet_.PUBLIC_ADDRESS), sys.byteorder):08X}"
RECIPIENT = "slow@elsewhere.example"
# Of the same server, which lets each wait once.
ONLY_RECIPIENT = "slow@xn--mller-kva.example"


def is_connected() -> bool:
    """Return whether exim has a connection to an exchanger, proc_net_tcp(5)."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[2:4] == [f"{_MX}:0019", "01"] for line in lines)


def wait_for_transport(relay: relay_.Relay, processes: int) -> int:
    """Return the process that waits for the exchanger's answer, one of so many."""
    daemons = {relay.units.queue_runner, *(held.pid for held in relay.units.listeners.values())}
    deadline = time.monotonic() + units.PATIENCE
    while True:
        # Before the look at the processes: once it is there, so is the transport.
        connected = is_connected()
        running = [int(entry.name) for entry in units.exims() if int(entry.name) not in daemons]
        # The delivery, and below it the transport, if it is another process; the session that
        # took it in is over.
        if connected and len(running) == processes:
            return max(running, key=units.ancestors)
        assert time.monotonic() < deadline, "nothing is being delivered"
        time.sleep(0.05)


def frozen() -> int:
    shown = subprocess.run(["exim4", "-bpr"], check=True, capture_output=True, text=True)
    return queue_list.parse(shown.stdout).frozen


def test_mail_whose_delivery_process_is_killed_leaves_a_minute_later(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    # Of two servers: each has a process of its own.
    assert relay.send(recipients=[RECIPIENT, "b@tls.example"])[0] == 250
    os.kill(wait_for_transport(relay, 2), signal.SIGKILL)
    relay.wait_for_log("Frozen")
    # It says so before it writes it.
    relay.wait_until_idle()
    (name,) = relay.wait_for_queue(1)
    assert frozen() == 1

    subprocess.run(["exim4", "-q"], check=True)
    assert frozen() == 1
    assert [one.recipients for one in internet.received()] == [["b@tls.example"]]

    relay.pass_frozen(name, seconds=61)
    subprocess.run(["exim4", "-q"], check=True)

    assert [one.recipients for one in internet.wait_for(2)] == [["b@tls.example"], [RECIPIENT]]
    relay.wait_for_queue(0)
    # What a monitor sees of it.
    relay.expect_panic(r"Delivery status for slow@elsewhere\.example: got \d of \d bytes|^$")


def test_a_new_message_has_one_process_and_is_tried_again_where_that_is_killed(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    assert relay.send(recipients=[ONLY_RECIPIENT])[0] == 250
    process = wait_for_transport(relay, 1)
    # It has the message: no other tries it.
    subprocess.run(["exim4", "-q"], check=True)
    assert internet.received() == []

    os.kill(process, signal.SIGKILL)
    relay.wait_until_idle()
    assert (len(relay.queue()), frozen(), internet.received()) == (1, 0, [])

    subprocess.run(["exim4", "-q"], check=True)

    (received,) = internet.wait_for(1)
    assert received.recipients == [ONLY_RECIPIENT]
    relay.wait_for_queue(0)
