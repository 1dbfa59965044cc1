# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Further domains of an instance: proven in DNS, checked there, their keys replaced."""

from __future__ import annotations

import dataclasses
import subprocess
import typing as tp
import uuid

import pytest

from clients import internet as internet_client
from clients import mail, rest, waiting, zones
from exordos_paas_mail.tests.functional import provisioning, submission

if tp.TYPE_CHECKING:
    import pathlib

    from clients import iam

BOB = "bob@example.net"
ACCEPTED = 250
REFUSED = 553
PASSED = {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
PURPOSES = ("spf", "dkim", "dmarc")
OK = dict.fromkeys(PURPOSES, "OK")


class Domain:
    """A further domain of the shared instance, as its owner and one of its accounts have it."""

    def __init__(
        self,
        owner: rest.Api,
        instance: rest.Json,
        name: str,
        relay: submission.Relay,
        account: provisioning.Account,
        poll: waiting.Poll,
    ) -> None:
        """Add the domain *name*; ``remove`` takes it away."""
        self._owner, self._relay, self._account, self._poll = owner, relay, account, poll
        self.name = name
        self.sender = f"{account.username}@{name}"
        self.made = owner.create(mail.domains_path(instance), {"domain": name})
        self.path = f"{mail.domains_path(instance)}{self.made['uuid']}"

    def read(self) -> rest.Json:
        return self._owner.read(self.path)

    def records(self) -> list[rest.Json]:
        return self._owner.list(f"{self.path}/records/")

    def statuses(self) -> dict[str, str]:
        """Return the statuses of its records by purpose, while it has one key."""
        return {record["purpose"]: record["status"] for record in self.records()}

    def record(self, purpose: str) -> rest.Json:
        (found,) = (record for record in self.records() if record["purpose"] == purpose)
        return found

    def keys(self) -> dict[str, str]:
        """Return the states of its keys by selector."""
        return {
            key["selector"]: key["state"] for key in self._owner.list(f"{self.path}/dkim_keys/")
        }

    def invoke(self, action: str) -> int:
        """Return the status code of an action."""
        return self._owner.call("POST", f"{self.path}/actions/{action}/invoke").status_code

    def wait_statuses(self, **expected: str) -> None:
        """Return once the records of these purposes have these statuses."""
        self._poll.until(
            f"the records of {self.name} are {expected}",
            self.statuses,
            lambda found: expected.items() <= found.items(),
        )

    def wait(self, **expected: str) -> None:
        """Return once the domain says *expected*."""
        self._poll.until(
            f"{self.name} is {expected}", self.read, lambda it: expected.items() <= it.items()
        )

    def answer(self) -> tuple[int, str]:
        """Return the relay's answer to MAIL of an address of the domain."""
        with self._relay.logged_in(self._account.address, self._account.password) as client:
            code, text = client.mail(self.sender)
        return code, text.decode()

    def wait_answer(self, code: int, text: str = "") -> str:
        """Return the answer to MAIL once it has *code* and *text*: the node learns of a change."""
        _, found = self._poll.until(
            f"MAIL of {self.sender} is answered with {code} {text}",
            self.answer,
            lambda it: it[0] == code and text in it[1],
        )
        return found

    def deliver(self, world: internet_client.Client) -> rest.Json:
        """Send a message of an address of the domain; return what its receiver makes of it."""
        composed = submission.message(self.sender, BOB)
        with self._relay.logged_in(self._account.address, self._account.password) as client:
            assert submission.transact(client, self.sender, BOB, composed) == ACCEPTED
        verdict: rest.Json = world.wait_for_message(BOB, composed["Subject"])["verdict"]
        return verdict

    def remove(self) -> None:
        self._owner.delete(self.path)


@dataclasses.dataclass(frozen=True)
class Verified:
    """A domain that became VERIFIED in a zone of its owner's, and what was seen on the way."""

    domain: Domain
    zone: zones.Zone
    refusal: str
    """What the relay said to MAIL before."""
    wrong: rest.Json
    """The SPF record while the zone had one that let nobody send."""
    checks: tuple[int, int]
    """The answers to two calls of ``check`` on end."""


@pytest.fixture(scope="module")
def add(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    alice: provisioning.Account,
    poll: waiting.Poll,
) -> tp.Iterator[tp.Callable[[str], Domain]]:
    """Return what adds a domain to the shared instance."""
    made: list[Domain] = []

    def _add(name: str) -> Domain:
        made.append(Domain(owner, instance, name, relay, alice, poll))
        return made[-1]

    yield _add
    for domain in made:
        domain.remove()


@pytest.fixture(scope="module")
def verified(
    owner_session: iam.Session,
    world: internet_client.Client,
    add: tp.Callable[[str], Domain],
) -> tp.Iterator[Verified]:
    with provisioning.zone(owner_session.api(), world) as zone:
        domain = add(zone.name)
        # Core's public servers are silent about a zone that they do not know yet.
        domain.wait_statuses(**dict.fromkeys(PURPOSES, "MISSING"))
        refusal = domain.wait_answer(REFUSED, domain.record("dkim")["name"])
        wrong = zone.add("TXT", "@", "v=spf1 -all")
        domain.wait_statuses(spf="MISMATCH")
        told = domain.record("spf")
        zone.remove(wrong)
        zone.add("TXT", "@", told["suggestion"])
        for purpose in ("dkim", "dmarc"):
            record = domain.record(purpose)
            zone.add("TXT", record["name"].removesuffix(f".{zone.name}"), record["value"])
        checks = domain.invoke("check"), domain.invoke("check")
        domain.wait(status="VERIFIED", dns_status="OK")
        domain.wait_answer(ACCEPTED)
        yield Verified(domain, zone, refusal, told, checks)


def test_a_domain_waits_for_its_key_and_is_told_what_is_missing(
    verified: Verified, instance: rest.Json
) -> None:
    made, (address,) = verified.domain.made, instance["ipsv4"]
    assert (made["status"], made["primary"], made["dns_status"]) == ("PENDING", False, "INCOMPLETE")
    assert f"{verified.domain.name} is not verified yet" in verified.refusal
    assert verified.wrong["found"] == ["v=spf1 -all"]
    assert verified.wrong["suggestion"] == f"v=spf1 ip4:{address} -all"
    assert verified.checks == (200, 429)
    assert verified.domain.statuses() == OK
    assert {s["name"] for s in verified.domain.record("dkim")["servers"]} == set(
        internet_client.CLOUD_SERVERS
    )


def test_mail_of_a_further_domain_is_signed_by_it_and_passes_every_check(
    verified: Verified, world: internet_client.Client
) -> None:
    verdict = verified.domain.deliver(world)
    assert {key: verdict[key] for key in PASSED} == PASSED, verdict
    selector = verified.domain.read()["dkim_selector"]
    assert [(it["domain"], it["selector"]) for it in verdict["signatures"]] == [
        (verified.domain.name, selector)
    ]


def test_the_zone_file_of_a_domain_is_taken_by_bind(
    verified: Verified, owner: rest.Api, tmp_path: pathlib.Path
) -> None:
    answer = owner.call("GET", f"{verified.domain.path}/actions/zone_file")
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (
        200,
        "text/plain",
    )
    name, file = verified.domain.name, tmp_path / "zone"
    file.write_text(
        f"$TTL 300\n@ IN SOA ns.{name}. hostmaster.{name}. 1 60 60 3600 60\n"
        f"@ IN NS ns.{name}.\nns IN A 192.0.2.1\n{answer.text}"
    )
    taken = subprocess.run(
        ["named-checkzone", "-D", name, str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    for record in verified.domain.records():
        assert f"{record['name']}." in taken.stdout


def wait_told(domain: Domain, told: str, poll: waiting.Poll) -> None:
    """Return once the checker has been answered so by every server."""
    poll.until(
        f"the servers of {domain.name}: {told}",
        lambda: [server["answer"] for server in domain.record("dkim")["servers"]],
        lambda found: bool(found) and all(told in answer for answer in found),
    )


def test_servers_that_fail_change_nothing_and_a_key_that_is_gone_stops_no_mail(
    verified: Verified, world: internet_client.Client, poll: waiting.Poll
) -> None:
    domain, zone = verified.domain, verified.zone
    first, second = internet_client.CLOUD_SERVERS
    # The world and the zone name the second server alone, which can be broken.
    (row,) = (row for row in zone.rows() if row["record"].get("content") == f"{first}.")
    zone.remove(row)
    world.publish(zone.name, "NS", f"{second}.")
    faults: dict[str, dict[str, tp.Any]] = {
        "fails": {"rcode": "SERVFAIL"},
        "does not answer": {"silent": True},
    }
    for told, fault in faults.items():
        world.break_secondary(zone.name, **fault)
        wait_told(domain, told, poll)
        assert domain.statuses() == dict.fromkeys(PURPOSES, "ERROR")
        shown = domain.read()
        assert (shown["status"], shown["error"], shown["dns_status"]) == ("VERIFIED", "", "OK")
    world.break_secondary(zone.name, answers={domain.record("dkim")["name"]: {}})
    domain.wait_statuses(spf="OK", dkim="MISSING", dmarc="OK")
    domain.wait(status="DEGRADED", dns_status="INCOMPLETE")
    assert "the domain stops sending at" in domain.read()["error"]
    assert domain.answer()[0] == ACCEPTED
    world.repair_secondary(zone.name)
    domain.wait(status="VERIFIED", dns_status="OK", error="")


def test_a_key_is_replaced_once_its_successor_is_seen(
    add: tp.Callable[[str], Domain], world: internet_client.Client, poll: waiting.Poll
) -> None:
    # A zone of the world's, where nobody remembers that a name was not there.
    domain = add(f"{uuid.uuid4().hex[:10]}.example")
    domain.wait_statuses(**dict.fromkeys(PURPOSES, "MISSING"))
    for record in domain.records():
        world.publish(record["name"], "TXT", record["value"])
    try:
        domain.wait(status="VERIFIED", dns_status="OK")
        domain.wait_answer(ACCEPTED)
        (old,) = domain.keys()
        assert (domain.invoke("rotate"), domain.invoke("rotate")) == (200, 409)
        (new,) = domain.keys().keys() - {old}
        name = f"{new}._domainkey.{domain.name}"
        (record,) = poll.until(
            "the record of the new key",
            lambda: [record for record in domain.records() if record["name"] == name],
        )
        assert domain.deliver(world)["signatures"][0]["selector"] == old
        world.publish(name, "TXT", record["value"])
        poll.until(
            "the new key signs in the place of the old one",
            domain.keys,
            lambda found: found == {old: "RETIRING", new: "ACTIVE"},
        )
        poll.until(
            "the relay signs with the new key",
            lambda: domain.deliver(world),
            lambda verdict: (
                [(it["selector"], it["result"]) for it in verdict["signatures"]] == [(new, "pass")]
            ),
        )
        # What the old key signed may still be on its way.
        assert f"{old}._domainkey.{domain.name}" in {r["name"] for r in domain.records()}
    finally:
        for record in domain.records():
            world.withdraw(record["name"])


def test_what_the_owner_of_an_instance_was_told_to_publish_is_right(
    internet: internet_client.Client, instance: rest.Json, owner: rest.Api, poll: waiting.Poll
) -> None:
    del internet
    (primary,) = owner.list(mail.domains_path(instance), primary="true")
    path = f"{mail.domains_path(instance)}{primary['uuid']}"
    owner.expect(200, "POST", f"{path}/actions/check/invoke")
    poll.until(
        "all records of the primary domain are right",
        lambda: {r["purpose"]: r["status"] for r in owner.list(f"{path}/records/")},
        lambda found: found == {**OK, "a": "OK", "ptr": "OK"},
    )
    assert owner.read(path)["dns_status"] == "OK"
