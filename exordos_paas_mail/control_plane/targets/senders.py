# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The senders file a node should hold."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import senders
from exordos_paas_mail.control_plane.records import sender_rows

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances


def text(session: tp.Any, instance: instances.MailInstance) -> str:
    """Return the text of the senders file: the policy of *instance*, and what differs from it."""
    with utils.transaction(session) as active:
        lines = sender_rows.lines(active, instance.uuid)
    return senders.render(instance.sender_policy, lines, instance.domain)
