# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Domains whose records the control plane keeps in Core's DNS."""

from __future__ import annotations

import typing as tp

import pytest

from clients import mail, zones
from exordos_paas_mail.tests.functional import provisioning, submission

if tp.TYPE_CHECKING:
    from clients import iam, rest, waiting
    from clients import internet as internet_client

BOB = "bob@example.net"
ACCEPTED = 250
REFUSED = 553
CORE = {"kind": "core"}
PASSED = {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
DMARC = "v=DMARC1; p=quarantine"


@pytest.fixture
def zone(owner_session: iam.Session, world: internet_client.Client) -> tp.Iterator[zones.Zone]:
    with provisioning.zone(owner_session.api(), world) as made:
        yield made


class Published:
    """A domain of the shared instance that the control plane publishes."""

    def __init__(self, owner: rest.Api, instance: rest.Json, poll: waiting.Poll, name: str) -> None:
        self._owner, self._instance, self._poll = owner, instance, poll
        self.name = name
        self.made = owner.create(mail.domains_path(instance), {"domain": name, "dns": CORE})
        self.path = f"{mail.domains_path(instance)}{self.made['uuid']}"

    def read(self) -> rest.Json:
        return self._owner.read(self.path)

    def records(self) -> dict[str, rest.Json]:
        """Return its records by purpose."""
        return {record["purpose"]: record for record in self._owner.list(f"{self.path}/records/")}

    def values(self) -> list[str]:
        """Return what its records are, as a zone tells its rows."""
        return sorted(f"{it['name']} {it['type']} {it['value']}" for it in self.records().values())

    def wait(self, **expected: tp.Any) -> None:
        """Return once the domain says *expected*."""
        self._poll.until(
            f"{self.name} is {expected}", self.read, lambda it: expected.items() <= it.items()
        )

    def wait_rows(self, zone: zones.Zone, expected: tp.Callable[[], list[str]]) -> None:
        """Return once *zone* has the rows that are *expected*, beside its name servers."""
        self._poll.until(
            f"the rows of {zone.name}",
            lambda: (rows(zone), expected()),
            lambda found: found[0] == found[1],
        )

    def put_right(self) -> None:
        """Ask for a check, which looks after the rows too."""
        self._owner.expect(200, "POST", f"{self.path}/actions/check/invoke")

    def remove(self) -> None:
        self._owner.delete(self.path)


def rows(zone: zones.Zone) -> list[str]:
    """Return the rows of *zone*, but for its name servers."""
    return [value for value in zone.values() if " NS " not in value]


@pytest.fixture
def publish(
    owner: rest.Api, instance: rest.Json, poll: waiting.Poll
) -> tp.Iterator[tp.Callable[[str], Published]]:
    """Return what adds a domain to the shared instance, to be published."""
    made: list[Published] = []

    def _publish(name: str) -> Published:
        made.append(Published(owner, instance, poll, name))
        return made[-1]

    yield _publish
    for domain in made:
        answer = owner.call("DELETE", domain.path)
        assert answer.status_code in {204, 404}, answer.text


def test_a_domain_in_a_zone_of_its_project_sends_without_a_hand_in_dns(
    zone: zones.Zone,
    publish: tp.Callable[[str], Published],
    relay: submission.Relay,
    alice: provisioning.Account,
    world: internet_client.Client,
    poll: waiting.Poll,
) -> None:
    domain = publish(zone.name)
    assert domain.made["dkim_rotation_days"] == 180
    domain.wait(status="VERIFIED", dns_status="OK")
    domain.wait_rows(zone, domain.values)
    sender = f"{alice.username}@{zone.name}"

    def answer() -> int:
        with relay.logged_in(alice.address, alice.password) as client:
            return client.mail(sender)[0]

    poll.until("the relay sends for the domain", answer, ACCEPTED.__eq__)
    composed = submission.message(sender, BOB)
    with relay.logged_in(alice.address, alice.password) as client:
        assert submission.transact(client, sender, BOB, composed) == ACCEPTED
    verdict = world.wait_for_message(BOB, composed["Subject"])["verdict"]
    assert {key: verdict[key] for key in PASSED} == PASSED, verdict
    assert [it["domain"] for it in verdict["signatures"]] == [zone.name]

    (row,) = (row for row in zone.rows() if row["name"] == f"_dmarc.{zone.name}")
    zone.change(row, record={"kind": "TXT", "name": "_dmarc", "content": "v=DMARC1; p=none"})
    domain.put_right()
    domain.wait_rows(zone, domain.values)

    kept = zone.add("TXT", "other", "somebody else's")
    domain.remove()
    poll.until("the rows are withdrawn", lambda: rows(zone), lambda it: len(it) == 1)
    assert kept["uuid"] in {row["uuid"] for row in zone.rows()}


def test_a_row_of_somebody_else_is_a_conflict_and_stays(
    zone: zones.Zone, publish: tp.Callable[[str], Published], poll: waiting.Poll
) -> None:
    foreign = zone.add("TXT", "@", "v=spf1 -all")
    domain = publish(zone.name)
    found = poll.until(
        "the record is a conflict",
        domain.records,
        lambda it: "spf" in it and it["spf"]["status"] == "CONFLICT",
    )
    assert "not this instance's: v=spf1 -all" in found["spf"]["detail"]
    domain.wait(status="VERIFIED", dns_status="BROKEN")
    (row,) = (row for row in zone.rows() if row["type"] == "TXT" and row["name"] == zone.name)
    assert (row["uuid"], row["record"]["content"]) == (foreign["uuid"], "v=spf1 -all")


def test_a_zone_of_another_project_is_not_written_to(
    stranger_session: iam.Session,
    world: internet_client.Client,
    publish: tp.Callable[[str], Published],
    poll: waiting.Poll,
) -> None:
    with provisioning.zone(stranger_session.api(), world) as zone:
        before = zone.values()
        domain = publish(f"mail.{zone.name}")
        denied = f"Core DNS has no zone {zone.name} in this project"
        poll.until(
            "the owner is told",
            domain.records,
            lambda it: bool(it) and all(denied in r["detail"] for r in it.values()),
        )
        assert domain.read()["status"] == "PENDING"
        assert zone.values() == before
