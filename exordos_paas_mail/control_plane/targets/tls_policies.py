# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The file of TLS policies a node should hold."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import tls_policies
from exordos_paas_mail.control_plane.records import tls_policy_rows

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances


def text(session: tp.Any, instance: instances.MailInstance) -> str:
    """Return the text of the file: the policies of *instance*, and whose mail requires TLS."""
    with utils.transaction(session) as active:
        policies = tls_policy_rows.policies(active, instance.uuid)
        requiring = tls_policy_rows.requiring(active, instance.uuid)
    return tls_policies.render(policies, requiring, instance.domain)
