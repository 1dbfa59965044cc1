# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of images: /v1/types/mail/versions/."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from gcl_iam import exceptions as iam_exceptions
from gcl_iam import rules
from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import controllers
from restalchemy.common import contexts

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

    __resource__ = resources.Resource(versions.MailVersion, hidden=("manager",))

    def create(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        _refuse_tenants("create")
        return super().create(*args, **kwargs)

    def update(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        _refuse_tenants("update")
        return super().update(*args, **kwargs)

    def delete(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        _refuse_tenants("delete")
        return super().delete(*args, **kwargs)


def _refuse_tenants(action: str) -> None:
    # The permission first: who lacks it is told so.
    rule = rules.Rule(constants.POLICY_SERVICE, constants.VERSION_POLICY, action)
    contexts.get_context().iam_context.enforcer.enforce(rule, do_raise=True)
    if base.project_of_token() not in (None, sys_uuid.UUID(constants.METAPAAS_PROJECT_ID)):
        raise iam_exceptions.Forbidden


class MailVersionRoute(routing.Route):
    """Route /v1/types/mail/versions/[<uuid>]."""

    __one__, __many__ = "a version", "versions"
    __controller__ = MailVersionController
