# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of messages and events, as the ingester reads and writes them."""

from __future__ import annotations

import datetime
import json
import typing as tp

from psycopg import sql

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids, mail_events
from exordos_paas_mail.control_plane.events import folding

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection, Iterable, Mapping

MESSAGES: tp.Final = "mail_messages"
EVENTS: tp.Final = "mail_events"
DAY: tp.Final = datetime.timedelta(days=1)
# Of a node's clock.
SKEW_MAX: tp.Final = DAY


def lock(session: tp.Any) -> int:
    """Become the one who writes events until the transaction ends; return the last number.

    So events are seen in the order of their numbers: a reader who goes on after the
    last one he has seen misses none.
    """
    rows = session.execute(
        "INSERT INTO mail_event_order (last) VALUES (0)"
        " ON CONFLICT (single) DO UPDATE SET last = mail_event_order.last RETURNING last"
    ).fetchall()
    return int(rows[0]["last"])


def advance(session: tp.Any, last: int) -> None:
    """Keep the last number that an event has."""
    session.execute("UPDATE mail_event_order SET last = %s", (last,))


def make_partition(session: tp.Any, table: str, day: datetime.date) -> None:
    """Have a partition of *table* for what begins with a time of *day*.

    Whoever reads the table goes on meanwhile: none of this waits for them, or they for it.
    """
    name = f"{table}_{day:%Y%m%d}"
    if session.execute("SELECT to_regclass(%s) AS known", (name,)).fetchone()["known"]:
        return
    start = _midnight(day)
    bounds = [log_ids.first_of(_milliseconds(moment)) for moment in (start, start + DAY)]
    session.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(
            sql.Identifier(name), sql.Identifier(table)
        )
    )
    session.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(table),
            sql.Identifier(name),
            *(sql.Literal(str(bound)) for bound in bounds),
        )
    )


def partitions(session: tp.Any, table: str) -> dict[datetime.date, str]:
    """Return the partitions of *table* by their day."""
    found = session.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(%s)",
        (table,),
    ).fetchall()
    names = [row["relname"] for row in found]
    return {
        datetime.datetime.strptime(name.rpartition("_")[2] + "Z", "%Y%m%d%z").date(): name
        for name in names
    }


def size(session: tp.Any) -> int:
    """Return the octets that all of the log has on the disk."""
    found = session.execute(
        "SELECT coalesce(sum(pg_total_relation_size(i.inhrelid)), 0) AS size FROM pg_inherits i"
        " WHERE i.inhparent IN (to_regclass(%s), to_regclass(%s))",
        (EVENTS, MESSAGES),
    ).fetchall()
    return int(found[0]["size"])


def counts(session: tp.Any) -> dict[sys_uuid.UUID, int]:
    """Return how many rows of the log are of each instance."""
    found = session.execute(
        "SELECT instance, sum(count)::bigint AS count FROM ("
        " SELECT instance, count(*) AS count FROM mail_events GROUP BY instance UNION ALL"
        " SELECT instance, count(*) FROM mail_messages GROUP BY instance"
        ") each GROUP BY instance"
    ).fetchall()
    return {row["instance"]: row["count"] for row in found}


def first_uuid(moment: datetime.datetime) -> str:
    """Return the lowest uuid of *moment*, as a parameter of a statement."""
    return str(log_ids.first_of(_milliseconds(moment)))


def day_of(uuid: sys_uuid.UUID) -> datetime.date:
    """Return the day whose partition *uuid* is in."""
    return moment_of(log_ids.milliseconds(uuid)).date()


def moment_of(milliseconds: int) -> datetime.datetime:
    """Return the time that is so many milliseconds after 1970 began."""
    return _EPOCH + datetime.timedelta(milliseconds=milliseconds)


_EPOCH: tp.Final = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)


def _milliseconds(moment: datetime.datetime) -> int:
    return (moment - _EPOCH) // datetime.timedelta(milliseconds=1)


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc)


def find_messages(
    session: tp.Any, instance: sys_uuid.UUID, uuids: Collection[sys_uuid.UUID]
) -> dict[sys_uuid.UUID, folding.Message]:
    """Return those of *uuids* that are messages of *instance*, with what their events tell."""
    if not uuids:
        return {}
    wanted = [str(uuid) for uuid in uuids]
    rows = session.execute(
        "SELECT * FROM mail_messages WHERE uuid = ANY(%s::uuid[]) AND instance = %s",
        (wanted, str(instance)),
    ).fetchall()
    found = {row["uuid"]: _message(row) for row in rows}
    if not found:
        return {}
    oldest = min(log_ids.milliseconds(uuid) for uuid in found)
    history = session.execute(
        "SELECT message, type, recipient, count(*) AS times, max(at) AS at FROM mail_events"
        " WHERE message = ANY(%s::uuid[]) AND uuid >= %s GROUP BY message, type, recipient",
        ([str(uuid) for uuid in found], first_uuid(moment_of(oldest) - SKEW_MAX)),
    ).fetchall()
    for row in history:
        _remember(found[row["message"]], row)
    return found


def _message(row: Mapping[str, tp.Any]) -> folding.Message:
    return folding.Message(
        uuid=row["uuid"],
        queue_id=row["queue_id"],
        accepted_at=utils.moment(row["accepted_at"]),
        account=row["account"],
        sender=row["sender"],
        header_from=row["header_from"],
        header_message_id=row["header_message_id"],
        tags=tuple(row["tags"]),
        client=row["client"],
        credential=row["credential"],
        size=row["size"],
        recipients_count=row["recipients_count"],
    )


def _remember(message: folding.Message, row: Mapping[str, tp.Any]) -> None:
    kind, at = mail_events.Type(row["type"]), utils.moment(row["at"])
    if kind in folding.ATTEMPTS:
        message.attempt(kind, row["recipient"] or "", row["times"])
    message.is_completed |= kind is mail_events.Type.COMPLETED
    message.is_deleted |= kind is mail_events.Type.DELETED
    if kind in folding.ENDS:
        message.end(at)
    elif kind is mail_events.Type.UNACCOUNTED:
        message.unaccounted_at = at
    message.place(kind, at)


def delete_messages(session: tp.Any, uuids: Collection[sys_uuid.UUID]) -> None:
    """Delete messages with all that happened to them."""
    if uuids:
        gone = [str(uuid) for uuid in uuids]
        session.execute("DELETE FROM mail_messages WHERE uuid = ANY(%s::uuid[])", (gone,))
        session.execute("DELETE FROM mail_events WHERE message = ANY(%s::uuid[])", (gone,))


def write_messages(
    session: tp.Any, instance: sys_uuid.UUID, messages: Iterable[folding.Message]
) -> None:
    """Write *messages*, new ones and known ones."""
    values = [
        {
            "uuid": str(message.uuid),
            "instance": str(instance),
            "queue_id": message.queue_id,
            "account": message.account and str(message.account),
            "sender": message.sender,
            "header_from": message.header_from,
            "header_message_id": message.header_message_id,
            "tags": list(message.tags),
            "client": message.client,
            "credential": message.credential,
            "size": message.size,
            "recipients_count": message.recipients_count,
            "status": message.settle(),
            "accepted_at": utils.timestamp(message.accepted_at),
            "completed_at": utils.optional_timestamp(message.completed_at),
        }
        for message in messages
    ]
    if not values:
        return
    columns = [name for name in values[0] if name not in ("uuid", "instance", "queue_id")]
    assignments = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns)
    session.execute(
        "INSERT INTO mail_messages"  # noqa: S608
        " SELECT * FROM json_populate_recordset(NULL::mail_messages, %s::json)"
        f" ON CONFLICT (uuid) DO UPDATE SET {assignments}"
        " WHERE mail_messages.instance = EXCLUDED.instance",
        (json.dumps(values),),
    )


def write_events(session: tp.Any, values: Collection[Mapping[str, tp.Any]]) -> None:
    """Write events; each of *values* has columns that are not null."""
    if values:
        session.execute(
            "INSERT INTO mail_events"
            " SELECT * FROM json_populate_recordset(NULL::mail_events, %s::json)",
            (json.dumps(values),),
        )
