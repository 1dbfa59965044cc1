# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts: /v1/types/mail/instances/<uuid>/accounts/."""

from __future__ import annotations

import typing as tp

from gcl_iam import exceptions as iam_exceptions
from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import controllers

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import accounts, errors


class MailAccountController(
    base.Controller,
    iam_controllers.NestedPolicyBasedController,
    controllers.BaseNestedResourceControllerPaginated,
):
    """Accounts: /v1/types/mail/instances/<uuid>/accounts/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.ACCOUNT_POLICY
    __pr_name__ = "instance"

    __resource__ = resources.ResourceWithCustomProps(
        accounts.MailAccount,
        # The path says which instance; clients of the platform repeat it.
        read_only=("error",),
        set_once=("instance", "username"),
        write_only=("password", "password_hash"),
    )

    def filter(self, parent_resource: tp.Any, filters: tp.Any, order_by: tp.Any = None) -> tp.Any:
        # The platform puts the instance of the path in the place of this one.
        if "instance" in filters:
            given = filters["instance"].value
            if any(
                i.uuid != parent_resource.uuid
                for i in (given if isinstance(given, list) else [given])
            ):
                raise errors.FieldError("instance", "must be the instance in the path")
        return super().filter(parent_resource, filters, order_by=order_by)

    def create(self, parent_resource: tp.Any, **kwargs: tp.Any) -> tp.Any:
        if kwargs.pop("instance", parent_resource).uuid != parent_resource.uuid:
            raise errors.FieldError("instance", "must be the instance in the path")
        return super().create(parent_resource=parent_resource, **kwargs)

    def update(self, parent_resource: tp.Any, uuid: tp.Any, **kwargs: tp.Any) -> tp.Any:
        # The platform asks this only where there is no parent.
        if kwargs.get("project_id", project := base.project_of_token()) != project and project:
            raise iam_exceptions.Forbidden
        accounts.refuse_both(kwargs.get("password"), kwargs.get("password_hash"))
        return super().update(parent_resource, uuid, **kwargs)


class MailAccountRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/accounts/[<uuid>]."""

    __one__, __many__ = "an account", "accounts"
    __controller__ = MailAccountController
