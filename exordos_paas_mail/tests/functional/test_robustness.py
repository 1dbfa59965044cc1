# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A relay through a power cut, a new image, a cut cable and a hand on its files."""

from __future__ import annotations

import dataclasses
import typing as tp

import pytest

from clients import mail, rest, waiting
from exordos_paas_mail.tests.functional import provisioning, submission

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.functional import stand_control

PASSWD = "/etc/exim4/passwd"
DKIM_KEY = "/etc/exim4/dkim/platform.private"
CERTIFICATE = "/etc/exim4/tls/fullchain.pem"
OF_CONFIGURE = ("/etc/exim4/exim4.conf", DKIM_KEY, CERTIFICATE)
CONFIGURE = "exordos-metapaas-mail-configure.service"
# The exchanger of the stand defers what is sent there: it stays in the relay's queue.
DEFERRED = "deferred@example.net"


@dataclasses.dataclass
class Machine:
    """The node of the shared instance."""

    stand: stand_control.Stand
    address: str

    def shell(self, command: str) -> str:
        return self.stand.shell(self.address, command)

    def queue(self) -> list[str]:
        return sorted(self.shell(f"exiqgrep -i -r {DEFERRED}").split())

    def keeps(self) -> dict[str, str]:
        """Return what must be the same for ever."""
        return {path: self.shell(f"sha256sum < {path}") for path in (DKIM_KEY, CERTIFICATE, PASSWD)}


@pytest.fixture
def machine(
    stand: stand_control.Stand, instance: rest.Json, alice: provisioning.Account
) -> tp.Iterator[Machine]:
    """Return the node, whose queue of deferred mail is emptied after the test."""
    found = Machine(stand, instance["ipsv4"][0])
    yield found
    for message in found.queue():
        found.shell(f"exim4 -Mrm {message}")


def queue_a_message(relay: submission.Relay, alice: provisioning.Account) -> None:
    composed = submission.message(alice.address, DEFERRED)
    with relay.logged_in(alice.address, alice.password) as client:
        assert submission.transact(client, alice.address, DEFERRED, composed) == 250


def wait_back(relay: submission.Relay, account: provisioning.Account, poll: waiting.Poll) -> None:
    poll.until(
        "the relay is back",
        lambda: relay.try_login(account.address, account.password),
        lambda found: found == submission.OK,
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("echo 'mallory@example.org:$6$x$y' >> {}", id="a line added"),
        pytest.param("sed -i 1d {}", id="a line removed"),
        pytest.param("rm {}", id="the file removed"),
        pytest.param("chmod 0644 {}", id="another mode"),
    ],
)
def test_a_hand_on_the_accounts_file_is_undone(
    machine: Machine, change: str, poll: waiting.Poll
) -> None:
    look = f"stat -c '%U:%G %a' {PASSWD} && cat {PASSWD}"
    before = machine.shell(look)
    machine.shell(change.format(PASSWD))
    poll.until(
        "the accounts file is what it was",
        lambda: machine.shell(f"({look}) 2>&1; true"),
        lambda found: found == before,
    )


def test_configure_run_again_changes_nothing_on_a_live_node(
    machine: Machine, instance: rest.Json
) -> None:
    """The host name is the platform's, whose agent sets it: configure leaves it alone."""
    main_pids = "systemctl show --property Id,MainPID 'exim4*' 'exordos-m*'"
    look = f"hostname; stat -c '%n %i %y' {' '.join(OF_CONFIGURE)} /etc/hosts; {main_pids}"
    before = machine.shell(look)
    machine.shell(f"systemctl restart {CONFIGURE}")
    said = machine.shell(f"journalctl --unit {CONFIGURE} --output cat --lines 30")
    done = [line for line in said.splitlines() if line.startswith(f"{instance['domain']}: ")]
    assert done[-1] == f"{instance['domain']}: nothing to do"
    assert machine.shell(look) == before


def test_a_power_cut_costs_no_account_and_no_accepted_message(
    machine: Machine,
    relay: submission.Relay,
    alice: provisioning.Account,
    owner: rest.Api,
    instance: rest.Json,
    poll: waiting.Poll,
) -> None:
    queue_a_message(relay, alice)
    before = machine.queue(), machine.keeps()
    assert len(before[0]) == 1
    machine.stand.power_cut(machine.address)
    wait_back(relay, alice, poll)
    assert (machine.queue(), machine.keeps()) == before
    settled = provisioning.wait_active(owner, instance, poll)
    assert settled["dkim_public_key"] == instance["dkim_public_key"]


def test_a_new_image_keeps_the_keys_the_certificate_and_the_queue(
    machine: Machine,
    relay: submission.Relay,
    alice: provisioning.Account,
    owner: rest.Api,
    instance: rest.Json,
    poll: waiting.Poll,
) -> None:
    queue_a_message(relay, alice)
    before = machine.queue(), machine.keeps()
    assert len(before[0]) == 1
    machine.shell("touch /of-the-old-root")
    machine.stand.reimage(machine.address)
    wait_back(relay, alice, poll)
    assert machine.shell("ls /of-the-old-root 2>/dev/null; true") == ""
    assert (machine.queue(), machine.keeps()) == before
    settled = provisioning.wait_active(owner, instance, poll)
    assert settled["dkim_public_key"] == instance["dkim_public_key"]


def test_an_account_made_while_the_node_is_cut_off_works_when_it_is_back(
    machine: Machine,
    relay: submission.Relay,
    alice: provisioning.Account,
    accounts: provisioning.Accounts,
    poll: waiting.Poll,
) -> None:
    machine.stand.cut(machine.address)
    try:
        account = accounts.make()
        assert not relay.answers()
    finally:
        machine.stand.mend(machine.address)
    wait_back(relay, alice, poll)
    wait_back(relay, account, poll)


def test_a_power_cut_of_the_control_plane_stops_no_mail(
    stand: stand_control.Stand,
    relay: submission.Relay,
    alice: provisioning.Account,
    owner: rest.Api,
    accounts: provisioning.Accounts,
    instance: rest.Json,
    poll: waiting.Poll,
) -> None:
    stand.power_cut("metapaas-cp")
    assert relay.login(alice.address, alice.password) == submission.OK

    def answers() -> int | str:
        try:
            return owner.call("GET", mail.instance_path(instance)).status_code
        except OSError as error:
            return repr(error)

    poll.until("the API is back", answers, lambda found: found == 200)
    accounts.ready()
    assert provisioning.wait_active(owner, instance, poll)["domain"] == instance["domain"]
