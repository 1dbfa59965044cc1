# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Suppressions asked for and told as a text, many at a time.

A text that is asked for waits in a row of its own. The thread of the imports
(``imports.importer``) takes it in, some lines in a transaction, and the row keeps how far
it is.
"""

from __future__ import annotations

import json
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import suppression_lists
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
    from collections.abc import Iterable, Mapping

# Of an instance.
WAITING_MAX: tp.Final = 5
# Octets of the texts of all instances.
KEPT_SIZE_MAX: tp.Final = 1024 * 1024 * 1024
# Lines that are told why they are not taken; all are counted.
REFUSED_MAX: tp.Final = 500
_OVER: tp.Final = "expires_at must be in the future"
_NO_ACCOUNT: tp.Final = "account must be the UUID of an account of the instance"

Numbered: tp.TypeAlias = "tuple[int, suppression_lists.Line]"
"""A line and its number."""


class Import(tp.NamedTuple):
    """A text that waits, and how far it is taken in."""

    operation: sys_uuid.UUID
    instance: sys_uuid.UUID
    account: sys_uuid.UUID | None
    """Of lines that name none."""
    reason: str
    """Of lines that have none."""
    position: int
    """How many entries of its plan were put."""


def ask(
    instance: sys_uuid.UUID, text: bytes, reason: str, account: sys_uuid.UUID | None
) -> operations.MailOperation:
    """Have what *text* says be added; return the operation.

    *reason* and *account* are for lines without one. Raises FieldError where there are too
    many lines or *account* is none of the instance's, ConflictRecords if WAITING_MAX texts
    wait already, and RecordNotFound if the instance is gone.
    """
    if suppression_lists.count(text) > suppression_lists.LINES_MAX:
        raise errors.FieldError("text", f"must have {suppression_lists.LINES_MAX} lines at most")
    with utils.transaction() as session:
        if not locks.hold_instance(session, instance):
            raise errors.RecordNotFound(instance)
        if account:
            records.login_of(session, instance, account)
        (row,) = session.execute(
            "SELECT count(*) FILTER (WHERE instance = %s) AS waiting,"
            " coalesce(sum(size), 0) AS size FROM mail_suppression_imports",
            (str(instance),),
        ).fetchall()
        if row["waiting"] >= WAITING_MAX:
            raise errors.ConflictRecords(
                "instance", f"already has {WAITING_MAX} imports that wait: ask again later"
            )
        if row["size"] + len(text) > KEPT_SIZE_MAX:
            raise errors.Unavailable("text")
        operation = operations.begin(session, instance, operations.IMPORT_SUPPRESSIONS)
        session.execute(
            "INSERT INTO mail_suppression_imports (operation, instance, account, reason, lines,"
            " size) VALUES (%s, %s, %s, %s, %s, %s)",
            (
                *(str(operation.uuid), str(instance), account and str(account)),
                *(reason, text, len(text)),
            ),
        )
    return operation


def find_next(last: sys_uuid.UUID | None) -> Import | None:
    """Return the text that has waited longest, of another instance than *last* if there is one."""
    with utils.transaction() as session:
        found = session.execute(
            "SELECT operation, instance, account, reason, position FROM mail_suppression_imports"
            " ORDER BY instance IS NOT DISTINCT FROM %s::uuid, operation LIMIT 1",
            (last and str(last),),
        ).fetchall()
    return Import(**found[0]) if found else None


def read(waiting: Import) -> str | None:
    """Return the text; None if it is gone."""
    with utils.transaction() as session:
        found = session.execute(
            "SELECT lines FROM mail_suppression_imports WHERE operation = %s",
            (str(waiting.operation),),
        ).fetchall()
    return bytes(found[0]["lines"]).decode() if found else None


def put(waiting: Import, position: int, lines: Iterable[Numbered]) -> int | None:
    """Add *lines*, which begin at *position* of the plan; return where the next ones do.

    None where nothing of this text is to be done here any more: it is gone, or another
    process was faster. Raises FieldError if the account of the text is gone.
    """
    now = utils.now()
    with utils.transaction() as session:
        row = _hold(session, waiting)
        if row is None or row["position"] != position:
            return None
        part = dict(lines)
        refused: dict[int, str] = {}
        entries = _entries(session, waiting, part, now, refused)
        done = suppression_rows.put(session, waiting.instance, entries.values(), now, tells=False)
        full = set(done.full)
        refused |= {n: records.FULL for n, entry in entries.items() if entry.key in full}
        told = {**row["refused"], **{str(number): refused[number] for number in refused}}
        session.execute(
            "UPDATE mail_suppression_imports SET position = position + %s, added = added + %s,"
            " existing = existing + %s, refused_count = refused_count + %s, refused = %s::jsonb"
            " WHERE operation = %s",
            (
                *(len(part), len(done.added), len(done.existing), len(refused)),
                *(json.dumps(_first(told)), str(waiting.operation)),
            ),
        )
    return position + len(part)


def finish(waiting: Import, refused: Mapping[int, str], refused_count: int) -> None:
    """Tell what became of all lines; *refused* are those, of so many, that were none."""
    with utils.transaction() as session:
        _end(session, waiting, "", refused, refused_count)


def fail(waiting: Import, error: str) -> None:
    """Tell why the rest of the text is not taken in."""
    with utils.transaction() as session:
        _end(session, waiting, error, {}, 0)


def _end(
    session: tp.Any, waiting: Import, error: str, refused: Mapping[int, str], refused_count: int
) -> None:
    row = _hold(session, waiting)
    if row is None:
        return
    result = {
        "count": row["added"],
        "existing": row["existing"],
        "failed": _first(
            {**row["refused"], **{str(number): refused[number] for number in refused}}
        ),
        "failed_count": row["refused_count"] + refused_count,
    }
    operations.end(session, waiting.operation, result, error)
    if row["added"]:
        told = {name: result[name] for name in ("count", "existing", "failed_count")}
        notices.tell(session, waiting.instance, "suppression.imported", told)
    session.execute(
        "DELETE FROM mail_suppression_imports WHERE operation = %s", (str(waiting.operation),)
    )


def _hold(session: tp.Any, waiting: Import) -> tp.Any:
    if not locks.hold_instance(session, waiting.instance):
        return None
    found = session.execute(
        "SELECT position, added, existing, refused, refused_count FROM mail_suppression_imports"
        " WHERE operation = %s FOR UPDATE",
        (str(waiting.operation),),
    ).fetchall()
    return found[0] if found else None


def _first(refused: Mapping[str, str]) -> dict[str, str]:
    return {number: refused[number] for number in sorted(refused, key=int)[:REFUSED_MAX]}


def _entries(
    session: tp.Any,
    waiting: Import,
    lines: Mapping[int, suppression_lists.Line],
    now: datetime.datetime,
    refused: dict[int, str],
) -> dict[int, suppression_rows.Entry]:
    """Return the entries of *lines*; those that are none are put into *refused*."""
    if waiting.account:
        records.login_of(session, waiting.instance, waiting.account)
    accounts = {line.account or waiting.account for line in lines.values()} - {None}
    logins = _logins(session, waiting.instance, accounts)
    entries = {}
    for number, line in lines.items():
        account = line.account or waiting.account
        if line.expires_at is not None and line.expires_at <= now:
            refused[number] = _OVER
        elif account is not None and account not in logins:
            refused[number] = _NO_ACCOUNT
        else:
            entries[number] = suppression_rows.Entry(
                line.address,
                line.reason or waiting.reason,
                suppression_rows.USER,
                account=account,
                login=logins[account] if account else "",
                expires_at=line.expires_at,
            )
    return entries


def _logins(
    session: tp.Any, instance: sys_uuid.UUID, accounts: tp.Collection[tp.Any]
) -> dict[sys_uuid.UUID, str]:
    if not accounts:
        return {}
    found = session.execute(
        "SELECT a.uuid, a.username, i.domain FROM mail_accounts a JOIN mail_instances i"
        " ON i.uuid = a.instance WHERE a.instance = %s AND a.uuid = ANY(%s::uuid[])"
        " ORDER BY a.uuid FOR KEY SHARE OF a",
        (str(instance), [str(account) for account in accounts]),
    ).fetchall()
    return {row["uuid"]: f"{row['username']}@{row['domain']}" for row in found}


def tell(instance: sys_uuid.UUID, after: sys_uuid.UUID | None) -> str:
    """Return a text of entries, from the oldest on, or from *after* on.

    The last line of a text that is not the last is ``# after: <uuid>``. Whatever is
    written meanwhile, what stays is told once.
    """
    limit = suppression_lists.PAGE_LINES_MAX
    page = records.Suppressions(instance, limit)
    page.columns = "uuid, address, reason, expires_at, account"
    if after is not None:
        page.after(after)
    with utils.transaction() as session:
        rows = page.select(session)
    text = suppression_lists.render(
        suppression_lists.Line(
            row["address"], row["reason"], utils.moment(row["expires_at"]), row["account"]
        )
        for row in rows
    )
    return text + (f"# after: {rows[-1]['uuid']}\n" if len(rows) == limit else "")
