# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Suppressions taken in and told as a text, many at a time."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import rules, suppression_lists, suppressions
from exordos_paas_mail.control_plane.records import (
    errors,
    locks,
    notices,
    operations,
    suppression_rows,
)
from exordos_paas_mail.control_plane.records import suppressions as records

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid

# Lines that are told why they are not taken; all are counted.
FAILED_MAX: tp.Final = 500
# Lines in a transaction: nobody else who writes the instance waits for all of them.
_ROUND: tp.Final = 1_000
_OVER: tp.Final = "expires_at must be in the future"


def take(
    instance: sys_uuid.UUID, text: str, reason: str, account: sys_uuid.UUID | None
) -> operations.MailOperation:
    """Add what *text* says; return an operation that is done, with what became of its lines.

    A line that is there already is left as it is. *reason* is for lines without one.
    Raises FieldError where there are too many lines, and RecordNotFound if the
    instance is gone.
    """
    lines = text.splitlines()
    if len(lines) > suppression_lists.LINES_MAX:
        raise errors.FieldError("text", f"must have {suppression_lists.LINES_MAX} lines at most")
    now = utils.now()
    failed: dict[int, str] = {}
    entries: dict[int, suppression_lists.Line] = {}
    for number, line in enumerate(lines, start=1):
        try:
            parsed = suppression_lists.parse(line)
        except rules.RuleError as error:
            failed[number] = str(error)
            continue
        if parsed is not None and parsed.expires_at is not None and parsed.expires_at <= now:
            failed[number] = _OVER
        elif parsed is not None:
            entries[number] = parsed
    # One shard after the other, so that each is told to the node once or twice.
    numbers = sorted(entries, key=lambda number: suppressions.shard_of(entries[number].address))
    count = existing = 0
    for first in range(0, len(numbers), _ROUND):
        part = {number: entries[number] for number in numbers[first : first + _ROUND]}
        put = _put(instance, part, reason, account, now)
        count += len(put.added)
        existing += len(put.existing)
        full = {key[0] for key in put.full}
        failed |= {n: records.FULL for n, line in part.items() if line.address in full}
    if count:
        with utils.transaction() as session:
            notices.tell(
                session,
                instance,
                "suppression.imported",
                {"count": count, "existing": existing, "failed_count": len(failed)},
            )
    told = {str(number): failed[number] for number in sorted(failed)[:FAILED_MAX]}
    result = {"count": count, "existing": existing, "failed": told, "failed_count": len(failed)}
    return operations.record(instance, operations.IMPORT_SUPPRESSIONS, result)


def _put(
    instance: sys_uuid.UUID,
    lines: tp.Mapping[int, suppression_lists.Line],
    reason: str,
    account: sys_uuid.UUID | None,
    now: datetime.datetime,
) -> suppression_rows.Put:
    with utils.transaction() as session:
        if not locks.hold_instance(session, instance):
            raise errors.RecordNotFound(instance)
        login = records.login_of(session, instance, account) if account else ""
        entries = [
            suppression_rows.Entry(
                line.address,
                line.reason or reason,
                suppression_rows.USER,
                account=account,
                login=login,
                expires_at=line.expires_at,
            )
            for line in lines.values()
        ]
        return suppression_rows.put(session, instance, entries, now, tells=False)


def tell(instance: sys_uuid.UUID, after: sys_uuid.UUID | None) -> str:
    """Return a text of entries of all the instance, from the oldest on, or from *after* on.

    The last line of a text that is not the last is ``# after: <uuid>``. Whatever is
    written meanwhile, what stays is told once.
    """
    limit = suppression_lists.LINES_MAX
    page = records.Suppressions(instance, limit)
    page.columns = "uuid, address, reason, expires_at"
    page.with_scope(suppression_rows.INSTANCE)
    if after is not None:
        page.after(after)
    with utils.transaction() as session:
        rows = page.select(session)
    text = suppression_lists.render(
        suppression_lists.Line(row["address"], row["reason"], utils.moment(row["expires_at"]))
        for row in rows
    )
    return text + (f"# after: {rows[-1]['uuid']}\n" if len(rows) == limit else "")
