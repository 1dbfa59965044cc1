# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials as the rows say it. Callers hold the lock of the instance, where they write."""

from __future__ import annotations

import datetime
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import credentials
from exordos_paas_mail.control_plane.records import errors, locks, notices

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Mapping

CREDENTIALS_MAX: tp.Final = 5
"""Of one account."""
# Of one instance: as for accounts, the whole file travels with each change.
INSTANCE_MAX: tp.Final = 100_000

EXPIRING: tp.Final = datetime.timedelta(days=7)
"""How long before its end webhooks hear of it."""
_EXPIRING: tp.Final = "credential.expiring"

_AS_NODES_KNOW_IT: tp.Final = (
    "SELECT c.uuid, c.prefix, c.digest, a.username, c.networks, c.updated_at,"
    " coalesce(ceil(extract(epoch FROM c.expires_at))::bigint, 0) AS ends"
    " FROM mail_credentials c JOIN mail_accounts a ON a.uuid = c.account"
    " WHERE c.instance = %s AND c.active AND a.active"
)
_ENDS: tp.Final = (
    "c.active AND c.expires_at > %s AND c.expires_at <= %s"
    " AND c.told_end IS DISTINCT FROM c.expires_at"
)


class End(tp.NamedTuple):
    """What became of a credential that is to end."""

    is_there: bool
    was_usable: bool = False


class Use(tp.NamedTuple):
    """That a credential was used."""

    account: str
    prefix: str
    at: datetime.datetime
    ip: str


def of_instance(session: tp.Any, instance: tp.Any) -> list[credentials.Credential]:
    """Return the credentials of *instance* that a node is told: what has ended among them.

    Those that are switched off are not, nor are those of an account that is.
    """
    rows = session.execute(_AS_NODES_KNOW_IT, (str(instance),)).fetchall()
    return [_credential(row) for row in rows]


def _credential(row: Mapping[str, tp.Any]) -> credentials.Credential:
    return credentials.Credential(
        row["prefix"], row["username"], row["digest"], row["ends"], tuple(row["networks"])
    )


def is_usable(session: tp.Any, account: tp.Any, now: datetime.datetime) -> bool:
    """Return whether *account* has a credential that it can log in with at *now*."""
    (row,) = session.execute(
        "SELECT EXISTS (SELECT FROM mail_credentials WHERE account = %s AND active"
        " AND (expires_at IS NULL OR expires_at > %s)) AS known",
        (str(account), utils.timestamp(now)),
    ).fetchall()
    return bool(row["known"])


def make_room(session: tp.Any, instance: tp.Any, account: tp.Any, now: datetime.datetime) -> None:
    """Have room for one more credential of *account*; ConflictRecords if there is none.

    The one that has been over for longest goes, where there are as many as there can be.
    """
    rows = session.execute(
        "SELECT uuid, expires_at <= %s AS is_over FROM mail_credentials WHERE account = %s"
        " ORDER BY expires_at NULLS LAST, uuid",
        (utils.timestamp(now), str(account)),
    ).fetchall()
    if len(rows) >= CREDENTIALS_MAX:
        if not rows[0]["is_over"]:
            raise errors.ConflictRecords(
                "account",
                f"already has {CREDENTIALS_MAX} credentials, the most that it can have: delete one",
            )
        session.execute("DELETE FROM mail_credentials WHERE uuid = %s", (str(rows[0]["uuid"]),))
        return
    (row,) = session.execute(
        "SELECT count(*) AS known FROM mail_credentials WHERE instance = %s", (str(instance),)
    ).fetchall()
    if row["known"] >= INSTANCE_MAX:
        raise errors.ConflictRecords(
            "account", f"its instance already has {INSTANCE_MAX} credentials"
        )


def end(session: tp.Any, uuid: tp.Any, now: datetime.datetime, at: datetime.datetime) -> End:
    """Have the credential end at *at*, unless it ends before."""
    rows = session.execute(
        "SELECT active AND (expires_at IS NULL OR expires_at > %s) AS was_usable"
        " FROM mail_credentials WHERE uuid = %s FOR UPDATE",
        (utils.timestamp(now), str(uuid)),
    ).fetchall()
    if not rows:
        return End(is_there=False)
    session.execute(
        "UPDATE mail_credentials SET expires_at = least(expires_at, %s), updated_at = %s"
        " WHERE uuid = %s",
        (utils.timestamp(at), utils.timestamp(now), str(uuid)),
    )
    return End(is_there=True, was_usable=bool(rows[0]["was_usable"]))


def take_over(session: tp.Any, instance: tp.Any, domain: str, told: str) -> None:
    """Take over that a node of *instance* has the credentials in the text *told*."""
    rows = session.execute(
        f"{_AS_NODES_KNOW_IT} AND c.applied_at IS NULL", (str(instance),)
    ).fetchall()
    if not rows:
        return
    lines = set(told.splitlines(keepends=True))
    for row in rows:
        if credentials.render([_credential(row)], domain) in lines:
            # As it was read: what has changed since is not what the node has.
            session.execute(
                "UPDATE mail_credentials SET applied_at = %s WHERE uuid = %s AND updated_at = %s",
                (utils.timestamp(utils.now()), str(row["uuid"]), row["updated_at"]),
            )


def note(session: tp.Any, uses: tp.Iterable[Use]) -> None:
    """Note when credentials were used last, each once a minute at most.

    Nobody is waited for: a row that is being written is noted the next time.
    """
    for account, prefix, at, ip in uses:
        session.execute(
            "UPDATE mail_credentials SET last_used_at = %s, last_used_ip = %s WHERE uuid IN ("
            "SELECT uuid FROM mail_credentials WHERE account = %s AND prefix = %s"
            " AND (last_used_at IS NULL OR last_used_at < %s::timestamp - interval '1 minute')"
            " FOR NO KEY UPDATE SKIP LOCKED)",
            (utils.timestamp(at), ip, account, prefix, utils.timestamp(at)),
        )


def tell_expiring(now: datetime.datetime) -> None:
    """Tell webhooks of the credentials that end soon, of each end once."""
    with utils.transaction() as session:
        found = session.execute(
            "SELECT DISTINCT c.instance FROM mail_credentials c"  # noqa: S608 - a constant
            " JOIN mail_webhooks w ON w.instance = c.instance"
            f" WHERE %s = ANY(w.events) AND {_ENDS}",
            (_EXPIRING, *_ends(now)),
        ).fetchall()
    for row in found:
        with utils.transaction() as session:
            # It may have been removed, or the webhook, since.
            if locks.hold_instance(session, row["instance"]) and notices.is_wanted(
                session, row["instance"], _EXPIRING
            ):
                _tell_expiring(session, row["instance"], now)


def _tell_expiring(session: tp.Any, instance: sys_uuid.UUID, now: datetime.datetime) -> None:
    found = session.execute(
        f"UPDATE mail_credentials c SET told_end = c.expires_at FROM mail_accounts a,"  # noqa: S608
        f" mail_instances i WHERE c.instance = %s AND a.uuid = c.account AND i.uuid = c.instance"
        f" AND {_ENDS} RETURNING c.uuid, c.prefix, c.name, c.expires_at, c.account,"
        " a.username || '@' || i.domain AS login",
        (str(instance), *_ends(now)),
    ).fetchall()
    told = [
        {
            "credential": row["uuid"],
            "prefix": row["prefix"],
            "name": row["name"],
            "account": row["account"],
            "login": row["login"],
            "expires_at": utils.moment(row["expires_at"]),
        }
        for row in sorted(found, key=lambda row: (row["expires_at"], row["uuid"]))
    ]
    notices.tell(session, instance, _EXPIRING, *told)


def _ends(now: datetime.datetime) -> tuple[str, str]:
    return utils.timestamp(now), utils.timestamp(now + EXPIRING)
