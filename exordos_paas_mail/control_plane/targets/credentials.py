# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The credentials a node should hold."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import credentials
from exordos_paas_mail.control_plane.records import credential_rows

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances


def text(session: tp.Any, instance: instances.MailInstance) -> str:
    """Return the text of the file of credentials of *instance*."""
    with utils.transaction(session) as active:
        known = credential_rows.of_instance(active, instance.uuid)
    return credentials.render(known, instance.domain)
