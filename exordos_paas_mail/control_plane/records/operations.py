# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What was asked of the node of an instance, and what became of it.

An operation is PENDING until the node tells what it did, or until its time is over:
the node begins none later.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import secrets
import typing as tp

from restalchemy.dm import models, properties, types
from restalchemy.storage.sql import orm

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids, node_commands, webhook_config
from exordos_paas_mail.control_plane.records import (
    command_boxes,
    errors,
    fields,
    locks,
    log_pages,
    webhook_documents,
)
from exordos_paas_mail.control_plane.records import operation_statuses as statuses

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection, Mapping

    from exordos_paas_mail.codecs import queue_reports

WEBHOOK: tp.Final = "webhook_"
"""What actions for a webhook begin with; the rest is the node's word for it."""
TEST_WEBHOOK: tp.Final = f"{WEBHOOK}{webhook_config.Action.TEST.value}"
REPLAY_WEBHOOK: tp.Final = f"{WEBHOOK}{webhook_config.Action.REPLAY.value}"
IMPORT_SUPPRESSIONS: tp.Final = "suppressions_import"
"""What the control plane does itself: no node is told of it."""
ACTIONS: tp.Final = (
    *(action.value for action in node_commands.Action),
    *(TEST_WEBHOOK, REPLAY_WEBHOOK, IMPORT_SUPPRESSIONS),
)
# Of an instance: as many as the node's row has room for, whatever they name.
OPEN_MAX: tp.Final = 50
PATIENCE: tp.Final = datetime.timedelta(minutes=5)
SUSPENSION_MAX: tp.Final = datetime.timedelta(days=7)
NOT_ANSWERED: tp.Final = "the node has not answered"
RETENTION: tp.Final = datetime.timedelta(days=30)
# Of an instance, those that have ended too.
ROWS_MAX: tp.Final = 1_000
_TEXT: tp.Final = types.AllowNone(types.String())


class MailOperation(models.ModelWithUUID, orm.SQLStorableMixin):
    """Something to be done with messages, with what waits for a domain, or for a webhook."""

    __tablename__ = "mail_operations"

    instance = properties.property(types.UUID(), required=True)
    action = properties.property(types.Enum(list(ACTIONS)), required=True)
    queue_ids = properties.property(types.TypedList(types.String()), default=list)
    recipient_domain = properties.property(_TEXT, default=None)
    until = properties.property(fields.Moment(), default=None)
    reason = properties.property(_TEXT, default=None)
    webhook = properties.property(types.AllowNone(types.UUID()), default=None)
    from_at = properties.property(fields.Moment(), default=None)
    to_at = properties.property(fields.Moment(), default=None)
    status = properties.property(types.Enum(list(statuses.ALL)), default=statuses.PENDING)
    result = properties.property(types.AllowNone(types.Dict()), default=None)
    error = properties.property(types.String(), default="")
    created_at = properties.property(types.UTCDateTimeZ(), required=True)
    expires_at = properties.property(types.UTCDateTimeZ(), required=True)
    finished_at = properties.property(fields.Moment(), default=None)


class Operations(log_pages.Page):
    """A page of the operations of an instance, newest first."""

    def __init__(self, instance: sys_uuid.UUID, limit: int) -> None:
        super().__init__(MailOperation.__tablename__, limit, is_newest_first=True)
        self.where("instance = %s", str(instance))

    def of_action(self, action: str) -> None:
        """Have those of an action."""
        self.where("action = %s", action)

    def with_status(self, status: str) -> None:
        """Have those with a status."""
        self.where("status = %s", status)


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for: of messages, of a recipient domain, of all there is, or for a webhook."""

    action: node_commands.Action | webhook_config.Action
    queue_ids: Collection[str] = ()
    domain: str | None = None
    until: datetime.datetime | None = None
    reason: str | None = None
    webhook: sys_uuid.UUID | None = None
    since: datetime.datetime | None = None

    @property
    def name(self) -> str:
        """Return what the operation is called."""
        return f"{WEBHOOK if self.webhook else ''}{self.action.value}"


def ask(instance: sys_uuid.UUID, request: Request) -> MailOperation:
    """Have the node of *instance* do what is asked; return the operation.

    Raises TooManyRequests if OPEN_MAX of them are not done yet, and RecordNotFound if
    the instance is gone.
    """
    now = utils.now()
    uuid = _new_uuid(now)
    with utils.transaction() as session:
        if not locks.hold_instance(session, instance):
            raise errors.RecordNotFound(instance)
        _check_room(session, instance, request.name)
        session.execute(
            "INSERT INTO mail_operations (uuid, instance, action, queue_ids, recipient_domain,"
            " until, reason, webhook, from_at, to_at, created_at, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *(str(uuid), str(instance), request.name, list(request.queue_ids)),
                *(
                    request.domain,
                    None if request.webhook else utils.optional_timestamp(request.until),
                ),
                *(request.reason, request.webhook and str(request.webhook)),
                utils.optional_timestamp(request.since),
                utils.optional_timestamp(request.until) if request.webhook else None,
                *(utils.timestamp(now), utils.timestamp(now + PATIENCE)),
            ),
        )
        if request.webhook:
            webhook_documents.mark(session, instance)
        else:
            command_boxes.write(session, instance)
        page = Operations(instance, 1)
        page.where("uuid = %s", str(uuid))
        (row,) = page.select(session)
    return tp.cast("MailOperation", MailOperation.restore_from_storage(**row))


def begin(session: tp.Any, instance: sys_uuid.UUID, action: str) -> MailOperation:
    """Keep that the control plane itself is to do something; the instance is held."""
    now = utils.now()
    uuid = _new_uuid(now)
    session.execute(
        "INSERT INTO mail_operations (uuid, instance, action, created_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        # It is not given up.
        (
            *(str(uuid), str(instance), action),
            utils.timestamp(now),
            utils.timestamp(now + RETENTION),
        ),
    )
    page = Operations(instance, 1)
    page.where("uuid = %s", str(uuid))
    (row,) = page.select(session)
    return tp.cast("MailOperation", MailOperation.restore_from_storage(**row))


def end(
    session: tp.Any, operation: sys_uuid.UUID, result: Mapping[str, tp.Any], error: str
) -> None:
    """Write what became of what the control plane was to do; an error is empty if there is none."""
    session.execute(
        "UPDATE mail_operations SET status = %s, result = %s::jsonb, error = %s, finished_at = %s"
        " WHERE uuid = %s AND status = %s",
        (
            *(statuses.ERROR if error else statuses.DONE, json.dumps(result), error),
            *(utils.timestamp(utils.now()), str(operation), statuses.PENDING),
        ),
    )


def _new_uuid(now: datetime.datetime) -> sys_uuid.UUID:
    microseconds = int(now.timestamp() * 1_000_000)
    return log_ids.of_order((microseconds << 12) // 1000, secrets.randbits(64))


def _check_room(session: tp.Any, instance: sys_uuid.UUID, action: str) -> None:
    found = session.execute(
        "SELECT count(*) AS count, min(expires_at) AS ends FROM mail_operations"
        " WHERE instance = %s AND status = %s AND action <> %s",
        (str(instance), statuses.PENDING, IMPORT_SUPPRESSIONS),
    ).fetchone()
    if found["count"] >= OPEN_MAX:
        raise errors.TooManyRequests(
            action,
            utils.moment(found["ends"]),
            f"{OPEN_MAX} operations are not done yet: may be asked for again when one is,"
            " or is given up",
        )


def finish(
    session: tp.Any, instance: sys_uuid.UUID, results: Collection[queue_reports.Result]
) -> None:
    """Write what the node of *instance* tells of its operations; the instance is held.

    One that was given up is done all the same, if the node says so later.
    """
    if not results:
        return
    now = utils.timestamp(utils.now())
    for result in results:
        told = {
            "done": list(result.done),
            "count": result.count,
            "failed": dict(result.failed),
            "failed_count": result.failed_count,
        }
        session.execute(
            "UPDATE mail_operations SET status = %s, result = %s::jsonb, error = %s,"
            " finished_at = %s WHERE uuid = %s AND instance = %s"
            " AND (status = %s OR status = %s AND error = %s)",
            (
                *(statuses.ERROR if result.error else statuses.DONE, json.dumps(told)),
                *(result.error, now, str(result.id), str(instance)),
                *(statuses.PENDING, statuses.ERROR, NOT_ANSWERED),
            ),
        )
    command_boxes.write(session, instance)


def open_instances() -> list[sys_uuid.UUID]:
    """Return the instances whose nodes have operations which are not done yet."""
    with utils.transaction() as session:
        found = session.execute(
            "SELECT DISTINCT instance FROM mail_operations WHERE status = %s AND action <> %s",
            (statuses.PENDING, IMPORT_SUPPRESSIONS),
        ).fetchall()
    return [row["instance"] for row in found]


def tend(instance: sys_uuid.UUID) -> None:
    """Give up what its node has not done in time, and tell the node the rest, if it is not told."""
    now = utils.timestamp(utils.now())
    with utils.transaction() as session:
        if locks.hold_instance(session, instance):
            given_up = session.execute(
                "UPDATE mail_operations SET status = %s, error = %s, finished_at = %s"
                " WHERE instance = %s AND status = %s AND expires_at < %s AND action <> %s"
                " RETURNING webhook",
                (
                    *(statuses.ERROR, NOT_ANSWERED, now),
                    *(str(instance), statuses.PENDING, now, IMPORT_SUPPRESSIONS),
                ),
            ).fetchall()
            command_boxes.write(session, instance)
            if any(row["webhook"] for row in given_up):
                webhook_documents.mark(session, instance)


def keep_in_bounds(now: datetime.datetime) -> None:
    """Forget operations that are too old or too many."""
    with utils.transaction() as session:
        session.execute(
            "DELETE FROM mail_operations WHERE uuid < %s AND status <> %s",
            (log_pages.first_uuid(now - RETENTION), statuses.PENDING),
        )
        session.execute(
            "DELETE FROM mail_operations WHERE status <> %s AND uuid IN (SELECT uuid FROM"
            " (SELECT uuid, row_number() OVER (PARTITION BY instance ORDER BY uuid DESC) AS place"
            " FROM mail_operations) AS placed WHERE place > %s)",
            (statuses.PENDING, ROWS_MAX),
        )
