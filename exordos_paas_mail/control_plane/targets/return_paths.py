# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The domains that a node should make return paths for."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import return_paths
from exordos_paas_mail.control_plane.records import bounce_handling

if tp.TYPE_CHECKING:
    from exordos_paas_mail.control_plane.records import instances


def text(session: tp.Any, instance: instances.MailInstance) -> str:
    """Return the text of the file: the domains of *instance* whose DNS leads bounces here."""
    with utils.transaction(session) as active:
        uses = bounce_handling.uses(active, instance.uuid)
    return return_paths.render(uses)
