# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of Core's secret service for the certificates of instances.

An order outlives its instance: it is what knows the certificate that is still at Core. It
is written before Core is asked. Whoever changes what an instance serves holds it (``locks``).
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import domain_states, setting_fields, tls_kinds

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

    from exordos_paas_mail.codecs import tls_pairs

NAMES_MAX: tp.Final = 20
"""Of one certificate; what Core keeps them in has 1,024 characters."""
ROOM: tp.Final = 1000
PATIENCE: tp.Final = datetime.timedelta(minutes=30)
"""So long Core may take until the instance tells that something is wrong."""
AHEAD: tp.Final = datetime.timedelta(days=31)
"""So long before its end a certificate is asked for anew."""
# And no more than so much of its life: one of a few days is not asked for anew all the time.
_PART: tp.Final = 0.7
_RETRY: tp.Final = datetime.timedelta(days=1)
# The authority's limits are those of all projects together.
_OF_PROJECT_MAX: tp.Final = 30
_LIMIT_PERIOD: tp.Final = datetime.timedelta(hours=1)

COLUMNS: tp.Final = (
    "o.uuid, o.instance, o.project_id, o.source, o.certificate, o.names, o.considered,"
    " o.since, o.asked_at, o.digest, o.renew_at, o.tries, o.reason, o.left_out, o.retry_at"
)
_SOURCE: tp.Final = (
    f"CASE i.tls->>'kind' WHEN '{tls_kinds.CORE}'"
    f" THEN '{tls_kinds.CORE}:' || (i.tls->>'certificate') ELSE i.tls->>'kind' END"
)
NEWEST: tp.Final = (
    "SELECT n.uuid FROM mail_tls_orders n WHERE n.instance = i.uuid AND n.withdrawn_at IS NULL"  # noqa: S608
    f" AND NOT n.is_given_up AND n.source = {_SOURCE} ORDER BY n.created_at DESC, n.uuid LIMIT 1"
)
# A user may have found the relay's certificate at Core, and serve it as one of his own.
_ABANDONED: tp.Final = f"""\
mail_tls_orders o
LEFT JOIN mail_instances i ON i.uuid = o.instance AND i.project_id = o.project_id
LEFT JOIN mail_tls_pairs p ON p.instance = i.uuid
WHERE o.withdrawn_at IS NULL
  AND (i.uuid IS NULL OR o.uuid IS DISTINCT FROM ({NEWEST})
    AND (o.digest = '' OR o.digest <> md5(i.tls_certificate)
      AND o.digest IS DISTINCT FROM md5(p.chain)))
  AND (o.source <> '{tls_kinds.ACME}' OR NOT EXISTS (
    SELECT FROM mail_instances s WHERE s.project_id = o.project_id
      AND s.tls->>'kind' = '{tls_kinds.CORE}' AND s.tls->>'certificate' = o.certificate::text))
"""
# What is to be named beside the host, and what may be: a domain that others do not find at
# Core would cost all the rest their certificate.
_DOMAINS: tp.Final = f"""\
SELECT coalesce(array_agg(d.domain ORDER BY NOT d.is_primary, d.created_at, d.domain)
    FILTER (WHERE d.dns->>'kind' = '{setting_fields.PUBLISH_IN_CORE}'
      AND d.dns_status = '{domain_states.DNS_OK}'), '{{}}') AS wanted,
  coalesce(array_agg(d.domain::text), '{{}}') AS allowed
FROM mail_domains d WHERE d.instance = i.uuid
"""  # noqa: S608 - no value is in it


@dataclasses.dataclass(frozen=True)
class Order:
    """What is asked of Core for one instance."""

    uuid: sys_uuid.UUID
    instance: sys_uuid.UUID
    project_id: sys_uuid.UUID
    source: str
    certificate: sys_uuid.UUID
    names: tuple[str, ...]
    considered: tuple[str, ...]
    since: datetime.datetime
    asked_at: datetime.datetime | None
    digest: str
    renew_at: datetime.datetime | None
    tries: int
    reason: str
    left_out: tuple[str, ...]
    """What it does not name although it should (``tls_left_out``)."""
    retry_at: datetime.datetime | None

    @property
    def is_taken(self) -> bool:
        """Return whether what Core issued was taken over."""
        return bool(self.digest)

    @property
    def is_ours(self) -> bool:
        """Return whether the certificate was made for the relay, and nobody else's."""
        return self.source == tls_kinds.ACME


@dataclasses.dataclass(frozen=True)
class Target:
    """An instance that is to serve a certificate of Core's, and the order of it, if any."""

    instance: sys_uuid.UUID
    project_id: sys_uuid.UUID
    name: str
    source: str
    hostname: str
    wanted: tuple[str, ...]
    """What is named beside the host, if there is room."""
    allowed: tuple[str, ...]
    order: Order | None

    @property
    def fits(self) -> bool:
        """Return whether the order is of the names that the instance has now."""
        if self.order is None or self.source != tls_kinds.ACME:
            return self.order is not None
        considered = {*self.order.considered}
        return {self.hostname, *self.wanted} <= considered <= {self.hostname, *self.allowed}


def due(session: tp.Any, now: datetime.datetime, latest: datetime.datetime) -> list[Target]:
    """Return the instances about whose certificate Core is to be asked, the longest due first.

    Nothing is put off beyond *latest*: what is was so by a clock that has been set back.
    """
    rows = session.execute(
        f"SELECT i.uuid AS of, i.project_id AS project, i.name, {_SOURCE} AS wanted_source,"  # noqa: S608
        " coalesce(i.hostname, i.domain) AS hostname, d.wanted, d.allowed,"
        f" o.next_at, o.digest <> md5(p.chain) OR o.source <> p.source AS is_undone, {COLUMNS}"
        " FROM mail_instances i"
        f" CROSS JOIN LATERAL ({_DOMAINS}) d"
        f" LEFT JOIN mail_tls_orders o ON o.uuid = ({NEWEST})"
        " LEFT JOIN mail_tls_pairs p ON p.instance = i.uuid"
        " WHERE i.tls->>'kind' IN (%s, %s) ORDER BY o.next_at NULLS FIRST",
        (tls_kinds.CORE, tls_kinds.ACME),
    ).fetchall()
    found = []
    for row in rows:
        target = _target(row)
        is_undone = target.order is not None and target.order.is_taken and row["is_undone"]
        is_due = row["next_at"] is None or not now < utils.moment(row["next_at"]) <= latest
        if not target.fits or is_undone or is_due:
            found.append(target)
    return found


def open_order(
    session: tp.Any, target: Target | Order, now: datetime.datetime, left_out: tp.Sequence[str] = ()
) -> Order:
    """Make an order for *target*, of which Core is told nothing yet, and which names no *left_out*.

    It is the newest of the instance, also where the clock has been set back.
    """
    uuid = sys_uuid.uuid4()
    is_theirs = target.source != tls_kinds.ACME
    certificate = sys_uuid.UUID(target.source.partition(":")[2]) if is_theirs else uuid
    session.execute(
        "INSERT INTO mail_tls_orders (uuid, instance, project_id, source, certificate,"
        " left_out, created_at, since, next_at) SELECT %(uuid)s, %(instance)s, %(project)s,"
        " %(source)s, %(certificate)s, %(left_out)s,"
        " greatest(%(now)s::timestamp, max(created_at) + interval '1 microsecond'),"
        " %(now)s, %(now)s FROM mail_tls_orders WHERE instance = %(instance)s",
        {
            "uuid": str(uuid),
            "instance": str(target.instance),
            "project": str(target.project_id),
            "source": target.source,
            "certificate": str(certificate),
            "left_out": list(left_out),
            "now": utils.timestamp(now),
        },
    )
    return Order(
        *(uuid, target.instance, target.project_id, target.source, certificate, (), (), now),
        asked_at=None,
        digest="",
        renew_at=None,
        tries=0,
        reason="",
        left_out=tuple(left_out),
        retry_at=None,
    )


def name(
    session: tp.Any, order: Order, names: tp.Sequence[str], considered: tp.Sequence[str]
) -> Order:
    """Keep what Core is to be asked for; *considered* are the names that this is of."""
    update(session, order.uuid, {"names": list(names), "considered": list(considered)})
    return dataclasses.replace(order, names=tuple(names), considered=tuple(considered))


def ask(session: tp.Any, order: Order, now: datetime.datetime, later: datetime.datetime) -> None:
    """Keep that Core was asked; it has ``PATIENCE`` from now on."""
    at = utils.timestamp(now)
    update(
        session,
        order.uuid,
        {
            "asked_at": at,
            "since": at,
            "is_late": False,
            "next_at": utils.timestamp(later),
            "tries": 0,
            "reason": "",
        },
    )


def is_too_many(session: tp.Any, project: sys_uuid.UUID, now: datetime.datetime) -> bool:
    """Return whether a project has asked for so many that it waits."""
    (row,) = session.execute(
        "SELECT count(*) AS asked FROM mail_tls_orders WHERE project_id = %s AND asked_at > %s",
        (str(project), utils.timestamp(now - _LIMIT_PERIOD)),
    ).fetchall()
    return bool(row["asked"] >= _OF_PROJECT_MAX)


def take(
    session: tp.Any,
    order: Order,
    served: tls_pairs.Served,
    now: datetime.datetime,
    later: datetime.datetime,
) -> bool:
    """Keep that the pair which the instance is to serve, which has *served*, is the order's.

    Returns whether it is another than before.
    """
    (row,) = session.execute(
        "SELECT md5(chain) AS digest FROM mail_tls_pairs WHERE instance = %s",
        (str(order.instance),),
    ).fetchall()
    columns: dict[str, tp.Any] = {
        "next_at": utils.timestamp(later),
        "tries": 0,
        "reason": "",
        "is_late": False,
    }
    is_new = bool(row["digest"] != order.digest)
    if is_new:
        ends = served.expires_at
        ahead = min(AHEAD, _PART * (ends - served.begins_at))
        # Core may issue one that is old already, and the next is no younger.
        soonest = now + min(_RETRY / 2, (1 - _PART) * (ends - now))
        renew_at = utils.timestamp(max(ends - ahead, soonest))
        columns |= {"digest": row["digest"], "renew_at": renew_at}
        if order.left_out:
            columns["retry_at"] = utils.timestamp(retry_at(order.left_out, now))
    update(session, order.uuid, columns)
    return is_new


def retry_at(left_out: tp.Sequence[str], now: datetime.datetime) -> datetime.datetime:
    """Return when the first of *left_out* is asked for, so that each of them is once a day."""
    return now + _RETRY / len(left_out)


def put_off(session: tp.Any, order: Order, reason: str, later: datetime.datetime) -> None:
    """Keep why there is nothing to take over, and when Core is asked again."""
    columns = {"reason": reason, "next_at": utils.timestamp(later), "tries": order.tries + 1}
    update(session, order.uuid, columns)


def wait(session: tp.Any, order: Order, reason: str, later: datetime.datetime) -> None:
    """Keep how far Core is with it, and when it is asked again."""
    update(session, order.uuid, {"reason": reason, "next_at": utils.timestamp(later), "tries": 0})


def late(session: tp.Any, now: datetime.datetime) -> list[Order]:
    """Return the orders that Core has not answered in time, each once."""
    rows = session.execute(
        f"UPDATE mail_tls_orders o SET is_late = TRUE FROM mail_instances i"  # noqa: S608
        " WHERE i.uuid = o.instance AND o.digest = '' AND NOT o.is_late AND o.since <= %s"
        f" AND o.uuid = ({NEWEST}) RETURNING {COLUMNS}",
        (utils.timestamp(now - PATIENCE),),
    ).fetchall()
    return [order_of(row) for row in rows]


def abandoned(session: tp.Any, now: datetime.datetime) -> list[Order]:
    """Return the orders that no instance asks for, or serves what came of, any more."""
    rows = session.execute(
        f"SELECT {COLUMNS} FROM {_ABANDONED}"  # noqa: S608
        " AND (o.withdraw_at IS NULL OR o.withdraw_at <= %s)",
        (utils.timestamp(now),),
    ).fetchall()
    return [order_of(row) for row in rows]


def is_abandoned(session: tp.Any, order: Order) -> bool:
    """Return whether *order* is one that ``abandoned`` returns in time."""
    found = session.execute(
        f"SELECT FROM {_ABANDONED} AND o.uuid = %s",
        (str(order.uuid),),
    ).fetchall()
    return bool(found)


def withdraw(session: tp.Any, order: Order, now: datetime.datetime) -> None:
    """Keep that Core has nothing of an order any more; it counts for a while."""
    update(session, order.uuid, {"withdrawn_at": utils.timestamp(now)})


def withdraw_later(session: tp.Any, order: Order, later: datetime.datetime) -> None:
    """Keep when Core is told again that an order is withdrawn."""
    update(session, order.uuid, {"withdraw_at": utils.timestamp(later), "tries": order.tries + 1})


def forget(session: tp.Any, now: datetime.datetime) -> None:
    """Drop the withdrawn orders that do not count any more."""
    session.execute(
        "DELETE FROM mail_tls_orders WHERE withdrawn_at IS NOT NULL"
        " AND (asked_at IS NULL OR asked_at <= %s)",
        (utils.timestamp(now - _LIMIT_PERIOD),),
    )


def is_wanted(session: tp.Any, order: Order) -> bool:
    """Return whether the instance still asks for what *order* is for; the caller holds it."""
    return bool(
        session.execute(
            f"SELECT FROM mail_instances i WHERE i.uuid = %s AND ({NEWEST}) = %s",
            (str(order.instance), str(order.uuid)),
        ).fetchall()
    )


def update(session: tp.Any, order: sys_uuid.UUID, columns: Mapping[str, tp.Any]) -> None:
    """Write *columns* of an order."""
    utils.update_columns(session, "mail_tls_orders", {"uuid": str(order)}, columns)


def _target(row: Mapping[str, tp.Any]) -> Target:
    return Target(
        instance=row["of"],
        project_id=row["project"],
        name=row["name"],
        source=row["wanted_source"],
        hostname=row["hostname"],
        wanted=tuple(row["wanted"]),
        allowed=tuple(row["allowed"]),
        order=None if row["uuid"] is None else order_of(row),
    )


def order_of(row: Mapping[str, tp.Any]) -> Order:
    """Return the order of the ``COLUMNS`` of *row*."""
    return Order(
        uuid=row["uuid"],
        instance=row["instance"],
        project_id=row["project_id"],
        source=row["source"],
        certificate=row["certificate"],
        names=tuple(row["names"]),
        considered=tuple(row["considered"]),
        since=utils.moment(row["since"]),
        asked_at=utils.moment(row["asked_at"]),
        digest=row["digest"],
        renew_at=utils.moment(row["renew_at"]),
        tries=row["tries"],
        reason=row["reason"],
        left_out=tuple(row["left_out"]),
        retry_at=utils.moment(row["retry_at"]),
    )
