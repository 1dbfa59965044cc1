# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in the queue: /v1/types/mail/instances/<uuid>/queue/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import actions, routes

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import node_commands
from exordos_paas_mail.control_plane.api import logs, operating, resources, routing
from exordos_paas_mail.control_plane.records import operations, queues

_FILTERS: tp.Final = {
    "account": logs.uuid(queues.QueueItems.of_account),
    "sender": logs.text(queues.QueueItems.of_sender, 320),
    "recipient": logs.text(queues.QueueItems.to_recipient, 320),
    "recipient_domain": logs.text(queues.QueueItems.to_domain, 255),
    "queue_id": logs.queue_id(queues.QueueItems.with_queue_id),
    "held": logs.choice(queues.QueueItems.that_is_held, ("true", "false")),
}


class MailQueueItemController(logs.Log):
    """Messages in the queue: /v1/types/mail/instances/<uuid>/queue/."""

    __pr_name__ = "instance"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.QUEUE_POLICY
    __filters__ = _FILTERS

    __resource__ = resources.Resource(
        queues.MailQueueItem,
        read_only=("uuid", *queues.MailQueueItem.properties.properties),
        hidden=("instance", "shard"),
        name_map={"reason": "class"},
    )

    def make_page(self, parent_resource: tp.Any, limit: int) -> queues.QueueItems:
        return queues.QueueItems(parent_resource.uuid, limit)

    @logs.described(("MailInstanceUuid",), _FILTERS)
    def filter(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        return super().filter(*args, **kwargs)


class QueueItemActions(operating.Operating):
    """What may be done with one message in the queue."""

    @actions.post
    def retry(self, resource: queues.MailQueueItem) -> operations.MailOperation:
        return self._ask(resource, node_commands.Action.RETRY)

    @actions.post
    def bounce(self, resource: queues.MailQueueItem) -> operations.MailOperation:
        return self._ask(resource, node_commands.Action.BOUNCE)

    @actions.post
    def delete(self, resource: queues.MailQueueItem) -> operations.MailOperation:
        return self._ask(resource, node_commands.Action.DELETE)

    def _ask(
        self, resource: queues.MailQueueItem, action: node_commands.Action
    ) -> operations.MailOperation:
        self.require(action.value)
        request = operations.Request(action, queue_ids=(resource.queue_id,))
        return operations.ask(resource.instance, request)


class RetryAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/queue/<uuid>/actions/retry/invoke."""

    __controller__ = QueueItemActions


class BounceAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/queue/<uuid>/actions/bounce/invoke."""

    __controller__ = QueueItemActions


class DeleteAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/queue/<uuid>/actions/delete/invoke."""

    __controller__ = QueueItemActions


class MailQueueItemRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/queue/[<uuid>]."""

    __one__, __many__ = "a message in the queue", "messages in the queue"
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {
        "retry": "Try to deliver a message now",
        "bounce": "End a message in the queue with a report to its sender",
        "delete": "Delete a message from the queue without a report",
    }
    __controller__ = MailQueueItemController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER, routes.GET]

    retry = routes.action(RetryAction, invoke=True)
    bounce = routes.action(BounceAction, invoke=True)
    delete = routes.action(DeleteAction, invoke=True)
