# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The file of holds a node should hold."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import holds
from exordos_paas_mail.control_plane.records import account_holds

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances


def text(session: tp.Any, instance: instances.MailInstance) -> str:
    """Return the text of the file of holds: the accounts of *instance* that are on hold."""
    with utils.transaction(session) as active:
        lines = account_holds.lines(active, instance.uuid)
    return holds.render(lines, instance.domain)
