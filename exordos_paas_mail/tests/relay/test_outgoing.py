# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of mail where nothing answers on port 25."""

from __future__ import annotations

import subprocess
import typing as tp

import pytest

from exordos_paas_mail.codecs import main_log
from exordos_paas_mail.tests.relay import internet as internet_

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.relay import relay as relay_

# What connect_timeout says, and what the kernel alone takes to give up (tcp(7)).
TIMEOUT = 30
KERNEL_TIMEOUT = 127


@pytest.fixture
def dropped() -> tp.Iterator[str]:
    """Give a domain whose server's network takes packets and answers none."""
    neighbour = [internet_.SILENT_ADDRESS, "dev", "wire"]
    subprocess.run(
        ["ip", "neigh", "replace", *neighbour, "lladdr", "02:00:00:00:00:98", "nud", "permanent"],
        check=True,
    )
    yield "dropped.example"
    subprocess.run(["ip", "neigh", "del", *neighbour], check=True)


def test_a_server_whose_network_drops_packets_is_given_up_after_half_a_minute(
    relay: relay_.Relay, dropped: str
) -> None:
    code, text = relay.send(recipients=[f"someone@{dropped}"])
    assert code == 250
    name = text.removeprefix("OK id=")
    (accepted,) = relay.wait_for_log(f"{name} <= ")
    (told,) = relay.wait_for_log(f"{name} == ", seconds=300)
    line = main_log.parse(told)
    assert line is not None
    assert line.entry == main_log.Deferral(
        f"someone@{dropped}", "remote_smtp", None, 110, "Connection timed out"
    )
    began = main_log.parse(accepted)
    assert began is not None
    assert TIMEOUT <= (line.at - began.at).total_seconds() < KERNEL_TIMEOUT
