# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts that a node keeps by their shards are there again, whatever was lost of them.

The faults of a node that need 1,000 accounts: the others are in functional/test_faults.py.
"""

from __future__ import annotations

import dataclasses
import typing as tp

import pytest

from exordos_paas_mail.tests.functional import faults, provisioning

if tp.TYPE_CHECKING:
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import stand_control

# A node is told its accounts by their shards from so many on.
MANY: tp.Final = 1_000
PASSWD: tp.Final = faults.HELD[0]
# Seconds in which agent and keeper look at a node.
SETTLED: tp.Final = 5.0
SECONDS: tp.Final = 60
FAULTS: tp.Final = {
    "overwritten at its beginning": (
        f"dd if=/dev/zero of={faults.KEPT_ACCOUNTS} bs=100 count=1 conv=notrunc status=none"
    ),
    "removed": f"rm {faults.KEPT_ACCOUNTS}",
    # Both copies: the control plane is the only one who knows.
    "removed with the account file, the agent killed": (
        f"die {faults.AGENT}; rm {faults.KEPT_ACCOUNTS} {PASSWD}"
    ),
}


@pytest.fixture(scope="module")
def node(stand: stand_control.Stand, instance: rest.Json) -> faults.Node:
    return faults.Node(stand, instance["ipsv4"][0])


@pytest.fixture(scope="module")
def of_many(
    node: faults.Node, stand: stand_control.Stand, instance: rest.Json, poll: waiting.Poll
) -> str:
    """Return what the node looks like with many accounts, and nothing on its way."""
    provisioning.add_past_the_api(stand, instance, "many-", MANY, "$6$salt$none")
    looks = [node.look()]

    def is_settled() -> bool:
        looks.append(node.look())
        return faults.KEPT_ACCOUNTS in looks[-1] and looks[-2] == looks[-1]

    dataclasses.replace(poll, pause=SETTLED).until("the node has them by shards", is_settled)
    return looks[-1]


@pytest.mark.parametrize("name", FAULTS)
def test_many_accounts_that_are_lost_on_the_node_are_there_again(
    name: str, node: faults.Node, of_many: str
) -> None:
    found = node.suffer(FAULTS[name], of_many, bound=SECONDS)
    assert found.repaired is not None, found
    print(f"\n{name}: repaired after {found.repaired:.1f} s")  # noqa: T201 - a figure of the run
