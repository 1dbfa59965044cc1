# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The accounts that a node was told by reference, kept by their shards on the data disk.

The change of an account writes the lines of its shard, a 256th of what there is. The file
holds no hash of an account that is gone: SQLite overwrites what it frees, and its journal
ends with each transaction.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import sqlite3
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import account_shards, passwd
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    Pairs = list[account_shards.Pair]

FIELD: tp.Final = "passwd"
"""The part that is kept so."""

_MODE = 0o600
_VERSION = 1
_NOTHING: tp.Final = ("", hashlib.sha256(b"").hexdigest())
_JOURNAL_FILE = f"{constants.KEPT_ACCOUNTS_FILE}-journal"
_SCHEMA = (
    "CREATE TABLE file (domain TEXT NOT NULL, sum TEXT NOT NULL)",
    # What is long comes last: a row is read to the column that is asked for.
    "CREATE TABLE shards (shard INTEGER PRIMARY KEY, digest TEXT NOT NULL, sum TEXT NOT NULL,"
    " lines TEXT NOT NULL)",
    f"PRAGMA user_version = {_VERSION}",
)


@dataclasses.dataclass(frozen=True)
class Index:
    """What is kept, but for the lines."""

    domain: str
    sum: str
    """Of the whole account file."""
    digests: account_shards.Digests
    sums: tuple[str, ...]
    """Of the lines of each shard."""

    @functools.cached_property
    def name(self) -> str:
        """What tells it from any other."""
        return _sum(f"{self.domain}\n{self.sum}\n{account_shards.render(self.digests)}{self.sums}")


class KeptAccounts:
    """The kept accounts of one machine. One process writes them, others may read."""

    def __init__(self, node: machine.Machine) -> None:
        self._node = node
        self._seen: tuple[machine.Signature, Index | None] | None = None
        # A text and its sum.
        self._summed = _NOTHING

    def index(self) -> Index | None:
        """Return what is kept; None when nothing whole is, or others may read it.

        Costs one stat(2) while the file stays as it is, and a look at all of it when not.
        """
        file = self._node.signature(constants.KEPT_ACCOUNTS_FILE)
        if file is None or not self._node.is_owned(file, _MODE):
            return None
        if self._seen is None or self._seen[0] != file:
            self._seen = (file, self._read())
        seen = self._seen
        if not watched.is_settled(file.ctime_ns):
            self._seen = None
        return seen[1]

    def _read(self) -> Index | None:
        try:
            with self._opened() as db:
                if db.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                    return None
                ((domain, sum_),) = db.execute("SELECT domain, sum FROM file").fetchall()
                digests, sums = [], []
                rows = db.execute("SELECT shard, digest, sum, lines FROM shards ORDER BY shard")
                for number, (shard, digest, lines_sum, lines) in enumerate(rows):
                    if shard != number or lines_sum != _sum(lines):
                        return None
                    digests.append(digest)
                    sums.append(lines_sum)
                return Index(domain, sum_, account_shards.parse("\n".join(digests)), tuple(sums))
        except (sqlite3.Error, ValueError, TypeError, AttributeError):
            # Whatever somebody, or a power cut, has left there: it is made anew.
            return None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        path = self._node.path(constants.KEPT_ACCOUNTS_FILE)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            # No write-ahead log: it would have what was overwritten long after.
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA synchronous = EXTRA")
            yield db

    def is_of(self, text: str, index: Index) -> bool:
        """Return whether *text* is the account file that is kept."""
        if self._summed[0] != text:
            self._summed = (text, _sum(text))
        elif self._summed[0] is not text:
            # Equal, but not always the same string, and those compare at once.
            self._summed = (text, self._summed[1])
        return self._summed[1] == index.sum

    def pairs(self, shards: Collection[int]) -> dict[int, Pairs]:
        """Return what is kept of some shards, those left out that cannot be read."""
        marks = ", ".join("?" * len(shards))
        query = f"SELECT shard, sum, lines FROM shards WHERE shard IN ({marks})"  # noqa: S608
        try:
            with self._opened() as db:
                rows = db.execute(query, tuple(shards)).fetchall()
        except sqlite3.Error:
            return {}
        return {shard: _parse(lines) for shard, sum_, lines in rows if sum_ == _sum(lines)}

    def text(self, index: Index) -> str:
        """Return the account file that *index* is of; ValueError if it is not there."""
        found = self.pairs(range(account_shards.COUNT))
        pairs = (pair for of_shard in found.values() for pair in of_shard)
        text = passwd.render(pairs, index.domain)
        if not self.is_of(text, index):
            raise ValueError("the kept accounts are not what they were")
        return text

    def ensure(
        self, domain: str, reading: account_shards.Reading, find: account_shards.Finding
    ) -> str:
        """Keep an account file; returns what ``Index.name`` is from now on.

        *find* returns the pairs of shards of *reading*. It is asked for those that
        are kept otherwise, all of them the first time, and they are one transaction.
        Raises MachineError or OSError when the disk refuses.
        """
        before = self.index()
        wanted = range(account_shards.COUNT)
        if before is None:
            self.ensure_absent()
            self._node.ensure_file(constants.KEPT_ACCOUNTS_FILE, b"", _MODE)
            changed, sums = list(wanted), [""] * account_shards.COUNT
        else:
            if (before.domain, before.digests) == (domain, reading.digests) and self.is_of(
                reading.text, before
            ):
                return before.name
            changed = [n for n in wanted if before.digests[n] != reading.digests[n]]
            sums = list(before.sums)
        pairs = find(changed)
        digests = account_shards.render(reading.digests).split("\n")
        try:
            with self._opened() as db:
                db.execute("BEGIN IMMEDIATE")
                for statement in () if before else _SCHEMA:
                    db.execute(statement)
                for number in changed:
                    lines = _render(pairs.get(number, ()))
                    sums[number] = _sum(lines)
                    db.execute(
                        "INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?)",
                        (number, digests[number], sums[number], lines),
                    )
                index = Index(domain, _sum(reading.text), reading.digests, tuple(sums))
                db.execute("DELETE FROM file")
                db.execute("INSERT INTO file VALUES (?, ?)", (domain, index.sum))
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise machine.MachineError(f"accounts: {error}") from error
        self._seen = None
        # Not the text: the part reads it anew, and this would be a second copy of it.
        self._summed = _NOTHING
        return index.name

    def ensure_absent(self) -> None:
        """Keep no account."""
        # The journal last: a file that was half written is nothing without it.
        self._node.ensure_absent(constants.KEPT_ACCOUNTS_FILE)
        self._node.ensure_absent(_JOURNAL_FILE)


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _render(pairs: Collection[account_shards.Pair]) -> str:
    return "".join(f"{username}:{password_hash}\n" for username, password_hash in sorted(pairs))


def _parse(lines: str) -> Pairs:
    pairs = []
    for line in lines.split("\n")[:-1]:
        username, _, password_hash = line.partition(":")
        pairs.append((username, password_hash))
    return pairs
