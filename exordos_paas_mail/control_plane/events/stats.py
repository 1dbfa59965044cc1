# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of each hour, counted as events are taken in, and how long they are kept.

They are counted whatever is kept of the log, and outlive it. How many rows an hour
and an instance may have is bounded: who sends to a thousand domains an hour finds
most of them under one name.
"""

from __future__ import annotations

import collections
import json
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.control_plane.events import rows
from exordos_paas_mail.control_plane.records import events, stats

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid
    from collections.abc import Iterator, Mapping

_Type: tp.TypeAlias = mail_events.Type
# Rows of an hour of an instance that may tell a domain of their own, and an account.
DOMAINS_MAX: tp.Final = 200
ACCOUNTS_MAX: tp.Final = 400
# Rows of an instance, and of all of them: about 260 octets each, with their index.
ROWS_MAX: tp.Final = 200_000
ROWS_MAX_OF_ALL: tp.Final = 3_000_000
# What one event may stand for: a node counts those of a minute.
_COUNT_MAX: tp.Final = 1_000_000
_DOMAIN_SIZE_MAX: tp.Final = 255
_ROUND: tp.Final = 5_000
_COLUMNS: tp.Final[Mapping[mail_events.Type, str]] = {
    _Type.SUBMITTED: "submitted",
    _Type.DELIVERED: "delivered",
    _Type.DEFERRED: "deferred",
    _Type.FAILED: "failed",
    _Type.REJECTED: "rejected",
    _Type.LOGIN_FAILED: "login_failed",
    _Type.GAP: "gaps",
}
# What one event stands for many of.
_COUNTED: tp.Final = frozenset({_Type.REJECTED, _Type.LOGIN_FAILED})


class Key(tp.NamedTuple):
    """What a row has the figures of."""

    hour: datetime.datetime
    account: sys_uuid.UUID | None
    domain: str
    reason: str


Figures: tp.TypeAlias = dict[Key, collections.Counter[str]]


def count(
    figures: Figures,
    event: mail_events.Event,
    at: datetime.datetime,
    account: sys_uuid.UUID | None,
) -> None:
    """Count *event*, which happened at *at*."""
    column = _COLUMNS.get(event.type)
    if column is None:
        return
    times = min(event.count, _COUNT_MAX) if event.type in _COUNTED else 1
    key = key_of(at, account, event.recipient, event.reason)
    figures.setdefault(key, collections.Counter())[column] += times


def key_of(
    at: datetime.datetime, account: sys_uuid.UUID | None, recipient: str, reason: str
) -> Key:
    """Return where to count what happened at *at* about *recipient*."""
    domain = recipient.rpartition("@")[2].lower()
    return Key(
        at.replace(minute=0, second=0, microsecond=0),
        account,
        domain if len(domain) <= _DOMAIN_SIZE_MAX else stats.OTHER,
        reason if reason in ("", *events.CLASSES) else events.OTHER,
    )


def write(session: tp.Any, instance: sys_uuid.UUID, figures: Figures) -> None:
    """Add *figures* to those of *instance*; ``rows.lock`` is held.

    An hour that was taken out stays so: it would be there again with a part of what it had.
    """
    since = _since(session, instance) if figures else None
    figures = {key: counts for key, counts in figures.items() if not since or key.hour >= since}
    if not figures:
        return
    known = _known(session, instance, {key.hour for key in figures})
    placed: Figures = {}
    for key, counts in figures.items():
        taken = known[key.hour]
        for place, limit in _places(key):
            if place in taken or len(taken) < limit:
                break
        taken.add(place)
        placed.setdefault(place, collections.Counter()).update(counts)
    values = [
        {
            "instance": str(instance),
            "hour": utils.timestamp(key.hour),
            "account": key.account and str(key.account),
            "recipient_domain": key.domain,
            "reason": key.reason,
            **{column: counts[column] for column in stats.COUNTS},
        }
        for key, counts in placed.items()
    ]
    sums = ", ".join(
        # Null where the release before has written the row.
        f"{name} = coalesce(mail_stats.{name}, 0) + EXCLUDED.{name}"
        for name in stats.COUNTS
    )
    session.execute(
        "INSERT INTO mail_stats"  # noqa: S608
        " SELECT * FROM json_populate_recordset(NULL::mail_stats, %s::json)"
        f" ON CONFLICT ON CONSTRAINT mail_stats_key DO UPDATE SET {sums}",
        (json.dumps(values),),
    )


def _since(session: tp.Any, instance: sys_uuid.UUID) -> datetime.datetime | None:
    """Return the first hour that figures are kept of, None where none was taken out."""
    found = session.execute(
        "SELECT hour FROM mail_stats_since WHERE instance = %s", (str(instance),)
    ).fetchall()
    return utils.moment(found[0]["hour"]) if found else None


def _places(key: Key) -> Iterator[tuple[Key, float]]:
    """Return where *key* may be counted, with the rows that the hour may have for it."""
    yield key, DOMAINS_MAX
    of_others = key._replace(domain=stats.OTHER if key.domain else "")
    yield of_others, ACCOUNTS_MAX
    yield of_others._replace(account=None), float("inf")


def _known(
    session: tp.Any, instance: sys_uuid.UUID, hours: set[datetime.datetime]
) -> dict[datetime.datetime, set[Key]]:
    found = session.execute(
        "SELECT hour, account, recipient_domain, reason FROM mail_stats"
        " WHERE instance = %s AND hour = ANY(%s::timestamp[])",
        (str(instance), [utils.timestamp(hour) for hour in hours]),
    ).fetchall()
    known: dict[datetime.datetime, set[Key]] = {hour: set() for hour in hours}
    for row in found:
        key = Key(utils.moment(row["hour"]), row["account"], row["recipient_domain"], row["reason"])
        known[key.hour].add(key)
    return known


def tell_last_day(now: datetime.datetime) -> None:
    """Write the figures of the last day to the instances whose own are others."""
    columns = ", ".join(
        f"coalesce(sum(s.{count}), 0)::bigint AS {name}" for name, count in stats.LAST_DAY.items()
    )
    with utils.transaction() as session:
        found = session.execute(
            f"SELECT i.uuid, {columns} FROM mail_instances i"  # noqa: S608
            " LEFT JOIN mail_stats s ON s.instance = i.uuid AND s.hour > %s"
            f" GROUP BY i.uuid HAVING ({', '.join(f'i.{name}' for name in stats.LAST_DAY)})"
            f" <> ({', '.join(f'coalesce(sum(s.{each}), 0)' for each in stats.LAST_DAY.values())})",
            (utils.timestamp(now - stats.DAY),),
        ).fetchall()
    for row in found:
        with utils.transaction() as session:
            # One at a time: nobody who writes several instances waits for this.
            utils.update_columns(
                session,
                "mail_instances",
                {"uuid": str(row["uuid"])},
                {name: row[name] for name in stats.LAST_DAY},
            )


def keep_in_bounds(now: datetime.datetime) -> None:
    """Take out what is too old or too much."""
    oldest = now - stats.RETENTION_DAYS * stats.DAY
    with utils.transaction() as session:
        found = session.execute(
            "SELECT uuid FROM mail_instances i WHERE EXISTS"
            " (SELECT FROM mail_stats s WHERE s.instance = i.uuid)"
        ).fetchall()
    limit = min(ROWS_MAX, ROWS_MAX_OF_ALL // max(len(found), 1))
    for row in found:
        _trim(row["uuid"], oldest, limit)


def _trim(instance: sys_uuid.UUID, oldest: datetime.datetime, limit: int) -> None:
    """Take out the hours of *instance* before *oldest*, and those beyond *limit* rows."""
    with utils.transaction() as session:
        beyond = session.execute(
            "SELECT hour FROM mail_stats WHERE instance = %s ORDER BY hour DESC OFFSET %s LIMIT 1",
            (str(instance), limit),
        ).fetchall()
    count = _ROUND
    # An hour is there whole, or not at all.
    bound = max([oldest, *(utils.moment(row["hour"]) + stats.HOUR for row in beyond)])
    if beyond:
        _keep_bound(instance, bound)
    while count == _ROUND:
        with utils.transaction() as session:
            count = session.execute(
                "DELETE FROM mail_stats WHERE ctid = ANY(ARRAY(SELECT ctid FROM mail_stats"
                " WHERE instance = %s AND hour < %s LIMIT %s))",
                (str(instance), utils.timestamp(bound), _ROUND),
            ).rowcount


def _keep_bound(instance: sys_uuid.UUID, bound: datetime.datetime) -> None:
    """Have hours before *bound* stay out; no event is told that is older than days are kept."""
    with utils.transaction() as session:
        # Whoever takes in has done so, and what it wrote is taken out, or finds the bound.
        rows.lock(session)
        session.execute(
            "INSERT INTO mail_stats_since AS known (instance, hour)"
            " SELECT uuid, %s FROM mail_instances WHERE uuid = %s"
            " ON CONFLICT (instance) DO UPDATE SET hour = EXCLUDED.hour"
            " WHERE known.hour < EXCLUDED.hour",
            (utils.timestamp(bound), str(instance)),
        )
