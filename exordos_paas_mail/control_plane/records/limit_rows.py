# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The limits of accounts, as the rows say them."""

from __future__ import annotations

import json
import typing as tp

from exordos_paas_mail.codecs import limits

# In the words of the index mail_accounts_limits_idx, and no parameters: PostgreSQL takes an index
# of some rows where it can see that all others are not asked for.
_HAS_SOME: tp.Final = (
    f"limits <> '{json.dumps(dict(limits.NONE))}'::jsonb OR on_limit <> '{limits.DEFER}'"
)


def of_accounts(
    session: tp.Any, instance: tp.Any
) -> list[tuple[str, tp.Mapping[str, int | None], str]]:
    """Return (username, limits, on_limit) of each active account that has any of its own."""
    rows = session.execute(
        "SELECT username, limits, on_limit FROM mail_accounts"  # noqa: S608 - constants
        f" WHERE instance = %s AND active AND ({_HAS_SOME})",
        (str(instance),),
    ).fetchall()
    return [(row["username"], row["limits"], row["on_limit"]) for row in rows]
