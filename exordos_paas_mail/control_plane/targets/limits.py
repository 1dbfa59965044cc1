# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The file of limits a node should hold."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import limits
from exordos_paas_mail.control_plane.records import limit_rows

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances


def text(session: tp.Any, instance: instances.MailInstance) -> str:
    """Return the text of the file: the limits of *instance*, and those of its accounts."""
    with utils.transaction(session) as active:
        own = limit_rows.of_accounts(active, instance.uuid)
    return limits.render(instance.limits, own, instance.domain)
