# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The account file by reference: digests of its shards, and the lines of some of them.

An account is in the shard that its user name says. The digest of a shard is that of its
lines in any order, so that a write of one account changes one digest by what that account
was and is. The table of digests in the database is made by the same rules (migration
``0034-account-shards``).
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import operator
import re
import typing as tp

from exordos_paas_mail.codecs import passwd

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

Pair = tuple[str, str]
"""A user name, and the hash of its password without a scheme prefix of Dovecot's."""
Finding: tp.TypeAlias = "Callable[[Collection[int]], Mapping[int, list[Pair]]]"
"""Returns the pairs of the shards it is given."""
Digests = tuple[int, ...]
"""The digest of each shard, by its number; that of an empty one is 0."""

COUNT: tp.Final = 256
NONE: tp.Final[Digests] = (0,) * COUNT
"""The digests of no account."""

_DIGEST_BYTES: tp.Final = 16
_DIGEST: tp.Final = re.compile(rf"[0-9a-f]{{{2 * _DIGEST_BYTES}}}")
_NUMBER: tp.Final = re.compile(r"[0-9]{1,3}")
_REMARK: tp.Final = "#"
# No line of an account begins so: see ``usernames.fits_account_file``.
_SHARD: tp.Final = ":"
# A line is found in about the time that it takes to look at a hundred.
_SEARCHES_MAX: tp.Final = 500


def shard_of(username: str) -> int:
    """Return the number of the shard that *username* is in."""
    return hashlib.md5(username.encode(), usedforsecurity=False).digest()[0]


def digest(pairs: Iterable[Pair]) -> int:
    """Return the digest of a shard that has *pairs*, whatever their order."""
    lines = (f"{username}:{password_hash}" for username, password_hash in pairs)
    return functools.reduce(operator.xor, map(_digest_of, lines), 0)


def _digest_of(line: str) -> int:
    return int.from_bytes(hashlib.sha256(line.encode()).digest()[:_DIGEST_BYTES], "big")


def render(digests: Sequence[int], remarks: Iterable[str] = ()) -> str:
    """Return *digests* as a text, a line each, and below them *remarks*, a line each."""
    lines = [f"{each:0{2 * _DIGEST_BYTES}x}\n" for each in digests]
    return "".join([*lines, *(f"{_REMARK} {remark}\n" for remark in remarks)])


def parse(text: str) -> Digests:
    """Return the digests that *text* holds, remarks passed over; ValueError if it holds none."""
    lines = [line for line in _lines(text) if not line.startswith(_REMARK)]
    if len(lines) != COUNT or not all(map(_DIGEST.fullmatch, lines)):
        raise ValueError(f"not the digests of {COUNT} shards")
    return tuple(int(line, 16) for line in lines)


def render_lines(shards: Mapping[int, Iterable[Pair]]) -> str:
    """Return the lines of whole shards, by their number; ``parse_lines`` is the inverse."""
    lines = []
    for shard, pairs in sorted(shards.items()):
        lines.append(f"{_SHARD}{shard}\n")
        lines += [f"{username}:{password_hash}\n" for username, password_hash in sorted(pairs)]
    return "".join(lines)


def parse_lines(text: str) -> dict[int, list[Pair]]:
    """Return the pairs of each shard whose lines are in *text*.

    ValueError, without a word of it, for what ``render_lines`` does not write, and for
    what would not be lines of an account file.
    """
    shards: dict[int, list[Pair]] = {}
    shard = -1
    for number, line in enumerate(_lines(text), start=1):
        name, colon, value = line.partition(":")
        if not name and _NUMBER.fullmatch(value) and int(value) < COUNT:
            shard = int(value)
            shards[shard] = []
        elif not colon or shard_of(name) != shard:
            raise ValueError(f"line {number} of the shards: not of its shard")
        else:
            shards[shard].append((name, value))
    for pairs in shards.values():
        # Refuses what is no line, and the same account twice.
        passwd.render(pairs, "")
    return shards


def _lines(text: str) -> list[str]:
    """Return the lines of *text*: exim's, which end at line feeds alone."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


class Reading(tp.NamedTuple):
    """An account file, as far as its shards are concerned."""

    text: str
    digests: Digests
    is_sound: bool
    """Whether it is what ``passwd.parse`` takes: one line an account, sorted."""


def read(text: str, domain: str) -> Reading:
    """Return what *text*, which anybody may have written, is by its shards.

    A line that is none of an account of *domain* counts too: into some shard, whose digest
    is then none that a target has.
    """
    suffix = f"@{domain}"
    digests = [0] * COUNT
    previous, is_sound = "", not text or text.endswith("\n")
    for line in _lines(text):
        key, _, password_hash = line.partition(":")
        username = key.removesuffix(suffix)
        if username == key or username <= previous or not passwd.is_line(username, password_hash):
            is_sound = False
        previous = username
        digests[shard_of(username)] ^= _digest_of(f"{username}:{password_hash}")
    return Reading(text, tuple(digests), is_sound)


def pairs(text: str, domain: str, shards: Collection[int]) -> dict[int, list[Pair]]:
    """Return the pairs of some shards of *text*, what is no line of an account left out.

    It looks at each line there is.
    """
    suffix = f"@{domain}"
    found: dict[int, list[Pair]] = {n: [] for n in shards}
    for line in _lines(text):
        key, _, password_hash = line.partition(":")
        username = key.removesuffix(suffix)
        of_shard = found.get(shard_of(username))
        if of_shard is not None and username != key and passwd.is_line(username, password_hash):
            of_shard.append((username, password_hash))
    return found


def merge(  # noqa: PLR0913 - what was, what is wanted, and where it may be found
    base: Reading,
    domain: str,
    wanted: Digests,
    told: Mapping[int, Sequence[Pair]],
    other: Reading | None = None,
    find: Finding | None = None,
) -> Reading:
    """Return the account file that is *base* with the shards that *wanted* has otherwise.

    Their lines are taken from *told* and from *other*, where these have what is wanted. A
    shard that neither has stays as it is: lines are taken away by lines alone. *find*
    returns the pairs of shards of *base*, those left out that it does not know: what
    changes is then found without a look at each line.
    """
    lacking = {n for n in range(COUNT) if base.digests[n] != wanted[n]}
    news = {n: list(told[n]) for n in lacking if n in told and digest(told[n]) == wanted[n]}
    if other is not None:
        news |= pairs(
            other.text, domain, {n for n in lacking - news.keys() if other.digests[n] == wanted[n]}
        )
    if not base.is_sound:
        kept = pairs(base.text, domain, set(range(COUNT)) - news.keys())
        every = {**kept, **news}
        # The last of those that are there twice.
        text = passwd.render(dict(itertools.chain.from_iterable(every.values())).items(), domain)
        return read(text, domain)
    if not news:
        return base
    olds = {} if find is None else dict(find(news.keys()))
    if olds.keys() != news.keys():
        olds = pairs(base.text, domain, news.keys())
    removed = set(itertools.chain.from_iterable(olds.values()))
    added = set(itertools.chain.from_iterable(news.values()))
    text = _edited(base.text, domain, dict(removed - added), dict(added - removed))
    digests = tuple(wanted[n] if n in news else base.digests[n] for n in range(COUNT))
    return Reading(text, digests, is_sound=True)


def _edited(text: str, domain: str, removed: Mapping[str, str], added: Mapping[str, str]) -> str:
    """Return a sound *text* without the lines of *removed* and with those of *added*."""
    names = sorted(removed.keys() | added.keys())
    if len(names) > _SEARCHES_MAX:
        gone = {f"{username}@{domain}:{value}" for username, value in removed.items()}
        lines = [line for line in _lines(text) if line not in gone]
        lines += [f"{username}@{domain}:{value}" for username, value in added.items()]
        # By user name, as ``passwd.render``: no name has an @ in it.
        lines.sort(key=lambda line: line.partition("@")[0])
        return "".join(f"{line}\n" for line in lines)
    pieces, end = [], 0
    for username in names:
        start = _place(text, username, end)
        pieces.append(text[end:start])
        end = text.index("\n", start) + 1 if username in removed else start
        if username in added:
            pieces.append(f"{username}@{domain}:{added[username]}\n")
    return "".join([*pieces, text[end:]])


def _place(text: str, username: str, low: int) -> int:
    """Return where in a sound *text* the line of *username* is or belongs, at *low* or after."""
    high = len(text)
    while low < high:
        middle = (low + high) // 2
        # No line has another end than the file's: -1 is the first one's start.
        start = max(low, text.rfind("\n", low, middle) + 1)
        if text[start : text.index("@", start)] < username:
            low = text.index("\n", middle) + 1
        else:
            high = start
    return low
