# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whose a login is that a node tells."""

from __future__ import annotations

import typing as tp

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection


def find(
    session: tp.Any, instance: sys_uuid.UUID, domain: str, logins: Collection[str]
) -> dict[str, sys_uuid.UUID]:
    """Return the accounts of *logins* that are there, and stay until the transaction ends.

    They are those of *instance*, whose domain is *domain*.
    """
    usernames: dict[str, list[str]] = {}
    for login in logins:
        username, _, of_domain = login.rpartition("@")
        if of_domain.lower() == domain:
            usernames.setdefault(username.lower(), []).append(login)
    if not usernames:
        return {}
    found = session.execute(
        "SELECT uuid, username FROM mail_accounts WHERE instance = %s AND username = ANY(%s)"
        " ORDER BY username FOR KEY SHARE",
        (str(instance), list(usernames)),
    ).fetchall()
    return {login: row["uuid"] for row in found for login in usernames[row["username"]]}


def of_account(session: tp.Any, instance: sys_uuid.UUID, account: sys_uuid.UUID) -> str | None:
    """Return the login of *account*, which stays until the transaction ends; None if it is none."""
    found = session.execute(
        "SELECT a.username, i.domain FROM mail_accounts a JOIN mail_instances i"
        " ON i.uuid = a.instance WHERE a.instance = %s AND a.uuid = %s FOR KEY SHARE OF a",
        (str(instance), str(account)),
    ).fetchall()
    return f"{found[0]['username']}@{found[0]['domain']}" if found else None
