# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The suppressions of an instance, as its node holds them."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import suppressions

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


def content(session: tp.Any, instance: sys_uuid.UUID, shard: str) -> bytes:
    """Return what a shard of *instance* holds."""
    if shard == suppressions.SETTINGS:
        return _settings(session, instance)
    found = session.execute(
        "SELECT s.address, s.reason, s.created_at, s.expires_at,"
        " a.username || '@' || i.domain AS login FROM mail_suppressions s"
        " JOIN mail_instances i ON i.uuid = s.instance"
        " LEFT JOIN mail_accounts a ON a.uuid = s.account"
        " WHERE s.instance = %s AND s.shard = %s AND (s.account IS NULL OR a.uuid IS NOT NULL)"
        " AND (s.expires_at IS NULL OR s.expires_at > %s)",
        (str(instance), shard, utils.timestamp(utils.now())),
    ).fetchall()
    return suppressions.render(
        suppressions.Entry(
            row["address"],
            _seconds(row["created_at"]),
            _seconds(row["expires_at"]) if row["expires_at"] else 0,
            suppressions.Reason(row["reason"]),
            row["login"] or "",
        )
        for row in found
    )


def _settings(session: tp.Any, instance: sys_uuid.UUID) -> bytes:
    found = session.execute(
        "SELECT suppression->>'action' AS action FROM mail_instances WHERE uuid = %s",
        (str(instance),),
    ).fetchall()
    action = suppressions.Action(found[0]["action"]) if found else suppressions.Action.REJECT
    return suppressions.render_settings(suppressions.Settings(action))


def _seconds(stored: tp.Any) -> int:
    return int(utils.moment(stored).timestamp())
