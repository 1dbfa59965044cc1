# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Deliveries: /v1/types/mail/instances/<uuid>/webhooks/<uuid>/deliveries/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import logs, resources, routing
from exordos_paas_mail.control_plane.records import webhooks

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

_FILTERS: tp.Final = {
    "event": logs.uuid(webhooks.Deliveries.of_event),
    "type": logs.text(webhooks.Deliveries.of_type, 64),
}


class MailWebhookDeliveryController(logs.Log):
    """Deliveries: /v1/types/mail/instances/<uuid>/webhooks/<uuid>/deliveries/."""

    __pr_name__ = "webhook"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.WEBHOOK_DELIVERY_POLICY
    __filters__ = _FILTERS
    __resource__ = resources.Resource(
        webhooks.MailWebhookDelivery,
        read_only=("uuid", *webhooks.MailWebhookDelivery.properties.properties),
        hidden=("instance", "webhook"),
        parent="webhook",
    )

    def make_page(self, parent_resource: tp.Any, limit: int) -> webhooks.Deliveries:
        return webhooks.Deliveries(parent_resource.uuid, limit)

    def instance_of(self, parent_resource: tp.Any) -> sys_uuid.UUID:
        return tp.cast("sys_uuid.UUID", parent_resource.instance.uuid)

    @logs.described(("MailInstanceUuid", "MailWebhookUuid"), _FILTERS)
    def filter(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        return super().filter(*args, **kwargs)


class MailWebhookDeliveryRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/webhooks/<uuid>/deliveries/[<uuid>]."""

    __one__, __many__ = "a delivery", "deliveries"
    __controller__ = MailWebhookDeliveryController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER, routes.GET]
