# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts of whose mail too much goes to addresses that do not exist: warned of, put on hold.

It is judged by the figures of hours, so it goes on whatever is kept of the log. What
happened up to a release by a user, to the end of that hour, was known to the user and
does not count any more.
"""

from __future__ import annotations

import datetime
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.control_plane.records import account_holds, locks, reputations

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Mapping

_HOUR: tp.Final = datetime.timedelta(hours=1)
_FIGURES: tp.Final = """\
SELECT a.uuid AS account, a.warned_at, sum(s.delivered + s.failed)::bigint AS recipients,
    coalesce(sum(s.failed) FILTER (WHERE s.reason = ANY(%(bounces)s)), 0)::bigint AS bounces
FROM mail_accounts a JOIN mail_stats s ON s.instance = a.instance AND s.account = a.uuid
WHERE a.instance = %(instance)s AND s.hour > %(since)s AND NOT (a.hold->>'active')::boolean
    AND (a.hold->>'released_at' IS NULL
        OR s.hour >= (a.hold->>'released_at')::timestamptz AT TIME ZONE 'UTC')
GROUP BY a.uuid, a.warned_at HAVING sum(s.delivered + s.failed) >= %(recipients_min)s
"""


def judge(now: datetime.datetime) -> None:
    """Warn of accounts, and put them on hold, as their instances ask."""
    with utils.transaction() as session:
        found = session.execute(
            "SELECT uuid, reputation FROM mail_instances"
            " WHERE (reputation->>'enabled')::boolean AND sent_24h + failed_24h > 0"
        ).fetchall()
    for row in found:
        with utils.transaction() as session:
            accounts = _figures(session, row["uuid"], row["reputation"], now)
        for each in accounts:
            _judge(row["uuid"], row["reputation"], each, now)


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
        "bounces": list(reputations.BOUNCES),
    }
    return list(session.execute(_FIGURES, values).fetchall())


def _judge(
    instance: sys_uuid.UUID,
    rule: Mapping[str, tp.Any],
    figures: Mapping[str, tp.Any],
    now: datetime.datetime,
) -> None:
    percent = 100 * figures["bounces"] / figures["recipients"]
    is_low = percent >= rule["bounce_warn_percent"]
    is_over = percent >= rule["bounce_hold_percent"]
    said = (
        f"{figures['bounces']} of {figures['recipients']} recipients in {rule['days']} days"
        f" do not exist: {percent:.1f} %"
    )
    if is_over:
        with utils.transaction() as session:
            # It may have been removed, or released, since.
            if locks.hold_instance(session, instance):
                account_holds.hold_for(
                    session,
                    instance,
                    figures["account"],
                    account_holds.REPUTATION,
                    f"{said}, and {rule['bounce_hold_percent']} % are allowed",
                    happened_at=now,
                )
    elif is_low != (figures["warned_at"] is not None):
        with utils.transaction() as session:
            if locks.hold_instance(session, instance):
                _warn(session, instance, figures["account"], now if is_low else None)
                if is_low:
                    account_holds.tell(
                        session,
                        instance,
                        figures["account"],
                        mail_events.Type.REPUTATION_LOW,
                        f"{said}, and it is put on hold at {rule['bounce_hold_percent']} %",
                    )


def _warn(
    session: tp.Any,
    instance: sys_uuid.UUID,
    account: sys_uuid.UUID,
    at: datetime.datetime | None,
) -> None:
    session.execute(
        "UPDATE mail_accounts SET warned_at = %s WHERE uuid = %s AND instance = %s",
        (utils.optional_timestamp(at), str(account), str(instance)),
    )
