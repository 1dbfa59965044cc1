# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The shards of the account files, as the rows say them (``codecs.account_shards``).

Triggers keep their digests in the transaction of each write (migration
``0034-account-shards``). What these cannot see, a table that was restored without them or
a row that somebody removed, is repaired here.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import account_shards
from exordos_paas_mail.control_plane.records import locks, pairs

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Collection

# As the migration has them; the first is the words of an index.
_SHARD: tp.Final = "get_byte(decode(md5(username), 'hex'), 0)"
_HASH: tp.Final = "regexp_replace(password_hash, '^[{][A-Za-z0-9.-]+[}]', '')"
_DIGEST: tp.Final = (
    f"('x' || left(encode(sha256(convert_to(username || ':' || {_HASH}, 'UTF8')),"
    " 'hex'), 32))::bit(128)"
)
_TRUE: tp.Final = (
    f"SELECT instance, {_SHARD}::smallint AS shard, bit_xor({_DIGEST}) AS digest,"  # noqa: S608
    " count(*)::integer AS accounts FROM mail_accounts WHERE active"
)


class Known(tp.NamedTuple):
    """What is known of the shards of an instance, by their number."""

    digests: account_shards.Digests
    accounts: tuple[int, ...]


def known(session: tp.Any, instance: tp.Any) -> Known:
    """Return what the table says of the shards of *instance*.

    In one row: the driver takes longer for 256 of them than the database does.
    """
    (row,) = session.execute(
        "SELECT string_agg(shard::text, ' ') AS shards, string_agg(digest::text, ' ') AS digests,"
        " string_agg(accounts::text, ' ') AS accounts FROM mail_account_shards WHERE instance = %s",
        (str(instance),),
    ).fetchall()
    columns = ((row[name] or "").split() for name in ("shards", "digests", "accounts"))
    digests, accounts = list(account_shards.NONE), [0] * account_shards.COUNT
    for shard, digest, count in zip(*columns, strict=True):
        digests[int(shard)] = int(digest, 2)
        accounts[int(shard)] = int(count)
    return Known(tuple(digests), tuple(accounts))


def lines(
    session: tp.Any, instance: tp.Any, shards: Collection[int]
) -> dict[int, list[account_shards.Pair]]:
    """Return the pairs of each of *shards* of *instance*, those that are empty too."""
    found: dict[int, list[account_shards.Pair]] = {shard: [] for shard in shards}
    if not found:
        return found
    rows = pairs.select(
        session,
        f"SELECT username AS key, {_HASH} AS value FROM mail_accounts"  # noqa: S608 - constants
        f" WHERE instance = %s AND active AND {_SHARD} = ANY(%s::integer[])",
        (str(instance), list(found)),
    )
    for pair in rows:
        found[account_shards.shard_of(pair[0])].append(pair)
    return found


def repair(instance: sys_uuid.UUID) -> int:
    """Have the table say of *instance* what its accounts are; return how many rows were wrong."""
    with utils.transaction() as session:
        # Who writes an account holds this lock until it is in, and its digest with it.
        if not locks.hold_instance(session, instance):
            return 0
        written = session.execute(
            "INSERT INTO mail_account_shards AS known (instance, shard, digest, accounts)"
            f" {_TRUE} AND instance = %s GROUP BY instance, {_SHARD}"
            " ON CONFLICT (instance, shard) DO UPDATE"
            " SET digest = excluded.digest, accounts = excluded.accounts"
            " WHERE (known.digest, known.accounts) <> (excluded.digest, excluded.accounts)",
            (str(instance),),
        ).rowcount
        removed = session.execute(
            "DELETE FROM mail_account_shards known WHERE instance = %s"  # noqa: S608
            " AND (digest <> 0::bit(128) OR accounts <> 0) AND NOT EXISTS ("
            "SELECT FROM mail_accounts WHERE instance = known.instance AND active"
            f" AND {_SHARD} = known.shard)",
            (str(instance),),
        ).rowcount
    return int(written) + int(removed)


def wrong() -> list[sys_uuid.UUID]:
    """Return the instances of which the table does not say what their accounts are.

    Also those that are being written: whether one is wrong shows under its lock.
    """
    with utils.transaction() as session:
        rows = session.execute(
            f"WITH actual AS ({_TRUE} GROUP BY instance, {_SHARD})"  # noqa: S608 - constants
            " SELECT DISTINCT coalesce(known.instance, actual.instance) AS instance"
            " FROM actual FULL JOIN mail_account_shards known USING (instance, shard)"
            " WHERE (coalesce(known.digest, 0::bit(128)), coalesce(known.accounts, 0))"
            " <> (coalesce(actual.digest, 0::bit(128)), coalesce(actual.accounts, 0))"
        ).fetchall()
    return [row["instance"] for row in rows]
