# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Events: /v1/types/mail/instances/<uuid>/events/, and those of one message."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import logs, resources, routing
from exordos_paas_mail.control_plane.records import events

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

_OF_A_MESSAGE: tp.Final = {
    "type": logs.choice(events.Events.of_type, events.TYPES),
    "class": logs.choice(events.Events.of_class, events.CLASSES),
    "recipient": logs.text(events.Events.to_recipient, 320),
    "recipient_domain": logs.text(events.Events.to_domain, 255),
    "from": logs.moment(events.Events.since),
    "to": logs.moment(events.Events.until),
}
_OF_AN_INSTANCE: tp.Final = {
    "account": logs.uuid(events.Events.of_account),
    "message": logs.uuid(events.Events.of_message),
    "queue_id": logs.queue_id(events.Events.with_queue_id),
    **_OF_A_MESSAGE,
}
_RESOURCE: tp.Final = resources.Resource(
    events.MailEvent,
    read_only=("uuid", *events.MailEvent.properties.properties),
    hidden=("instance", "recipient_domain"),
    name_map={"reason": "class"},
)


class MailEventController(logs.Log):
    """Events: /v1/types/mail/instances/<uuid>/events/."""

    __pr_name__ = "instance"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.EVENT_POLICY
    __resource__ = _RESOURCE
    __filters__ = _OF_AN_INSTANCE

    def make_page(self, parent_resource: tp.Any, limit: int) -> events.Events:
        return events.Events(parent_resource.uuid, limit)

    @logs.described(("MailInstanceUuid",), _OF_AN_INSTANCE)
    def filter(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        return super().filter(*args, **kwargs)


class MailMessageEventController(logs.Log):
    """Events: /v1/types/mail/instances/<uuid>/messages/<uuid>/events/."""

    __pr_name__ = "message"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.EVENT_POLICY
    __resource__ = _RESOURCE
    __filters__ = _OF_A_MESSAGE

    def make_page(self, parent_resource: tp.Any, limit: int) -> events.Events:
        page = events.Events(parent_resource.instance, limit)
        page.of_message(parent_resource.uuid)
        return page

    def instance_of(self, parent_resource: tp.Any) -> sys_uuid.UUID:
        return tp.cast("sys_uuid.UUID", parent_resource.instance)

    @logs.described(("MailInstanceUuid", "MailMessageUuid"), _OF_A_MESSAGE)
    def filter(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        return super().filter(*args, **kwargs)


class MailEventRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/events/[<uuid>]."""

    __one__, __many__ = "an event", "events"
    __controller__ = MailEventController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER, routes.GET]


class MailMessageEventRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/messages/<uuid>/events/[<uuid>]."""

    __one__, __many__ = "an event of a message", "events of a message"
    __controller__ = MailMessageEventController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER, routes.GET]
