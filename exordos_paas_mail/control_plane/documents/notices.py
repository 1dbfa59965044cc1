# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The notices of an instance as its node is told them."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import notices

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


def content(session: tp.Any, instance: sys_uuid.UUID, shard: str) -> bytes:
    """Return the notices of a shard of *instance*, without those that are too old."""
    found = session.execute(
        "SELECT uuid, number, at, type, data FROM mail_notices"
        " WHERE instance = %s AND number / %s %% %s = %s AND at > %s ORDER BY number",
        (
            *(str(instance), notices.SHARD_SIZE, notices.SHARDS, int(shard, 16)),
            utils.timestamp(utils.now() - notices.KEPT),
        ),
    ).fetchall()
    return notices.render(
        notices.Notice(
            row["uuid"], row["number"], utils.milliseconds(row["at"]), row["type"], row["data"]
        )
        for row in found
    )
