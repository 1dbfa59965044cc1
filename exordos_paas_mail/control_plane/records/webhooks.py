# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The webhooks of an instance: where its node sends what became of mail."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import models, properties, relationships, types
from restalchemy.storage.sql import orm

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import webhook_config, webhook_reports
from exordos_paas_mail.control_plane.records import (
    base,
    errors,
    fields,
    instances,
    log_pages,
    of_instance,
    webhook_documents,
    webhook_keys,
)

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

OVERLAP_HOURS: tp.Final = 24
OVERLAP_HOURS_MAX: tp.Final = 7 * 24
STATUSES: tp.Final = tuple(status.value for status in webhook_reports.Status)
# What a node tells of a webhook.
FACTS: tp.Final = (
    *("status", "last_success_at", "last_error", "last_error_at", "failing_since"),
    *("waiting", "given_up", "lost"),
)
_NUMBER: tp.Final = types.Integer()


class MailWebhook(base.Record, models.ModelWithProject, models.CustomPropertiesMixin, base.Stored):
    """A webhook of an instance.

    ``FACTS`` are written by column, as the node tells them. ``secret_key`` is there as long
    as the record that has made it, and never of one that is read.
    """

    __tablename__ = "mail_webhooks"
    __custom_properties__: tp.ClassVar[dict[str, tp.Any]] = {
        "signing_keys": fields.SigningKeys(),
        "secret_key": types.AllowNone(types.String()),
    }

    name = properties.property(fields.Text(0, 255), default="")
    instance = relationships.relationship(instances.MailInstance, required=True, read_only=True)
    url = properties.property(fields.WebhookUrl(), required=True)
    events = properties.property(fields.WebhookEvents(), required=True)
    active = properties.property(fields.Boolean(), default=True)
    # Its secrets (``webhook_keys``), in clear: the node signs with them.
    secrets = properties.property(types.Dict(), default=dict)
    # A node that has disabled the webhook tries again when it has grown.
    revision = properties.property(_NUMBER, default=1)
    status = properties.property(types.Enum(list(STATUSES)), default=STATUSES[0])
    last_success_at = properties.property(fields.Moment(), default=None)
    last_error_at = properties.property(fields.Moment(), default=None)
    last_error = properties.property(types.String(), default="")
    failing_since = properties.property(fields.Moment(), default=None)
    waiting = properties.property(_NUMBER, default=0)
    given_up = properties.property(_NUMBER, default=0)
    lost = properties.property(_NUMBER, default=0)
    # Why the manifest that declares the webhook is not applied.
    error = properties.property(types.String(), default="")

    secret_key: str | None = None

    @property
    def signing_keys(self) -> list[dict[str, tp.Any]]:
        """Return the keys that sign now, the newest first, without their secrets."""
        return webhook_keys.shown(self.secrets, utils.now())

    def insert(self, session: tp.Any = None) -> None:
        """Add the webhook with its first secret; RecordNotFound if its instance is gone.

        Raises ConflictRecords if the instance has as many as it can have.
        """
        of_instance.check_project(self, self.instance)
        with utils.transaction(session) as active:
            of_instance.hold(active, self.instance.uuid)
            (row,) = active.execute(
                "SELECT count(*) AS webhooks FROM mail_webhooks WHERE instance = %s",
                (str(self.instance.uuid),),
            ).fetchall()
            if row["webhooks"] >= webhook_config.HOOKS_MAX:
                raise errors.ConflictRecords(
                    "instance",
                    f"already has {webhook_config.HOOKS_MAX} webhooks, the most that it can have",
                )
            self.secret_key, self.secrets = webhook_keys.add({}, utils.now(), 0)
            super().insert(session=active)
            webhook_documents.mark(active, self.instance.uuid)

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write what changed."""
        with utils.transaction(session) as active:
            of_instance.hold(active, self.instance.uuid)
            if any(self.properties[name].is_dirty() for name in ("url", "active")):
                self._begin_anew()
            super().update(session=active, force=force)
            webhook_documents.mark(active, self.instance.uuid)

    def delete(self, session: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        with utils.transaction(session) as active:
            of_instance.hold(active, self.instance.uuid)
            deleted = super().delete(session=active, **kwargs)
            webhook_documents.mark(active, self.instance.uuid)
            return deleted

    def revive(self) -> None:
        """Have the node try again, if it has disabled the webhook; written at once."""
        if self.status == webhook_reports.Status.DISABLED.value:
            self._begin_anew()
            self.update()

    def rotate(self, overlap_hours: int) -> None:
        """Make a new secret, and have the others end; written at once.

        Raises ConflictRecords if as many sign as can, and RecordNotFound if the webhook is
        gone.
        """
        with utils.transaction() as session:
            of_instance.hold(session, self.instance.uuid)
            held = type(self).objects.get_one(filters={"uuid": self.uuid}, session=session)
            now = utils.now()
            self.secret_key, self.secrets = webhook_keys.add(held.secrets, now, overlap_hours)
            super().update(session=session)
            webhook_documents.mark(session, self.instance.uuid)

    def _begin_anew(self) -> None:
        self.revision += 1
        self.status = webhook_reports.Status.ACTIVE.value
        self.failing_since = None


class MailWebhookDelivery(models.ModelWithUUID, orm.SQLStorableMixin):
    """One attempt of a node to hand an event over: all of it is facts."""

    __tablename__ = "mail_webhook_deliveries"

    instance = properties.property(types.UUID(), required=True)
    webhook = properties.property(types.UUID(), required=True)
    event = properties.property(types.UUID(), required=True)
    type = properties.property(types.String(), required=True)
    at = properties.property(types.UTCDateTimeZ(), required=True)
    attempt = properties.property(_NUMBER, default=1)
    code = properties.property(types.AllowNone(_NUMBER), default=None)
    ms = properties.property(_NUMBER, default=0)
    error = properties.property(types.String(), default="")
    answer = properties.property(types.String(), default="")
    retry_at = properties.property(fields.Moment(), default=None)


class Deliveries(log_pages.Page):
    """A page of the deliveries of a webhook, the newest first."""

    def __init__(self, webhook: sys_uuid.UUID, limit: int) -> None:
        super().__init__(MailWebhookDelivery.__tablename__, limit, is_newest_first=True)
        self.where("webhook = %s", str(webhook))

    def of_event(self, event: sys_uuid.UUID) -> None:
        """Have those of an event."""
        self.where("event = %s", str(event))

    def of_type(self, name: str) -> None:
        """Have those of a type of events."""
        self.where("type = %s", name)
