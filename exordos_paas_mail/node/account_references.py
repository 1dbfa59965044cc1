# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The account file of a node that is told it by reference, see ``codecs.account_shards``."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import account_shards, passwd

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node import kept
    from exordos_paas_mail.node.parts import base

FIELD: tp.Final = "passwd"
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

    def text(self, domain: str, shards: str, lines: str) -> str | None:
        """Return the account file that a target asks for, as far as its lines are there.

        None where none of them is: no file has a client try again, an empty one
        has it give up. Raises ValueError, without a secret in it, for what is no
        target, and OSError or MachineError when the machine refuses.
        """
        wanted = account_shards.parse(shards)
        told = account_shards.parse_lines(lines)
        held = _plain(self._part.read())
        kept_target = self._kept.read()
        kept_text = None
        if kept_target is not None and kept_target.domain == domain:
            text = kept_target.texts.get(FIELD)
            kept_text = None if text is None else _plain(text)
        # What was told last is kept before it is written: the file may be older, or edited.
        base = self._read(held if kept_text is None else kept_text, domain)
        other = None if kept_text in (None, held) else account_shards.read(held, domain)
        merged = account_shards.merge(base, domain, wanted, told, other)
        self._known = (domain, merged)
        return merged.text if merged.text or wanted == account_shards.NONE else None

    def report(self, domain: str) -> str:
        """Return what the file has, as ``SHARDS`` tells it."""
        reading = self._read(_plain(self._part.read()), domain)
        remarks = [] if reading.is_sound else ["a line is none of an account, or out of order"]
        return account_shards.render(reading.digests, remarks)

    def _read(self, text: str, domain: str) -> account_shards.Reading:
        if self._known is not None and self._known[0] == domain:
            known = self._known[1]
            if known.text == text:
                # Equal, but not always the same string, and those compare at once.
                self._known = (domain, known._replace(text=text))
                return self._known[1]
        self._known = (domain, account_shards.read(text, domain))
        return self._known[1]


def _plain(text: str) -> str:
    """Return *text* without the scheme prefixes that a target with the whole file may have had."""
    return passwd.split_prefixes(text)[0]
