# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What one server said of one name and type."""

from __future__ import annotations

import dataclasses
import typing as tp

# A server of the zone gave its word.
RECORDS: tp.Final = "RECORDS"
EMPTY: tp.Final = "EMPTY"
NO_NAME: tp.Final = "NO_NAME"
# It named another name (CNAME): what that one's servers said stands beside.
ALIAS: tp.Final = "ALIAS"
# It gave none.
TIMEOUT: tp.Final = "TIMEOUT"
FAILED: tp.Final = "FAILED"
# It gives nobody any: it does not serve the zone, or nobody can ask it.
LAME: tp.Final = "LAME"
UNREACHABLE: tp.Final = "UNREACHABLE"
FORBIDDEN: tp.Final = "FORBIDDEN"
NO_ADDRESS: tp.Final = "NO_ADDRESS"
# Not asked: what one check may spend is spent.
EXHAUSTED: tp.Final = "EXHAUSTED"

_WORDS: tp.Final = frozenset({RECORDS, EMPTY, NO_NAME})
_SILENT: tp.Final = frozenset({TIMEOUT, FAILED, EXHAUSTED})

_SENTENCES: tp.Final = {
    EMPTY: "has no such record",
    NO_NAME: "says that the name does not exist",
    TIMEOUT: "does not answer",
    FAILED: "fails",
    LAME: "does not serve the zone",
    UNREACHABLE: "cannot be reached from the control plane",
    FORBIDDEN: "has an address that is not public, and was not asked",
    NO_ADDRESS: "has no address",
    EXHAUSTED: "was not asked: the check used up its queries or its time",
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of *server* at *address*, of the records' texts.

    *alias* is the name an ALIAS leads to, *via* the alias that led here.
    *negative_ttl* is how long a resolver may remember that there is nothing
    (RFC 2308 section 5), of EMPTY and NO_NAME.
    """

    server: str
    address: str
    outcome: str
    texts: tuple[str, ...] = ()
    ttl: int | None = None
    negative_ttl: int | None = None
    alias: str = ""
    via: str = ""
    note: str = ""

    @property
    def is_word(self) -> bool:
        """Return whether a server of the zone said what there is."""
        return self.outcome in _WORDS

    @property
    def is_silent(self) -> bool:
        """Return whether the server may say something else to others."""
        return self.outcome in _SILENT

    def sentence(self) -> str:
        """Return what the server said or did, for a person."""
        if self.outcome == RECORDS:
            said = "; ".join(self.texts)
        elif self.outcome == ALIAS:
            said = f"alias of {self.alias}"
        else:
            said = _SENTENCES[self.outcome]
        return f"{said} ({self.note})" if self.note else said


def words(answers: tp.Iterable[Answer]) -> list[Answer]:
    """Return the answers in which a server of the zone said what there is."""
    return [answer for answer in answers if answer.is_word]


def texts(answers: tp.Iterable[Answer]) -> tuple[str, ...]:
    """Return the records that any server has, sorted."""
    return tuple(sorted({text for answer in answers for text in answer.texts}))
