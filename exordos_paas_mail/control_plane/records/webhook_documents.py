# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The document that tells a node its webhooks (``documents.webhooks``), marked to be written."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import webhook_config
from exordos_paas_mail.control_plane.records import document_marks

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

SHARD: tp.Final = "0"
"""The only one."""


def mark(session: tp.Any, instance: sys_uuid.UUID) -> None:
    """Have the node of *instance* told its webhooks anew; the instance is held."""
    document_marks.mark(session, instance, webhook_config.COLLECTION, (SHARD,))
