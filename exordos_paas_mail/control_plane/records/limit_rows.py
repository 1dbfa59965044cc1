# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The limits of accounts, as the rows say them."""

from __future__ import annotations

import json
import typing as tp

from exordos_paas_mail.codecs import limits


def of_accounts(
    session: tp.Any, instance: tp.Any
) -> list[tuple[str, tp.Mapping[str, int | None], str]]:
    """Return (username, limits, on_limit) of each active account that has any of its own."""
    rows = session.execute(
        "SELECT username, limits, on_limit FROM mail_accounts"
        " WHERE instance = %s AND active AND (limits <> %s::jsonb OR on_limit <> %s)",
        (str(instance), json.dumps(dict(limits.NONE)), limits.DEFER),
    ).fetchall()
    return [(row["username"], row["limits"], row["on_limit"]) for row in rows]
