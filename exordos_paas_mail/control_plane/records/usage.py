# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much was sent of what may be, as the node told it last: facts."""

from __future__ import annotations

import datetime
import json
import typing as tp

from restalchemy.dm import models, properties, types

from exordos_paas_mail.codecs import limits, windows
from exordos_paas_mail.control_plane.records import account_logins, fields

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Iterable, Mapping

    from exordos_paas_mail.codecs import queue_reports

_NOTHING: tp.Final[Mapping[str, int]] = {"at": 0, **dict.fromkeys(limits.PERIODS, 0)}
_EPOCH: tp.Final = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)


class MailUsage(models.Model):
    """What is used of a limit in the window of now."""

    period = properties.property(types.Enum(list(limits.PERIODS)), required=True, id_property=True)
    used = properties.property(types.Integer(), default=0)
    # What may be used; None is no limit.
    limit = properties.property(types.AllowNone(types.Integer()), default=None)
    resets_at = properties.property(fields.Moment(), default=None)


def take(
    session: tp.Any,
    instance: sys_uuid.UUID,
    told: Iterable[queue_reports.Usage],
) -> None:
    """Have *told* be what was sent; a login that is no account's is passed over."""
    by_login = {one.login: one for one in told}
    if not by_login:
        return
    (held,) = session.execute(
        "SELECT domain FROM mail_instances WHERE uuid = %s", (str(instance),)
    ).fetchall()
    logins = by_login.keys() - {limits.INSTANCE_KEY}
    accounts = account_logins.find(session, instance, held["domain"], logins)
    # A limit counts by the login: what a deleted namesake has used of it is used.
    owners = {login: account.uuid for login, account in accounts.items()}
    owners[limits.INSTANCE_KEY] = instance
    values = [
        {
            "owner": str(owner),
            "instance": str(instance),
            "account": str(owner) if login in accounts else None,
            "at": one.at,
            **{period: getattr(one, period) for period in limits.PERIODS},
        }
        for login, owner in owners.items()
        if (one := by_login.get(login)) is not None
    ]
    session.execute(
        "INSERT INTO mail_usage AS u SELECT * FROM json_populate_recordset(NULL::mail_usage,"
        " %s::json) ON CONFLICT (owner) DO UPDATE SET at = EXCLUDED.at,"
        " minute = EXCLUDED.minute, hour = EXCLUDED.hour, day = EXCLUDED.day,"
        " month = EXCLUDED.month WHERE (u.at, u.minute, u.hour, u.day, u.month) IS DISTINCT FROM"
        " (EXCLUDED.at, EXCLUDED.minute, EXCLUDED.hour, EXCLUDED.day, EXCLUDED.month)",
        (json.dumps(values),),
    )


def of(
    session: tp.Any,
    owner: sys_uuid.UUID,
    bounds: Iterable[Mapping[str, int | None]],
    now: datetime.datetime,
) -> list[MailUsage]:
    """Return what *owner*, an account or an instance, has used, the shortest window first.

    A limit is the smallest one of *bounds*, which are limits by the fields of the API.
    """
    rows = session.execute("SELECT * FROM mail_usage WHERE owner = %s", (str(owner),)).fetchall()
    row = rows[0] if rows else _NOTHING
    at = (now - _EPOCH) // datetime.timedelta(milliseconds=1)
    found = []
    for period in limits.PERIODS:
        is_now = windows.begin(period, row["at"]) == windows.begin(period, at)
        numbers = [each.get(f"recipients_per_{period}") for each in bounds]
        end = windows.end(period, at)
        found.append(
            MailUsage(
                period=period,
                used=row[period] if is_now else 0,
                limit=min((one for one in numbers if one is not None), default=None),
                resets_at=_EPOCH + datetime.timedelta(milliseconds=end),
            )
        )
    return found
