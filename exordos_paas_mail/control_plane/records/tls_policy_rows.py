# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How mail is to leave, as the rows say it."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.control_plane.records import pairs


def policies(session: tp.Any, instance: tp.Any) -> list[tuple[str, str]]:
    """Return (domain, mode) of each TLS policy of the instance."""
    return pairs.select(
        session,
        "SELECT domain AS key, mode AS value FROM mail_tls_policies WHERE instance = %s",
        (str(instance),),
    )


def requiring(session: tp.Any, instance: tp.Any) -> list[str]:
    """Return the user names of the active accounts whose mail must not leave in clear."""
    rows = session.execute(
        "SELECT username FROM mail_accounts WHERE instance = %s AND active AND require_tls",
        (str(instance),),
    ).fetchall()
    return [row["username"] for row in rows]
