# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be taken out of the log, kept until it is out.

An instance has millions of events: whoever deletes it, or one of its accounts, does
not wait for that. The ingester takes them out, some at a time.
"""

from __future__ import annotations

import dataclasses
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import erased as codec
from exordos_paas_mail.codecs import mentions, rules, suppressions
from exordos_paas_mail.control_plane.records import (
    erased,
    locks,
    narrowing,
    notices,
    suppression_rows,
)

# Events taken out at a time.
_ROUND: tp.Final = 2_000
_RECIPIENT: tp.Final = "lower(recipient) = lower(%(recipient)s) AND recipient IS NOT NULL"
_EVENTS: tp.Final = (
    "DELETE FROM mail_events WHERE uuid IN"
    " (SELECT uuid FROM mail_events WHERE instance = %(instance)s AND {} LIMIT %(limit)s)"
    " RETURNING message"
)
_MESSAGES: tp.Final = (
    "DELETE FROM mail_messages WHERE uuid IN"
    " (SELECT uuid FROM mail_messages WHERE instance = %(instance)s AND {} LIMIT %(limit)s)"
    " RETURNING uuid"
)

_STATS: tp.Final = (
    "DELETE FROM mail_stats WHERE ctid = ANY(ARRAY"
    "(SELECT ctid FROM mail_stats WHERE instance = %(instance)s AND {} LIMIT %(limit)s))"
    " RETURNING hour"
)

_REPORTS: tp.Final = (
    "DELETE FROM mail_reports WHERE instance = %(instance)s AND key IN"
    " (SELECT key FROM mail_reports WHERE instance = %(instance)s AND {} LIMIT %(limit)s)"
    " RETURNING key"
)

# The queue is a state: what is still in it is told again when it changes.
_QUEUE_OF_ACCOUNT: tp.Final = (
    "UPDATE mail_queue_items SET account = NULL"
    " WHERE instance = %(instance)s AND account = %(account)s",
)
_NAMING: tp.Final = narrowing.where_found(
    "array_to_string(array_append(recipients, last_error), ' ')",
    "EXISTS (SELECT FROM unnest(recipients) AS r WHERE lower(r) = lower(%(recipient)s))"
    " OR last_error ~* %(named)s",
    "%(found)s",
)
_QUEUE_NAMING: tp.Final = (
    f"SELECT uuid FROM mail_queue_items WHERE instance = %(instance)s AND {_NAMING}"  # noqa: S608
)
# The words of a refusal begin with the command's argument.
_REFUSAL: tp.Final = "type = 'rejected' AND " + narrowing.where_found(
    "text", "text ~* %(named)s", "%(found)s"
)
_REFUSALS: tp.Final = (
    f"SELECT uuid FROM mail_events WHERE instance = %(instance)s AND {_REFUSAL}"  # noqa: S608
    " LIMIT %(limit)s"
)
_QUEUE_OF_RECIPIENT: tp.Final = (
    "UPDATE mail_queue_items SET recipients = ARRAY(SELECT r FROM"  # noqa: S608 - constants
    " unnest(recipients) WITH ORDINALITY AS each(r, place)"
    " WHERE lower(r) <> lower(%(recipient)s) ORDER BY place), last_error = ''"
    f" WHERE uuid = ANY(%(queue)s::uuid[]) AND {_NAMING}",
    "DELETE FROM mail_queue_items WHERE uuid = ANY(%(queue)s::uuid[]) AND recipients = '{}'"
    " AND recipients_count = 1",
    "UPDATE mail_queue_domains SET last_error = '' WHERE instance = %(instance)s"
    " AND last_error ~* %(named)s",
    "UPDATE mail_operations SET result = NULL WHERE instance = %(instance)s"
    " AND EXISTS (SELECT FROM jsonb_path_query(result, '$.**') AS each"
    " WHERE each #>> '{}' ~* %(named)s AND jsonb_typeof(each) = 'string')",
    "UPDATE mail_operations SET error = '' WHERE instance = %(instance)s AND error ~* %(named)s",
)


@dataclasses.dataclass(frozen=True)
class Erasure:
    """All of *instance*, or what is of *account*, or about *recipient*."""

    uuid: sys_uuid.UUID
    instance: sys_uuid.UUID
    account: sys_uuid.UUID | None = None
    recipient: str | None = None


def ask(
    session: tp.Any,
    instance: sys_uuid.UUID,
    account: sys_uuid.UUID | None = None,
    recipient: str | None = None,
) -> Erasure:
    """Have the log of an instance, an account or a recipient taken out."""
    erasure = Erasure(sys_uuid.uuid4(), instance, account, recipient)
    session.execute(
        "INSERT INTO mail_erasures (uuid, instance, account, recipient, created_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        (
            *(str(erasure.uuid), str(instance), account and str(account), recipient),
            utils.timestamp(utils.now()),
        ),
    )
    return erasure


def find_all(session: tp.Any) -> list[Erasure]:
    """Return what is to be taken out: first what is about recipients, then the oldest."""
    rows = session.execute(
        "SELECT uuid, instance, account, recipient FROM mail_erasures"
        " ORDER BY recipient IS NULL, created_at"
    ).fetchall()
    return [Erasure(**row) for row in rows]


def carry_out(session: tp.Any, erasure: Erasure) -> bool:
    """Take out some of it; return whether nothing of it is left."""
    naming: dict[str, list[str]] = {}
    if erasure.recipient is not None:
        # Before the instance is held: requests that write it wait, and others for these.
        for name, statement in (("queue", _QUEUE_NAMING), ("refusals", _REFUSALS)):
            rows = session.execute(statement, _values(erasure)).fetchall()
            naming[name] = [str(row["uuid"]) for row in rows]
    # It may be gone by now: what is left of it is taken out all the same.
    locks.hold_instance(session, erasure.instance)
    if erasure.recipient is not None:
        return _erase_recipient(session, erasure, naming)
    condition = "true" if erasure.account is None else "account = %(account)s"
    left = False
    # What an account has sent stays in the figures, under a uuid that names nobody.
    statements = (_EVENTS, _MESSAGES)
    for statement in statements if erasure.account else (*statements, _STATS, _REPORTS):
        left |= len(_delete(session, statement.format(condition), erasure)) == _ROUND
    if erasure.account is not None:
        left |= (
            suppression_rows.erase_account(session, erasure.instance, erasure.account, _ROUND)
            == _ROUND
        )
        _execute(session, _QUEUE_OF_ACCOUNT, erasure)
    else:
        left |= suppression_rows.erase_instance(session, erasure.instance, _ROUND) == _ROUND
        session.execute(
            "DELETE FROM mail_event_streams WHERE instance = %s", (str(erasure.instance),)
        )
    return not left


def forget(session: tp.Any, erasure: Erasure) -> None:
    """Drop what has been carried out."""
    session.execute("DELETE FROM mail_erasures WHERE uuid = %s", (str(erasure.uuid),))


def _erase_recipient(
    session: tp.Any, erasure: Erasure, naming: tp.Mapping[str, tp.Sequence[str]]
) -> bool:
    """Take out what is about a recipient; *naming* are rows whose words may name it."""
    _execute(session, _QUEUE_OF_RECIPIENT, erasure, queue=naming["queue"])
    _erase_suppression(session, erasure)
    notices.erase(session, erasure.instance, tp.cast("str", erasure.recipient))
    about = _delete(session, _EVENTS.format(_RECIPIENT), erasure)
    session.execute("DELETE FROM mail_events WHERE uuid = ANY(%s::uuid[])", (naming["refusals"],))
    touched = [str(row["message"]) for row in about if row["message"] is not None]
    names = [codec.name_of(tp.cast("str", erasure.recipient))]
    now = utils.now()
    if touched:
        names += _forget_messages(session, touched, utils.timestamp(now - codec.KEPT))
    erased.note(session, erasure.instance, names, now)
    return _ROUND not in {len(about), len(naming["refusals"])}


def _erase_suppression(session: tp.Any, erasure: Erasure) -> None:
    try:
        address = suppressions.normalise(erasure.recipient)
    except rules.RuleError:
        # There can be none.
        return
    suppression_rows.erase_recipient(session, erasure.instance, address)


def _forget_messages(session: tp.Any, uuids: list[str], since: str) -> list[str]:
    """Take out those of the messages that nothing is known of about another recipient.

    Returns the queue ids of those that came later than *since*.
    """
    rows = session.execute(
        "DELETE FROM mail_messages m WHERE uuid = ANY(%s::uuid[]) AND NOT EXISTS"
        " (SELECT FROM mail_events e WHERE e.message = m.uuid AND recipient IS NOT NULL)"
        " RETURNING uuid, queue_id, accepted_at > %s AS is_late",
        (uuids, since),
    ).fetchall()
    session.execute(
        "DELETE FROM mail_events WHERE message = ANY(%s::uuid[])",
        ([str(row["uuid"]) for row in rows],),
    )
    return [row["queue_id"] for row in rows if row["is_late"]]


def _execute(
    session: tp.Any, statements: tp.Iterable[str], erasure: Erasure, **values: tp.Any
) -> None:
    for statement in statements:
        session.execute(statement, {**_values(erasure), **values})


def _delete(session: tp.Any, statement: str, erasure: Erasure) -> list[tp.Mapping[str, tp.Any]]:
    return list(session.execute(statement, _values(erasure)).fetchall())


def _values(erasure: Erasure) -> dict[str, tp.Any]:
    return {
        "instance": str(erasure.instance),
        "account": erasure.account and str(erasure.account),
        "recipient": erasure.recipient,
        "named": erasure.recipient and mentions.pattern(erasure.recipient),
        "found": erasure.recipient and narrowing.found(erasure.recipient),
        "limit": _ROUND,
    }
