# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of suppressions, however they come: counted by shard, and told to the node.

A write costs what it writes, however many there are.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import secrets
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids, suppressions
from exordos_paas_mail.control_plane.records import document_marks, notices

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid
    from collections.abc import Collection, Iterable, Mapping

INSTANCE: tp.Final = "instance"
ACCOUNT: tp.Final = "account"
SCOPES: tp.Final = (INSTANCE, ACCOUNT)
AUTO: tp.Final = "AUTO"
USER: tp.Final = "USER"
ORIGINS: tp.Final = (AUTO, USER)
# Of an instance, and of a shard of it: a million addresses are 3900 a shard, and no shard of
# theirs has 4500. Who makes addresses for one shard is stopped there.
ENTRIES_MAX: tp.Final = 1_000_000
SHARD_ENTRIES_MAX: tp.Final = 4_500
DETAIL_SIZE_MAX: tp.Final = 512
# Of an entry's line, beside its address and login.
_LINE: tp.Final = 48

_Key: tp.TypeAlias = "tuple[str, sys_uuid.UUID | None]"


@dataclasses.dataclass(frozen=True)
class Entry:
    """An address that is to be suppressed, in its one spelling."""

    address: str
    reason: str
    origin: str
    account: sys_uuid.UUID | None = None
    login: str = ""
    """The account's, where there is one."""
    detail: str = ""
    message: sys_uuid.UUID | None = None
    expires_at: datetime.datetime | None = None
    uuid: sys_uuid.UUID | None = None

    @property
    def key(self) -> _Key:
        """Return what no two entries of an instance have the same."""
        return self.address, self.account

    @property
    def size(self) -> int:
        """Return how many octets of a document it needs, at most."""
        return len(self.address) + len(self.login) + _LINE


class Put(tp.NamedTuple):
    """What became of entries."""

    added: Collection[_Key]
    existing: Collection[_Key]
    full: Collection[_Key]
    """There is no room for them."""


def put(
    session: tp.Any,
    instance: sys_uuid.UUID,
    entries: Iterable[Entry],
    now: datetime.datetime,
    *,
    tells: bool = True,
) -> Put:
    """Add those of *entries* that are not there yet; the instance is held.

    Webhooks hear of each, if it *tells*.
    """
    wanted = {entry.key: entry for entry in entries}
    addresses = sorted({entry.address for entry in wanted.values()})
    # One that is over is none.
    _uncount(
        session,
        session.execute(
            "DELETE FROM mail_suppressions WHERE instance = %s AND address = ANY(%s)"
            " AND expires_at <= %s RETURNING instance, shard, size",
            (str(instance), addresses, utils.timestamp(now)),
        ).fetchall(),
    )
    found = session.execute(
        "SELECT address, account FROM mail_suppressions WHERE instance = %s AND address = ANY(%s)",
        (str(instance), addresses),
    ).fetchall()
    existing = {(row["address"], row["account"]) for row in found} & wanted.keys()
    fresh = [entry for key, entry in wanted.items() if key not in existing]
    fitting = _fitting(session, instance, fresh)
    uuids = _insert(session, instance, fitting, now)
    if tells:
        told = map(_told, fitting, uuids)
        notices.tell(session, instance, "suppression.added", *told)
    added = {entry.key for entry in fitting}
    return Put(added, existing, wanted.keys() - added - existing)


def _fitting(session: tp.Any, instance: sys_uuid.UUID, entries: list[Entry]) -> list[Entry]:
    """Return those of *entries* that there is room for."""
    if not entries:
        return []
    found = session.execute(
        "SELECT shard, entries, size FROM mail_suppression_shards WHERE instance = %s",
        (str(instance),),
    ).fetchall()
    counts = {row["shard"]: (row["entries"], row["size"]) for row in found}
    total = sum(count for count, _ in counts.values())
    fitting = []
    for entry in entries:
        shard = suppressions.shard_of(entry.address)
        count, size = counts.get(shard, (0, 0))
        if (
            total < ENTRIES_MAX
            and count < SHARD_ENTRIES_MAX
            and size + entry.size <= suppressions.SIZE_MAX
        ):
            counts[shard] = count + 1, size + entry.size
            total += 1
            fitting.append(entry)
    return fitting


def _insert(
    session: tp.Any, instance: sys_uuid.UUID, entries: list[Entry], now: datetime.datetime
) -> list[str]:
    """Add *entries*; return their uuids."""
    if not entries:
        return []
    first = _order(now)
    values = [
        {
            "uuid": str(entry.uuid or log_ids.of_order(first + place, secrets.randbits(64))),
            "instance": str(instance),
            "address": entry.address,
            "scope": ACCOUNT if entry.account else INSTANCE,
            "account": entry.account and str(entry.account),
            "shard": suppressions.shard_of(entry.address),
            "size": entry.size,
            "reason": entry.reason,
            "origin": entry.origin,
            "detail": entry.detail,
            "message": entry.message and str(entry.message),
            "hits": 0,
            "created_at": utils.timestamp(now),
            "expires_at": utils.optional_timestamp(entry.expires_at),
        }
        for place, entry in enumerate(entries)
    ]
    session.execute(
        "INSERT INTO mail_suppressions"
        " SELECT * FROM json_populate_recordset(NULL::mail_suppressions, %s::json)",
        (json.dumps(values),),
    )
    places = [(suppressions.shard_of(entry.address), entry.size) for entry in entries]
    _count(session, [(str(instance), shard, 1, size) for shard, size in places])
    mark(session, instance, (shard for shard, _ in places))
    return [str(value["uuid"]) for value in values]


def _told(entry: Entry, uuid: str) -> dict[str, tp.Any]:
    """Return what webhooks hear of an entry."""
    return {
        "suppression": uuid,
        "address": entry.address,
        "reason": entry.reason,
        "origin": entry.origin,
        "scope": ACCOUNT if entry.account else INSTANCE,
        "account": entry.account,
        "detail": entry.detail,
        "message": entry.message,
        "expires_at": entry.expires_at,
    }


def _order(now: datetime.datetime) -> int:
    return (int(now.timestamp() * 1_000_000) << 12) // 1000


def mark(session: tp.Any, instance: sys_uuid.UUID, shards: Iterable[str]) -> None:
    """Have the node told of what changed in *shards*."""
    document_marks.mark(session, instance, suppressions.COLLECTION, shards)


def remove(
    session: tp.Any, instance: sys_uuid.UUID, uuid: sys_uuid.UUID, now: datetime.datetime
) -> bool:
    """Take out an entry, as a user asks; return whether it was there. The instance is held.

    What happened before it adds none of that address.
    """
    found = session.execute(
        "DELETE FROM mail_suppressions WHERE instance = %s AND uuid = %s"
        " RETURNING instance, address, shard, size, reason, origin, scope, account",
        (str(instance), str(uuid)),
    ).fetchall()
    for row in found:
        told = {name: row[name] for name in ("address", "reason", "origin", "scope", "account")}
        notices.tell(session, instance, "suppression.removed", {"suppression": uuid, **told})
        session.execute(
            "INSERT INTO mail_suppression_history (instance, address, removed_at, updated_at)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT ON CONSTRAINT mail_suppression_history_pkey"
            " DO UPDATE SET failures = 0, removed_at = EXCLUDED.removed_at,"
            " updated_at = EXCLUDED.updated_at",
            (str(instance), row["address"], *(2 * [utils.timestamp(now)])),
        )
    _uncount(session, found)
    mark(session, instance, (row["shard"] for row in found))
    return bool(found)


def give_way(
    session: tp.Any, instance: sys_uuid.UUID, address: str, account: sys_uuid.UUID | None
) -> None:
    """Take out the automatic entry that another is to take the place of; the instance is held."""
    found = session.execute(
        "DELETE FROM mail_suppressions WHERE instance = %s AND address = %s"
        " AND account IS NOT DISTINCT FROM %s::uuid AND origin = %s"
        " RETURNING instance, shard, size",
        (str(instance), address, account and str(account), AUTO),
    ).fetchall()
    _uncount(session, found)


def hit(
    session: tp.Any,
    instance: sys_uuid.UUID,
    key: tuple[str, str | None],
    times: int,
    at: datetime.datetime,
) -> None:
    """Count that an account has sent to an address, which *key* are, and was stopped."""
    address, account = key
    session.execute(
        "UPDATE mail_suppressions SET hits = hits + %s,"
        " last_hit_at = greatest(last_hit_at, %s::timestamp)"
        " WHERE instance = %s AND address = %s AND (account IS NULL OR account = %s)",
        (times, utils.timestamp(at), str(instance), address, account),
    )


def sweep(session: tp.Any, instance: sys_uuid.UUID, now: datetime.datetime, limit: int) -> int:
    """Take out some entries that are over; return how many. The instance is held."""
    found = session.execute(
        "DELETE FROM mail_suppressions WHERE uuid = ANY(ARRAY(SELECT uuid FROM mail_suppressions"
        " WHERE instance = %s AND expires_at <= %s LIMIT %s)) RETURNING instance, shard, size",
        (str(instance), utils.timestamp(now), limit),
    ).fetchall()
    _uncount(session, found)
    return len(found)


def erase_account(
    session: tp.Any, instance: sys_uuid.UUID, account: sys_uuid.UUID, limit: int
) -> int:
    """Take out some of what is of an account that is gone; return how many."""
    found = session.execute(
        "DELETE FROM mail_suppressions WHERE uuid = ANY(ARRAY(SELECT uuid FROM mail_suppressions"
        " WHERE instance = %s AND account = %s LIMIT %s)) RETURNING instance, shard, size",
        (str(instance), str(account), limit),
    ).fetchall()
    _uncount(session, found)
    mark(session, instance, (row["shard"] for row in found))
    return len(found)


def erase_instance(session: tp.Any, instance: sys_uuid.UUID, limit: int) -> int:
    """Take out some of what is of an instance that is gone; return how many at least."""
    session.execute("DELETE FROM mail_suppression_shards WHERE instance = %s", (str(instance),))
    counts = [
        session.execute(
            f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table}"  # noqa: S608
            " WHERE instance = %s LIMIT %s))",
            (str(instance), limit),
        ).rowcount
        for table in ("mail_suppressions", "mail_suppression_history")
    ]
    return int(max(counts))


def erase_recipient(session: tp.Any, instance: sys_uuid.UUID, address: str) -> None:
    """Take out what the log had told of *address*: a user's own entry stays, without evidence."""
    found = session.execute(
        "DELETE FROM mail_suppressions WHERE instance = %s AND address = %s AND origin = %s"
        " RETURNING instance, shard, size",
        (str(instance), address, AUTO),
    ).fetchall()
    _uncount(session, found)
    session.execute(
        "UPDATE mail_suppressions SET detail = '', message = NULL, hits = 0, last_hit_at = NULL"
        " WHERE instance = %s AND address = %s",
        (str(instance), address),
    )
    session.execute(
        "DELETE FROM mail_suppression_history WHERE instance = %s AND address = %s",
        (str(instance), address),
    )
    mark(session, instance, (row["shard"] for row in found))


def is_left(session: tp.Any, instance: sys_uuid.UUID) -> bool:
    """Return whether anything is left of an instance that was called so."""
    return bool(
        session.execute(
            "SELECT FROM mail_suppressions WHERE instance = %s UNION ALL"
            " SELECT FROM mail_suppression_history WHERE instance = %s LIMIT 1",
            (str(instance), str(instance)),
        ).fetchall()
    )


def _uncount(session: tp.Any, rows: Iterable[Mapping[str, tp.Any]]) -> None:
    _count(session, [(str(row["instance"]), row["shard"], -1, -row["size"]) for row in rows])


def _count(session: tp.Any, changes: Iterable[tuple[str, str, int, int]]) -> None:
    entries: collections.Counter[tuple[str, str]] = collections.Counter()
    sizes: collections.Counter[tuple[str, str]] = collections.Counter()
    for instance, shard, count, size in changes:
        entries[instance, shard] += count
        sizes[instance, shard] += size
    values = [
        {"instance": key[0], "shard": key[1], "entries": entries[key], "size": sizes[key]}
        for key in sorted(entries)
    ]
    if values:
        session.execute(
            "INSERT INTO mail_suppression_shards AS s"
            " SELECT * FROM json_populate_recordset(NULL::mail_suppression_shards, %s::json)"
            " ON CONFLICT ON CONSTRAINT mail_suppression_shards_pkey DO UPDATE"
            " SET entries = s.entries + EXCLUDED.entries, size = s.size + EXCLUDED.size",
            (json.dumps(values),),
        )
