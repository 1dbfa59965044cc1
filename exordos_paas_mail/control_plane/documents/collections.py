# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a shard of each collection holds, by the collection's name."""

from __future__ import annotations

import types
import typing as tp

from exordos_paas_mail.codecs import erased as erased_
from exordos_paas_mail.codecs import notices as notices_
from exordos_paas_mail.codecs import smarthosts, tls_document, webhook_config
from exordos_paas_mail.codecs import suppressions as suppressions_
from exordos_paas_mail.control_plane.documents import (
    erased,
    notices,
    smarthost,
    suppressions,
    tls,
    webhooks,
)

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Callable, Mapping

RENDERERS: tp.Final[Mapping[str, Callable[[tp.Any, sys_uuid.UUID, str], bytes]]] = (
    types.MappingProxyType(
        {
            webhook_config.COLLECTION: webhooks.content,
            erased_.COLLECTION: erased.content,
            suppressions_.COLLECTION: suppressions.content,
            tls_document.COLLECTION: tls.content,
            notices_.COLLECTION: notices.content,
            smarthosts.COLLECTION: smarthost.content,
        }
    )
)
"""Each reads what a shard of an instance holds, with a session that does not hold the instance."""
