# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Actions on the queue: each answers at once with an operation, which tells the rest later."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import operations

RESOURCE: tp.Final = resources.Resource(
    operations.MailOperation,
    read_only=("uuid", *operations.MailOperation.properties.properties),
    hidden=("instance",),
    name_map={"from_at": "from", "to_at": "to"},
)


class Operating(base.OfInstance):
    """Actions that answer with an operation. The platform asks for the right to read alone."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.QUEUE_POLICY
    __resource__ = RESOURCE


class OperatingAction(routing.Action):
    """An action that answers with an operation."""

    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]
    __answer__: tp.ClassVar[str] = operations.MailOperation.__name__
