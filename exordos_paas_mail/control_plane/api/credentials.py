# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials: /v1/types/mail/instances/<uuid>/accounts/<uuid>/credentials/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import actions, routes

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import credentials, fields

if tp.TYPE_CHECKING:
    import datetime


class MailCredentialController(base.OfParent):
    """Credentials: /v1/types/mail/instances/<uuid>/accounts/<uuid>/credentials/."""

    __pr_name__ = "account"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.CREDENTIAL_POLICY

    __resource__ = resources.ResourceWithCustomProps(
        credentials.MailCredential,
        read_only=("prefix", "status", "last_used_at", "last_used_ip"),
        set_once=("account",),
        hidden=("instance", "digest", "applied_at"),
        shown_once=("secret_key",),
        nullable=("expires_at",),
        parent="account",
    )

    @actions.post
    def rotate(
        self,
        resource: credentials.MailCredential,
        overlap_hours: int = credentials.OVERLAP_HOURS_DEFAULT,
        expires_at: datetime.datetime | None = None,
    ) -> credentials.MailCredential:
        # The platform asks for the right to read the credential only.
        self.require("update")
        self.require("create")
        return credentials.rotate(resource, overlap_hours, expires_at)


class RotateAction(routing.Action):
    """Action /v1/types/mail/instances/.../credentials/<uuid>/actions/rotate/invoke."""

    __controller__ = MailCredentialController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {
        "overlap_hours": fields.Integer(0, credentials.OVERLAP_HOURS_MAX),
        "expires_at": fields.Time(),
    }
    __optional__: tp.ClassVar[tp.Collection[str]] = tuple(__fields__)
    # With its secret, as the answer to the POST of one.
    __answer__: tp.ClassVar[str] = f"{credentials.MailCredential.__name__}_Create"


class MailCredentialRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/accounts/<uuid>/credentials/[<uuid>]."""

    __one__, __many__ = "a credential", "credentials"
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {
        "rotate": "Replace a credential by a new one, and end it",
    }
    __controller__ = MailCredentialController

    rotate = routes.action(RotateAction, invoke=True)
