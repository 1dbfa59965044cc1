# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""TLS policies: /v1/types/mail/instances/<uuid>/tls_policies/."""

from __future__ import annotations

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.api import base, resources, routing
from exordos_paas_mail.control_plane.records import tls_policies


class MailTlsPolicyController(base.OfInstance):
    """TLS policies: /v1/types/mail/instances/<uuid>/tls_policies/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.TLS_POLICY_POLICY

    __resource__ = resources.Resource(
        tls_policies.MailTlsPolicy,
        # The path says which instance; clients of the platform repeat it.
        set_once=("instance", "domain"),
        read_only=("error",),
    )


class MailTlsPolicyRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/tls_policies/[<uuid>]."""

    __one__, __many__ = "a TLS policy", "TLS policies"
    __controller__ = MailTlsPolicyController
