# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of images: /v1/types/mail/versions/."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from gcl_iam import exceptions as iam_exceptions
from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import controllers

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import versions


class MailVersionController(
    base.Controller,
    iam_controllers.PolicyBasedWithoutProjectController,
    controllers.BaseResourceControllerPaginated,
):
    """The catalogue of images: /v1/types/mail/versions/.

    Everybody with the permission reads it. It is one for all projects, so
    only the project of the platform, or a token without a project, writes it.
    """

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.VERSION_POLICY

    __resource__ = resources.Resource(versions.MailVersion)

    def _enforce(self, action: str) -> tp.Any:
        granted = super()._enforce(action)
        platform = sys_uuid.UUID(constants.METAPAAS_PROJECT_ID)
        if action != "read" and self._ctx_project_id not in (None, platform):
            raise iam_exceptions.Forbidden
        return granted


class MailVersionRoute(routing.Route):
    """Route /v1/types/mail/versions/[<uuid>]."""

    __controller__ = MailVersionController
