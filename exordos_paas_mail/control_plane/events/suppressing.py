# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Recipients that are suppressed because there is no such mailbox, or because they ask for it.

Only an answer that says so suppresses, never one that is about the sender, the
message or a limit. What a user has taken out since is not added again by what
happened before.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import logging
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import answers, log_ids, mail_events, rules, suppressions
from exordos_paas_mail.control_plane.events import reports, rows
from exordos_paas_mail.control_plane.records import locks, suppression_rows

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection, Iterable, Mapping

    from exordos_paas_mail.control_plane.events import taking

LOG = logging.getLogger(__name__)

_Type: tp.TypeAlias = mail_events.Type
# Events come within a week: a node keeps them for so long.
HISTORY: tp.Final = datetime.timedelta(days=30)
_ROUND: tp.Final = 2_000
_MILLISECONDS_MAX: tp.Final = 253_370_764_800_000


@dataclasses.dataclass
class _Failure:
    """That there is no mailbox of an address, and how often it was said."""

    at: datetime.datetime
    detail: str
    message: sys_uuid.UUID | None
    times: int = 1


def take(
    session: tp.Any,
    instance: sys_uuid.UUID,
    events: Collection[mail_events.Event],
    taken: taking.Taken,
    now: datetime.datetime,
) -> None:
    """Take in what *events*, of one batch of *instance*, say of suppressions; it is held.

    *taken* is what the log has of them, and what is new of what they report.
    """
    _count_hits(session, instance, taken.events, now)
    _take_complaints(session, instance, taken.reported, now)
    found = session.execute(
        "SELECT suppression FROM mail_instances WHERE uuid = %s", (str(instance),)
    ).fetchall()
    policy = found[0]["suppression"]
    if not policy["on_hard_bounce"]:
        return
    after = policy["after"]
    if after > 1:
        _forget_failures(session, instance, events)
    failures = _failures(instance, events, now)
    _add_reported(taken.reported, failures)
    failures = _later_than_removals(session, instance, failures)
    if after > 1:
        failures = _often_enough(session, instance, failures, after, now)
    entries = [_entry(address, failure, policy) for address, failure in failures.items()]
    # One whose end is over already is none.
    entries = [one for one in entries if one.expires_at is None or one.expires_at > now]
    if entries and suppression_rows.put(session, instance, entries, now).full:
        LOG.warning("The instance %s has no room for suppressions", instance)


def _take_complaints(
    session: tp.Any,
    instance: sys_uuid.UUID,
    reported: Iterable[reports.Feedback],
    now: datetime.datetime,
) -> None:
    """Suppress who has complained of a message, until a user says otherwise."""
    failures: dict[str, _Failure] = {}
    for report in reported:
        if report.type is _Type.COMPLAINED and report.recipient:
            detail = report.text[: suppression_rows.DETAIL_SIZE_MAX]
            _add(failures, report.recipient, _Failure(report.at, detail, report.message))
    failures = _later_than_removals(session, instance, failures)
    entries = [
        suppression_rows.Entry(
            address,
            suppressions.Reason.COMPLAINT.value,
            suppression_rows.AUTO,
            detail=failure.detail,
            message=failure.message,
        )
        for address, failure in failures.items()
    ]
    if entries and suppression_rows.put(session, instance, entries, now).full:
        LOG.warning("The instance %s has no room for suppressions", instance)


def _entry(address: str, failure: _Failure, policy: Mapping[str, tp.Any]) -> suppression_rows.Entry:
    days = policy["expires_days"]
    return suppression_rows.Entry(
        address,
        suppressions.Reason.HARD_BOUNCE.value,
        suppression_rows.AUTO,
        detail=failure.detail,
        message=failure.message,
        expires_at=failure.at + datetime.timedelta(days=days) if days else None,
    )


def _failures(
    instance: sys_uuid.UUID, events: Iterable[mail_events.Event], now: datetime.datetime
) -> dict[str, _Failure]:
    """Return what servers said when they were given a message, whatever is kept of the log."""
    failures: dict[str, _Failure] = {}
    for event in events:
        if event.type is _Type.FAILED and event.reason in answers.OF_ADDRESS:
            known = log_ids.is_queue_id(event.queue_id)
            message = log_ids.message_uuid(instance, event.queue_id) if known else None
            at = min(rows.moment_of(min(event.at, _MILLISECONDS_MAX)), now)
            said = _said(event.code, event.enhanced, event.text)
            _add(failures, event.recipient, _Failure(at, said, message))
    return failures


def _add_reported(reported: Iterable[reports.Feedback], failures: dict[str, _Failure]) -> None:
    """Add what servers reported later, of messages that they had taken for that recipient."""
    for report in reported:
        if report.type is _Type.BOUNCED and report.reason in answers.OF_ADDRESS:
            said = _said(report.code, report.enhanced, report.text)
            _add(failures, report.recipient, _Failure(report.at, said, report.message))


def _add(failures: dict[str, _Failure], recipient: str, failure: _Failure) -> None:
    address = _normal(recipient)
    if address is None:
        return
    known = failures.setdefault(address, failure)
    if known is not failure:
        known.times += 1
        known.at = max(known.at, failure.at)


def _normal(recipient: str) -> str | None:
    try:
        return suppressions.normalise(recipient)
    except rules.RuleError:
        return None


def _said(code: int, enhanced: str, text: str) -> str:
    parts = [str(code) if code else "", enhanced, text]
    return " ".join(part for part in parts if part)[: suppression_rows.DETAIL_SIZE_MAX]


def _later_than_removals(
    session: tp.Any, instance: sys_uuid.UUID, failures: dict[str, _Failure]
) -> dict[str, _Failure]:
    """Return what happened after a user has last taken the address out."""
    if not failures:
        return {}
    found = session.execute(
        "SELECT address, removed_at FROM mail_suppression_history"
        " WHERE instance = %s AND address = ANY(%s) AND removed_at IS NOT NULL",
        (str(instance), sorted(failures)),
    ).fetchall()
    removed = {row["address"]: utils.moment(row["removed_at"]) for row in found}
    return {
        address: failure
        for address, failure in failures.items()
        if address not in removed or failure.at > removed[address]
    }


def _often_enough(
    session: tp.Any,
    instance: sys_uuid.UUID,
    failures: dict[str, _Failure],
    after: int,
    now: datetime.datetime,
) -> dict[str, _Failure]:
    """Count *failures*; return those that are the last of so many."""
    enough = {}
    for address in sorted(failures):
        (row,) = session.execute(
            "INSERT INTO mail_suppression_history AS h (instance, address, failures, updated_at)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT ON CONSTRAINT mail_suppression_history_pkey"
            " DO UPDATE SET failures = h.failures + EXCLUDED.failures,"
            " updated_at = EXCLUDED.updated_at RETURNING failures",
            (str(instance), address, failures[address].times, utils.timestamp(now)),
        ).fetchall()
        if row["failures"] >= after:
            enough[address] = failures[address]
    return enough


def _forget_failures(
    session: tp.Any, instance: sys_uuid.UUID, events: Iterable[mail_events.Event]
) -> None:
    """Begin to count anew for who has had a message meanwhile."""
    delivered = {_normal(event.recipient) for event in events if event.type is _Type.DELIVERED}
    session.execute(
        "UPDATE mail_suppression_history SET failures = 0"
        " WHERE instance = %s AND address = ANY(%s) AND failures > 0",
        (str(instance), sorted(address for address in delivered if address)),
    )


def _count_hits(
    session: tp.Any,
    instance: sys_uuid.UUID,
    values: Iterable[Mapping[str, tp.Any]],
    now: datetime.datetime,
) -> None:
    hits: collections.Counter[tuple[str, str | None]] = collections.Counter()
    for row in values:
        if row["type"] == "suppressed" and (address := _normal(row.get("recipient", ""))):
            hits[address, row.get("account")] += row["count"]
    for key, times in sorted(hits.items(), key=str):
        suppression_rows.hit(session, instance, key, times, now)


def keep_in_bounds(now: datetime.datetime) -> None:
    """Forget what no event can be older than, and take out entries that are over."""
    with utils.transaction() as session:
        session.execute(
            "DELETE FROM mail_suppression_history WHERE updated_at < %s",
            (utils.timestamp(now - HISTORY),),
        )
        found = session.execute(
            "SELECT DISTINCT instance FROM mail_suppressions WHERE expires_at <= %s",
            (utils.timestamp(now),),
        ).fetchall()
    for row in found:
        count = _ROUND
        while count == _ROUND:
            with utils.transaction() as session:
                # Those of one that is gone are an erasure's.
                is_there = locks.hold_instance(session, row["instance"])
                count = is_there and suppression_rows.sweep(session, row["instance"], now, _ROUND)
