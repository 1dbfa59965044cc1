# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What to do to a zone so that it holds the records of a domain: a plan, from plain facts.

Rows carry the tag of their instance and that of their domain. A row without the
domain's tag is somebody else's: it is never changed, and where it says something
else than the domain needs, the domain's own row goes, because two SPF records,
two keys of one selector or two addresses are worse than one.
"""

from __future__ import annotations

import dataclasses
import typing as tp

from exordos_paas_mail.control_plane.dns import expected
from exordos_paas_mail.control_plane.records import dns_statuses

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Iterable

    from exordos_paas_mail.control_plane.dns import core_zones, judging
    from exordos_paas_mail.control_plane.records import publications

PUBLISHED: tp.Final = "PUBLISHED"
CONFLICT: tp.Final = "CONFLICT"
NOT_HELD: tp.Final = "NOT_HELD"
_HELD: tp.Final = ("A", "TXT")
# How a text says what it is for; a key is whatever is published for its selector.
_PREFIXES: tp.Final = {
    expected.SPF: "v=spf1",
    expected.BOUNCES_SPF: "v=spf1",
    expected.DMARC: "v=dmarc1",
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a record; *detail* says what a person should know."""

    state: str
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to add, change (to the value) and remove, and what each record then is."""

    add: tuple[expected.Record, ...]
    change: tuple[tuple[core_zones.Row, str], ...]
    remove: tuple[core_zones.Row, ...]
    outcomes: dict[expected.Record, Outcome]


def instance_tag(instance: sys_uuid.UUID | str) -> str:
    """Return the tag of every row that is written for an instance."""
    return f"mailaas:{instance}"


def domain_tag(domain: sys_uuid.UUID | str) -> str:
    """Return the tag of every row that is written for a domain of an instance."""
    return f"mailaas-domain:{domain}"


def plan(
    records: Iterable[expected.Record],
    zone: core_zones.Zone,
    domain: sys_uuid.UUID | str,
    rows: Iterable[core_zones.Row],
) -> Plan:
    """Return what makes *zone* hold *records* of *domain*, where *rows* are there.

    *rows* are those of the records' names and those with the domain's tag. A plan
    for a zone that it was carried out on changes nothing.
    """
    tag = domain_tag(domain)
    own = [row for row in rows if tag in row.tags]
    others = [row for row in rows if tag not in row.tags and not row.disabled]
    outcomes: dict[expected.Record, Outcome] = {}
    missing: list[expected.Record] = []
    kept: list[core_zones.Row] = []
    wanted = list(records)
    for record in wanted:
        outcomes[record] = _outcome(record, wanted, zone, others)
        if outcomes[record].state != PUBLISHED or _says(others, record):
            continue
        row = next((row for row in own if row not in kept and _is_right(row, record)), None)
        if row is None:
            missing.append(record)
        else:
            kept.append(row)
    spare = [row for row in own if row not in kept]
    add: list[expected.Record] = []
    change: list[tuple[core_zones.Row, str]] = []
    for record in missing:
        row = next((row for row in spare if _speaks_for(row, record)), None)
        if row is None:
            add.append(record)
        else:
            spare.remove(row)
            change.append((row, record.value))
    return Plan(tuple(add), tuple(change), tuple(spare), outcomes)


def told(
    record: expected.Record,
    verdict: judging.Verdict,
    publication: publications.Publication | None,
) -> judging.Verdict:
    """Return *verdict* on *record* with what became of it in Core's DNS, unless all is well."""
    if publication is None or verdict.status == dns_statuses.OK:
        return verdict
    outcome = _known_outcome(record, publication)
    details = filter(None, (outcome.detail, verdict.detail))
    status = dns_statuses.CONFLICT if outcome.state == CONFLICT else verdict.status
    return dataclasses.replace(verdict, status=status, detail="; ".join(details))


def _known_outcome(record: expected.Record, publication: publications.Publication) -> Outcome:
    if publication.error:
        return Outcome(NOT_HELD, f"not published: {publication.error}")
    wanted = (record.type, record.name, record.value)
    for each in publication.outcomes:
        if (each["type"], each["name"], each["value"]) == wanted:
            return Outcome(each["state"], each["detail"])
    return Outcome(PUBLISHED)


def _outcome(
    record: expected.Record,
    wanted: Iterable[expected.Record],
    zone: core_zones.Zone,
    others: Iterable[core_zones.Row],
) -> Outcome:
    reason = _not_held(record, zone)
    if reason:
        return Outcome(NOT_HELD, reason)
    right = {each.value for each in wanted if (each.purpose, each.name) == _subject(record)}
    rivals = sorted({row.value for row in others if _speaks_for(row, record)} - right)
    if rivals:
        return Outcome(
            CONFLICT,
            "the zone has a record of this name that is not this instance's: " + ", ".join(rivals),
        )
    return Outcome(PUBLISHED, "" if zone.is_public else _private(zone))


def _subject(record: expected.Record) -> tuple[str, str]:
    return record.purpose, record.name


def _says(rows: Iterable[core_zones.Row], record: expected.Record) -> bool:
    return any(_speaks_for(row, record) and row.value == record.value for row in rows)


def _is_right(row: core_zones.Row, record: expected.Record) -> bool:
    return (
        _speaks_for(row, record)
        and row.value == record.value
        and row.ttl == expected.TTL
        and not row.disabled
    )


def _not_held(record: expected.Record, zone: core_zones.Zone) -> str:
    if record.type not in _HELD:
        return f"Core DNS holds no {record.type} records: {_elsewhere(record)}"
    if not zone.holds(record.name):
        return f"{record.name} is not in the zone {zone.name}"
    return ""


def _elsewhere(record: expected.Record) -> str:
    if record.purpose == expected.PTR:
        return "whoever gave the address sets its reverse name"
    return "publish it where the zone is delegated to"


def _private(zone: core_zones.Zone) -> str:
    return f"the zone {zone.name} has no tag public: Core does not serve it to the internet"


def _speaks_for(row: core_zones.Row, record: expected.Record) -> bool:
    """Return whether *row* is for what *record* is for, whatever it says."""
    if (row.type, row.name) != (record.type, record.name):
        return False
    prefix = _PREFIXES.get(record.purpose)
    return prefix is None or row.value.lower().startswith(prefix)
