# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Events of an instance: all of one is a fact, written by the ingester."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, types
from restalchemy.storage.sql import orm

from exordos_paas_mail.codecs import answers, domains, log_ids, mail_events
from exordos_paas_mail.control_plane.records import fields, log_pages

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid

TYPES: tp.Final = tuple(kind.value for kind in mail_events.Type)
CLASSES: tp.Final = tuple(each.value for each in answers.Class)
OTHER: tp.Final = answers.Class.OTHER.value
_TEXT: tp.Final = types.AllowNone(types.String())
_NUMBER: tp.Final = types.AllowNone(types.Integer())
_WITH_NEXT_ATTEMPT: tp.Final = (
    "mail_events.*,"
    " CASE WHEN type = 'deferred' THEN ("
    # The later ones are looked for where the message still waits: few do.
    "SELECT CASE WHEN NOT EXISTS (SELECT FROM mail_events AS later WHERE later.message = q.uuid"
    " AND later.recipient = mail_events.recipient AND later.uuid > mail_events.uuid)"
    " THEN q.retry_at END FROM mail_queue_items q WHERE q.uuid = mail_events.message"
    ") END AS retry_at"
)


class MailEvent(models.ModelWithUUID, orm.SQLStorableMixin):
    """Something that happened to mail; what it does not have is null."""

    __tablename__ = "mail_events"

    instance = properties.property(types.UUID(), required=True)
    at = properties.property(types.UTCDateTimeZ(), required=True)
    type = properties.property(types.Enum(list(TYPES)), required=True)
    message = properties.property(types.AllowNone(types.UUID()), default=None)
    queue_id = properties.property(_TEXT, default=None)
    account = properties.property(types.AllowNone(types.UUID()), default=None)
    sender = properties.property(_TEXT, default=None)
    recipient = properties.property(_TEXT, default=None)
    recipient_domain = properties.property(_TEXT, default=None)
    attempt = properties.property(_NUMBER, default=None)
    recipients = properties.property(_NUMBER, default=None)
    size = properties.property(_NUMBER, default=None)
    client = properties.property(_TEXT, default=None)
    command = properties.property(_TEXT, default=None)
    temporary = properties.property(types.AllowNone(types.Boolean()), default=None)
    mx = properties.property(_TEXT, default=None)
    mx_address = properties.property(_TEXT, default=None)
    tls = properties.property(_TEXT, default=None)
    cipher = properties.property(_TEXT, default=None)
    verified = properties.property(_TEXT, default=None)
    tls_policy = properties.property(_TEXT, default=None)
    code = properties.property(_NUMBER, default=None)
    enhanced_code = properties.property(_TEXT, default=None)
    text = properties.property(_TEXT, default=None)
    reason = properties.property(_TEXT, default=None)
    delay_ms = properties.property(_NUMBER, default=None)
    # No column: of the last attempt for a recipient, what the queue has of its message.
    retry_at = properties.property(fields.Moment(), default=None)
    about = properties.property(_TEXT, default=None)
    count = properties.property(types.Integer(), default=1)


class Events(log_pages.Page):
    """A page of the events of an instance, in the order in which they came here."""

    def __init__(self, instance: sys_uuid.UUID, limit: int) -> None:
        super().__init__(MailEvent.__tablename__, limit, columns=_WITH_NEXT_ATTEMPT)
        self._instance = instance
        self.where("instance = %s", str(instance))

    def of_message(self, message: sys_uuid.UUID) -> None:
        """Have those of a message; none of them came before it did."""
        self.where("message = %s", str(message))
        arrival = log_ids.milliseconds(message)
        day = int(log_pages.SLACK.total_seconds()) * 1000
        self.where("uuid >= %s", str(log_ids.first_of(arrival - day)))

    def with_queue_id(self, queue_id: str) -> None:
        """Have those of the message with a queue id."""
        self.of_message(log_ids.message_uuid(self._instance, queue_id))

    def of_account(self, account: sys_uuid.UUID) -> None:
        """Have those of an account, and of its messages."""
        self.where("account = %s", str(account))

    def of_type(self, kind: str) -> None:
        """Have those of a type."""
        # In the statement itself: the index of rare types is used where it is known.
        self.where(f"type = '{TYPES[TYPES.index(kind)]}'")

    def of_class(self, reason: str) -> None:
        """Have those of a class of failures and delays."""
        self.where("reason = %s", reason)

    def to_recipient(self, address: str) -> None:
        """Have those about an address, whatever its case."""
        self.where(
            "lower(recipient) = lower(%s) AND recipient IS NOT NULL", domains.with_a_labels(address)
        )

    def to_domain(self, domain: str) -> None:
        """Have those about the addresses of a domain."""
        self.where(
            "recipient_domain = %s AND recipient IS NOT NULL", domains.with_a_labels(domain).lower()
        )

    def since(self, moment: datetime.datetime) -> None:
        """Have those that happened at *moment* or later."""
        self.where("at >= %s", log_pages.timestamp(moment))
        self.where("uuid >= %s", log_pages.first_uuid(moment - log_pages.SLACK))

    def until(self, moment: datetime.datetime) -> None:
        """Have those that happened before *moment*: they may have come here later."""
        self.where("at < %s", log_pages.timestamp(moment))
