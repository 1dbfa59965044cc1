# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is used of limits: .../instances/<uuid>/usage/ and .../accounts/<uuid>/usage/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import constants as api
from restalchemy.api import routes

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.api import base, logs, resources, routing
from exordos_paas_mail.control_plane.records import usage

_RESOURCE: tp.Final = resources.Resource(
    usage.MailUsage, read_only=tuple(usage.MailUsage.properties.properties)
)


class _OfOwner(base.OfParent):
    """What the record of the path has used."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __resource__ = _RESOURCE

    def _list(self, parent_resource: tp.Any) -> tp.Any:
        self.request.api_context.set_active_method(api.FILTER)
        logs.asked(self.request.GET, {})
        return self.process_result(self.filter(parent_resource, {}))

    def _used(self, owner: tp.Any, *bounds: tp.Any) -> list[usage.MailUsage]:
        self.require("read")
        with utils.transaction() as session:
            return usage.of(session, owner.uuid, bounds, utils.now())


class MailInstanceUsageController(_OfOwner):
    """What all accounts of an instance have sent: /v1/types/mail/instances/<uuid>/usage/."""

    __pr_name__ = "instance"
    __policy_name__ = constants.INSTANCE_POLICY

    @logs.with_parameters(("MailInstanceUuid",), {})
    def filter(self, parent_resource: tp.Any, filters: tp.Any, order_by: tp.Any = None) -> tp.Any:  # noqa: ARG002
        return self._used(parent_resource, parent_resource.limits)


class MailAccountUsageController(_OfOwner):
    """What an account has sent: /v1/types/mail/instances/<uuid>/accounts/<uuid>/usage/."""

    __pr_name__ = "account"
    __policy_name__ = constants.ACCOUNT_POLICY

    @logs.with_parameters(("MailInstanceUuid", "MailAccountUuid"), {})
    def filter(self, parent_resource: tp.Any, filters: tp.Any, order_by: tp.Any = None) -> tp.Any:  # noqa: ARG002
        return self._used(parent_resource, parent_resource.limits, parent_resource.instance.limits)


class MailInstanceUsageRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/usage/."""

    __one__, __many__ = "the use of a limit", "what is used of the limits of an instance"
    __controller__ = MailInstanceUsageController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER]


class MailAccountUsageRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/accounts/<uuid>/usage/."""

    __one__, __many__ = "the use of a limit", "what is used of the limits of an account"
    __controller__ = MailAccountUsageController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER]
