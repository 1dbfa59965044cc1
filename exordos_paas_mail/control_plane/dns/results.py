# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a check found, written: rows of records, statuses, and what follows for the keys."""

from __future__ import annotations

import datetime
import json
import random
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.dns import expected, judging, publishing, schedule
from exordos_paas_mail.control_plane.records import (
    bounce_handling,
    dkim_keys,
    dns_checks,
    dns_statuses,
    domain_states,
    domains,
    instances,
    publications,
)

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.dns import answers, checking

# Of what strangers publish and we keep.
_TEXTS_MAX: tp.Final = 20
_TEXT_MAX: tp.Final = 1000
_NEEDED: tp.Final = (expected.SPF, expected.DKIM)
_BOUNCES: tp.Final = (expected.BOUNCES_MX, expected.BOUNCES_A, expected.BOUNCES_SPF)


def facts_of(domain: dns_checks.Domain) -> expected.Facts:
    """Return the facts as the checker takes them."""
    return expected.Facts(
        domain=domain.domain,
        hostname=domain.hostname,
        ipsv4=domain.ipsv4,
        keys=tuple(
            expected.Key(k.selector, k.algorithm, k.public_key, proves=not k.is_revoked)
            for k in domain.keys
        ),
        is_primary=domain.is_primary,
        bounces=domain.bounces,
    )


def begin(session: tp.Any, domain: dns_checks.Domain, now: datetime.datetime) -> bool:
    """Write what is to be found, before it is asked for; there is a next time however this ends.

    Returns False if the domain is gone or has changed meanwhile.
    """
    if not dns_checks.held(session, domain):
        return False
    changed_at = domain.changed_at
    if domain.has_changed or changed_at is None:
        changed_at = now
        _expect(session, domain, now)
    again = now + datetime.timedelta(seconds=schedule.OFTEN)
    dns_checks.plan(session, domain, changed_at, again)
    return True


def _expect(session: tp.Any, domain: dns_checks.Domain, now: datetime.datetime) -> None:
    """Write the rows of the records that *domain* needs now; nothing is known of new ones."""
    records = expected.records(facts_of(domain))
    uuids = [str(_uuid(domain, record)) for record in records]
    session.execute(
        "DELETE FROM mail_dns_records WHERE domain = %s AND NOT uuid = ANY(%s::uuid[])",
        (str(domain.uuid), uuids),
    )
    for uuid, record in zip(uuids, records, strict=True):
        session.execute(
            "INSERT INTO mail_dns_records AS r (uuid, project_id, domain, purpose, type, name,"
            " value, ttl, required, created_at, updated_at)"
            " VALUES (%(uuid)s, %(project_id)s, %(domain)s, %(purpose)s, %(type)s, %(name)s,"
            " %(value)s, %(ttl)s, TRUE, %(now)s, %(now)s)"
            " ON CONFLICT (uuid) DO UPDATE SET value = EXCLUDED.value, status = DEFAULT,"
            " known_status = DEFAULT, updated_at = EXCLUDED.updated_at"
            " WHERE r.value <> EXCLUDED.value",
            {
                "uuid": uuid,
                "project_id": str(domain.project_id),
                "domain": str(domain.uuid),
                "purpose": record.purpose,
                "type": record.type,
                "name": record.name,
                "value": record.value,
                "ttl": expected.TTL,
                "now": utils.timestamp(now),
            },
        )
    _write_status(session, domain)


def write(
    session: tp.Any, domain: dns_checks.Domain, report: checking.Check, now: datetime.datetime
) -> None:
    """Take over *report*; nothing is written of a domain that is gone or has changed meanwhile."""
    if not dns_checks.held(session, domain):
        return
    before = _statuses(session, domain)
    publication = publications.find(session, domain.uuid)
    for record, verdict in report.verdicts:
        told = publishing.told(record, verdict, publication)
        _write_record(session, _uuid(domain, record), told, now)
    status = _write_status(session, domain)
    changed_at = domain.changed_at or now
    if domain.has_changed or _statuses(session, domain) != before:
        changed_at = now
    is_settled = status == domain_states.DNS_OK and not domain.is_awaited
    next_at = schedule.next_check(changed_at, now, random.random(), is_settled=is_settled)  # noqa: S311 - jitter
    dns_checks.plan(session, domain, changed_at, next_at)
    domains.observe(session, domain.uuid, report.is_proven, now)
    dkim_keys.observe(session, domain.uuid, report.visible, report.absent, report.negative_ttl, now)


def fail(session: tp.Any, domain: dns_checks.Domain, reason: str, now: datetime.datetime) -> None:
    """Write that *domain* could not be checked; the caller has begun."""
    session.execute(
        "UPDATE mail_dns_records SET status = %s, detail = %s, updated_at = %s WHERE domain = %s",
        (dns_statuses.ERROR, reason[:_TEXT_MAX], utils.timestamp(now), str(domain.uuid)),
    )


def _uuid(domain: dns_checks.Domain, record: expected.Record) -> sys_uuid.UUID:
    """Return the uuid of a record: the same for as long as it is for the same thing."""
    # A name may have several addresses, and each is a record.
    value = f" {record.value}" if record.type == "A" else ""
    return sys_uuid.uuid5(domain.uuid, f"{record.purpose} {record.name}{value}")


def _statuses(session: tp.Any, domain: dns_checks.Domain) -> dict[tp.Any, str]:
    rows = session.execute(
        "SELECT uuid, known_status FROM mail_dns_records WHERE domain = %s", (str(domain.uuid),)
    ).fetchall()
    return {row["uuid"]: row["known_status"] for row in rows}


def _settle_bounces(session: tp.Any, domain: dns_checks.Domain) -> None:
    """Let the relay make return paths once, and as long as, their records are there."""
    rows = session.execute(
        "SELECT known_status FROM mail_dns_records WHERE domain = %s AND purpose = ANY(%s)",
        (str(domain.uuid), list(_BOUNCES)),
    ).fetchall()
    statuses = {row["known_status"] for row in rows}
    if bounce_handling.settle(session, domain.uuid, is_found=statuses == {dns_statuses.OK}):
        instances.MailInstance.touch(domain.instance, session)


def _write_record(
    session: tp.Any, uuid: sys_uuid.UUID, verdict: judging.Verdict, now: datetime.datetime
) -> None:
    session.execute(
        "UPDATE mail_dns_records SET status = %(status)s::varchar,"
        " known_status = CASE WHEN %(status)s::varchar = %(silence)s THEN known_status"
        " ELSE %(status)s::varchar END,"
        " found = %(found)s, detail = %(detail)s, suggestion = %(suggestion)s,"
        " servers = %(servers)s, checked_at = %(now)s::timestamp,"
        " updated_at = CASE WHEN status = %(status)s::varchar THEN updated_at"
        " ELSE %(now)s::timestamp END"
        " WHERE uuid = %(uuid)s",
        {
            "uuid": str(uuid),
            "status": verdict.status,
            "silence": dns_statuses.ERROR,
            "found": json.dumps(_cut(verdict.found)),
            "detail": verdict.detail[:_TEXT_MAX],
            "suggestion": verdict.suggestion,
            "servers": json.dumps([_told(answer) for answer in verdict.servers]),
            "now": utils.timestamp(now),
        },
    )


def _cut(texts: tp.Sequence[str]) -> list[str]:
    return [text[:_TEXT_MAX] for text in texts[:_TEXTS_MAX]]


def _told(answer: answers.Answer) -> dict[str, str]:
    return {
        "name": answer.server,
        "address": answer.address,
        "answer": answer.sentence()[:_TEXT_MAX],
    }


def _write_status(session: tp.Any, domain: dns_checks.Domain) -> str:
    """Write the status of the domain, and of its instance; return the domain's."""
    rows = session.execute(
        "SELECT purpose, known_status FROM mail_dns_records WHERE domain = %s AND required",
        (str(domain.uuid),),
    ).fetchall()
    statuses = {row["known_status"] for row in rows}
    # What the control plane does not know yet, such as a key, cannot be published either.
    if not {row["purpose"] for row in rows}.issuperset(_NEEDED):
        statuses.add(dns_statuses.PENDING)
    _settle_bounces(session, domain)
    status = judging.dns_status(statuses)
    session.execute(
        "UPDATE mail_domains SET dns_status = %s WHERE uuid = %s AND dns_status <> %s",
        (status, str(domain.uuid), status),
    )
    others = session.execute(
        "SELECT dns_status FROM mail_domains WHERE instance = %s AND active",
        (str(domain.instance),),
    ).fetchall()
    worst = judging.worst(row["dns_status"] for row in others)
    session.execute(
        "UPDATE mail_instances SET dns_status = %s WHERE uuid = %s AND dns_status <> %s",
        (worst, str(domain.instance), worst),
    )
    return status
