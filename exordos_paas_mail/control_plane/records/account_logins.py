# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whose a login is that a node tells."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection

# Milliseconds that a node's clock may be late. One that is later still costs an account the
# events of its first moments; with more, it had more of those of a deleted namesake.
_SKEW_MAX: tp.Final = 10_000


class Account(tp.NamedTuple):
    """Who has a login now."""

    uuid: sys_uuid.UUID
    created_at: int
    """In milliseconds since 1970."""

    def had_it(self, at: int) -> bool:
        """Return whether the login was this account's at a time by the node's clock.

        *at* is in milliseconds since 1970. Before, the login was nobody's, or that of an account
        which is deleted.
        """
        return at >= self.created_at - _SKEW_MAX


def find(
    session: tp.Any, instance: sys_uuid.UUID, domain: str, logins: Collection[str]
) -> dict[str, Account]:
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
        "SELECT uuid, username, created_at FROM mail_accounts"
        " WHERE instance = %s AND username = ANY(%s) ORDER BY username FOR KEY SHARE",
        (str(instance), list(usernames)),
    ).fetchall()
    accounts = {
        row["username"]: Account(row["uuid"], utils.milliseconds(row["created_at"]))
        for row in found
    }
    return {login: account for name, account in accounts.items() for login in usernames[name]}


def of_account(session: tp.Any, instance: sys_uuid.UUID, account: sys_uuid.UUID) -> str | None:
    """Return the login of *account*, which stays until the transaction ends; None if it is none."""
    found = session.execute(
        "SELECT a.username, i.domain FROM mail_accounts a JOIN mail_instances i"
        " ON i.uuid = a.instance WHERE a.instance = %s AND a.uuid = %s FOR KEY SHARE OF a",
        (str(instance), str(account)),
    ).fetchall()
    return f"{found[0]['username']}@{found[0]['domain']}" if found else None
