# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who was erased from the log of an instance, as its node is told them."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import erased

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


def content(session: tp.Any, instance: sys_uuid.UUID, shard: str) -> bytes:
    """Return who of a shard of *instance* was erased, the last ones.

    Addresses first: one of them may have had mail without end, and nearly all that names
    nobody but its queue id is told of an address as well.
    """
    found = session.execute(
        "SELECT name, at FROM mail_erased WHERE instance = %s AND shard = %s"
        " ORDER BY strpos(name, '@') = 0, at DESC, name LIMIT %s",
        (str(instance), shard, erased.NAMES_MAX),
    ).fetchall()
    return erased.render({row["name"]: utils.milliseconds(row["at"]) for row in found})
