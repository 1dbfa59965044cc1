# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The webhooks of an instance as its node is told them: one document, with their secrets."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import webhook_config
from exordos_paas_mail.control_plane.records import operation_statuses as statuses
from exordos_paas_mail.control_plane.records import operations, webhook_keys

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Mapping


def content(session: tp.Any, instance: sys_uuid.UUID, shard: str) -> bytes:  # noqa: ARG001
    """Return the webhooks of *instance*, and what is asked for them; there is one shard."""
    now = utils.now()
    hooks = session.execute(
        "SELECT * FROM mail_webhooks WHERE instance = %s ORDER BY created_at, uuid",
        (str(instance),),
    ).fetchall()
    asked = session.execute(
        "SELECT * FROM mail_operations WHERE instance = %s AND status = %s"
        " AND webhook IS NOT NULL ORDER BY uuid LIMIT %s",
        (str(instance), statuses.PENDING, webhook_config.REQUESTS_MAX),
    ).fetchall()
    return webhook_config.render(
        webhook_config.Config(
            instance,
            tuple(
                webhook_config.Hook(
                    id=row["uuid"],
                    url=row["url"],
                    types=tuple(row["events"]),
                    secrets=webhook_keys.secrets(row["secrets"], now),
                    active=row["active"],
                    since=utils.milliseconds(row["created_at"]),
                    revision=row["revision"],
                )
                for row in hooks
            ),
            tuple(_request(row) for row in asked),
        )
    )


def _request(row: Mapping[str, tp.Any]) -> webhook_config.Request:
    return webhook_config.Request(
        id=row["uuid"],
        hook=row["webhook"],
        action=webhook_config.Action(row["action"].removeprefix(operations.WEBHOOK)),
        not_after=utils.milliseconds(row["expires_at"]),
        since=utils.milliseconds(row["from_at"]) if row["from_at"] else 0,
        until=utils.milliseconds(row["to_at"]) if row["to_at"] else 0,
    )
