# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What clients do, by themselves, where they do not know who issued the relay's certificate."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.tests.mail_clients import arrivals, catalogue, machines, table
from imaging import commands

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import provisioning

_CLIENTS: tp.Final = (*catalogue.COMMAND_LINE, *catalogue.LIBRARIES, *catalogue.PLATFORM)


def test_the_authority_is_all_that_a_client_does_not_know(machine: machines.Machine) -> None:
    listing = ("ls", machines.STORE)
    known, less = machine.run(*listing).split(), machine.run_untrusting(*listing).split()
    # Beside the root its hash, by which it is found.
    added = {*known} - {*less}
    assert len(added) == 2
    assert "Stand.pem" in added
    assert {*less} < {*known}


@pytest.mark.parametrize(
    ("client", "port"), catalogue.runs(tuple(it for it in _CLIENTS if it.verifies))
)
def test_a_client_that_verifies_hands_nothing_over(
    machine: machines.Machine,
    account: provisioning.Account,
    internet: internet_client.Client,
    results: table.Results,
    client: catalogue.Client,
    port: int,
) -> None:
    order = arrivals.Order(account, port)
    with pytest.raises(commands.CommandError):
        machine.run_untrusting(
            *client.command, stdin=arrivals.TEXT, environment=order.environment()
        )
    assert internet.messages(order.recipient) == []
    results.add(client.name, table.VERIFIES)


@pytest.mark.parametrize(
    ("client", "port"), catalogue.runs(tuple(it for it in _CLIENTS if not it.verifies))
)
def test_a_client_that_does_not_verify_sends(
    machine: machines.Machine,
    account: provisioning.Account,
    internet: internet_client.Client,
    results: table.Results,
    client: catalogue.Client,
    port: int,
) -> None:
    order = arrivals.Order(account, port)
    machine.run_untrusting(*client.command, stdin=arrivals.TEXT, environment=order.environment())
    arrivals.verify(internet, order)
    results.add(client.name, table.VERIFIES)
