# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the Status API that the control plane writes for a node to read."""

from __future__ import annotations

import json
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail import utils

if tp.TYPE_CHECKING:
    from collections.abc import Mapping


def replace(
    session: tp.Any,
    node: sys_uuid.UUID,
    kind: str,
    uuid: sys_uuid.UUID,
    value: Mapping[str, tp.Any],
) -> int:
    """Have *value* be the row *uuid* that *node* reads; return which transaction wrote it.

    That is what the row's ``xmin`` is until anybody writes it again.
    """
    res_uuid = sys_uuid.uuid5(uuid, kind)
    # Whatever has its uuid, or its key, is not the control plane's.
    session.execute(
        "DELETE FROM ua_actual_resources WHERE (uuid = %s AND kind = %s) OR res_uuid = %s",
        (str(uuid), kind, str(res_uuid)),
    )
    now = utils.timestamp(utils.now())
    found = session.execute(
        "INSERT INTO ua_actual_resources (uuid, kind, res_uuid, value, status, node, hash,"
        " full_hash, created_at, updated_at)"
        " VALUES (%s, %s, %s, %s::jsonb, 'ACTIVE', %s, '', '', %s, %s)"
        " RETURNING xmin::text::bigint AS writer",
        (str(uuid), kind, str(res_uuid), json.dumps(value), str(node), now, now),
    ).fetchone()
    return int(found["writer"])
