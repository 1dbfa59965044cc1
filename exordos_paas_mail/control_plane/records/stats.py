# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of an instance, of each step of time: all of one is a fact, counted by the ingester."""

from __future__ import annotations

import dataclasses
import datetime
import typing as tp

from restalchemy.dm import models, properties, types

from exordos_paas_mail.codecs import domains
from exordos_paas_mail.control_plane.records import log_pages

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

HOUR: tp.Final = datetime.timedelta(hours=1)
DAY: tp.Final = datetime.timedelta(days=1)
RETENTION_DAYS: tp.Final = 400
# Of recipients' domains, all those of an hour that have no row of their own.
OTHER: tp.Final = "other"
COUNTS: tp.Final = (
    "submitted",
    "delivered",
    "deferred",
    "failed",
    "rejected",
    "login_failed",
    "gaps",
    "bounced",
    "complained",
)
# Fields of an instance, and what each is the sum of.
LAST_DAY: tp.Final[tp.Mapping[str, str]] = {
    "sent_24h": "delivered",
    "failed_24h": "failed",
    "deferred_24h": "deferred",
}
# Steps by their names; days begin at midnight, UTC.
STEPS: tp.Final[tp.Mapping[str, datetime.timedelta]] = {
    **{f"{hours}h": hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12)},
    "1d": DAY,
}
# What figures may be told by, and the column.
DIMENSIONS: tp.Final[tp.Mapping[str, str]] = {
    "account": "account",
    "class": "reason",
    "recipient_domain": "recipient_domain",
}
_UNTOLD: tp.Final = dict.fromkeys(DIMENSIONS)
# Values of a dimension that are told: those with the most of everything.
VALUES_MAX: tp.Final = 100
_NUMBER: tp.Final = types.Integer()
_TIME: tp.Final = types.UTCDateTimeZ()


class MailStat(models.Model):
    """What happened in a step of time; what it is not told by, or not of, is null."""

    at = properties.property(types.UTCDateTimeZ(), required=True, id_property=True)
    account = properties.property(types.AllowNone(types.UUID()), default=None)
    reason = properties.property(types.AllowNone(types.String()), default=None)
    recipient_domain = properties.property(types.AllowNone(types.String()), default=None)
    submitted = properties.property(_NUMBER, default=0)
    delivered = properties.property(_NUMBER, default=0)
    deferred = properties.property(_NUMBER, default=0)
    failed = properties.property(_NUMBER, default=0)
    rejected = properties.property(_NUMBER, default=0)
    login_failed = properties.property(_NUMBER, default=0)
    gaps = properties.property(_NUMBER, default=0)
    bounced = properties.property(_NUMBER, default=0)
    complained = properties.property(_NUMBER, default=0)


@dataclasses.dataclass
class Stats:
    """The figures of an instance from *since* on and before *until*; conditions are added."""

    instance: sys_uuid.UUID
    since: datetime.datetime
    until: datetime.datetime
    step: datetime.timedelta
    by: str | None = None
    _conditions: list[str] = dataclasses.field(default_factory=list)
    _values: list[tp.Any] = dataclasses.field(default_factory=list)

    def of_account(self, account: sys_uuid.UUID) -> None:
        """Have those of an account."""
        self._where("account = %s", str(account))

    def of_class(self, reason: str) -> None:
        """Have those of a class of failures and delays."""
        self._where("reason = %s", reason)

    def to_domain(self, domain: str) -> None:
        """Have those about the addresses of a domain."""
        self._where("recipient_domain = %s", domains.with_a_labels(domain).lower())

    def select(self, session: tp.Any) -> list[dict[str, tp.Any]]:
        """Return the figures of the steps in which something happened, the oldest first.

        They are the fields of a ``MailStat``, by the API's names and in its order: there may be
        ten thousand, and so many models take ten times as long.
        """
        where = " AND ".join(["instance = %s", "hour >= %s", "hour < %s", *self._conditions])
        values = (
            str(self.instance),
            log_pages.timestamp(self.since),
            log_pages.timestamp(self.until),
            *self._values,
        )
        column = DIMENSIONS[self.by] if self.by else "NULL"
        # Null where the release before has written the row. Of integers of 64 bits PostgreSQL
        # makes a sum of decimals, which takes twice as long; below 2^53 this one is exact, too.
        sums = ", ".join(f"coalesce(sum({name}::float8), 0)::bigint AS {name}" for name in COUNTS)
        rows = session.execute(
            "WITH steps AS (SELECT date_bin(%s, hour, TIMESTAMP 'epoch') AS at,"  # noqa: S608
            f" coalesce({column}::text, '') COLLATE \"C\" AS value, {sums} FROM mail_stats"
            f" WHERE {where} GROUP BY 1, 2),"
            " most AS (SELECT value FROM steps GROUP BY value"
            f" ORDER BY sum({' + '.join(COUNTS)}) DESC, value LIMIT %s)"
            f" SELECT at, nullif(value, '') AS told, {', '.join(COUNTS)}"
            " FROM steps JOIN most USING (value) ORDER BY at, told",
            (self.step, *values, VALUES_MAX),
        ).fetchall()
        # As a model would be written: a time has its fraction, also where that is zero. There are
        # a thousand at most.
        times = {at: _TIME.dump_value(at) for at in {row["at"] for row in rows}}
        return [self._stat(row, times) for row in rows]

    def _stat(
        self, row: dict[str, tp.Any], times: tp.Mapping[datetime.datetime, str]
    ) -> dict[str, tp.Any]:
        told = row.pop("told")
        stat = {"at": times[row.pop("at")], **_UNTOLD, **row}
        if self.by:
            stat[self.by] = told
        return stat

    def _where(self, condition: str, value: tp.Any) -> None:
        self._conditions.append(condition)
        self._values.append(value)


def begin_of(moment: datetime.datetime, step: datetime.timedelta) -> datetime.datetime:
    """Return when the step that *moment* is in begins."""
    return moment - (moment - _EPOCH) % step


def end_of(moment: datetime.datetime, step: datetime.timedelta) -> datetime.datetime:
    """Return when the steps before *moment* end, with the one that it is within."""
    return moment + (_EPOCH - moment) % step


_EPOCH: tp.Final = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
