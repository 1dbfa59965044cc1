# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A zone's rows and the plan for them, on a Core that speaks the real protocol."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

import pytest

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.dns import core_zones, expected, judging, publishing
from exordos_paas_mail.control_plane.reconcile import core as core_client
from exordos_paas_mail.control_plane.records import publications
from exordos_paas_mail.tests.unit.control_plane import fake_core

OWN: tp.Final = sys_uuid.UUID(int=1)
STRANGER: tp.Final = sys_uuid.UUID(int=2)
DOMAIN: tp.Final = sys_uuid.UUID(int=3)
INSTANCE: tp.Final = sys_uuid.UUID(int=4)
TAGS: tp.Final = (publishing.instance_tag(INSTANCE), publishing.domain_tag(DOMAIN))
FACTS: tp.Final = expected.Facts(
    domain="example.com",
    hostname="smtp.example.com",
    ipsv4=("10.0.0.5",),
    keys=(expected.Key("platform", "rsa", "M" * 400),),
    is_primary=True,
)
SPF: tp.Final = "v=spf1 ip4:10.0.0.5 -all"
KEY: tp.Final = f"v=DKIM1; k=rsa; p={'M' * 400}"
DMARC: tp.Final = "v=DMARC1; p=quarantine"
WHOLE: tp.Final = [
    f"_dmarc.example.com TXT {DMARC}",
    f"example.com TXT {SPF}",
    f"platform._domainkey.example.com TXT {KEY}",
    "smtp.example.com A 10.0.0.5",
]


@pytest.fixture
def zones(core: fake_core.FakeCore) -> core_zones.Zones:
    client = core_client.unscoped_client(fake_core.USERNAME, fake_core.PASSWORD, core.url)
    return core_zones.Zones(client)


def planned(
    zone: core_zones.Zone, facts: expected.Facts = FACTS
) -> tuple[publishing.Plan, list[expected.Record]]:
    records = expected.records(facts)
    names = {record.name for record in records if zone.holds(record.name)}
    found = [*zone.rows_of(names), *zone.rows_with(TAGS[1])]
    rows = {row.uuid: row for row in found}
    return publishing.plan(records, zone, DOMAIN, rows.values()), records


def carry_out(zone: core_zones.Zone, facts: expected.Facts = FACTS) -> dict[str, tuple[str, str]]:
    """Bring the zone in line; return what each purpose came to, once a second plan is empty."""
    plan, _ = planned(zone, facts)
    for row in plan.remove:
        zone.remove(row)
    for row, value in plan.change:
        zone.change(row, value, expected.TTL)
    for record in plan.add:
        zone.add(record.type, record.name, record.value, expected.TTL, TAGS)
    again, _ = planned(zone, facts)
    assert (again.add, again.change, again.remove) == ((), (), ())
    assert again.outcomes == plan.outcomes
    return {r.purpose: (o.state, o.detail) for r, o in plan.outcomes.items()}


def test_the_closest_zone_of_the_project_is_the_one(
    core: fake_core.FakeCore, zones: core_zones.Zones
) -> None:
    core.add_zone("com", OWN)
    core.add_zone("example.com", OWN)
    core.add_zone("other.example.com", OWN)
    assert zones.enclosing("mail.example.com", OWN).name == "example.com"
    assert zones.enclosing("example.com", OWN).name == "example.com"
    assert zones.enclosing("a.other.example.com", OWN).name == "other.example.com"


@pytest.mark.parametrize(
    "others",
    [
        pytest.param(["example.com"], id="the zone is a stranger's"),
        pytest.param(["mail.example.com"], id="a closer zone is a stranger's"),
        pytest.param(["example.com", "mail.example.com"], id="both"),
        pytest.param([], id="no zone"),
    ],
)
def test_a_zone_of_another_project_is_not_opened(
    core: fake_core.FakeCore, zones: core_zones.Zones, others: list[str]
) -> None:
    uuids = [core.add_zone(name, STRANGER) for name in others]
    if others == ["mail.example.com"]:
        core.add_zone("example.com", OWN)
    with pytest.raises(core_zones.NotOpenError, match="in this project"):
        zones.enclosing("mail.example.com", OWN)
    for uuid in uuids:
        with pytest.raises(core_zones.NotOpenError, match="in this project"):
            zones.of_uuid(uuid, OWN)
    assert {method for method, path in core.requests if "/dns/" in path} == {"GET"}


def test_a_name_that_two_projects_have_a_zone_of_is_nobody_s(
    core: fake_core.FakeCore, zones: core_zones.Zones
) -> None:
    core.add_zone("example.com", OWN)
    core.add_zone("example.com", STRANGER)
    with pytest.raises(core_zones.NotOpenError, match="in this project"):
        zones.enclosing("example.com", OWN)


def test_a_zone_that_changed_hands_is_not_opened_again(
    core: fake_core.FakeCore, zones: core_zones.Zones
) -> None:
    uuid = core.add_zone("example.com", OWN)
    assert zones.of_uuid(uuid, OWN).name == "example.com"
    core.zones[uuid]["project_id"] = str(STRANGER)
    with pytest.raises(core_zones.NotOpenError, match="in this project"):
        zones.of_uuid(uuid, OWN)
    del core.zones[uuid]
    with pytest.raises(core_zones.NotOpenError, match="is gone"):
        zones.of_uuid(uuid, OWN)


def test_an_empty_zone_gets_all_that_core_holds_and_is_told_what_it_does_not(
    core: fake_core.FakeCore, zones: core_zones.Zones
) -> None:
    uuid = core.add_zone("example.com", OWN, "public")
    assert carry_out(zones.enclosing("example.com", OWN)) == {
        "a": ("PUBLISHED", ""),
        "ptr": (
            "NOT_HELD",
            "Core DNS holds no PTR records: whoever gave the address sets its reverse name",
        ),
        "spf": ("PUBLISHED", ""),
        "dkim": ("PUBLISHED", ""),
        "dmarc": ("PUBLISHED", ""),
    }
    assert core.zone_file(uuid) == WHOLE
    assert {tuple(row["tags"]) for row in core.rows[uuid].values()} == {TAGS}
    assert {row["ttl"] for row in core.rows[uuid].values()} == {300}


def test_a_zone_that_core_keeps_to_itself_is_told_of(
    core: fake_core.FakeCore, zones: core_zones.Zones
) -> None:
    core.add_zone("example.com", OWN)
    outcomes = carry_out(zones.enclosing("example.com", OWN))
    assert outcomes["spf"] == (
        "PUBLISHED",
        "the zone example.com has no tag public: Core does not serve it to the internet",
    )


def test_a_name_outside_of_the_zone_is_not_written(
    core: fake_core.FakeCore, zones: core_zones.Zones
) -> None:
    uuid = core.add_zone("mail.example.com", OWN, "public")
    facts = expected.Facts("mail.example.com", "smtp.example.com", ("10.0.0.5",), (), True)  # noqa: FBT003
    outcomes = carry_out(zones.enclosing("mail.example.com", OWN), facts)
    assert outcomes["a"] == ("NOT_HELD", "smtp.example.com is not in the zone mail.example.com")
    assert core.zone_file(uuid) == [
        f"_dmarc.mail.example.com TXT {DMARC}",
        f"mail.example.com TXT {SPF}",
    ]


def test_drift_is_corrected_and_what_is_too_much_goes(
    core: fake_core.FakeCore, zones: core_zones.Zones
) -> None:
    uuid = core.add_zone("example.com", OWN, "public")
    zone = zones.enclosing("example.com", OWN)
    carry_out(zone)
    rows = {row["record"]["name"]: row for row in core.rows[uuid].values()}
    rows["@"]["record"]["content"] = "v=spf1 +all"
    rows["_dmarc"]["disabled"] = True
    rows["platform._domainkey"]["ttl"] = 86400
    del core.rows[uuid][rows["smtp"]["uuid"]]
    core.add_row(uuid, "TXT", "old._domainkey", "v=DKIM1; p=", *TAGS)
    before = set(core.rows[uuid])
    carry_out(zone)
    assert core.zone_file(uuid) == WHOLE
    assert {row["ttl"] for row in core.rows[uuid].values()} == {300}
    # Corrected in place, but for the address that was gone and the key that was too much.
    assert len(before & set(core.rows[uuid])) == 3


def test_addresses_move_without_a_detour(core: fake_core.FakeCore, zones: core_zones.Zones) -> None:
    uuid = core.add_zone("example.com", OWN, "public")
    zone = zones.enclosing("example.com", OWN)
    two = expected.Facts("example.com", "smtp.example.com", ("10.0.0.5", "10.0.0.6"), (), True)  # noqa: FBT003
    carry_out(zone, two)
    kept = {row["uuid"] for row in core.rows[uuid].values() if "10.0.0.6" in str(row["record"])}
    one = expected.Facts("example.com", "smtp.example.com", ("10.0.0.6",), (), True)  # noqa: FBT003
    carry_out(zone, one)
    assert core.zone_file(uuid) == [
        f"_dmarc.example.com TXT {DMARC}",
        "example.com TXT v=spf1 ip4:10.0.0.6 -all",
        "smtp.example.com A 10.0.0.6",
    ]
    assert kept <= set(core.rows[uuid])


@pytest.mark.parametrize(
    ("rdtype", "name", "value", "purpose"),
    [
        ("TXT", "@", "V=SPF1 include:_spf.example.net ~all", "spf"),
        ("TXT", "_dmarc", "v=DMARC1; p=none", "dmarc"),
        ("TXT", "platform._domainkey", "v=DKIM1; p=another", "dkim"),
        ("A", "smtp", "10.9.9.9", "a"),
    ],
)
def test_a_row_of_somebody_else_s_is_a_conflict_and_stays(
    core: fake_core.FakeCore,
    zones: core_zones.Zones,
    rdtype: str,
    name: str,
    value: str,
    purpose: str,
) -> None:
    uuid = core.add_zone("example.com", OWN, "public")
    zone = zones.enclosing("example.com", OWN)
    carry_out(zone)
    foreign = core.add_row(uuid, rdtype, name, value, "mailaas:somebody")
    before = dict(core.rows[uuid][foreign])
    outcomes = carry_out(zone)
    assert outcomes[purpose] == (
        "CONFLICT",
        f"the zone has a record of this name that is not this instance's: {value}",
    )
    assert core.rows[uuid][foreign] == before
    # Its own row made way: two would be worse than one.
    assert len(core.rows[uuid]) == len(WHOLE)
    assert [state for state, _ in outcomes.values()].count("CONFLICT") == 1
    del core.rows[uuid][foreign]
    carry_out(zone)
    assert core.zone_file(uuid) == WHOLE


@pytest.mark.parametrize("quoted", [False, True], ids=["plain", "quoted"])
def test_a_row_of_somebody_else_s_that_says_the_same_is_enough(
    core: fake_core.FakeCore, zones: core_zones.Zones, *, quoted: bool
) -> None:
    uuid = core.add_zone("example.com", OWN, "public")
    core.add_row(uuid, "TXT", "@", f'"{SPF[:9]}" "{SPF[9:]}"' if quoted else SPF)
    core.add_row(uuid, "TXT", "@", "google-site-verification=x")
    outcomes = carry_out(zones.enclosing("example.com", OWN))
    assert outcomes["spf"] == ("PUBLISHED", "")
    assert len([row for row in core.rows[uuid].values() if row["record"]["name"] == "@"]) == 2


def test_rows_of_another_domain_of_the_instance_are_not_touched(
    core: fake_core.FakeCore, zones: core_zones.Zones
) -> None:
    uuid = core.add_zone("example.com", OWN, "public")
    zone = zones.enclosing("example.com", OWN)
    other = core.add_row(
        uuid, "TXT", "news", "v=spf1 -all", TAGS[0], publishing.domain_tag(STRANGER)
    )
    carry_out(zone)
    for row in zone.rows_with(TAGS[1]):
        zone.remove(row)
    assert list(core.rows[uuid]) == [other]


def publication(error: str = "", **outcome: str) -> publications.Publication:
    row = {"type": "TXT", "name": "example.com", "value": SPF, **outcome}
    outcomes = (row,) if outcome else ()
    return publications.Publication(
        DOMAIN, INSTANCE, OWN, None, "", error, outcomes, next_at=utils.now()
    )


@pytest.mark.parametrize(
    ("publication", "status", "told"),
    [
        (None, "MISSING", ("MISSING", "nothing there")),
        (publication(), "MISSING", ("MISSING", "nothing there")),
        (
            publication(state="CONFLICT", detail="somebody's"),
            "MISMATCH",
            ("CONFLICT", "somebody's; nothing there"),
        ),
        (publication(state="CONFLICT", detail="somebody's"), "OK", ("OK", "nothing there")),
        (
            publication(state="NOT_HELD", detail="no PTR"),
            "MISSING",
            ("MISSING", "no PTR; nothing there"),
        ),
        (
            publication("no zone"),
            "ERROR",
            ("ERROR", "not published: no zone; nothing there"),
        ),
        (
            publication(state="CONFLICT", detail="of another value", value="v=spf1 -all"),
            "MISSING",
            ("MISSING", "nothing there"),
        ),
    ],
    ids=["none", "no outcome", "conflict", "right anyway", "not held", "no zone", "older"],
)
def test_a_record_that_is_not_right_is_told_with_what_became_of_it(
    publication: publications.Publication | None, status: str, told: tuple[str, str]
) -> None:
    record = expected.Record(expected.SPF, "TXT", "example.com", SPF)
    found = publishing.told(record, judging.Verdict(status, detail="nothing there"), publication)
    assert (found.status, found.detail) == told
