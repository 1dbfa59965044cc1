# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Actions on the queue: /v1/types/mail/instances/<uuid>/actions/queue_.../invoke."""

from __future__ import annotations

import typing as tp

from restalchemy.api import actions

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import node_commands
from exordos_paas_mail.control_plane.api import operating
from exordos_paas_mail.control_plane.records import errors, fields, operations

if tp.TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from exordos_paas_mail.control_plane.records import instances

_Action: tp.TypeAlias = node_commands.Action
_SUSPEND: tp.Final = "suspend"
_MESSAGES: tp.Final = {
    "queue_ids": fields.QueueIds(),
    "recipient_domain": fields.Domain(),
}
SUMMARIES: tp.Final[tp.Mapping[str, str]] = {
    "queue_retry": "Try to deliver messages in the queue now",
    "queue_bounce": "End messages in the queue with a report to their senders",
    "queue_delete": "Delete messages from the queue without a report",
    "queue_suspend": "Deliver nothing to a recipient domain until a time",
    "queue_resume": "Deliver to a recipient domain again",
}


class QueueActions(operating.Operating):
    """What may be done with the messages in the queue of an instance."""

    @actions.post
    def queue_retry(
        self,
        resource: instances.MailInstance,
        queue_ids: Sequence[str] = (),
        recipient_domain: str = "",
    ) -> operations.MailOperation:
        return self._ask(resource, _Action.RETRY, queue_ids, recipient_domain)

    @actions.post
    def queue_bounce(
        self,
        resource: instances.MailInstance,
        queue_ids: Sequence[str] = (),
        recipient_domain: str = "",
    ) -> operations.MailOperation:
        return self._ask(resource, _Action.BOUNCE, queue_ids, recipient_domain)

    @actions.post
    def queue_delete(
        self,
        resource: instances.MailInstance,
        queue_ids: Sequence[str] = (),
        recipient_domain: str = "",
    ) -> operations.MailOperation:
        return self._ask(resource, _Action.DELETE, queue_ids, recipient_domain)

    @actions.post
    def queue_suspend(
        self,
        resource: instances.MailInstance,
        recipient_domain: str = "",
        until: datetime.datetime | None = None,
        reason: str = "",
    ) -> operations.MailOperation:
        self.require(_SUSPEND)
        for name, value in (
            ("recipient_domain", recipient_domain),
            ("until", until),
            ("reason", reason),
        ):
            if not value:
                raise errors.FieldError(name, "is required")
        now = utils.now()
        if until and not now < until <= now + operations.SUSPENSION_MAX:
            days = operations.SUSPENSION_MAX.days
            raise errors.FieldError("until", f"must be in the next {days} days")
        request = operations.Request(
            _Action.SUSPEND, domain=recipient_domain, until=until, reason=reason
        )
        return operations.ask(resource.uuid, request)

    @actions.post
    def queue_resume(
        self, resource: instances.MailInstance, recipient_domain: str = ""
    ) -> operations.MailOperation:
        self.require(_SUSPEND)
        if not recipient_domain:
            raise errors.FieldError("recipient_domain", "is required")
        request = operations.Request(_Action.RESUME, domain=recipient_domain)
        return operations.ask(resource.uuid, request)

    def _ask(
        self,
        resource: instances.MailInstance,
        action: node_commands.Action,
        queue_ids: Sequence[str],
        domain: str,
    ) -> operations.MailOperation:
        self.require(action.value)
        if queue_ids and domain:
            raise errors.FieldError("recipient_domain", "cannot be given together with queue_ids")
        # All that is in the queue may be tried, never ended.
        if action is not _Action.RETRY and not queue_ids and not domain:
            raise errors.FieldError("queue_ids", "is required, or recipient_domain")
        request = operations.Request(action, queue_ids=queue_ids, domain=domain or None)
        return operations.ask(resource.uuid, request)


class RetryAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/actions/queue_retry/invoke."""

    __controller__ = QueueActions
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = _MESSAGES
    __optional__: tp.ClassVar[tp.Collection[str]] = tuple(_MESSAGES)


class BounceAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/actions/queue_bounce/invoke."""

    __controller__ = QueueActions
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = _MESSAGES
    __optional__: tp.ClassVar[tp.Collection[str]] = tuple(_MESSAGES)


class DeleteAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/actions/queue_delete/invoke."""

    __controller__ = QueueActions
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = _MESSAGES
    __optional__: tp.ClassVar[tp.Collection[str]] = tuple(_MESSAGES)


class SuspendAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/actions/queue_suspend/invoke."""

    __controller__ = QueueActions
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {
        "recipient_domain": fields.Domain(),
        "until": fields.Time(),
        "reason": fields.Text(1, node_commands.REASON_SIZE_MAX),
    }


class ResumeAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/actions/queue_resume/invoke."""

    __controller__ = QueueActions
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {"recipient_domain": fields.Domain()}
