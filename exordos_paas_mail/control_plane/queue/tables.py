# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the queue, as what nodes tell is written to them; the instance is held."""

from __future__ import annotations

import datetime
import json
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import domains, log_ids
from exordos_paas_mail.control_plane.records import account_logins, events, locks, queues

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection, Mapping

    from exordos_paas_mail.codecs import queue_reports
    from exordos_paas_mail.control_plane.records import nodes

# After so long without a word nobody knows what is in a queue.
SILENCE: tp.Final = datetime.timedelta(seconds=30)
_timestamp: tp.Final = utils.stored_milliseconds


def revision(session: tp.Any, node: nodes.Node, shard: queue_reports.Shard) -> int:
    """Return which revision of a row of *node* is here; 0 is none."""
    found = session.execute(
        "SELECT revisions->>%s AS revision FROM mail_queues WHERE instance = %s AND node = %s",
        (str(shard), str(node.instance), str(node.uuid)),
    ).fetchall()
    return int(found[0]["revision"] or 0) if found else 0


def begin(session: tp.Any, node: nodes.Node) -> None:
    """Have the queue of the instance be that of *node*: what another one told is forgotten."""
    found = session.execute(
        "INSERT INTO mail_queues AS q (instance, node) VALUES (%s, %s)"
        " ON CONFLICT (instance) DO UPDATE"
        " SET node = EXCLUDED.node, revisions = '{}', documents = '{}'"
        " WHERE q.node IS DISTINCT FROM EXCLUDED.node RETURNING instance",
        (str(node.instance), str(node.uuid)),
    ).fetchall()
    for table in ("mail_queue_items", "mail_queue_domains") if found else ():
        session.execute(
            f"DELETE FROM {table} WHERE instance = %s",  # noqa: S608
            (str(node.instance),),
        )


def advance(session: tp.Any, node: nodes.Node, row: queue_reports.Row) -> None:
    """Keep that *row* is here."""
    session.execute(
        "UPDATE mail_queues SET revisions = revisions || %s::jsonb WHERE instance = %s",
        (json.dumps({str(row.shard): row.revision}), str(node.instance)),
    )


def replace_items(
    session: tp.Any, instance: sys_uuid.UUID, shard: int, items: Collection[queue_reports.Item]
) -> None:
    """Have *items* be all that the queue of *instance* has in *shard*."""
    session.execute(
        "DELETE FROM mail_queue_items WHERE instance = %s AND shard = %s", (str(instance), shard)
    )
    if not items:
        return
    (held,) = session.execute(
        "SELECT domain FROM mail_instances WHERE uuid = %s", (str(instance),)
    ).fetchall()
    logins = {item.account for item in items if item.account}
    accounts = account_logins.find(session, instance, held["domain"], logins)
    values = [
        {
            "uuid": str(log_ids.message_uuid(instance, item.queue_id)),
            "instance": str(instance),
            "shard": shard,
            "queue_id": item.queue_id,
            "account": _account(accounts.get(item.account), item.arrived_at),
            "sender": item.sender,
            "recipients": [domains.with_a_labels(each) for each in item.recipients],
            "recipients_count": item.recipients_count,
            "size": item.size,
            "arrived_at": _timestamp(item.arrived_at) or utils.timestamp(utils.EPOCH),
            "frozen": item.frozen,
            "held": item.held,
            "attempts": item.attempts,
            "last_error": item.last_error,
            "reason": _class(item.reason),
            "last_attempt_at": _timestamp(item.last_attempt_at),
            "retry_at": _timestamp(item.retry_at),
        }
        for item in items
    ]
    _insert(session, "mail_queue_items", values)


def _account(account: account_logins.Account | None, arrived_at: int) -> str | None:
    """Return the account that has the login of a message, if it had it when that arrived."""
    return str(account.uuid) if account and account.had_it(arrived_at) else None


def replace_domains(session: tp.Any, instance: sys_uuid.UUID, state: queue_reports.State) -> None:
    """Have what *state* tells by domain be all that waits in the queue of *instance*."""
    session.execute("DELETE FROM mail_queue_domains WHERE instance = %s", (str(instance),))
    others = (state.others,) if state.others.messages else ()
    values = [
        {
            "instance": str(instance),
            "domain": each.domain,
            "messages": each.messages,
            "oldest_at": _timestamp(each.oldest_at),
            "last_error": each.last_error,
            "reason": _class(each.reason),
            "retry_at": _timestamp(each.retry_at),
            "suspended_until": _timestamp(each.suspended_until),
            "suspended_reason": each.suspended_for or None,
        }
        for each in (*state.domains, *others)
    ]
    _insert(session, "mail_queue_domains", values)


def tell(
    session: tp.Any,
    instance: sys_uuid.UUID,
    state: queue_reports.State,
    reported_at: datetime.datetime,
) -> None:
    """Write what *state*, told at *reported_at*, comes to, to the instance where it changed.

    An instance that nothing happens to is not written again and again: when its node has told
    last has a table of its own.
    """
    session.execute(
        "UPDATE mail_queues SET told_at = %s, documents = %s::jsonb WHERE instance = %s",
        (utils.timestamp(reported_at), json.dumps(dict(state.documents)), str(instance)),
    )
    _tell_outbound(session, instance, state)
    told = (state.messages, _timestamp(state.oldest_at))
    session.execute(
        "UPDATE mail_instances SET queue_messages = %s, queue_oldest_at = %s,"
        " queue_reported_at = %s WHERE uuid = %s"
        " AND (queue_messages IS DISTINCT FROM %s OR queue_oldest_at IS DISTINCT FROM %s)",
        (*told, utils.timestamp(reported_at), str(instance), *told),
    )


def _tell_outbound(session: tp.Any, instance: sys_uuid.UUID, state: queue_reports.State) -> None:
    """Write whether mail can leave; what is not told, by an older image, is as it was."""
    if state.outbound or state.outbound_unknown:
        told = (state.outbound or queues.UNKNOWN, state.outbound_error)
        session.execute(
            "UPDATE mail_instances SET outbound = %s, outbound_error = %s WHERE uuid = %s"
            " AND (outbound, outbound_error) IS DISTINCT FROM (%s, %s)",
            (*told, str(instance), *told),
        )


def silence(now: datetime.datetime) -> None:
    """Have instances whose node has been silent for too long tell nothing of their queue."""
    bound = utils.timestamp(now - SILENCE)
    with utils.transaction() as session:
        found = session.execute(
            "SELECT i.uuid FROM mail_instances i JOIN mail_queues q ON q.instance = i.uuid"
            " WHERE i.queue_messages IS NOT NULL AND q.told_at < %s",
            (bound,),
        ).fetchall()
    for row in found:
        with utils.transaction() as session:
            # One at a time, as whoever writes several instances; its node may be back.
            if locks.hold_instance(session, row["uuid"]):
                session.execute(
                    "UPDATE mail_instances i SET queue_messages = NULL, queue_oldest_at = NULL,"
                    " queue_reported_at = q.told_at FROM mail_queues q"
                    " WHERE i.uuid = %s AND q.instance = i.uuid AND q.told_at < %s",
                    (str(row["uuid"]), bound),
                )


def _insert(session: tp.Any, table: str, values: Collection[Mapping[str, tp.Any]]) -> None:
    if values:
        session.execute(
            f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s::json)",  # noqa: S608
            (json.dumps(values),),
        )


def _class(reason: str) -> str | None:
    return reason if reason in events.CLASSES else events.OTHER if reason else None
