# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which documents the node of an instance is to hold, and which of them it is told.

Whoever writes what a document is made of marks its shard, in the same transaction.
The thread of the documents renders it and tells the node.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.records import locks

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid
    from collections.abc import Callable, Iterable

    from exordos_paas_mail.control_plane.records import nodes


def mark(session: tp.Any, instance: sys_uuid.UUID, collection: str, shards: Iterable[str]) -> None:
    """Have *shards* of a collection of *instance* be told anew; the instance is held, or gone."""
    session.execute(
        "INSERT INTO mail_documents (instance, collection, shard)"
        " SELECT uuid, %s, unnest(%s::text[]) FROM mail_instances WHERE uuid = %s"
        " ON CONFLICT ON CONSTRAINT mail_documents_pkey DO UPDATE"
        " SET marks = mail_documents.marks + 1, due = true",
        (collection, sorted(set(shards)), str(instance)),
    )


def forget(
    table: str,
    column: str,
    collection: str,
    oldest: datetime.datetime,
    shard_of: Callable[[tp.Any], str],
) -> None:
    """Take out the rows of *table* that are not later than *oldest*, and mark their shards.

    *shard_of* returns the shard of a row by its *column*. An instance is held at a time.
    """
    # The words are the callers' own.
    with utils.transaction() as session:
        found = session.execute(
            f"SELECT DISTINCT instance FROM {table} WHERE at <= %s",  # noqa: S608
            (utils.timestamp(oldest),),
        ).fetchall()
    for row in found:
        with utils.transaction() as session:
            if not locks.hold_instance(session, row["instance"]):
                continue
            gone = session.execute(
                f"DELETE FROM {table} WHERE instance = %s AND at <= %s"  # noqa: S608
                f" RETURNING {column} AS known",
                (str(row["instance"]), utils.timestamp(oldest)),
            ).fetchall()
            shards = {shard_of(each["known"]) for each in gone}
            mark(session, row["instance"], collection, shards)


def index(session: tp.Any, node: nodes.Node) -> dict[str, dict[str, int]]:
    """Return the revisions that are written for *node*, by collection and shard."""
    found = session.execute(
        "SELECT collection, shard, revision FROM mail_documents"
        " WHERE instance = %s AND node = %s AND revision > 0",
        (str(node.instance), str(node.uuid)),
    ).fetchall()
    documents: dict[str, dict[str, int]] = {}
    for row in found:
        documents.setdefault(row["collection"], {})[row["shard"]] = row["revision"]
    return documents


def is_applied(session: tp.Any, instance: sys_uuid.UUID, collection: str) -> bool:
    """Return whether the node of *instance* has told that it holds all of a collection."""
    found = session.execute(
        "SELECT bool_or(d.due) AS due, max(d.revision) AS wanted,"
        " max((q.documents->>%s)::bigint) AS told"
        " FROM mail_documents d LEFT JOIN mail_queues q ON q.instance = d.instance"
        " WHERE d.instance = %s AND d.collection = %s",
        (collection, str(instance), collection),
    ).fetchone()
    return found["due"] is None or (not found["due"] and (found["told"] or 0) >= found["wanted"])


def next_revision(session: tp.Any, instance: sys_uuid.UUID) -> int:
    """Return a revision above all that the node of *instance* was told; the instance is held."""
    now = int(utils.now().timestamp() * 1000)
    found = session.execute(
        "INSERT INTO mail_queues (instance, commands_revision) VALUES (%s, %s)"
        " ON CONFLICT (instance) DO UPDATE SET commands_revision ="
        " greatest(mail_queues.commands_revision + 1, EXCLUDED.commands_revision)"
        " RETURNING commands_revision",
        (str(instance), now),
    ).fetchone()
    return int(found["commands_revision"])
