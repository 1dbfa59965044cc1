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
    from collections.abc import Collection, Iterable, Mapping, Sequence

Pair = tuple[str, str]
"""A user name, and the hash of its password without a scheme prefix of Dovecot's."""
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
    shards: bytes
    """The shard of each line."""
    is_sound: bool
    """Whether it is what ``passwd.parse`` takes: one line an account, sorted."""


def read(text: str, domain: str) -> Reading:
    """Return what *text*, which anybody may have written, is by its shards.

    A line that is none of an account of *domain* counts too: into some shard, whose digest
    is then none that a target has.
    """
    suffix = f"@{domain}"
    digests, shards = [0] * COUNT, bytearray()
    previous, is_sound = "", not text or text.endswith("\n")
    for line in _lines(text):
        key, _, password_hash = line.partition(":")
        username = key.removesuffix(suffix)
        if username == key or username <= previous or not passwd.is_line(username, password_hash):
            is_sound = False
        previous = username
        shard = shard_of(username)
        shards.append(shard)
        digests[shard] ^= _digest_of(f"{username}:{password_hash}")
    return Reading(text, tuple(digests), bytes(shards), is_sound)


def merge(
    base: Reading,
    domain: str,
    wanted: Digests,
    told: Mapping[int, Sequence[Pair]],
    other: Reading | None = None,
) -> Reading:
    """Return the account file that is *base* with the shards that *wanted* has otherwise.

    Their lines are taken from *told* and from *other*, where these have what is wanted. A
    shard that neither has stays as it is: lines are taken away by lines alone.
    """
    lacking = {n for n in range(COUNT) if base.digests[n] != wanted[n]}
    news = {n: list(told[n]) for n in lacking if n in told and digest(told[n]) == wanted[n]}
    if other is not None:
        found = {n for n in lacking - news.keys() if other.digests[n] == wanted[n]}
        news |= {n: _pairs(other, domain, {n}) for n in found}
    if not base.is_sound:
        kept = dict(_pairs(base, domain, set(range(COUNT)) - news.keys()))
        pairs = [*kept.items(), *(pair for added in news.values() for pair in added)]
        return read(passwd.render(pairs, domain), domain)
    if not news:
        return base
    selected = bytes(n not in news for n in range(COUNT))
    lines = list(
        zip(
            itertools.compress(_lines(base.text), base.shards.translate(selected)),
            base.shards.translate(None, bytes(news)),
            strict=True,
        )
    )
    for shard, added in news.items():
        lines += [(f"{username}@{domain}:{value}", shard) for username, value in added]
    # By user name, as ``passwd.render``: no name has an @ in it.
    lines.sort(key=lambda line: line[0].partition("@")[0])
    text = "".join(f"{line}\n" for line, _ in lines)
    digests = tuple(wanted[n] if n in news else base.digests[n] for n in range(COUNT))
    return Reading(text, digests, bytes(shard for _, shard in lines), is_sound=True)


def _pairs(reading: Reading, domain: str, shards: Collection[int]) -> list[Pair]:
    """Return the pairs of some shards of *reading*, what is no line of an account left out."""
    suffix = f"@{domain}"
    pairs = []
    for line, shard in zip(_lines(reading.text), reading.shards, strict=True):
        if shard in shards:
            key, _, password_hash = line.partition(":")
            username = key.removesuffix(suffix)
            if username != key and passwd.is_line(username, password_hash):
                pairs.append((username, password_hash))
    return pairs
