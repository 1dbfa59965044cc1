# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who may send as whom, as the rows say it. Callers hold the lock of the instance."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import senders
from exordos_paas_mail.control_plane.records import errors, pairs

# Of one instance. The whole file travels with each change of an account: beside 10,000 accounts
# so many make a change and its report cost 1.5 times what they cost without, ten times as many
# 2.4 times (docs/measurements.md).
ENTRIES_MAX: tp.Final = 10_000


def check(
    session: tp.Any, instance: tp.Any, account: tp.Any, entries: tp.Sequence[str] | None
) -> None:
    """Raise FieldError, naming the entry, if one is of a domain that the instance does not have.

    Also if the instance had more entries than it can have, those that *account* has aside.
    """
    if entries is None:
        return
    rows = session.execute(
        "SELECT domain FROM mail_domains WHERE instance = %s"
        " UNION SELECT domain FROM mail_instances WHERE uuid = %s",
        (str(instance), str(instance)),
    ).fetchall()
    known = {row["domain"] for row in rows}
    for number, entry in enumerate(entries, start=1):
        domain = senders.domain_of(entry)
        if domain is not None and domain not in known:
            raise errors.FieldError(
                "senders", f"entry {number}: its domain is not a domain of the instance"
            )
    (row,) = session.execute(
        "SELECT coalesce(sum(cardinality(senders)), 0) AS others FROM mail_accounts"
        " WHERE instance = %s AND uuid <> %s AND senders IS NOT NULL",
        (str(instance), str(account)),
    ).fetchall()
    if row["others"] + len(entries) > ENTRIES_MAX:
        raise errors.FieldError(
            "senders",
            f"the accounts of an instance have {ENTRIES_MAX} entries in all, at most:"
            ' use "*@domain", or sender_policy',
        )


def naming(session: tp.Any, instance: tp.Any, domain: str) -> int:
    """Return how many accounts of *instance* have an entry of *domain*."""
    (row,) = session.execute(
        "SELECT count(*) AS accounts FROM mail_accounts WHERE instance = %s"
        " AND senders IS NOT NULL AND EXISTS (SELECT FROM unnest(senders) e"
        " WHERE split_part(e, '@', 2) IN (%s, %s))",
        (str(instance), domain, f"*.{domain}"),
    ).fetchall()
    return int(row["accounts"])


def lines(session: tp.Any, instance: tp.Any) -> list[tuple[str, str]]:
    """Return (username, ``senders.line``) of each active account that has entries of its own."""
    return pairs.select(
        session,
        "SELECT username AS key,"
        ' (SELECT string_agg(DISTINCT e COLLATE "C", \';\' ORDER BY e COLLATE "C")'
        " FROM unnest(senders) e) AS value FROM mail_accounts"
        " WHERE instance = %s AND active AND senders IS NOT NULL",
        (str(instance),),
    )
