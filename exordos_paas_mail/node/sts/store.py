# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of domains, on the data disk: bounded, and the least used is forgotten first.

Policies outlive an image, a power cut and name servers that are down: who stands between the
relay and a domain cannot have it forget one (RFC 8461 5.1, 10.2).
"""

from __future__ import annotations

import sqlite3
import sys
import typing as tp

from exordos_paas_mail.codecs import mta_sts
from exordos_paas_mail.node import databases
from exordos_paas_mail.node.sts import findings

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    T = tp.TypeVar("T")

FILE_NAME: tp.Final = "sts.sqlite"
DOMAINS_MAX: tp.Final = 10_000
SIZE_MAX: tp.Final = 4 * 2**20
"""Characters of all policies."""
_SPARE: tp.Final = 50
"""How many are forgotten at once, so that not each new one costs a search."""
_SCHEMA: tp.Final = """
CREATE TABLE domains (
    domain TEXT PRIMARY KEY,
    shard TEXT NOT NULL,
    mode TEXT NOT NULL,
    id TEXT NOT NULL,
    mx TEXT NOT NULL,
    max_age INTEGER NOT NULL,
    fetched_at INTEGER NOT NULL,
    look_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    error TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX domains_shard_idx ON domains (shard);
CREATE INDEX domains_look_at_idx ON domains (look_at);
"""
# A domain whose last look is lost by a power cut is looked at again; no answer waits for the disk.
_DATABASE: tp.Final = databases.Database(FILE_NAME, 1, _SCHEMA, synchronous="NORMAL")
_FIELDS: tp.Final = ", ".join(findings.Known._fields)
_IS_POLICY: tp.Final = "mode IN ('enforce', 'testing', 'none')"
_LEAST_USED: tp.Final = (
    "SELECT domain, length(mx) FROM domains WHERE domain <> ?"
    " ORDER BY mode IN ('enforce', 'testing', 'none'), uses, used_at"
)


class Store:
    """The store in *directory*; what cannot be read is moved aside, whenever that shows.

    Each method raises sqlite3.OperationalError when the disk refuses.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._db = _DATABASE.opened(directory)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def get(self, domain: str) -> findings.Known | None:
        """Return what is known of *domain*, None for nothing."""
        rows = self._select("WHERE domain = ?", domain)
        return rows[0] if rows else None

    def put(self, known: findings.Known) -> set[str]:
        """Keep *known*; returns the domains that were forgotten for it."""
        row = known._asdict() | {"mode": known.mode.value, "mx": " ".join(known.mx)}
        values = tuple(row.values())
        marks = ", ".join("?" * (len(values) + 1))
        self._run(
            lambda db: db.execute(
                f"INSERT OR REPLACE INTO domains ({_FIELDS}, shard) VALUES ({marks})",  # noqa: S608
                (*values, mta_sts.shard_of(known.domain)),
            )
        )
        return self._make_room(known.domain)

    def forget(self, domain: str) -> None:
        """Know nothing of *domain*."""
        self._run(lambda db: db.execute("DELETE FROM domains WHERE domain = ?", (domain,)))

    def of_shard(self, shard: str) -> list[findings.Known]:
        """Return what is known of the domains of *shard*."""
        return self._select("WHERE shard = ?", shard)

    def due(self, now: int, count: int) -> list[findings.Known]:
        """Return *count* policies at most that are to be looked at again at *now*."""
        return self._select(
            f"WHERE look_at <= ? AND {_IS_POLICY} ORDER BY look_at LIMIT ?", now, count
        )

    def failing(self) -> int:
        """Return how many domains could not be found out, or not anew."""
        ((count,),) = self._run(
            lambda db: db.execute("SELECT count(*) FROM domains WHERE failures > 0").fetchall()
        )
        return int(count)

    def _make_room(self, kept: str) -> set[str]:
        ((count, size),) = self._run(
            lambda db: db.execute("SELECT count(*), total(length(mx)) FROM domains").fetchall()
        )
        forgotten: set[str] = set()
        while count > DOMAINS_MAX or size > SIZE_MAX:
            # Who floods the relay with domains has sent to each of them once. One that has no
            # policy is asked anew, and nothing is lost.
            rows = self._run(
                lambda db: db.execute(
                    f"{_LEAST_USED} LIMIT ?",
                    (kept, _SPARE),
                ).fetchall()
            )
            if not rows:
                break
            for domain, length in rows:
                self.forget(domain)
                forgotten.add(domain)
                count, size = count - 1, size - length
        return forgotten

    def _select(self, where: str, *values: object) -> list[findings.Known]:
        rows = self._run(
            lambda db: db.execute(f"SELECT {_FIELDS} FROM domains {where}", values).fetchall()  # noqa: S608
        )
        known = (findings.Known(*row) for row in rows)
        return [
            one._replace(mode=mta_sts.Mode(one.mode), mx=tuple(str(one.mx).split()))
            for one in known
        ]

    def _run(self, do: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return do(self._db)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            # A page in the middle: it shows when it is read, and would each time.
            sys.stderr.write(f"exordos-mail-sts: the store is moved aside: {error}\n")
            sys.stderr.flush()
            self._db.close()
            databases.move_aside(self._directory, FILE_NAME)
            self._db = _DATABASE.opened(self._directory)
            return do(self._db)
