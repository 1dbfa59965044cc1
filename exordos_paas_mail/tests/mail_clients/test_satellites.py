# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Machines whose mail transport agent hands all mail to the relay."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.tests.mail_clients import arrivals, catalogue, satellites

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import provisioning
    from exordos_paas_mail.tests.mail_clients import machines, table

_SATELLITES: tp.Final = [pytest.param(it, id=it.name) for it in catalogue.SATELLITES]


@pytest.mark.parametrize("port", catalogue.BOTH)
@pytest.mark.parametrize("satellite_machine", _SATELLITES, indirect=True, scope="module")
def test_what_a_program_hands_to_sendmail_arrives_as_the_accounts(
    satellite_machine: machines.Machine,
    request: pytest.FixtureRequest,
    account: provisioning.Account,
    internet: internet_client.Client,
    results: table.Results,
    port: int,
) -> None:
    satellite = request.node.callspec.params["satellite_machine"]
    order = arrivals.Order(account, port)
    satellites.set_up(satellite_machine, satellite.name, order)
    message = (
        f"To: {order.recipient}\nSubject: {order.subject}\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
        f"{arrivals.TEXT}"
    )
    satellite_machine.run("sendmail", "-i", "-t", stdin=message)
    arrivals.verify(internet, order)
    results.add(satellite.name, port)


@pytest.mark.parametrize("satellite_machine", _SATELLITES, indirect=True, scope="module")
def test_crons_mail_arrives_as_the_accounts(
    satellite_machine: machines.Machine,
    request: pytest.FixtureRequest,
    account: provisioning.Account,
    internet: internet_client.Client,
    results: table.Results,
) -> None:
    satellite = request.node.callspec.params["satellite_machine"]
    order = arrivals.Order(account, catalogue.STARTTLS)
    satellites.set_up(satellite_machine, satellite.name, order)
    job = f"MAILTO={order.recipient}\n@reboot root echo 'It works.'\n"
    satellite_machine.write("/etc/cron.d/client", job)
    # Without its mark, cron takes its own start for the machine's.
    satellite_machine.run("rm", "-f", "/run/crond.reboot")
    satellite_machine.run("systemctl", "restart", "cron")
    arrivals.verify(internet, order, "It works.\n", "echo 'It works.'")
    results.add(satellite.name, "cron")
