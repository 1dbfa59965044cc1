# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Webhooks: /v1/types/mail/instances/<uuid>/webhooks/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import actions, routes

from exordos_paas_mail import constants, utils
from exordos_paas_mail.codecs import webhook_config
from exordos_paas_mail.control_plane.api import base, operating, resources, routing
from exordos_paas_mail.control_plane.records import errors, fields, operations, webhooks

if tp.TYPE_CHECKING:
    import datetime


class MailWebhookController(base.OfInstance):
    """Webhooks: /v1/types/mail/instances/<uuid>/webhooks/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.WEBHOOK_POLICY

    __resource__ = resources.ResourceWithCustomProps(
        webhooks.MailWebhook,
        read_only=("signing_keys", "error", *webhooks.FACTS),
        set_once=("instance",),
        shown_once=("secret_key",),
        hidden=("secrets", "revision"),
    )

    def update(self, parent_resource: tp.Any, uuid: tp.Any, **kwargs: tp.Any) -> tp.Any:
        updated = super().update(parent_resource, uuid, **kwargs)
        # One that its node has disabled is active as it was, and its user asks for it again.
        if kwargs.get("active"):
            updated.revive()
        return updated

    @actions.post
    def rotate_secret(
        self, resource: webhooks.MailWebhook, overlap_hours: int = webhooks.OVERLAP_HOURS
    ) -> webhooks.MailWebhook:
        # The platform asks for the right to read the webhook only.
        self.require("rotate")
        resource.rotate(overlap_hours)
        return resource


class WebhookActions(operating.Operating):
    """What the node is asked to do once for a webhook."""

    __policy_name__ = constants.WEBHOOK_POLICY

    @actions.post
    def test(self, resource: webhooks.MailWebhook) -> operations.MailOperation:
        self.require("test")
        request = operations.Request(webhook_config.Action.TEST, webhook=resource.uuid)
        return operations.ask(resource.instance.uuid, request)

    @actions.post
    def replay(
        self,
        resource: webhooks.MailWebhook,
        to: datetime.datetime | None = None,
        # The name is a word of Python's.
        **moments: datetime.datetime,
    ) -> operations.MailOperation:
        self.require("replay")
        if (since := moments.get("from")) is None:
            raise errors.FieldError("from", "is required")
        until = to or utils.now()
        if since >= until:
            raise errors.FieldError("from", "must be before to, which is now if it is not given")
        request = operations.Request(
            webhook_config.Action.REPLAY, webhook=resource.uuid, since=since, until=until
        )
        return operations.ask(resource.instance.uuid, request)


class RotateSecretAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/webhooks/<uuid>/actions/rotate_secret/invoke."""

    __controller__ = MailWebhookController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {
        "overlap_hours": fields.Integer(0, webhooks.OVERLAP_HOURS_MAX)
    }
    __optional__: tp.ClassVar[tp.Collection[str]] = ("overlap_hours",)


class TestAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/webhooks/<uuid>/actions/test/invoke."""

    __controller__ = WebhookActions


class ReplayAction(operating.OperatingAction):
    """Action /v1/types/mail/instances/<uuid>/webhooks/<uuid>/actions/replay/invoke."""

    __controller__ = WebhookActions
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {"from": fields.Time(), "to": fields.Time()}
    __optional__: tp.ClassVar[tp.Collection[str]] = ("to",)


class MailWebhookRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/webhooks/[<uuid>]."""

    __one__, __many__ = "a webhook", "webhooks"
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {
        "rotate_secret": "Make a new secret of a webhook",
        "test": "Send a test event to a webhook",
        "replay": "Send the events of a time to a webhook again",
    }
    __controller__ = MailWebhookController

    rotate_secret = routes.action(RotateSecretAction, invoke=True)
    test = routes.action(TestAction, invoke=True)
    replay = routes.action(ReplayAction, invoke=True)
