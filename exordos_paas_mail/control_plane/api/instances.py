# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Instances: /v1/types/mail/instances/."""

from __future__ import annotations

import typing as tp

from gcl_iam import rules as iam_rules
from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import actions, controllers, routes

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import (
    erasures,
    errors,
    fields,
    instances,
    queues,
    stats,
    tls_facts,
)


class MailInstanceController(
    base.Controller,
    iam_controllers.PolicyBasedController,
    controllers.BaseResourceControllerPaginated,
):
    """Instances: /v1/types/mail/instances/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.INSTANCE_POLICY

    __resource__ = resources.Resource(
        instances.MailInstance,
        read_only=(
            "image",
            "status",
            "error",
            "ipsv4",
            "dns_status",
            "dkim_public_key",
            "dkim_selector",
            *tls_facts.FACTS,
            *stats.LAST_DAY,
            *queues.SUMMARY,
        ),
        set_once=("domain",),
        nullable=("hostname",),
        hidden=("declaration_error",),
    )

    def update(self, uuid: tp.Any, **kwargs: tp.Any) -> tp.Any:
        # Naming the version, even the same one, asks for the image it has now.
        if (version := kwargs.get("version")) is not None:
            kwargs["image"] = version.image
        return super().update(uuid, **kwargs)

    @actions.post
    def erase(self, resource: instances.MailInstance, recipient: str = "") -> tp.Any:
        # The platform asks for the right to read the instance only.
        self._enforcer.enforce(
            iam_rules.Rule(constants.POLICY_SERVICE, constants.MESSAGE_POLICY, "delete"),
            do_raise=True,
        )
        if not recipient:
            raise errors.FieldError("recipient", "is required")
        with utils.transaction() as session:
            erasures.carry_out(session, erasures.ask(session, resource.uuid, recipient=recipient))
        return resource


class EraseAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/actions/erase/invoke."""

    __controller__ = MailInstanceController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {"recipient": fields.Text(1, 320)}


class MailInstanceRoute(routing.Route):
    """Route /v1/types/mail/instances/[<uuid>]."""

    __one__, __many__ = "an instance", "instances"
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {
        "erase": "Erase what is known of a recipient from the log",
    }
    __controller__ = MailInstanceController

    erase = routes.action(EraseAction, invoke=True)
