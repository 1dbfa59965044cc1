# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Where the records of a domain were published, kept until they are withdrawn.

A publication outlives its domain and its instance: it is what knows the rows that
are still in a zone of Core's. It is written before the first of them.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import setting_fields

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


@dataclasses.dataclass(frozen=True)
class Publication:
    """What was done for a domain the last time, and when it is looked at again.

    *zone* is the zone of Core's that may hold rows of the domain, *digest* says of
    which facts they are, *outcomes* is what became of each record, *error* why
    there are none.
    """

    domain: sys_uuid.UUID
    instance: sys_uuid.UUID
    project_id: sys_uuid.UUID
    zone: str | None
    digest: str
    error: str
    outcomes: tuple[dict[str, str], ...]
    next_at: datetime.datetime


# A time that is further ahead was written before the clock was set back; no pause is as long.
FURTHEST: tp.Final = datetime.timedelta(hours=36)
_COLUMNS: tp.Final = "domain, instance, project_id, zone, digest, error, outcomes, next_at"


def abandoned(session: tp.Any) -> list[Publication]:
    """Return the publications whose domain is gone, or is not to be in Core's DNS any more."""
    rows = session.execute(
        f"SELECT {_COLUMNS} FROM mail_publications p WHERE NOT EXISTS"  # noqa: S608
        " (SELECT FROM mail_domains d WHERE d.uuid = p.domain AND d.dns->>'kind' = %s)",
        (setting_fields.PUBLISH_IN_CORE,),
    ).fetchall()
    return [_publication(row) for row in rows]


def find(session: tp.Any, domain: sys_uuid.UUID) -> Publication | None:
    """Return the publication of a domain."""
    rows = session.execute(
        f"SELECT {_COLUMNS} FROM mail_publications WHERE domain = %s",  # noqa: S608
        (str(domain),),
    ).fetchall()
    return _publication(rows[0]) if rows else None


def write(session: tp.Any, publication: Publication) -> None:
    """Keep *publication* in the place of the one before it."""
    session.execute(
        f"INSERT INTO mail_publications ({_COLUMNS})"  # noqa: S608
        " VALUES (%(domain)s, %(instance)s, %(project_id)s, %(zone)s, %(digest)s, %(error)s,"
        " %(outcomes)s, %(next_at)s) ON CONFLICT (domain) DO UPDATE SET zone = EXCLUDED.zone,"
        " digest = EXCLUDED.digest, error = EXCLUDED.error, outcomes = EXCLUDED.outcomes,"
        " next_at = EXCLUDED.next_at",
        {
            "domain": str(publication.domain),
            "instance": str(publication.instance),
            "project_id": str(publication.project_id),
            "zone": publication.zone,
            "digest": publication.digest,
            "error": publication.error,
            "outcomes": json.dumps(publication.outcomes),
            "next_at": utils.timestamp(publication.next_at),
        },
    )


def forget(session: tp.Any, domain: sys_uuid.UUID) -> None:
    """Drop the publication of a domain that has no row in a zone any more."""
    session.execute("DELETE FROM mail_publications WHERE domain = %s", (str(domain),))


def hurry(session: tp.Any, domain: sys_uuid.UUID) -> None:
    """Have the domain's zone looked at in the next pass."""
    session.execute(
        "UPDATE mail_publications SET next_at = %s WHERE domain = %s",
        (utils.timestamp(utils.now()), str(domain)),
    )


def _publication(row: tp.Mapping[str, tp.Any]) -> Publication:
    return Publication(
        domain=row["domain"],
        instance=row["instance"],
        project_id=row["project_id"],
        zone=None if row["zone"] is None else str(row["zone"]),
        digest=row["digest"],
        error=row["error"],
        outcomes=tuple(row["outcomes"]),
        next_at=utils.moment(row["next_at"]),
    )
