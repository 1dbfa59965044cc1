# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The queue of an instance, as its node told it last: all of it is facts."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, types
from restalchemy.storage.sql import orm

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import domains as domains_
from exordos_paas_mail.codecs import log_ids, queue_reports
from exordos_paas_mail.control_plane.records import fields, log_pages, narrowing

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

# Fields of an instance: the last is since when its node tells the others; they are null where
# it is silent, and the last is when it told something then.
SUMMARY: tp.Final = ("queue_messages", "queue_oldest_at", "queue_reported_at")
# Fields of an instance: whether its mail can leave, and what was tried where it cannot.
OUTBOUND: tp.Final = ("outbound", "outbound_error")
UNKNOWN: tp.Final = "UNKNOWN"
OUTBOUND_ALL: tp.Final = (UNKNOWN, queue_reports.OUTBOUND_OK, queue_reports.OUTBOUND_BLOCKED)
_RECIPIENT: tp.Final = narrowing.where_found(
    "array_to_string(recipients, ' ')",
    "EXISTS (SELECT FROM unnest(recipients) AS r WHERE lower({}) = lower(%s))",
)
# Rows of a queue looked at in the order of a page before all of them are.
_FIRST: tp.Final = 4_000
_NUMBER: tp.Final = types.Integer()
_TEXT: tp.Final = types.AllowNone(types.String())


class MailQueueItem(models.ModelWithUUID, orm.SQLStorableMixin):
    """A message that waits in the queue; its uuid is the message's."""

    __tablename__ = "mail_queue_items"

    instance = properties.property(types.UUID(), required=True)
    shard = properties.property(_NUMBER, required=True)
    queue_id = properties.property(types.String(), required=True)
    account = properties.property(types.AllowNone(types.UUID()), default=None)
    sender = properties.property(types.String(), default="")
    recipients = properties.property(types.TypedList(types.String()), default=list)
    recipients_count = properties.property(_NUMBER, default=0)
    size = properties.property(_NUMBER, default=0)
    arrived_at = properties.property(types.UTCDateTimeZ(), required=True)
    frozen = properties.property(types.Boolean(), default=False)
    # Apart, because its account is on hold, and not tried.
    held = properties.property(types.Boolean(), default=False)
    attempts = properties.property(_NUMBER, default=0)
    last_error = properties.property(types.String(), default="")
    reason = properties.property(_TEXT, default=None)
    last_attempt_at = properties.property(fields.Moment(), default=None)
    retry_at = properties.property(fields.Moment(), default=None)


class QueueItems(log_pages.Page):
    """A page of the messages in the queue of an instance, oldest first."""

    def __init__(self, instance: sys_uuid.UUID, limit: int) -> None:
        super().__init__(MailQueueItem.__tablename__, limit)
        self._instance = instance
        self._has_words = False
        self._first = log_pages.Page(self.table, _FIRST)
        for page in (self._first, self):
            page.where("instance = %s", str(instance))

    def select(self, session: tp.Any) -> list[dict[str, tp.Any]]:
        """Return the rows of the page.

        Where no index answers a condition, the first of the queue are looked at: most of a
        full one waits for one domain. If they do not fill the page, all rows are, in the order
        in which they are stored, as that of their uuids takes three times as long.
        """
        if not self._has_words:
            return super().select(session)
        first = self._first
        rows = session.execute(
            f"SELECT * FROM (SELECT * FROM {first.table} WHERE {first.condition}"  # noqa: S608
            f" ORDER BY uuid LIMIT {first.limit}) AS first"
            f" WHERE {self.condition} ORDER BY uuid LIMIT %s",
            (*first.values, *self.values, self.limit),
        ).fetchall()
        if len(rows) == self.limit:
            return [dict(row) for row in rows]
        self.table = f"(SELECT * FROM {self.table} WHERE {self.condition} OFFSET 0) AS found"  # noqa: S608
        self.conditions = ["true"]
        return super().select(session)

    def within(self, operator: str, uuid: str) -> None:
        """Have rows whose uuid is, by *operator*, on one side of *uuid*."""
        super().within(operator, uuid)
        self._first.within(operator, uuid)

    def of_account(self, account: sys_uuid.UUID) -> None:
        """Have those of an account."""
        self.where("account = %s", str(account))

    def of_sender(self, address: str) -> None:
        """Have those of an envelope sender, whatever its case."""
        condition = narrowing.where_found("sender", "lower(sender) = lower(%s)")
        self._where_words(condition, address)

    def that_is_held(self, held: str) -> None:
        """Have those that are apart, or those that are not."""
        self.where("held = %s", held == "true")

    def to_recipient(self, address: str) -> None:
        """Have those that wait for an address, whatever its case."""
        self._where_words(_RECIPIENT.format("r"), domains_.with_a_labels(address))

    def to_domain(self, domain: str) -> None:
        """Have those that wait for an address of *domain*."""
        condition = _RECIPIENT.format("split_part(r, '@', -1)")
        self._where_words(condition, domains_.with_a_labels(domain))

    def _where_words(self, condition: str, word: str) -> None:
        self._has_words = True
        self.where(condition, narrowing.found(word), word)

    def with_queue_id(self, queue_id: str) -> None:
        """Have the one with a queue id."""
        self.where("uuid = %s", str(log_ids.message_uuid(self._instance, queue_id)))


class MailQueueDomain(models.Model):
    """What waits for a recipient domain; the empty one is all others together."""

    domain = properties.property(types.String(), required=True, id_property=True)
    messages = properties.property(_NUMBER, default=0)
    oldest_at = properties.property(fields.Moment(), default=None)
    last_error = properties.property(types.String(), default="")
    reason = properties.property(_TEXT, default=None)
    retry_at = properties.property(fields.Moment(), default=None)
    suspended_until = properties.property(fields.Moment(), default=None)
    suspended_reason = properties.property(_TEXT, default=None)


def domains(session: tp.Any, instance: sys_uuid.UUID) -> list[MailQueueDomain]:
    """Return what waits for each domain: the one with the most messages first, the others last."""
    rows = session.execute(
        "SELECT * FROM mail_queue_domains WHERE instance = %s"
        " ORDER BY domain = '', messages DESC, domain",
        (str(instance),),
    ).fetchall()
    names = MailQueueDomain.properties.properties
    return [MailQueueDomain(**{name: utils.moment(row[name]) for name in names}) for row in rows]
