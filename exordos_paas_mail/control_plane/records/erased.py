# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who was erased, for as long as a node may have something of them to send."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import erased
from exordos_paas_mail.control_plane.records import document_marks

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid
    from collections.abc import Iterable


def note(
    session: tp.Any, instance: sys_uuid.UUID, names: Iterable[str], now: datetime.datetime
) -> None:
    """Have the node send nothing of *names* (``codecs.erased``) that was before *now*.

    The instance is held, or gone.
    """
    shards = {name: erased.shard_of(name) for name in names}
    session.execute(
        "INSERT INTO mail_erased (instance, name, shard, at)"
        " SELECT i.uuid, each.name, each.shard, %s FROM mail_instances i,"
        " unnest(%s::text[], %s::text[]) AS each (name, shard) WHERE i.uuid = %s"
        " ON CONFLICT ON CONSTRAINT mail_erased_pkey DO UPDATE SET at = EXCLUDED.at",
        (utils.timestamp(now), [*shards], [*shards.values()], str(instance)),
    )
    document_marks.mark(session, instance, erased.COLLECTION, shards.values())


def forget(now: datetime.datetime) -> None:
    """Take out whom no node has anything of any more."""
    document_marks.forget("mail_erased", "shard", erased.COLLECTION, now - erased.KEPT, str)
