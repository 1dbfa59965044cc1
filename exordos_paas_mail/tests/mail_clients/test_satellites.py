# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Machines whose mail transport agent hands all mail to the relay."""

from __future__ import annotations

import functools
import typing as tp

import pytest

from clients import waiting
from exordos_paas_mail.tests.mail_clients import arrivals, catalogue, satellites, table
from imaging import commands

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import provisioning
    from exordos_paas_mail.tests.mail_clients import machines

_SECONDS: tp.Final = 120
_SATELLITES: tp.Final = [pytest.param(it, id=it.name) for it in catalogue.SATELLITES]


def _message(order: arrivals.Order) -> str:
    """Return what a program hands to sendmail."""
    return (
        f"To: {order.recipient}\nSubject: {order.subject}\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
        f"{arrivals.TEXT}"
    )


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
    satellite_machine.run("sendmail", "-i", "-t", stdin=_message(order))
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


@pytest.mark.parametrize("satellite_machine", _SATELLITES, indirect=True, scope="module")
def test_an_agent_that_verifies_hands_nothing_over_where_it_does_not_know_the_authority(
    satellite_machine: machines.Machine,
    request: pytest.FixtureRequest,
    account: provisioning.Account,
    internet: internet_client.Client,
    results: table.Results,
) -> None:
    satellite = request.node.callspec.params["satellite_machine"]
    order = arrivals.Order(account, catalogue.STARTTLS)
    sendmail = functools.partial(
        satellite_machine.run, "sendmail", "-i", "-t", stdin=_message(order)
    )
    with satellite_machine.untrusting():
        satellites.set_up(satellite_machine, satellite.name, order)
        if satellite.name == "msmtp-mta":
            # It has no queue.
            with pytest.raises(commands.CommandError, match="certificate"):
                sendmail()
        elif satellite.verifies:
            sendmail()
            waiting.until(
                "the agent says why it keeps the message",
                lambda: satellites.keeps_for_its_certificate(satellite_machine, satellite.name),
                _SECONDS,
            )
        else:
            sendmail()
            arrivals.verify(internet, order)
        if satellite.verifies:
            assert internet.messages(order.recipient) == []
    results.add(satellite.name, table.VERIFIES)
