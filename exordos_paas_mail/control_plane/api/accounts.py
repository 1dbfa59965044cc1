# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts: /v1/types/mail/instances/<uuid>/accounts/."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import accounts, errors


class MailAccountController(base.OfInstance):
    """Accounts: /v1/types/mail/instances/<uuid>/accounts/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.ACCOUNT_POLICY

    __resource__ = resources.ResourceWithCustomProps(
        accounts.MailAccount,
        # The path says which instance; clients of the platform repeat it.
        read_only=("error",),
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


class MailAccountRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/accounts/[<uuid>]."""

    __one__, __many__ = "an account", "accounts"
    __controller__ = MailAccountController
