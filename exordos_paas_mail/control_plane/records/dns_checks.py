# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""When the DNS of each domain is checked, and what of its facts was looked at.

Whoever changes a fact (a key, an address, a name) tells nobody: the digest of
the facts is another then, and that makes a check due.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import (
    domain_states,
    errors,
    key_states,
    locks,
    publications,
    setting_fields,
)

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

# How often a user may ask for a check.
ASK_PERIOD: tp.Final = datetime.timedelta(minutes=1)

# The key that nothing on its way can be signed with any more is no fact of the domain's.
_KEYS: tp.Final = """\
FROM mail_dkim_keys WHERE public_key <> ''
  AND (state <> 'REVOKED' OR safe_to_remove_at > now() AT TIME ZONE 'UTC')
"""
_KEYS_TEXT: tp.Final = """\
string_agg(concat_ws(' ', selector, algorithm, public_key, state), ' ' ORDER BY selector) AS text
"""
_INSTANCES: tp.Final = """\
(SELECT uuid, coalesce(hostname, domain) AS hostname, ipsv4 FROM mail_instances) i
  ON i.uuid = d.instance
"""
# How the name of the return paths is to lead to the relay, see ``dns.expected``; '' is none.
_BOUNCES: tp.Final = """\
CASE WHEN d.bounce_handling->>'kind' = 'none' THEN NULL
  WHEN d.dns->>'kind' = 'core' THEN 'address' ELSE 'mx' END"""
_DIGEST: tp.Final = f"md5(concat_ws(' ', d.domain, i.hostname, i.ipsv4::text, k.text, {_BOUNCES}))"
_FACTS: tp.Final = f"""\
SELECT d.uuid, d.instance, d.project_id, d.domain, d.is_primary, d.status,
  d.proof_lost_at IS NOT NULL AS was_lost, i.hostname, i.ipsv4,
  coalesce({_BOUNCES}, '') AS bounces, coalesce(k.keys, '[]') AS keys, {_DIGEST} AS facts
FROM mail_domains d
JOIN {_INSTANCES}
LEFT JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_array(selector, algorithm, public_key, state)
    ORDER BY selector) AS keys, {_KEYS_TEXT}
  {_KEYS} AND domain = d.uuid
) k ON TRUE
"""  # noqa: S608 - no value is in it
# The same digest of all domains at once: every look takes it, and finds next to nothing.
_DIGESTS: tp.Final = f"""\
SELECT d.uuid, d.project_id, d.dns, {_DIGEST} AS facts
FROM mail_domains d
JOIN {_INSTANCES}
LEFT JOIN (SELECT domain, {_KEYS_TEXT} {_KEYS} GROUP BY domain) k ON k.domain = d.uuid
"""  # noqa: S608 - no value is in it


@dataclasses.dataclass(frozen=True)
class Key:
    """A DKIM key that is to be found in DNS."""

    selector: str
    algorithm: str
    public_key: str
    state: str

    @property
    def is_revoked(self) -> bool:
        """Return whether it never signs again; its record is there for mail on its way."""
        return self.state == key_states.REVOKED


@dataclasses.dataclass(frozen=True)
class Domain:
    """What the records of a domain follow from, and what was looked at before."""

    uuid: sys_uuid.UUID
    instance: sys_uuid.UUID
    project_id: sys_uuid.UUID
    domain: str
    hostname: str
    ipsv4: tuple[str, ...]
    keys: tuple[Key, ...]
    is_primary: bool
    facts: str
    status: str
    was_lost: bool
    bounces: str = ""
    """How the name of the return paths is to lead to the relay (``dns.expected.Facts``)."""
    known_facts: str | None = None
    changed_at: datetime.datetime | None = None

    @property
    def has_changed(self) -> bool:
        """Return whether the facts are others than the last check's."""
        return self.facts != self.known_facts

    @property
    def is_awaited(self) -> bool:
        """Return whether a key waits to be seen."""
        return any(key.state in (key_states.PENDING, key_states.VISIBLE) for key in self.keys)

    @property
    def is_sending(self) -> bool:
        """Return whether mail of the domain may leave, and a key signs it."""
        return self.status != domain_states.PENDING and any(
            key.state == key_states.ACTIVE for key in self.keys
        )


def _waiting(now: datetime.datetime) -> tuple[str, str]:
    """Return between which times what is not due is due."""
    return (
        utils.timestamp(now + datetime.timedelta(microseconds=1)),
        utils.timestamp(now + publications.FURTHEST),
    )


def unpublished(session: tp.Any, now: datetime.datetime) -> list[Domain]:
    """Return the domains whose rows in Core's DNS are to be looked at.

    They were never written, or are of other facts, or their time has come.
    """
    rows = session.execute(
        # As a condition of its own, the kind has the planner expect a handful of domains,
        # and read all keys for each of them.
        f"SELECT f.uuid FROM ({_DIGESTS}) f"  # noqa: S608 - no value is in it
        " LEFT JOIN mail_publications p ON p.domain = f.uuid WHERE CASE WHEN f.dns->>'kind' = %s"
        " THEN p.next_at IS NULL OR NOT p.next_at BETWEEN %s AND %s"
        " OR p.error = '' AND p.digest <> f.facts END",
        (setting_fields.PUBLISH_IN_CORE, *_waiting(now)),
    ).fetchall()
    return [_domain(row) for row in _details(session, rows)]


def due(
    session: tp.Any, now: datetime.datetime, limit: int, besides: tp.Collection[sys_uuid.UUID]
) -> list[Domain]:
    """Return the domains whose check is due, *limit* of a project, the longest due first.

    Those whose facts changed are due at once. *besides* are left out.
    """
    rows = session.execute(
        "SELECT * FROM ("  # noqa: S608 - no value is in it
        "SELECT f.uuid, c.facts AS known_facts, c.changed_at, c.next_at, row_number()"
        " OVER (PARTITION BY f.project_id ORDER BY c.next_at NULLS FIRST) AS turn"
        f" FROM ({_DIGESTS}) f LEFT JOIN mail_dns_checks c ON c.domain = f.uuid"
        " WHERE (c.next_at IS NULL OR NOT c.next_at BETWEEN %s AND %s OR c.facts <> f.facts)"
        " AND NOT f.uuid = ANY(%s::uuid[])) t"
        " WHERE turn <= %s ORDER BY next_at NULLS FIRST",
        (*_waiting(now), [str(uuid) for uuid in besides], limit),
    ).fetchall()
    known = {row["uuid"]: row for row in rows}
    return [_domain({**row, **known[row["uuid"]]}) for row in _details(session, rows)]


def _details(
    session: tp.Any, found: tp.Sequence[tp.Mapping[str, tp.Any]]
) -> list[tp.Mapping[str, tp.Any]]:
    """Return the rows with the facts of the domains *found*, in their order."""
    if not found:
        return []
    uuids = [str(row["uuid"]) for row in found]
    rows = session.execute(f"{_FACTS} WHERE d.uuid = ANY(%s::uuid[])", (uuids,)).fetchall()
    by_uuid = {row["uuid"]: row for row in rows}
    return [by_uuid[row["uuid"]] for row in found if row["uuid"] in by_uuid]


def held(session: tp.Any, domain: Domain) -> bool:
    """Lock the instance of *domain*; return whether the domain is there, with the same facts.

    Both stay so to the end of the transaction, as far as a user or a rotation changes them.
    """
    if not locks.hold_instance(session, domain.instance):
        return False
    rows = session.execute(
        f"SELECT f.facts FROM ({_FACTS} WHERE d.uuid = %s) f",  # noqa: S608
        (str(domain.uuid),),
    ).fetchall()
    return bool(rows) and rows[0]["facts"] == domain.facts


def _domain(row: tp.Mapping[str, tp.Any]) -> Domain:
    return Domain(
        uuid=row["uuid"],
        instance=row["instance"],
        project_id=row["project_id"],
        domain=row["domain"],
        hostname=row["hostname"],
        ipsv4=tuple(row["ipsv4"]),
        keys=tuple(Key(*each) for each in row["keys"]),
        is_primary=row["is_primary"],
        facts=row["facts"],
        status=row["status"],
        was_lost=row["was_lost"],
        bounces=row["bounces"],
        known_facts=row.get("known_facts"),
        changed_at=utils.moment(row.get("changed_at")),
    )


def plan(
    session: tp.Any,
    domain: Domain,
    changed_at: datetime.datetime,
    next_at: datetime.datetime,
) -> None:
    """Write when *domain* is checked again, and that its facts were looked at."""
    session.execute(
        "INSERT INTO mail_dns_checks AS c (domain, facts, changed_at, next_at)"
        " VALUES (%(domain)s, %(facts)s, %(changed_at)s, %(next_at)s)"
        " ON CONFLICT (domain) DO UPDATE SET facts = EXCLUDED.facts,"
        " changed_at = least(greatest(c.changed_at, EXCLUDED.changed_at), %(now)s),"
        " next_at = EXCLUDED.next_at",
        {
            # Of before the clock was set back nothing has just changed, for as long as that was.
            "now": utils.timestamp(utils.now()),
            "domain": str(domain.uuid),
            "facts": domain.facts,
            "changed_at": utils.timestamp(changed_at),
            "next_at": utils.timestamp(next_at),
        },
    )


def hurry(session: tp.Any, domain: sys_uuid.UUID) -> None:
    """Make the check of *domain* due now, if there was one; it is told of no change."""
    now = utils.timestamp(utils.now())
    session.execute(
        "UPDATE mail_dns_checks SET changed_at = %s, next_at = %s WHERE domain = %s",
        (now, now, str(domain)),
    )


def ask(domain: sys_uuid.UUID, instance: sys_uuid.UUID, session: tp.Any = None) -> None:
    """Make the check of *domain* due now, and that of its rows in Core.

    Raises RecordNotFound if the domain is gone, TooManyRequests if somebody asked
    less than a minute ago.
    """
    now = utils.now()
    with utils.transaction(session) as active:
        # A domain that is being deleted holds the lock until it is gone.
        locks.hold_instance(active, instance)
        rows = active.execute(
            "SELECT c.asked_at FROM mail_domains d"
            " LEFT JOIN mail_dns_checks c ON c.domain = d.uuid WHERE d.uuid = %s",
            (str(domain),),
        ).fetchall()
        if not rows:
            raise errors.RecordNotFound(domain)
        asked_at = utils.moment(rows[0]["asked_at"])
        if asked_at is not None and abs(now - asked_at) < ASK_PERIOD:
            raise errors.TooManyRequests("check", asked_at + ASK_PERIOD)
        active.execute(
            "INSERT INTO mail_dns_checks AS c (domain, changed_at, next_at, asked_at)"
            " VALUES (%(domain)s, %(now)s, %(now)s, %(now)s)"
            " ON CONFLICT (domain) DO UPDATE SET changed_at = EXCLUDED.changed_at,"
            " next_at = EXCLUDED.next_at, asked_at = EXCLUDED.asked_at",
            {"domain": str(domain), "now": utils.timestamp(now)},
        )
        publications.hurry(active, domain)
