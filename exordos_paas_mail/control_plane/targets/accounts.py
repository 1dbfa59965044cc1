# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The account file a node should hold."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import passwd
from exordos_paas_mail.control_plane.records import accounts

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances


def text(session: tp.Any, instance: instances.MailInstance) -> str:
    """Return the text of the account file: the active accounts of *instance*, sorted."""
    pairs = accounts.MailAccount.active_pairs(instance.uuid, session)
    return passwd.render(pairs, instance.domain)
