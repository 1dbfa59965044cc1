# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The account file of a node that is told it by reference, see ``codecs.account_shards``."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import account_shards, passwd
from exordos_paas_mail.node import kept, kept_accounts

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from exordos_paas_mail.node.parts import base

FIELD: tp.Final = kept_accounts.FIELD
"""The part that is told so."""
SHARDS: tp.Final = "passwd_shards"
"""The field of the target, and of the report, that has the digests of the file's shards."""
LINES: tp.Final = "passwd_lines"
"""The field of the target that has the lines of some shards. No report and no hash has it: the
control plane tells lines until the digests say that they are there."""


class References:
    """The account file of one machine, by its shards."""

    def __init__(self, part: base.Part, kept_target: kept.Kept) -> None:
        self._part, self._kept = part, kept_target
        self._known: tuple[str, account_shards.Reading] | None = None
        # The lines of the shards that were told last, where they are the known file's.
        self._told: dict[int, list[account_shards.Pair]] = {}
        # What was told of a domain of which there is no account yet.
        self._gathered: tuple[str, account_shards.Reading] | None = None

    def text(self, domain: str, shards: str, lines: str) -> str | None:
        """Return the account file that a target asks for, as far as its lines are there.

        None where the machine has no account yet and not all lines have come: no file
        has a client try again, one without its account has it give up. What has come
        is remembered, and told by ``report``, until the others have. Raises ValueError,
        without a secret in it, for what is no target, and OSError or MachineError when
        the machine refuses.
        """
        wanted = account_shards.parse(shards)
        told = account_shards.parse_lines(lines)
        held = self._read(_plain(self._part.read()), domain)
        # What was told last is kept before it is written: the file may be older, or edited.
        told_last = self._kept_reading(domain, held)
        base, other = (held, None) if told_last is None else (told_last, held)
        if other is not None and other.text == base.text:
            other = None
        is_first = not _has_account(base, domain)
        if is_first and self._gathered is not None and self._gathered[0] == domain:
            base = self._gathered[1]
        merged = account_shards.merge(base, domain, wanted, told, other, self._kept_pairs(base))
        self._known = (domain, merged)
        self._told = {
            shard: pairs
            for shard, pairs in told.items()
            if account_shards.digest(pairs) == merged.digests[shard]
        }
        is_gathering = is_first and wanted != account_shards.NONE
        self._gathered = (domain, merged) if is_gathering else None
        if merged.digests != wanted and (is_first or not merged.text):
            return None
        return merged.text

    @property
    def is_gathering(self) -> bool:
        """Whether what ``report`` told last is still to become the account file."""
        return self._gathered is not None

    def accounts(self) -> kept.Accounts:
        """Return what ``text`` returned last, to be kept."""
        if self._known is None:
            raise RuntimeError("no account was told")
        domain, reading = self._known
        told, self._told = self._told, {}

        def find(shards: Collection[int]) -> Mapping[int, list[account_shards.Pair]]:
            if told.keys() >= set(shards):
                return told
            return account_shards.pairs(reading.text, domain, shards)

        return kept.Accounts(reading, find)

    def report(self, domain: str) -> str:
        """Return what the file has, or will have with lines to come, as ``SHARDS`` tells it."""
        reading = self._read(_plain(self._part.read()), domain)
        remarks = [] if reading.is_sound else ["a line is none of an account, or out of order"]
        if self._gathered is not None and self._gathered[0] == domain:
            gathered = self._gathered[1]
            if gathered.text and reading.digests == gathered.digests:
                self._gathered = None
            else:
                reading, remarks = gathered, ["not written yet"]
        return account_shards.render(reading.digests, remarks)

    def _kept_reading(
        self, domain: str, held: account_shards.Reading
    ) -> account_shards.Reading | None:
        """Return the account file that was told last, *held* if it is that one."""
        target = self._kept.read()
        if target is None or target.domain != domain:
            return None
        index = self._kept.index(target)
        if index is None:
            text = target.texts.get(FIELD)
            return None if text is None else self._reading(_plain(text), domain, held)
        if held.is_sound and held.digests == index.digests:
            return held
        return account_shards.Reading(self._kept.accounts.text(index), index.digests, is_sound=True)

    def _kept_pairs(self, base: account_shards.Reading) -> account_shards.Finding:
        """Return what finds the pairs of shards of *base* among what is kept."""

        def find(shards: Collection[int]) -> Mapping[int, list[account_shards.Pair]]:
            found = {} if self._kept.accounts.index() is None else self._kept.accounts.pairs(shards)
            return {
                n: of for n, of in found.items() if account_shards.digest(of) == base.digests[n]
            }

        return find

    def _read(self, text: str, domain: str) -> account_shards.Reading:
        known = None if self._known is None or self._known[0] != domain else self._known[1]
        reading = self._reading(text, domain, known)
        self._known = (domain, reading)
        return reading

    def _reading(
        self, text: str, domain: str, known: account_shards.Reading | None
    ) -> account_shards.Reading:
        """Return what *text* is by its shards, which is not found out again of what is *known*."""
        if known is not None and known.text == text:
            # Equal, but not always the same string, and those compare at once.
            return known._replace(text=text)
        target = self._kept.read()
        index = None if target is None or target.domain != domain else self._kept.index(target)
        if index is not None and self._kept.accounts.is_of(text, index):
            return account_shards.Reading(text, index.digests, is_sound=True)
        return account_shards.read(text, domain)


def _has_account(reading: account_shards.Reading, domain: str) -> bool:
    if reading.is_sound:
        return bool(reading.text)
    every = range(account_shards.COUNT)
    return any(account_shards.pairs(reading.text, domain, every).values())


def _plain(text: str) -> str:
    """Return *text* without the scheme prefixes that a target with the whole file may have had."""
    return passwd.split_prefixes(text)[0]
