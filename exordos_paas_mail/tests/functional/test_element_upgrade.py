# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A new release reaches the control plane, and a new image an instance, while mail is sent."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import typing as tp
import uuid

import pytest

from clients import elements as elements_client
from clients import iam, mail, rest, waiting
from exordos_paas_mail.tests.functional import provisioning, stand_control, submission, traffic

if tp.TYPE_CHECKING:
    from clients import internet as internet_client

CONTROL_PLANE = "metapaas-cp"
RECIPIENT = "upgrade@example.net"
# Nothing of the stand has this address.
NOWHERE = "10.77.3.250"
KEPT = ("/etc/exim4/dkim/platform.private", "/etc/exim4/tls/fullchain.pem", "/etc/exim4/passwd")
MARK = "/of-the-old-root"
# What the next release lists beside the resources.
NEXT = "next-release"


def resources(owner: rest.Api) -> list[str]:
    """Return the names of the resources that the API serves."""
    names: list[str] = owner.expect(200, "GET", mail.ROOT)
    return names


@pytest.fixture(scope="module")
def release(stand: stand_control.Stand) -> dict[str, str]:
    """Return where the next release is; see stand.releases for what is new in it."""
    return stand.next_release()


@pytest.fixture(scope="module")
def previous(stand: stand_control.Stand) -> dict[str, str]:
    """Return where the release before the sources is, see stand.releases."""
    return stand.previous_release()


def of_sources(api: rest.Api, accounts_path: str) -> bool:
    """Return whether the API is that of the sources: neither of the other two releases."""
    shown = api.expect(200, "GET", accounts_path)
    return NEXT not in resources(api) and all("error" in account for account in shown)


@pytest.fixture
def installed(
    elements: elements_client.Elements,
    release: dict[str, str],
    owner: rest.Api,
    alice: provisioning.Account,
    accounts: provisioning.Accounts,
    poll: waiting.Poll,
) -> tp.Iterator[pathlib.Path]:
    """Return the manifest of the installed release, which is installed again after the test.

    There is an account, *alice*, for of_sources to look at.
    """
    manifest = pathlib.Path(release["installed"])
    yield manifest
    elements.ensure(manifest)
    poll.until(
        "the API is that of the installed release again",
        lambda: of_sources(owner, accounts.path),
        lambda found: found,
    )


def applied(stand: stand_control.Stand, release: dict[str, str]) -> list[str]:
    statement = f"SELECT applied FROM ra_migrations WHERE uuid = '{release['migration']}'"  # noqa: S608
    return stand.query(CONTROL_PLANE, "metapaas", statement)


def test_a_new_release_comes_to_life_and_nobody_who_sends_notices(
    stand: stand_control.Stand,
    elements: elements_client.Elements,
    release: dict[str, str],
    installed: pathlib.Path,
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    alice: provisioning.Account,
    accounts: provisioning.Accounts,
    internet: internet_client.Client,
    poll: waiting.Poll,
    record_property: tp.Callable[[str, object], None],
) -> None:
    assert installed.exists()
    # What an earlier run applied stays applied: the migration has nothing to undo.
    forget = f"DELETE FROM ra_migrations WHERE uuid = '{release['migration']}'"  # noqa: S608
    stand.query(CONTROL_PLANE, "metapaas", forget)
    assert release["name"] not in resources(owner)
    before = owner.read(mail.instance_path(instance))
    stand.shell(relay.host, f"touch {MARK}")
    sender = traffic.Sender(relay, alice.address, alice.password, RECIPIENT)

    with (
        traffic.repeated(sender.send) as sent,
        traffic.repeated(lambda: owner.read(mail.instance_path(instance))) as asked,
    ):
        elements.ensure(pathlib.Path(release["manifest"]))
        poll.until(
            "the API is that of the next release",
            lambda: resources(owner),
            lambda found: release["name"] in found,
        )
        # By builders that were restarted, to a node that was not.
        accounts.ready()

    record_property("messages", len(sender.accepted))
    record_property("longest_gap_seconds", round(sent.longest_gap, 1))
    record_property("api_longest_gap_seconds", round(asked.longest_gap, 1))
    assert applied(stand, release) == ["t"]
    assert (sent.failures, asked.failures) == ([], [])
    assert len(sender.accepted) >= 5
    for subject in sender.accepted:
        assert internet.wait_for_message(RECIPIENT, subject)["verdict"]["dkim"] == "pass"
    # The catalogue has another image under the same name; nobody asked this instance to move.
    (version,) = owner.list(mail.VERSIONS, name="exim4_1")
    assert version["image"] == release["image"]
    after = provisioning.wait_active(owner, instance, poll)
    assert after["image"] == before["image"] != release["image"]
    assert stand.shell(relay.host, f"ls {MARK}").strip() == MARK


def test_the_control_plane_goes_back_to_the_release_before_and_forth_again(
    stand: stand_control.Stand,
    elements: elements_client.Elements,
    previous: dict[str, str],
    installed: pathlib.Path,
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    alice: provisioning.Account,
    accounts: provisioning.Accounts,
    project: str,
    version: rest.Json,
    poll: waiting.Poll,
) -> None:
    sender = traffic.Sender(relay, alice.address, alice.password, RECIPIENT)
    with traffic.repeated(sender.send) as sent:
        elements.ensure(pathlib.Path(previous["manifest"]))
        poll.until(
            "the API is that of the release before",
            lambda: of_sources(owner, accounts.path),
            lambda found: not found,
        )
        there = accounts.ready()
        body = provisioning.instance_body(project, version, "before")
        made = owner.create(mail.INSTANCES, body)

        elements.ensure(installed)
        poll.until(
            "the API is that of the sources",
            lambda: of_sources(owner, accounts.path),
            lambda found: found,
        )
        accounts.ready()

    assert sent.failures == []
    assert relay.login(there.address, there.password) == submission.OK
    assert provisioning.wait_active(owner, instance, poll)["error"] == ""
    # What the release before made has what it did not know of.
    serving = provisioning.wait_active(owner, made, poll)
    facts = f"SELECT domain, dkim_public_key FROM mail_domains WHERE instance = '{made['uuid']}'"  # noqa: S608
    assert stand.query(CONTROL_PLANE, "metapaas", facts) == [
        f"{body['domain']}|{serving['dkim_public_key']}"
    ]
    owner.expect(204, "DELETE", mail.instance_path(made))


@dataclasses.dataclass
class Machine:
    """The node of the shared instance, through its images."""

    stand: stand_control.Stand
    api: rest.Api
    instance: rest.Json
    relay: submission.Relay
    alice: provisioning.Account
    poll: waiting.Poll

    def shell(self, command: str) -> str:
        return self.stand.shell(self.relay.host, command)

    def keeps(self, recipient: str) -> dict[str, str]:
        """Return what must outlive an image; of the queue, what is for *recipient*.

        Other mail may wait there for a while, and leave.
        """
        hashes = {path: self.shell(f"sha256sum < {path}") for path in KEPT}
        queue = self.shell(f"exiqgrep -i -r {recipient}").split()
        shown = self.api.read(mail.instance_path(self.instance))
        return {**hashes, "queue": " ".join(sorted(queue)), "dkim": shown["dkim_public_key"]}

    def _root(self) -> str:
        try:
            return self.shell(f"ls {MARK} 2>/dev/null; true").strip()
        except AssertionError as error:
            return repr(error)  # it is off

    def move(self, version: str, image: str) -> None:
        """Ask for a version by its URI; return when a machine of that image serves."""
        self.shell(f"touch {MARK}")
        changed = self.api.expect(
            200, "PATCH", mail.instance_path(self.instance), {"version": version}
        )
        assert changed["image"] == image
        self.poll.until("the node has another root", self._root, lambda found: found == "")
        self.poll.until(
            "the relay is back",
            lambda: self.relay.try_login(self.alice.address, self.alice.password),
            lambda found: found == submission.OK,
        )
        provisioning.wait_active(self.api, self.instance, self.poll)


@pytest.fixture
def machine(
    stand: stand_control.Stand,
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    alice: provisioning.Account,
    poll: waiting.Poll,
) -> Machine:
    return Machine(stand, owner, instance, relay, alice, poll)


@pytest.fixture(params=["previous", "release"], ids=["the release before", "the next release"])
def other(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return a release whose image is not that of the sources."""
    found: dict[str, str] = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def other_version(
    administrator: iam.Session, url: str, other: dict[str, str]
) -> tp.Iterator[rest.Json]:
    """Return a second version of the catalogue, with the image of the other release."""
    platform = administrator.api(url)
    body = {"name": f"other-{uuid.uuid4().hex[:8]}", "image": other["image"]}
    made = platform.create(mail.VERSIONS, body)
    yield made
    platform.delete(f"{mail.VERSIONS}{made['uuid']}")


def succeeded_last(outcomes: traffic.Outcomes) -> bool:
    """Return whether the last attempt succeeded."""
    return bool(outcomes.found) and outcomes.found[-1][1] is None


@pytest.fixture
def far_domain(internet: internet_client.Client) -> tp.Iterator[str]:
    """Return a domain whose mail exchanger cannot be reached, as long as it has records."""
    domain = f"far-{uuid.uuid4().hex[:8]}.example.net"
    internet.publish(f"mx.{domain}", "A", NOWHERE)
    internet.publish(domain, "MX", f"10 mx.{domain}.")
    yield domain
    for name in {domain, f"mx.{domain}"} & internet.records().keys():
        internet.withdraw(name)


def test_a_new_image_reaches_an_instance_and_costs_no_mail_no_key_and_no_account(
    machine: Machine,
    other_version: rest.Json,
    far_domain: str,
    internet: internet_client.Client,
    other: dict[str, str],
    record_property: tp.Callable[[str, object], None],
) -> None:
    owner, alice = machine.api, machine.alice
    recipient = f"bob@{far_domain}"
    composed = submission.message(alice.address, recipient)
    with machine.relay.logged_in(alice.address, alice.password) as client:
        assert submission.transact(client, alice.address, recipient, composed) == 250
    machine.poll.until(
        "the message waits in the queue",
        lambda: machine.shell(f"exim4 -bp | grep -c {recipient}; true").strip(),
        lambda found: found == "1",
    )
    before = owner.read(mail.instance_path(machine.instance))
    kept = machine.keeps(recipient)
    sender = traffic.Sender(machine.relay, alice.address, alice.password, RECIPIENT)

    # There and back: a release that disappoints must cost no more than one that pleases.
    for direction, version, image in (
        ("forth", f"{mail.VERSIONS}{other_version['uuid']}", other["image"]),
        ("back", before["version"], owner.read(before["version"])["image"]),
    ):
        with traffic.repeated(sender.send) as sent:
            machine.move(version, image)
            # An attempt that began while the machine was off may fail after all this.
            machine.poll.until("mail is sent again", functools.partial(succeeded_last, sent))
        record_property(f"gap_{direction}_seconds", round(sent.longest_gap, 1))
        assert machine.keeps(recipient) == kept
        find = "import importlib.metadata as m; print(m.version('exordos_paas_mail'))"
        running = machine.shell(f'/opt/exordos_paas_mail/bin/python -c "{find}"').strip()
        assert (running in other["wheel"]) == (direction == "forth")

    for subject in sender.accepted:
        assert internet.wait_for_message(RECIPIENT, subject)["verdict"]["dkim"] == "pass"
    (queued,) = machine.shell(f"exiqgrep -i -r {recipient}").split()
    internet.withdraw(far_domain)
    machine.shell(f"exim4 -M {queued}")
    arrived = internet.wait_for_message(recipient, composed["Subject"])
    assert arrived["verdict"]["dkim"] == "pass"
