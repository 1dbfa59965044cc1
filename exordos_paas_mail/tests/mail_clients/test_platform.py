# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The platform's own sender, and monitoring, to a verified arrival."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.tests.mail_clients import arrivals, catalogue

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import provisioning
    from exordos_paas_mail.tests.mail_clients import machines, table


@pytest.mark.parametrize(("client", "port"), catalogue.runs(catalogue.PLATFORM))
def test_a_message_arrives_as_the_accounts(
    machine: machines.Machine,
    account: provisioning.Account,
    internet: internet_client.Client,
    results: table.Results,
    client: catalogue.Client,
    port: int,
) -> None:
    order = arrivals.Order(account, port)
    machine.run(*client.command, stdin=arrivals.TEXT, environment=order.environment())
    arrivals.verify(internet, order)
    results.add(client.name, port)
