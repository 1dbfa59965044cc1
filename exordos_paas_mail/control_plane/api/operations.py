# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Operations: /v1/types/mail/instances/<uuid>/operations/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import logs, operating, routing
from exordos_paas_mail.control_plane.records import operation_statuses, operations

# Each may name 500 messages, and say what became of them.
_PAGE_LIMIT: tp.Final = 100
_FILTERS: tp.Final = {
    "action": logs.choice(operations.Operations.of_action, operations.ACTIONS),
    "status": logs.choice(operations.Operations.with_status, operation_statuses.ALL),
}


class MailOperationController(logs.Log):
    """Operations: /v1/types/mail/instances/<uuid>/operations/."""

    __pr_name__ = "instance"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.OPERATION_POLICY
    __filters__ = _FILTERS
    __page_limit__ = _PAGE_LIMIT
    __resource__ = operating.RESOURCE

    def make_page(self, parent_resource: tp.Any, limit: int) -> operations.Operations:
        return operations.Operations(parent_resource.uuid, limit)

    @logs.described(("MailInstanceUuid",), _FILTERS, _PAGE_LIMIT)
    def filter(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        return super().filter(*args, **kwargs)


class MailOperationRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/operations/[<uuid>]."""

    __one__, __many__ = "an operation", "operations"
    __controller__ = MailOperationController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER, routes.GET]
