# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What other servers report of mail that they had taken: counted once of a recipient of a message.

Anybody who has a message can report of it, as often as he likes: its return path says
which message a report is of, and neither who has written it nor whom it is about. So
what is reported counts for whom the message had reached, and for each once.
"""

from __future__ import annotations

import collections
import datetime
import json
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import answers, log_ids, mail_events
from exordos_paas_mail.control_plane.events import rows, stats
from exordos_paas_mail.control_plane.records import instance_logs

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from exordos_paas_mail.control_plane.events import taking

_Type: tp.TypeAlias = mail_events.Type
# Nothing is taken of a message that is older.
KEPT: tp.Final = datetime.timedelta(days=instance_logs.RETENTION_DAYS_MAX)
_MILLISECONDS_MAX: tp.Final = 253_370_764_800_000
_COLUMNS: tp.Final[Mapping[mail_events.Type, str]] = {
    _Type.BOUNCED: "bounced",
    _Type.COMPLAINED: "complained",
}


class Feedback(tp.NamedTuple):
    """That a recipient will not get a message, or does not want it."""

    type: mail_events.Type
    message: sys_uuid.UUID
    at: datetime.datetime
    recipient: str
    """Whom the message had reached, in lower case; empty where a complaint does not say who."""
    account: sys_uuid.UUID | None
    """None where nothing is known of the message."""
    code: int = 0
    enhanced: str = ""
    text: str = ""
    reason: str = ""

    @property
    def is_hard(self) -> bool:
        """Whether it says that there is no such address."""
        return self.type is _Type.BOUNCED and self.reason in answers.OF_ADDRESS

    @property
    def key(self) -> sys_uuid.UUID:
        """What is the same of another report of the same; it tells no address."""
        return sys_uuid.uuid5(self.message, f"{self.type.value} {self.recipient}")

    @property
    def sent_at(self) -> datetime.datetime:
        """The hour in which the message came."""
        sent = rows.moment_of(log_ids.milliseconds(self.message))
        return sent.replace(minute=0, second=0, microsecond=0)


def take(
    session: tp.Any,
    instance: sys_uuid.UUID,
    events: Iterable[mail_events.Event],
    taken: taking.Taken,
    now: datetime.datetime,
) -> list[Feedback]:
    """Count what *events*, of one batch of *instance*, report; return what is new of it.

    That there is no such address is new after a bounce that did not say so; figures
    have that recipient already. *taken*, what the log has of *events*, is written;
    ``rows.lock`` is held.
    """
    found = _of_known(session, instance, taken.events)
    known = {report.message for report in found}
    found += [one for one in _of_others(instance, events, now) if one.message not in known]
    if not found:
        return []
    first, harder = _new(session, instance, found)
    _keep(session, instance, [*first, *harder], now)
    figures: stats.Figures = {}
    for report in first:
        at = min(report.at, now)
        key = stats.key_of(at, report.account, report.recipient, report.reason)
        figures.setdefault(key, collections.Counter())[_COLUMNS[report.type]] += 1
    stats.write(session, instance, figures)
    return [*first, *harder]


def _of_known(
    session: tp.Any, instance: sys_uuid.UUID, values: Iterable[Mapping[str, tp.Any]]
) -> list[Feedback]:
    """Return what is reported of messages that the log has."""
    kinds = {kind.value for kind in _COLUMNS}
    told = [row for row in values if row["type"] in kinds and row.get("message")]
    reached = _reached(session, instance, {row["message"] for row in told})
    found = []
    for row in told:
        kind, recipients = _Type(row["type"]), reached.get(row["message"], set())
        said = row.get("recipient", "").lower()
        recipient = said if said in recipients else ""
        if kind is _Type.COMPLAINED and len(recipients) == 1:
            # It needs no saying, and the address is often left out (RFC 6590).
            (recipient,) = recipients
        if recipient or kind is _Type.COMPLAINED:
            account = row.get("account")
            report = Feedback(
                kind,
                sys_uuid.UUID(row["message"]),
                datetime.datetime.fromisoformat(row["at"]).replace(tzinfo=datetime.timezone.utc),
                recipient,
                sys_uuid.UUID(account) if account else None,
                row.get("code", 0),
                row.get("enhanced_code", ""),
                row.get("text", ""),
                row.get("reason", ""),
            )
            found.append(report)
    return found


def _of_others(
    instance: sys_uuid.UUID, events: Iterable[mail_events.Event], now: datetime.datetime
) -> list[Feedback]:
    """Return complaints of messages: the node has verified that there was such a one.

    Whose it was is not known where the log does not have it.
    """
    return [
        Feedback(
            event.type,
            log_ids.message_uuid(instance, event.queue_id),
            min(rows.moment_of(min(event.at, _MILLISECONDS_MAX)), now),
            "",
            None,
        )
        for event in events
        if event.type is _Type.COMPLAINED and log_ids.is_queue_id(event.queue_id)
    ]


def _reached(
    session: tp.Any, instance: sys_uuid.UUID, messages: Collection[str]
) -> dict[str, set[str]]:
    """Return whom *messages* were delivered to, in lower case, by message."""
    if not messages:
        return {}
    found = session.execute(
        "SELECT DISTINCT message, lower(recipient) AS recipient FROM mail_events"
        " WHERE instance = %s AND message = ANY(%s::uuid[]) AND type = %s",
        (str(instance), sorted(messages), _Type.DELIVERED.value),
    ).fetchall()
    reached: dict[str, set[str]] = {}
    for row in found:
        reached.setdefault(str(row["message"]), set()).add(row["recipient"])
    return reached


def _new(
    session: tp.Any, instance: sys_uuid.UUID, found: Iterable[Feedback]
) -> tuple[list[Feedback], list[Feedback]]:
    """Return those of *found* that are the first, and those that are the first hard ones."""
    each: dict[sys_uuid.UUID, Feedback] = {}
    for report in found:
        known = each.setdefault(report.key, report)
        if report.is_hard and not known.is_hard:
            each[report.key] = report
    kept = session.execute(
        "SELECT key, reason FROM mail_reports WHERE instance = %s AND key = ANY(%s::uuid[])",
        (str(instance), [str(key) for key in each]),
    ).fetchall()
    reasons = {row["key"]: row["reason"] for row in kept}
    first = [report for key, report in each.items() if key not in reasons]
    harder = [
        report
        for key, report in each.items()
        if report.is_hard and reasons.get(key, report.reason) not in answers.OF_ADDRESS
    ]
    return first, harder


def _keep(
    session: tp.Any, instance: sys_uuid.UUID, new: Iterable[Feedback], now: datetime.datetime
) -> None:
    values = [
        {
            "instance": str(instance),
            "key": str(report.key),
            "type": report.type.value,
            "account": report.account and str(report.account),
            "reason": report.reason,
            "sent_at": utils.timestamp(report.sent_at),
            "at": utils.timestamp(now),
        }
        for report in new
    ]
    if values:
        session.execute(
            "INSERT INTO mail_reports"
            " SELECT * FROM json_populate_recordset(NULL::mail_reports, %s::json)"
            " ON CONFLICT ON CONSTRAINT mail_reports_pkey DO UPDATE SET reason = EXCLUDED.reason",
            (json.dumps(values),),
        )


def keep_in_bounds(now: datetime.datetime) -> None:
    """Forget what no report can be of any more."""
    with utils.transaction() as session:
        session.execute("DELETE FROM mail_reports WHERE at < %s", (utils.timestamp(now - KEPT),))
