# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts whose mail goes to addresses that do not exist, or is complained of: warned of, held.

It is judged by the figures of hours, and by what was reported of mail of these hours:
so a rate is of the mail that it is about, however late a report comes. What happened up
to a release by a user, to the end of that hour, was known to the user and does not
count any more; neither does what is reported later of mail from before.

What is reported is known of each account, its figures are not: an hour of many accounts
has some of them under nobody's name, and the oldest hours go where there is no room. So
what is nobody's counts as the account's, and what is reported of an hour that is gone
does not count: a rate is never higher than it is.
"""

from __future__ import annotations

import datetime
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import answers, mail_events
from exordos_paas_mail.control_plane.records import account_holds, locks, reputations

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Mapping

_HOUR: tp.Final = datetime.timedelta(hours=1)
_DAY: tp.Final = datetime.timedelta(days=1)
_SINCE_RELEASE: tp.Final = (
    "(a.hold->>'released_at' IS NULL OR {} >= (a.hold->>'released_at')::timestamptz"
    " AT TIME ZONE 'UTC')"
)
# No value is in it. Accounts come first, then figures: in the order of the writers.
_FIGURES: tp.Final = f"""\
WITH sent AS (
    SELECT a.uuid, sum(s.delivered + s.failed)::bigint AS recipients,
        coalesce(sum(s.failed) FILTER (WHERE s.reason = ANY(%(bounces)s)), 0)::bigint AS failed
    FROM mail_accounts a JOIN mail_stats s ON s.instance = a.instance AND s.account = a.uuid
    WHERE a.instance = %(instance)s AND s.hour > %(since)s AND {_SINCE_RELEASE.format("s.hour")}
    GROUP BY a.uuid
), hours AS (
    SELECT hour, coalesce(sum(delivered + failed) FILTER (WHERE account IS NULL), 0)::bigint
        AS of_nobody
    FROM mail_stats WHERE instance = %(instance)s AND hour > %(since)s GROUP BY hour
), reported AS (
    SELECT a.uuid, count(*) FILTER (WHERE r.type = 'complained') AS complaints,
        count(*) FILTER (WHERE r.type = 'bounced' AND r.reason = ANY(%(bounces)s)) AS bounced
    FROM mail_accounts a JOIN mail_reports r ON r.instance = a.instance AND r.account = a.uuid
        JOIN hours h ON h.hour = r.sent_at
    WHERE a.instance = %(instance)s AND r.sent_at > %(since)s
        AND {_SINCE_RELEASE.format("r.sent_at")}
    GROUP BY a.uuid
)
SELECT a.uuid AS account, a.warned_at, a.complaints_warned_at,
    coalesce(recipients, 0) AS recipients, coalesce(complaints, 0) AS complaints,
    coalesce(failed, 0) + coalesce(bounced, 0) AS bounces,
    (SELECT coalesce(sum(h.of_nobody), 0)::bigint FROM hours h
        WHERE {_SINCE_RELEASE.format("h.hour")}) AS of_nobody
FROM mail_accounts a LEFT JOIN sent USING (uuid) LEFT JOIN reported USING (uuid)
WHERE a.instance = %(instance)s AND NOT (a.hold->>'active')::boolean
    AND (recipients >= %(recipients_min)s OR complaints >= %(complaints_min)s
        OR a.complaints_warned_at IS NOT NULL)
"""  # noqa: S608


class _Rate(tp.NamedTuple):
    """What part of an account's recipients something is said of."""

    times: int
    recipients: int
    """How many there may be at most."""
    said: str
    warn: float | None
    hold: float | None
    """In percent; None is never."""
    column: str
    """When it was warned of at last."""

    @property
    def percent(self) -> float:
        return 100 * self.times / max(self.recipients, 1)

    @property
    def is_known(self) -> bool:
        """Whether there are recipients for all that is said: else figures are missing."""
        return self.times <= self.recipients

    def is_over(self, percent: float | None) -> bool:
        return percent is not None and self.percent >= percent


def judge(now: datetime.datetime) -> None:
    """Warn of accounts, and put them on hold, as their instances ask."""
    with utils.transaction() as session:
        found = session.execute(
            "SELECT uuid, reputation FROM mail_instances i"
            " WHERE (reputation->>'enabled')::boolean AND (sent_24h + failed_24h > 0"
            " OR EXISTS (SELECT FROM mail_reports r WHERE r.instance = i.uuid AND r.at > %s))",
            (utils.timestamp(now - _DAY),),
        ).fetchall()
    for row in found:
        # One that was written by an earlier release has fewer numbers.
        rule = {**reputations.DEFAULT, **row["reputation"]}
        with utils.transaction() as session:
            accounts = _figures(session, row["uuid"], rule, now)
        for each in accounts:
            _judge(row["uuid"], rule, each, now)


def _figures(
    session: tp.Any,
    instance: sys_uuid.UUID,
    rule: Mapping[str, tp.Any],
    now: datetime.datetime,
) -> list[Mapping[str, tp.Any]]:
    since = now - datetime.timedelta(days=rule["days"]) - _HOUR
    values = {
        "instance": str(instance),
        "since": utils.timestamp(since),
        "recipients_min": rule["recipients_min"],
        "complaints_min": rule["complaints_min"],
        "bounces": [each.value for each in answers.OF_ADDRESS],
    }
    return list(session.execute(_FIGURES, values).fetchall())


def _rates(rule: Mapping[str, tp.Any], figures: Mapping[str, tp.Any]) -> list[_Rate]:
    """Return the rates of an account that there is enough mail to judge by."""
    own, bounces, complaints = (figures[name] for name in ("recipients", "bounces", "complaints"))
    sent = own + figures["of_nobody"]
    of_days = f"of {'at most ' if sent > own else ''}{sent} recipients in {rule['days']} days"
    rates = []
    if own >= rule["recipients_min"]:
        rates.append(
            _Rate(
                *(bounces, sent, f"{bounces} {of_days} do not exist"),
                *(rule["bounce_warn_percent"], rule["bounce_hold_percent"], "warned_at"),
            )
        )
    is_enough = complaints >= rule["complaints_min"]
    rates.append(
        _Rate(
            *(complaints, sent, f"{complaints} {of_days} have complained"),
            rule["complaint_warn_percent"] if is_enough else None,
            rule["complaint_hold_percent"] if is_enough else None,
            "complaints_warned_at",
        )
    )
    return [rate for rate in rates if rate.is_known]


def _judge(
    instance: sys_uuid.UUID,
    rule: Mapping[str, tp.Any],
    figures: Mapping[str, tp.Any],
    now: datetime.datetime,
) -> None:
    rates = _rates(rule, figures)
    for rate in rates:
        if rate.is_over(rate.hold):
            _hold(instance, figures["account"], rate, now)
            return
    for rate in rates:
        is_low = rate.is_over(rate.warn)
        if is_low != (figures[rate.column] is not None):
            _warn(instance, figures["account"], rate, now if is_low else None)


def _hold(
    instance: sys_uuid.UUID, account: sys_uuid.UUID, rate: _Rate, now: datetime.datetime
) -> None:
    with utils.transaction() as session:
        # It may have been removed, or released, since.
        if locks.hold_instance(session, instance):
            account_holds.hold_for(
                session,
                instance,
                account,
                account_holds.REPUTATION,
                f"{_evidence(rate)}, and {rate.hold} % are allowed",
                happened_at=now,
            )


def _warn(
    instance: sys_uuid.UUID,
    account: sys_uuid.UUID,
    rate: _Rate,
    at: datetime.datetime | None,
) -> None:
    with utils.transaction() as session:
        if not locks.hold_instance(session, instance):
            return
        utils.update_columns(
            session,
            "mail_accounts",
            {"uuid": str(account), "instance": str(instance)},
            {rate.column: utils.optional_timestamp(at)},
        )
        if at is not None:
            then = f", and it is put on hold at {rate.hold} %" if rate.hold is not None else ""
            kind = mail_events.Type.REPUTATION_LOW
            account_holds.tell(session, instance, account, kind, f"{_evidence(rate)}{then}")


def _evidence(rate: _Rate) -> str:
    # A rate of complaints that is far too high is still below one in a hundred.
    digits = 1 if rate.percent >= 1 else 2
    return f"{rate.said}: {rate.percent:.{digits}f} %"
