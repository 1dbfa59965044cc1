# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A TLS policy that a manifest declares."""

from __future__ import annotations

import typing as tp

from restalchemy.dm import properties, types

from exordos_paas_mail.codecs import tls_policies as modes
from exordos_paas_mail.control_plane.declared import base
from exordos_paas_mail.control_plane.records import fields, tls_policies


class DeclaredTlsPolicy(base.Declared, tls_policies.MailTlsPolicy):
    """A TLS policy that a manifest declares; it waits for a user's of its domain to go."""

    _SPELLED = ("domain", "instance")
    _ERROR = "error"

    declared = properties.property(types.Dict(), default=dict)
    mode = properties.property(fields.Choice(list(modes.MODES)), required=True)

    def get_resource_ignore_fields(self) -> tp.Collection[str]:
        """Return what is nobody's business but this model's."""
        return frozenset({"declared"})
