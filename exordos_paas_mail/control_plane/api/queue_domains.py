# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The queue by recipient domain: /v1/types/mail/instances/<uuid>/queue_domains/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import constants as api
from restalchemy.api import routes

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.api import base, logs, resources, routing
from exordos_paas_mail.control_plane.records import queues


class MailQueueDomainController(base.OfInstance):
    """The queue by recipient domain: /v1/types/mail/instances/<uuid>/queue_domains/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.QUEUE_POLICY

    __resource__ = resources.Resource(
        queues.MailQueueDomain,
        read_only=tuple(queues.MailQueueDomain.properties.properties),
        name_map={"reason": "class"},
    )

    def _list(self, parent_resource: tp.Any) -> tp.Any:
        self.request.api_context.set_active_method(api.FILTER)
        logs.asked(self.request.GET, {})
        return self.process_result(self.filter(parent_resource, {}))

    @logs.with_parameters(("MailInstanceUuid",), {})
    def filter(self, parent_resource: tp.Any, filters: tp.Any, order_by: tp.Any = None) -> tp.Any:  # noqa: ARG002
        self.require("read")
        with utils.transaction() as session:
            return queues.domains(session, parent_resource.uuid)


class MailQueueDomainRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/queue_domains/."""

    __one__, __many__ = "a recipient domain", "recipient domains of the queue"
    __controller__ = MailQueueDomainController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.FILTER]
