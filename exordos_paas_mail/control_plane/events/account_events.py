# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Events of accounts that the control plane makes itself, and holds that events call for."""

from __future__ import annotations

import datetime
import secrets
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import holds, log_ids, mail_events
from exordos_paas_mail.control_plane.records import account_holds, instance_logs

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Of one turn: nobody who takes in batches waits longer.
_TURN: tp.Final = 500


def take(session: tp.Any, last: int, now: datetime.datetime) -> list[dict[str, tp.Any]]:
    """Return the rows of the events that wait, those that happened first; they wait no more.

    *last* is the last number that an event has; ``rows.lock`` is held.
    """
    found = session.execute(
        "DELETE FROM mail_account_events WHERE uuid IN (SELECT uuid FROM mail_account_events"
        " ORDER BY at, uuid LIMIT %s) RETURNING instance, account, at, type, text,"
        " (SELECT log->>'level' FROM mail_instances i WHERE i.uuid = instance) AS level",
        (_TURN,),
    ).fetchall()
    number = max(last, int(now.timestamp() * 1000) << 12)
    values = []
    for row in sorted(found, key=lambda one: one["at"]):
        if row["level"] == instance_logs.NONE:
            continue
        number += 1
        values.append(
            {
                "uuid": str(log_ids.of_order(number, secrets.randbits(64))),
                "instance": str(row["instance"]),
                "account": str(row["account"]),
                "at": utils.timestamp(utils.moment(row["at"])),
                "type": row["type"],
                "text": row["text"],
                "count": 1,
            }
        )
    return values


def any_waits(session: tp.Any) -> bool:
    """Return whether there is an event that waits."""
    found = session.execute("SELECT EXISTS (SELECT FROM mail_account_events) AS found").fetchone()
    return bool(found["found"])


def number_of(value: Mapping[str, tp.Any]) -> int:
    """Return the number that the row of an event has."""
    uuid = sys_uuid.UUID(value["uuid"]).int
    return uuid >> 80 << 12 | uuid >> 64 & 0xFFF


def hold_by_limits(
    session: tp.Any, instance: sys_uuid.UUID, events: Iterable[Mapping[str, tp.Any]]
) -> None:
    """Put accounts on hold of whose mail a limit has put something apart; *instance* is held.

    What was put apart before its account was released is no reason to do it again.
    """
    reasons: dict[str, Mapping[str, tp.Any]] = {}
    for event in events:
        is_limit = event["type"] == mail_events.Type.HELD.value and event.get("text") not in {
            None,
            "",
            holds.ACCOUNT,
        }
        if is_limit and event.get("account"):
            reasons[event["account"]] = event
    for account, event in reasons.items():
        reason = f"{event['text']}: the message {event.get('queue_id', '')} was put apart"
        account_holds.hold_for(
            session,
            instance,
            sys_uuid.UUID(account),
            account_holds.LIMIT,
            reason,
            happened_at=datetime.datetime.fromisoformat(event["at"] + "+00:00"),
        )
