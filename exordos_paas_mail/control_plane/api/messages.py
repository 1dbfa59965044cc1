# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Messages: /v1/types/mail/instances/<uuid>/messages/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import credentials
from exordos_paas_mail.control_plane.api import logs, resources, routing
from exordos_paas_mail.control_plane.records import message_statuses, messages

_FILTERS: tp.Final = {
    "account": logs.uuid(messages.Messages.of_account),
    "credential": logs.text(messages.Messages.by_credential, credentials.PREFIX_LENGTH),
    "sender": logs.text(messages.Messages.of_sender, 320),
    "recipient": logs.text(messages.Messages.to_recipient, 320),
    "recipient_domain": logs.text(messages.Messages.to_domain, 255),
    "header_message_id": logs.text(messages.Messages.with_message_id, 500),
    "queue_id": logs.queue_id(messages.Messages.with_queue_id),
    "status": logs.choice(messages.Messages.with_status, message_statuses.ALL),
    "tag": logs.text(messages.Messages.with_tag, 64),
    "from": logs.moment(messages.Messages.since),
    "to": logs.moment(messages.Messages.until),
}


class MailMessageController(logs.Log):
    """Messages: /v1/types/mail/instances/<uuid>/messages/."""

    __pr_name__ = "instance"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.MESSAGE_POLICY
    __filters__ = _FILTERS

    __resource__ = resources.Resource(
        messages.MailMessage,
        read_only=("uuid", *messages.MailMessage.properties.properties),
        hidden=("instance",),
    )

    def make_page(self, parent_resource: tp.Any, limit: int) -> messages.Messages:
        return messages.Messages(parent_resource.uuid, limit)

    @logs.described(("MailInstanceUuid",), _FILTERS)
    def filter(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        return super().filter(*args, **kwargs)


class MailMessageRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/messages/[<uuid>]."""

    __one__, __many__ = "a message", "messages"
    __controller__ = MailMessageController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER, routes.GET]
