# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Instances: /v1/types/mail/instances/."""

from __future__ import annotations

import typing as tp

from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import controllers

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import instances


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


class MailInstanceRoute(routing.Route):
    """Route /v1/types/mail/instances/[<uuid>]."""

    __one__, __many__ = "an instance", "instances"
    __controller__ = MailInstanceController
