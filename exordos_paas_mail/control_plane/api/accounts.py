# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts: /v1/types/mail/instances/<uuid>/accounts/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import actions, routes
from restalchemy.dm import filters

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, queries, resources, routing
from exordos_paas_mail.control_plane.records import (
    account_holds,
    accounts,
    errors,
    fields,
    setting_fields,
)


class MailAccountController(base.OfInstance):
    """Accounts: /v1/types/mail/instances/<uuid>/accounts/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.ACCOUNT_POLICY
    # To sort 100,000 by another one takes a tenth of a second and more.
    __bounds__ = queries.Bounds(sort_keys=("uuid", "name", "username", "created_at", "updated_at"))

    __resource__ = resources.ResourceWithCustomProps(
        accounts.MailAccount,
        # The path says which instance; clients of the platform repeat it.
        read_only=("error", "hold"),
        set_once=("instance", "username"),
        write_only=("password", "password_hash"),
        nullable=("senders", "password", "password_hash"),
    )

    def create(self, parent_resource: tp.Any, **kwargs: tp.Any) -> tp.Any:
        # What is not there cannot be taken away.
        for name in ("password", "password_hash"):
            if kwargs.get(name, name) is None:
                raise errors.FieldError(name, "must not be null")
        return super().create(parent_resource, **kwargs)

    def update(self, parent_resource: tp.Any, uuid: tp.Any, **kwargs: tp.Any) -> tp.Any:
        # A null is a way to say it as well.
        if kwargs.keys() >= {"password", "password_hash"}:
            raise errors.FieldError("password", accounts.EITHER)
        return super().update(parent_resource, uuid, **kwargs)

    @actions.post
    def hold(self, resource: accounts.MailAccount, reason: str = "") -> accounts.MailAccount:
        # The platform asks for the right to read the account only.
        self.require("hold")
        if not reason:
            raise errors.FieldError("reason", "is required")
        resource.put_on_hold(reason)
        return self._again(resource)

    @actions.post
    def release(self, resource: accounts.MailAccount, messages: str = "") -> accounts.MailAccount:
        self.require("release")
        if not messages:
            raise errors.FieldError("messages", "is required")
        resource.release(messages)
        return self._again(resource)

    @staticmethod
    def _again(resource: accounts.MailAccount) -> accounts.MailAccount:
        found = accounts.MailAccount.objects.get_one_or_none(
            filters={"uuid": filters.EQ(resource.uuid)}
        )
        if found is None:
            raise errors.RecordNotFound(resource.uuid)
        return tp.cast("accounts.MailAccount", found)


class HoldAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/accounts/<uuid>/actions/hold/invoke."""

    __controller__ = MailAccountController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {
        "reason": fields.Text(1, account_holds.REASON_SIZE_MAX)
    }


class ReleaseAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/accounts/<uuid>/actions/release/invoke."""

    __controller__ = MailAccountController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {"messages": setting_fields.HoldRelease()}


class MailAccountRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/accounts/[<uuid>]."""

    __one__, __many__ = "an account", "accounts"
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {
        "hold": "Put an account on hold",
        "release": "Release an account that is on hold",
    }
    __controller__ = MailAccountController

    hold = routes.action(HoldAction, invoke=True)
    release = routes.action(ReleaseAction, invoke=True)
