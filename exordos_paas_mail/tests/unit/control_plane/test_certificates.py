# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates that Core issues for relays: asked for, taken over, renewed and withdrawn."""

from __future__ import annotations

import datetime
import logging
import threading
import typing as tp
import uuid as sys_uuid

import pytest

from clients import issuing
from exordos_paas_mail import utils
from exordos_paas_mail.codecs import tls_document, tls_reports
from exordos_paas_mail.control_plane.certificates import core_certificates, keeper
from exordos_paas_mail.control_plane.dns import core_zones
from exordos_paas_mail.control_plane.documents import tls as documents
from exordos_paas_mail.control_plane.reconcile import core as core_client
from exordos_paas_mail.control_plane.records import tls_facts, tls_orders
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core

HOSTNAME: tp.Final = "mail.example.com"
ACME: tp.Final = {"kind": "acme"}
SELF_SIGNED: tp.Final = {"kind": "self_signed"}
CA = issuing.Authority()


class Desk:
    """An instance, its keeper, Core and the clock, as far as a test moves them."""

    def __init__(self, api: api_client.Client, core: fake_core.FakeCore) -> None:
        self.api, self.core = api, core
        client = core_client.unscoped_client(fake_core.USERNAME, fake_core.PASSWORD, core.url)
        self.keeper = keeper.Keeper(
            core_certificates.Certificates(client), core_zones.Zones(client)
        )
        core.add_zone("example.com", api.project_id, "public")

    def pass_(self) -> list[str]:
        """Make a pass; return what Core's secret service was asked for."""
        self.core.requests.clear()
        self.keeper.run_once()
        return [method for method, path in self.core.requests if "/secret/" in path]

    def hurry(self, **past: float) -> None:
        """Let the time of the next look come, and let time go by for all orders."""
        gone = datetime.timedelta(**past)
        with utils.transaction() as session:
            session.execute(
                "UPDATE mail_tls_orders SET next_at = now() AT TIME ZONE 'UTC', since = since - %s,"
                " asked_at = asked_at - %s, renew_at = renew_at - %s, retry_at = retry_at - %s,"
                " withdraw_at = NULL",
                (gone, gone, gone, gone),
            )

    def issue(self, uuid: str, *names: str, **more: tp.Any) -> issuing.Issued:
        issued = CA.issue(*(names or self.core.certificates[uuid]["domains"]), **more)
        self.core.issue(uuid, issued.chain, issued.key)
        return issued

    def domains(self) -> dict[str, str]:
        """Return the names of what Core has, or is to issue, and its uuid."""
        return {" ".join(each["domains"]): uuid for uuid, each in self.core.certificates.items()}

    def publish(self, instance: str, *names: str) -> None:
        """Have *names* be domains of *instance* that Core publishes and others find."""
        for name in names:
            self.api.domain(instance, name, dns={"kind": "core"})
        with utils.transaction() as session:
            session.execute(
                "UPDATE mail_domains SET dns_status = 'OK' WHERE domain = ANY (%s)", ([*names],)
            )

    def settle(self, instance: str, uuid: str) -> None:
        """Have Core issue *uuid*, and the node serve it, until nothing is to be done."""
        self.issue(uuid, ends=90 * issuing.DAY)
        self.hurry()
        self.pass_()
        self.serve(instance)
        self.pass_()

    def ends(self, days: float) -> None:
        """Have what is served end in so many *days*."""
        with utils.transaction() as session:
            session.execute(
                "UPDATE mail_instances SET tls_expires_at = now() AT TIME ZONE 'UTC' + %s",
                (datetime.timedelta(days=days),),
            )

    def only(self) -> str:
        (uuid,) = self.core.certificates
        return uuid

    def told(self, instance: str) -> tuple[str, str] | None:
        """Return the pair that the node is told."""
        with utils.transaction() as session:
            content = documents.content(session, uuid_of(instance), tls_document.SHARD)
        return tls_document.parse(content).pair

    def serve(self, instance: str) -> None:
        """Have the node tell that it serves what it is told."""
        pair = self.told(instance)
        chain = pair[0] if pair else issuing.self_signed(HOSTNAME).chain
        report = tls_reports.Report(chain, pair is not None, "")
        with utils.transaction() as session:
            tls_facts.take_over(session, uuid_of(instance), report)

    def facts(self, instance: str) -> tuple[str, str]:
        found = self.api.get(instance)
        return found["tls_status"], found["tls_error"]

    def served(self, **more: tp.Any) -> tuple[str, str]:
        """Return an instance that serves, and the uuid of its certificate at Core."""
        instance = self.api.instance(tls=ACME)
        self.pass_()
        uuid = self.only()
        self.issue(uuid, **more)
        self.hurry()
        self.pass_()
        self.serve(instance)
        return instance, uuid


@pytest.fixture
def desk(api: api_client.Client, core: fake_core.FakeCore) -> Desk:
    return Desk(api, core)


def uuid_of(instance: str) -> sys_uuid.UUID:
    return sys_uuid.UUID(instance.rpartition("/")[2])


def orders() -> int:
    with utils.transaction() as session:
        (row,) = session.execute("SELECT count(*) FROM mail_tls_orders").fetchall()
    return int(row["count"])


def test_a_certificate_is_asked_for_taken_over_and_then_let_alone(desk: Desk) -> None:
    instance = desk.api.instance(tls=ACME)
    assert desk.pass_() == ["POST"]
    asked = desk.core.certificates[desk.only()]
    assert {
        name: asked[name] for name in ("name", "project_id", "email", "domains", "method", "tags")
    } == {
        "name": f"mailaas {HOSTNAME}",
        "project_id": desk.api.project_id,
        "email": f"postmaster@{HOSTNAME}",
        "domains": [HOSTNAME],
        "method": {"kind": "dns_core"},
        "tags": [f"mailaas:{uuid_of(instance)}"],
    }
    assert (desk.pass_(), desk.facts(instance)) == ([], ("PENDING", ""))
    desk.hurry()
    assert (desk.pass_(), desk.told(instance)) == (["GET"], None)
    issued = desk.issue(desk.only())
    desk.hurry()
    assert (desk.pass_(), desk.told(instance)) == (["GET"], (issued.chain, issued.key))
    desk.serve(instance)
    assert desk.facts(instance) == ("ACTIVE", "")
    assert desk.pass_() == []
    # Its owner may change it at Core.
    renewed = desk.issue(desk.only(), ends=200 * issuing.DAY)
    desk.hurry()
    assert (desk.pass_(), desk.told(instance)) == (["GET"], (renewed.chain, renewed.key))
    assert "PRIVATE KEY" not in desk.api.call("GET", instance).text


def test_what_is_served_and_asked_for_by_nobody_is_withdrawn_at_core(desk: Desk) -> None:
    instance, uuid = desk.served()
    desk.api.patch(instance, {"tls": SELF_SIGNED})
    # The node has not said yet that it serves another.
    assert (desk.pass_(), desk.only()) == ([], uuid)
    desk.serve(instance)
    assert (desk.pass_(), desk.core.certificates) == (["GET", "DELETE"], {})
    assert desk.pass_() == []
    desk.hurry(hours=2)
    desk.pass_()
    assert orders() == 0


@pytest.mark.parametrize("whose", ["its own", "a sibling"])
def test_what_is_served_as_a_certificate_of_cores_is_not_withdrawn(desk: Desk, whose: str) -> None:
    instance, uuid = desk.served()
    by_uuid = {"kind": "core", "certificate": uuid}
    if whose == "its own":
        desk.api.patch(instance, {"tls": by_uuid})
        user = instance
    else:
        user = desk.api.instance(domain="mx.example.com", hostname=HOSTNAME, tls=by_uuid)
        desk.pass_()
        desk.serve(user)
        desk.api.delete(instance)
    desk.hurry()
    assert desk.pass_() == ["GET"]
    desk.serve(user)
    # Core renews it in place: what the order came to is served no more.
    renewed = desk.issue(uuid, ends=200 * issuing.DAY)
    desk.hurry()
    assert (desk.pass_(), desk.told(user)) == (["GET"], (renewed.chain, renewed.key))
    desk.serve(user)
    desk.hurry()
    assert (desk.pass_(), desk.only()) == (["GET"], uuid)
    desk.api.patch(user, {"tls": SELF_SIGNED})
    desk.serve(user)
    desk.pass_()
    assert desk.core.certificates == {}


def test_what_is_asked_for_again_during_a_pass_is_not_withdrawn(desk: Desk) -> None:
    first, _ = desk.served()
    before = {*desk.core.certificates}
    second = desk.api.instance(domain="mx.example.com", hostname="mx.example.com", tls=ACME)
    desk.pass_()
    (uuid,) = desk.core.certificates.keys() - before
    for instance in (first, second):
        desk.api.patch(instance, {"tls": SELF_SIGNED})
        desk.serve(instance)
    kept: list[str] = []

    def ask_again(method: str, path: str) -> None:
        if method == "DELETE" and not kept:
            (other,) = {*desk.core.certificates} - {path.rstrip("/").rpartition("/")[2]}
            kept.append(other)
            desk.api.patch(second if other == uuid else first, {"tls": ACME})

    desk.core.before = ask_again
    desk.pass_()
    assert [*desk.core.certificates] == kept != []


@pytest.mark.parametrize("stage", ["asked for", "served"])
def test_the_certificate_of_an_instance_goes_with_it(desk: Desk, stage: str) -> None:
    if stage == "served":
        instance, _ = desk.served()
    else:
        instance = desk.api.instance(tls=ACME)
        desk.pass_()
    theirs = desk.core.add_certificate(desk.api.project_id, "www.example.com")
    desk.api.delete(instance)
    desk.pass_()
    assert desk.only() == theirs


def test_a_certificate_is_replaced_31_days_before_its_end_and_the_old_one_then_goes(
    desk: Desk,
) -> None:
    instance, old = desk.served(ends=90 * issuing.DAY)
    before = desk.told(instance)
    desk.hurry(days=58)
    assert desk.pass_() == ["GET"]
    desk.hurry(days=2)
    assert (desk.pass_(), len(desk.core.certificates)) == (["POST"], 2)
    (new,) = desk.core.certificates.keys() - {old}
    assert desk.told(instance) == before
    issued = desk.issue(new)
    desk.hurry()
    assert desk.pass_() == ["GET"]
    assert desk.told(instance) == (issued.chain, issued.key)
    # Until the node says so the old one is what clients see.
    assert desk.pass_() == []
    desk.serve(instance)
    assert (desk.pass_(), desk.only()) == (["GET", "DELETE"], new)
    assert desk.facts(instance) == ("ACTIVE", "")


def test_a_certificate_of_a_few_days_is_not_asked_for_all_the_time(desk: Desk) -> None:
    desk.served(ends=6 * issuing.DAY)
    desk.hurry(days=1)
    assert desk.pass_() == ["GET"]
    desk.hurry(days=1)
    assert desk.pass_() == ["POST"]


def test_a_clock_that_is_set_back_has_nothing_asked_for_again_and_again(desk: Desk) -> None:
    _, old = desk.served(ends=90 * issuing.DAY)
    with utils.transaction() as session:
        session.execute("UPDATE mail_tls_orders SET created_at = created_at + interval '1 day'")
    desk.hurry(days=60)
    assert desk.pass_() == ["POST"]
    (new,) = desk.core.certificates.keys() - {old}
    assert desk.pass_() == []
    desk.hurry()
    assert (desk.pass_(), {*desk.core.certificates}) == (["GET"], {old, new})


def test_a_clock_that_is_set_back_puts_nothing_off(desk: Desk) -> None:
    desk.served()
    assert desk.pass_() == []
    with utils.transaction() as session:
        session.execute("UPDATE mail_tls_orders SET next_at = next_at + interval '1 day'")
    assert desk.pass_() == ["GET"]
    assert desk.pass_() == []


def test_another_hostname_has_another_certificate(desk: Desk) -> None:
    instance, old = desk.served()
    # No client takes what is served meanwhile.
    answered = desk.api.patch(instance, {"hostname": "smtp.example.com"})
    assert (answered["tls_status"], desk.facts(instance)) == ("PENDING", ("PENDING", ""))
    assert desk.pass_() == ["POST"]
    (new,) = desk.core.certificates.keys() - {old}
    assert desk.core.certificates[new]["domains"] == ["smtp.example.com"]
    desk.issue(new)
    desk.hurry()
    desk.pass_()
    desk.serve(instance)
    desk.pass_()
    assert (desk.only(), desk.facts(instance)) == (new, ("ACTIVE", ""))


def test_a_hostname_that_no_certificate_can_be_had_for_is_an_error(desk: Desk) -> None:
    instance, _ = desk.served()
    desk.api.patch(instance, {"hostname": "smtp.other.example"})
    assert desk.pass_() == []
    status, said = desk.facts(instance)
    assert (status, "smtp.other.example" in said) == ("ERROR", True)
    desk.api.patch(instance, {"hostname": None})
    assert desk.facts(instance)[0] == "ACTIVE"


def test_domains_that_core_publishes_and_others_find_are_named_too(desk: Desk) -> None:
    desk.core.add_zone("example.org", desk.api.project_id, "public")
    desk.core.add_zone("example.net", desk.api.of_other_project().project_id, "public")
    instance, old = desk.served()
    for domain, dns in (
        ("a.example.org", "core"),
        ("b.example.org", "core"),
        ("example.net", "core"),
    ):
        desk.api.domain(instance, domain, dns={"kind": dns})
    assert desk.pass_() == []
    with utils.transaction() as session:
        session.execute(
            "UPDATE mail_domains SET dns_status = 'OK'"
            " WHERE domain IN ('a.example.org', 'example.net')"
        )
    assert desk.pass_() == ["POST"]
    (new,) = desk.core.certificates.keys() - {old}
    assert desk.core.certificates[new]["domains"] == [HOSTNAME, "a.example.org"]
    desk.issue(new)
    desk.hurry()
    desk.pass_()
    desk.serve(instance)
    desk.pass_()
    assert desk.only() == new
    # What is not found for a while stays named.
    with utils.transaction() as session:
        session.execute("UPDATE mail_domains SET dns_status = 'BROKEN'")
    assert desk.pass_() == []
    (domain,) = (
        each["uuid"]
        for each in desk.api.get(f"{instance}/domains/")
        if each["domain"] == "a.example.org"
    )
    desk.api.delete(f"{instance}/domains/{domain}")
    assert desk.pass_() == ["POST"]
    (last,) = desk.core.certificates.keys() - {new}
    assert desk.core.certificates[last]["domains"] == [HOSTNAME]


def left_out(*names: str) -> str:
    return (
        f"Core has issued no certificate that names {', '.join(names)} too, and they are left out."
        " Each is asked for once more a day: is its zone in Core DNS public, do its NS records in"
        " the zone above lead to Core's name servers, and does no CAA record forbid the authority?"
    )


@pytest.mark.parametrize(
    ("begins", "ends", "ahead"),
    [
        pytest.param(-1, 90, 31, id="of three months"),
        pytest.param(-10, 35, 31, id="of six weeks, taken late"),
        pytest.param(-5, 16, 14.7, id="of three weeks, taken late"),
        pytest.param(-1, 5, 4.2, id="of some days"),
    ],
)
def test_a_certificate_is_renewed_before_it_says_that_this_is_late(
    desk: Desk, begins: float, ends: float, ahead: float
) -> None:
    desk.served(begins=begins * issuing.DAY, ends=ends * issuing.DAY)
    with utils.transaction() as session:
        (row,) = session.execute(
            "SELECT o.renew_at, i.tls, i.tls_certificate, i.tls_expires_at"
            " FROM mail_tls_orders o JOIN mail_instances i ON i.uuid = o.instance"
        ).fetchall()
    renew_at = utils.moment(row["renew_at"])
    assert utils.moment(row["tls_expires_at"]) - renew_at == ahead * issuing.DAY
    assert tls_facts._judge_end(row, renew_at, "") == ("ACTIVE", "")


def test_a_certificate_that_is_issued_old_is_not_asked_for_anew_all_the_time(desk: Desk) -> None:
    before = utils.now()
    desk.served(begins=-30 * issuing.DAY, ends=10 * issuing.DAY)
    after = utils.now()
    with utils.transaction() as session:
        (row,) = session.execute("SELECT renew_at FROM mail_tls_orders").fetchall()
    assert before <= utils.moment(row["renew_at"]) - issuing.DAY / 2 <= after


@pytest.fixture
def domains(desk: Desk) -> tuple[str, str]:
    """Return two names in a zone that an authority may find."""
    desk.core.add_zone("example.org", desk.api.project_id, "public")
    return "a.example.org", "b.example.org"


def test_a_domain_that_none_is_issued_for_keeps_none_from_the_hostname(
    desk: Desk, domains: tuple[str, str]
) -> None:
    a, b = domains
    instance = desk.api.instance(tls=ACME)
    desk.publish(instance, a, b)
    assert (desk.pass_(), [*desk.domains()]) == (["POST"], [f"{HOSTNAME} {a} {b}"])
    desk.hurry(minutes=20)
    assert desk.pass_() == ["GET"]
    desk.hurry(minutes=10)
    # What was asked for in vain is withdrawn, and the hostname asked for alone.
    desk.pass_()
    assert ([*desk.domains()], desk.facts(instance)) == ([HOSTNAME], ("PENDING", ""))
    desk.settle(instance, desk.only())
    assert desk.facts(instance) == ("ACTIVE", left_out(a, b))
    desk.hurry(hours=11)
    assert desk.pass_() == ["GET"]
    # Each of them once a day, and by itself.
    desk.hurry(hours=1)
    desk.pass_()
    assert [*desk.domains()] == [HOSTNAME, f"{HOSTNAME} {a}"]
    desk.hurry(minutes=30)
    desk.pass_()
    assert ([*desk.domains()], desk.facts(instance)) == ([HOSTNAME], ("ACTIVE", left_out(b, a)))
    desk.hurry(hours=12)
    desk.pass_()
    desk.settle(instance, desk.domains()[f"{HOSTNAME} {b}"])
    assert [*desk.domains()] == [f"{HOSTNAME} {b}"]
    assert desk.facts(instance) == ("ACTIVE", left_out(a))
    desk.hurry(hours=24)
    desk.pass_()
    desk.settle(instance, desk.domains()[f"{HOSTNAME} {a} {b}"])
    assert [*desk.domains()] == [f"{HOSTNAME} {a} {b}"]
    assert desk.facts(instance) == ("ACTIVE", "")
    desk.hurry(days=1)
    assert desk.pass_() == ["GET"]


def test_a_new_domain_that_none_is_issued_for_takes_nothing_of_what_is_served(
    desk: Desk, domains: tuple[str, str]
) -> None:
    a, b = domains
    instance, _ = desk.served(ends=90 * issuing.DAY)
    desk.publish(instance, a)
    desk.pass_()
    desk.settle(instance, desk.domains()[f"{HOSTNAME} {a}"])
    desk.publish(instance, b)
    desk.pass_()
    assert [*desk.domains()] == [f"{HOSTNAME} {a}", f"{HOSTNAME} {a} {b}"]
    desk.hurry(minutes=30)
    desk.pass_()
    assert [*desk.domains()] == [f"{HOSTNAME} {a}"]
    assert desk.facts(instance) == ("ACTIVE", left_out(b))
    # One more look changes nothing, and tells nothing.
    desk.hurry()
    assert (desk.pass_(), desk.facts(instance)) == (["GET"], ("ACTIVE", left_out(b)))
    # A domain that goes is no name of the next, nor is what was left out.
    (domain,) = (
        each["uuid"] for each in desk.api.get(f"{instance}/domains/") if each["domain"] == a
    )
    desk.api.delete(f"{instance}/domains/{domain}")
    desk.pass_()
    assert [*desk.domains()] == [f"{HOSTNAME} {a}", HOSTNAME]


@pytest.mark.parametrize("renewed", [True, False], ids=["by Core", "by nobody"])
def test_a_renewal_goes_without_a_domain_when_half_of_its_time_is_over(
    desk: Desk, domains: tuple[str, str], *, renewed: bool
) -> None:
    a, _ = domains
    instance = desk.api.instance(tls=ACME)
    desk.publish(instance, a)
    desk.pass_()
    old = desk.only()
    desk.settle(instance, old)
    desk.hurry(days=59.5)
    desk.ends(31)
    desk.pass_()
    assert [each["domains"] for each in desk.core.certificates.values()] == [[HOSTNAME, a]] * 2
    desk.hurry(days=14)
    # What is served is looked at meanwhile, and taken over where Core has renewed it.
    if renewed:
        issued = desk.issue(old)
    assert desk.pass_() == ["GET"] * 2
    desk.serve(instance)
    status, said = desk.facts(instance)
    assert (status, said[:37]) == ("ACTIVE", "Core has not issued a certificate for")
    if renewed:
        assert desk.told(instance) == (issued.chain, issued.key)
        desk.pass_()
        assert (desk.only(), desk.facts(instance)) == (old, ("ACTIVE", ""))
        return
    desk.ends(15)
    desk.hurry(days=2)
    desk.pass_()
    assert [*desk.domains()] == [f"{HOSTNAME} {a}", HOSTNAME]
    desk.settle(instance, desk.domains()[HOSTNAME])
    assert ([*desk.domains()], desk.facts(instance)) == ([HOSTNAME], ("ACTIVE", left_out(a)))


def test_a_certificate_of_the_hostname_before_takes_nobodys_place(
    desk: Desk, domains: tuple[str, str]
) -> None:
    a, _ = domains
    instance, _ = desk.served()
    desk.publish(instance, a)
    desk.api.patch(instance, {"hostname": "smtp.example.com"})
    desk.pass_()
    desk.hurry(minutes=30)
    desk.pass_()
    assert [*desk.domains()] == [HOSTNAME, "smtp.example.com"]
    desk.settle(instance, desk.domains()["smtp.example.com"])
    assert [*desk.domains()] == ["smtp.example.com"]
    assert desk.facts(instance) == ("ACTIVE", left_out(a))


def test_nothing_is_asked_for_in_a_zone_that_no_authority_finds(
    desk: Desk, domains: tuple[str, str]
) -> None:
    desk.core.zones.clear()
    desk.core.add_zone("example.com", desk.api.project_id)
    instance = desk.api.instance(tls=ACME)
    assert desk.pass_() == []
    assert desk.facts(instance) == (
        "ERROR",
        "the zone example.com in Core DNS is not public, and no authority finds it: give it the"
        ' tag "public" and delegate it, or choose another kind of tls',
    )
    desk.core.zones.clear()
    desk.core.add_zone("example.com", desk.api.project_id, "public")
    desk.core.add_zone("example.org", desk.api.project_id)
    desk.publish(instance, *domains)
    desk.hurry()
    assert (desk.pass_(), desk.facts(instance)) == (["POST"], ("PENDING", ""))
    assert [*desk.domains()] == [HOSTNAME]


def test_a_name_is_asked_for_in_the_zone_of_ones_own_project_alone(desk: Desk) -> None:
    desk.core.add_zone(HOSTNAME, desk.api.of_other_project().project_id, "public")
    instance = desk.api.instance(tls=ACME)
    assert desk.pass_() == []
    assert desk.facts(instance) == (
        "ERROR",
        f"Core DNS has no zone {HOSTNAME} in this project: make it there and delegate it,"
        " or choose another kind of tls",
    )
    assert desk.core.certificates == {}
    desk.core.zones.clear()
    desk.core.add_zone(HOSTNAME, desk.api.project_id, "public")
    desk.hurry()
    assert (desk.pass_(), desk.facts(instance)) == (["POST"], ("PENDING", ""))


def test_a_certificate_of_cores_is_served_as_long_as_it_is_of_the_same_project(desk: Desk) -> None:
    uuid = desk.core.add_certificate(desk.api.project_id, "*.example.com")
    instance = desk.api.instance(tls={"kind": "core", "certificate": uuid})
    assert (desk.pass_(), desk.facts(instance)) == (["GET"], ("PENDING", ""))
    issued = desk.issue(uuid)
    desk.hurry()
    desk.pass_()
    assert desk.told(instance) == (issued.chain, issued.key)
    desk.serve(instance)
    assert desk.facts(instance) == ("ACTIVE", "")
    # It changes hands: what is served stays, and what its new owner makes of it is not taken.
    desk.core.certificates[uuid]["project_id"] = desk.api.of_other_project().project_id
    desk.issue(uuid)
    desk.hurry()
    desk.pass_()
    assert desk.told(instance) == (issued.chain, issued.key)
    assert desk.facts(instance) == ("ACTIVE", f"Core has no certificate {uuid} in this project")
    # It is its owner's, whatever becomes of the instance.
    desk.api.delete(instance)
    assert (desk.pass_(), desk.only(), orders()) == ([], uuid, 1)
    desk.pass_()
    assert orders() == 0


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_another_projects_certificate_is_refused_as_one_that_is_not_there(
    desk: Desk, whose: str
) -> None:
    uuid = str(sys_uuid.uuid4())
    if whose == "a stranger's":
        uuid = desk.core.add_certificate(desk.api.of_other_project().project_id, HOSTNAME)
        desk.issue(uuid)
    instance = desk.api.instance(tls={"kind": "core", "certificate": uuid})
    assert desk.pass_() == ["GET"]
    assert desk.facts(instance) == ("ERROR", f"Core has no certificate {uuid} in this project")
    assert desk.told(instance) is None


def test_a_wrong_uuid_costs_core_a_request_less_and_less_often(desk: Desk) -> None:
    desk.api.instance(tls={"kind": "core", "certificate": str(sys_uuid.uuid4())})
    pauses = []
    for _ in range(10):
        assert desk.pass_() == ["GET"]
        assert desk.pass_() == []
        with utils.transaction() as session:
            (row,) = session.execute(
                "SELECT extract(epoch FROM next_at - now() AT TIME ZONE 'UTC') AS pause"
                " FROM mail_tls_orders"
            ).fetchall()
        pauses.append(float(row["pause"]))
        desk.hurry()
    assert pauses[0] < 7
    assert 300 < min(pauses[-2:]) <= max(pauses) < 721


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (["other.example.com"], {}, f"certificate does not name {HOSTNAME}"),
        ([HOSTNAME], {"ends": -issuing.DAY / 2}, "certificate has expired at"),
    ],
    ids=["wrong name", "expired"],
)
@pytest.mark.parametrize("kind", ["core", "acme"])
def test_what_clients_would_refuse_is_not_served(
    desk: Desk, kind: str, names: list[str], more: tp.Any, said: str
) -> None:
    instance, _ = desk.served()
    before = desk.told(instance)
    if kind == "core":
        uuid = desk.core.add_certificate(desk.api.project_id, *names)
        desk.api.patch(instance, {"tls": {"kind": "core", "certificate": uuid}})
    uuid = [*desk.core.certificates][-1]
    desk.issue(uuid, *names, **more)
    desk.hurry()
    desk.pass_()
    status, error = desk.facts(instance)
    assert (status, error[: len(said)]) == ({"core": "ERROR", "acme": "ACTIVE"}[kind], said)
    assert desk.told(instance) == before
    assert desk.pass_() == []


def test_a_pair_of_two_keys_is_not_served(desk: Desk) -> None:
    uuid = desk.core.add_certificate(desk.api.project_id, HOSTNAME)
    instance = desk.api.instance(tls={"kind": "core", "certificate": uuid})
    desk.core.issue(uuid, CA.issue(HOSTNAME).chain, CA.issue(HOSTNAME).key)
    desk.pass_()
    status, error = desk.facts(instance)
    assert (status, desk.told(instance)) == ("ERROR", None)
    assert error.startswith("private_key belongs to another certificate")


@pytest.mark.parametrize("silence", ["not issued", "away", "broken"])
def test_after_30_minutes_of_cores_silence_it_is_told_what_to_look_at(
    desk: Desk, silence: str
) -> None:
    instance = desk.api.instance(tls=ACME)

    def break_(_method: str, path: str) -> None:
        if "/secret/" in path and silence == "broken":
            raise fake_core.RefusedError(500, "Error", "Core's own")
        if "/secret/" in path and silence == "away":
            raise ConnectionAbortedError

    desk.core.before = break_
    desk.pass_()
    desk.hurry(minutes=20)
    desk.pass_()
    assert desk.facts(instance) == ("PENDING", "")
    desk.hurry(minutes=10)
    desk.pass_()
    status, error = desk.facts(instance)
    reason = {
        "not issued": " (its status at Core is NEW)",
        "away": " (Core does not answer)",
        "broken": " (Core refuses with 500)",
    }
    assert (status, error) == (
        "ERROR",
        f"Core has not issued a certificate for {HOSTNAME} within 30 minutes{reason[silence]}:"
        " is the zone in Core DNS public, do its NS records in the zone above lead to Core's name"
        " servers, and does no CAA record forbid the authority?",
    )
    desk.core.before = lambda _method, _path: None
    desk.hurry()
    desk.pass_()
    desk.issue(desk.only())
    desk.hurry()
    desk.pass_()
    desk.serve(instance)
    assert desk.facts(instance) == ("ACTIVE", "")


def test_one_that_core_fails_for_holds_up_no_other(desk: Desk) -> None:
    instances = [
        desk.api.instance(domain=f"m{number}.example.com", tls=ACME) for number in range(5)
    ]
    desk.pass_()
    uuids = {
        certificate["domains"][0]: uuid for uuid, certificate in desk.core.certificates.items()
    }
    for uuid in uuids.values():
        desk.issue(uuid)
    broken = uuids["m1.example.com"]
    desk.core.certificates[uuids["m2.example.com"]]["cert"] = "no certificate"
    del desk.core.certificates[uuids["m3.example.com"]]["status"]

    def break_(_method: str, path: str) -> None:
        if broken in path:
            raise fake_core.RefusedError(500, "Error", "Core's own")

    desk.core.before = break_
    desk.hurry()
    desk.pass_()
    assert [desk.told(instance) is not None for instance in instances] == [
        *(True, False, False, False, True)
    ]


def test_a_core_that_is_away_is_not_waited_for_by_each(desk: Desk) -> None:
    for number in range(6):
        desk.api.instance(domain=f"m{number}.example.com", tls=ACME)

    def break_(_method: str, path: str) -> None:
        if "/iam/" not in path:
            raise ConnectionAbortedError

    desk.core.before = break_
    desk.pass_()
    assert len([path for _, path in desk.core.requests if "/dns/" in path]) == 3
    desk.pass_()
    assert len([path for _, path in desk.core.requests if "/dns/" in path]) == 3


def test_an_order_that_core_took_before_the_end_of_a_pass_is_not_made_twice(desk: Desk) -> None:
    desk.api.instance(tls=ACME)
    desk.pass_()
    with utils.transaction() as session:
        session.execute("UPDATE mail_tls_orders SET asked_at = NULL")
    desk.hurry()
    assert desk.pass_() == ["POST"]
    desk.only()


def test_a_certificate_that_its_owner_takes_away_at_core_is_asked_for_anew(desk: Desk) -> None:
    instance, old = desk.served()
    before = desk.told(instance)
    del desk.core.certificates[old]
    desk.hurry()
    desk.pass_()
    assert desk.told(instance) == before
    assert (desk.pass_(), desk.only() == old) == (["POST"], False)


def test_a_kind_that_comes_back_is_served_again(desk: Desk) -> None:
    instance, uuid = desk.served()
    before = desk.told(instance)
    desk.api.patch(instance, {"tls": SELF_SIGNED})
    desk.api.patch(instance, {"tls": ACME})
    assert (desk.told(instance), desk.pass_()) == (None, ["GET"])
    assert (desk.told(instance), desk.only()) == (before, uuid)


def test_a_project_cannot_use_up_what_the_authority_gives(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_orders, "_OF_PROJECT_MAX", 2)
    instance = desk.api.instance(tls=ACME)
    for number in range(3):
        desk.api.patch(instance, {"hostname": f"m{number}.example.com"})
        desk.pass_()
    # What was withdrawn counts.
    assert [each["domains"] for each in desk.core.certificates.values()] == [["m1.example.com"]]
    assert desk.facts(instance)[1].startswith("too many certificates were asked for")
    other = desk.api.of_other_project()
    desk.core.add_zone("example.net", other.project_id, "public")
    other.instance(domain="example.net", tls=ACME)
    desk.hurry(minutes=61)
    desk.pass_()
    assert sorted(each["domains"][0] for each in desk.core.certificates.values()) == [
        *("example.net", "m2.example.com")
    ]


def test_an_instance_that_goes_meanwhile_is_no_error(desk: Desk) -> None:
    instance = desk.api.instance(tls=ACME)
    gone = threading.Event()

    def delete(method: str, path: str) -> None:
        if method == "POST" and "/secret/" in path and not gone.is_set():
            gone.set()
            desk.api.delete(instance)

    desk.core.before = delete
    desk.pass_()
    assert gone.is_set()
    desk.pass_()
    assert desk.core.certificates == {}


def test_nothing_of_a_key_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _, uuid = desk.served()
    key = desk.core.certificates[uuid]["key"].splitlines()[1]
    assert "is to be served" in caplog.text
    assert key not in caplog.text
