# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is killed, stopped or damaged on a node is repaired, or told, within ten seconds.

Set EXORDOS_MAIL_FAULT_TABLE to a file to have the seconds written there, as rows
of a table for docs/measurements.md.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing as tp

import pytest

from clients import mail, rest, waiting
from exordos_paas_mail.tests.functional import faults, provisioning, stand_control, submission

KILLED = (faults.AGENT, faults.KEEPER, *faults.RELAY)
STOPPED = ("exim4", "exim4@587.socket", "exim4@587.service", "exim4-queue", "exim4@25.socket")
PASSWD = faults.HELD[0]
SERVED = faults.HELD[2]
# With the accounts lost at the same moment: nobody is there to repair them but who starts first.
BOTH_KILLED = f"die {faults.AGENT}; die {faults.KEEPER}; rm {PASSWD}"
# Seconds in which agent and keeper look at a node, and configure runs.
SETTLED = 5.0
CONTROL_PLANE = "metapaas-cp"
APIS = "exordos-metapaas-orch-api exordos-metapaas-status-api"

FAULTS = {
    **{f"{unit} killed": f"die {unit}" for unit in KILLED},
    **{f"{unit} stopped": f"systemctl stop {unit}" for unit in STOPPED},
    "agent killed and accounts removed": f"die {faults.AGENT}; rm {PASSWD}",
    "agent and keeper killed and accounts removed": BOTH_KILLED,
    **{
        f"{path.rpartition('/')[2]}: {how}": command
        for path in faults.HELD[:4]
        for how, command in faults.damages(path).items()
        # All of them for what each login reads.
        if path in {PASSWD, SERVED} or how in {"emptied", "a directory"}
    },
    **{
        f"{path.rpartition('/')[2]}: removed": f"rm {path}"
        for path in (*faults.HELD[4:], *faults.REWRITTEN)
    },
    **{f"{path.rpartition('/')[2]}: emptied": f": > {path}" for path in faults.REWRITTEN},
}
ALONE = {
    "an account removed": f"sed -i 1d {PASSWD}",
    "accounts removed": f"rm {PASSWD}",
    "port 587 stopped": "systemctl stop exim4@587.socket",
    "relay.pem removed": f"rm {SERVED}",
    "agent and keeper killed, accounts removed": BOTH_KILLED,
}


@pytest.fixture(scope="module")
def table() -> tp.Iterator[dict[str, faults.Outcome]]:
    """Return the outcomes by fault; they are written as a table where one is asked for."""
    outcomes: dict[str, faults.Outcome] = {}
    yield outcomes
    if path := os.environ.get("EXORDOS_MAIL_FAULT_TABLE"):
        rows = [
            f"| {name} | {_seconds(found.repaired)} | {_seconds(found.told)} |\n"
            for name, found in outcomes.items()
        ]
        head = "| fault | repaired after, s | told after, s |\n| -- | -- | -- |\n"
        pathlib.Path(path).write_text(head + "".join(rows))


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


@pytest.fixture(scope="module")
def node(stand: stand_control.Stand, instance: rest.Json) -> faults.Node:
    return faults.Node(stand, instance["ipsv4"][0])


@pytest.fixture(scope="module")
def before(node: faults.Node, alice: provisioning.Account, poll: waiting.Poll) -> str:
    """Return what the node looks like while nothing is wrong, and nothing is on its way."""
    looks = [node.look()]

    def is_settled() -> bool:
        looks.append(node.look())
        return looks[-2] == looks[-1]

    dataclasses.replace(poll, pause=SETTLED).until("the node is settled", is_settled)
    return looks[-1]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_repaired_or_told_within_ten_seconds(
    name: str,
    node: faults.Node,
    before: str,
    table: dict[str, faults.Outcome],
    owner: rest.Api,
    instance: rest.Json,
    poll: waiting.Poll,
) -> None:
    found = table[name] = node.suffer(FAULTS[name], before)

    if found.repaired is None:
        assert found.told is not None, found
        # The node has told; its agent's report, and a pass of the builders, are on their way.
        poll.until("the API tells", lambda: owner.read(mail.instance_path(instance))["error"])


def test_a_node_repairs_itself_while_the_control_plane_is_away(
    node: faults.Node,
    before: str,
    table: dict[str, faults.Outcome],
    stand: stand_control.Stand,
    relay: submission.Relay,
    alice: provisioning.Account,
) -> None:
    stand.shell(CONTROL_PLANE, f"systemctl stop {APIS}")
    try:
        outcomes = {name: node.suffer(fault, before) for name, fault in ALONE.items()}
    finally:
        stand.shell(CONTROL_PLANE, f"systemctl start {APIS}")
    table.update({f"control plane away: {name}": found for name, found in outcomes.items()})

    assert {name: found for name, found in outcomes.items() if found.repaired is None} == {}
    assert relay.login(alice.address, alice.password) == submission.OK
