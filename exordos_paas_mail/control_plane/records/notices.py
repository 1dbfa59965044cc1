# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Notices: what the control plane alone knows of an instance, told to its webhooks.

Whoever writes what a notice is about tells it in the same transaction (``tell``). It is
kept only where a webhook of the instance asks for its type.
"""

from __future__ import annotations

import json
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import mentions, notices
from exordos_paas_mail.control_plane.records import document_marks, locks

if tp.TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping


def tell(session: tp.Any, instance: sys_uuid.UUID, kind: str, *data: Mapping[str, tp.Any]) -> None:
    """Have notices of a type of ``notices.ABOUT`` sent to webhooks: one for each of *data*.

    The instance is held, or is by this; of one that is gone nothing is told. Beyond what a
    ring holds the newest are told.
    """
    if kind not in notices.ABOUT:
        raise ValueError(f"{kind} is no type of a notice")
    if not data or not is_wanted(session, instance, kind):
        return
    if not locks.hold_instance(session, instance):
        return
    (row,) = session.execute(
        "INSERT INTO mail_notice_rings AS r (instance, last) VALUES (%s, %s)"
        " ON CONFLICT ON CONSTRAINT mail_notice_rings_pkey DO UPDATE"
        " SET last = r.last + EXCLUDED.last RETURNING last",
        (str(instance), len(data)),
    ).fetchall()
    last = int(row["last"])
    oldest = notices.first_of_ring(last)
    at = utils.timestamp(utils.now())
    numbered = enumerate(data, start=last - len(data) + 1)
    values = [
        {
            "instance": str(instance),
            "number": number,
            "uuid": str(sys_uuid.uuid4()),
            "at": at,
            "type": kind,
            "data": notices.bounded_data(each),
        }
        for number, each in numbered
        if number >= oldest
    ]
    session.execute(
        "DELETE FROM mail_notices WHERE instance = %s AND number < %s", (str(instance), oldest)
    )
    session.execute(
        "INSERT INTO mail_notices"
        " SELECT * FROM json_populate_recordset(NULL::mail_notices, %s::json)",
        (json.dumps(values),),
    )
    _mark(session, instance, range(max(oldest, last - len(data) + 1), last + 1))


def is_wanted(session: tp.Any, instance: sys_uuid.UUID, kind: str) -> bool:
    """Return whether a webhook of *instance* asks for a type."""
    found = session.execute(
        "SELECT FROM mail_webhooks WHERE instance = %s AND %s = ANY(events) LIMIT 1",
        (str(instance), kind),
    ).fetchall()
    return bool(found)


def erase(session: tp.Any, instance: sys_uuid.UUID, recipient: str) -> None:
    """Take out what names a recipient."""
    found = session.execute(
        "DELETE FROM mail_notices WHERE instance = %s"
        " AND EXISTS (SELECT FROM jsonb_path_query(data, '$.**') AS each"
        " WHERE each #>> '{}' ~* %s AND jsonb_typeof(each) = 'string') RETURNING number",
        (str(instance), mentions.pattern(recipient)),
    ).fetchall()
    _mark(session, instance, (row["number"] for row in found))


def forget(now: datetime.datetime) -> None:
    """Take out what is too old to be told, also of what nodes hold: addresses are in it."""
    document_marks.forget(
        "mail_notices", "number", notices.COLLECTION, now - notices.KEPT, notices.shard_of
    )


def _mark(session: tp.Any, instance: sys_uuid.UUID, numbers: Iterable[int]) -> None:
    shards = {notices.shard_of(number) for number in numbers}
    if shards:
        document_marks.mark(session, instance, notices.COLLECTION, shards)
