# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Conditions on words of many rows, looked at only where a cheaper look finds the word.

No index answers them, a queue has 128,000 rows, and the process that asks serves everybody.
"""

from __future__ import annotations

import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Iterable


def where_found(text: str, condition: str, word: str = "%s") -> str:
    """Return *condition*, false for rows whose *text* does not have ``found`` of the word.

    All three are SQL; *word* is the placeholder of ``found``, and comes before those of
    *condition*. It is a CASE, as PostgreSQL may look at the sides of an AND in any order.
    """
    return case([finds(f'lower({text} COLLATE "C")', word)], condition)


def finds(text: str, word: str = "%s") -> str:
    """Return the condition that *text*, in lower case, has *word*, the placeholder of ``found``."""
    return f"strpos({text}, {word}) > 0"


def case(narrow: Iterable[str], condition: str) -> str:
    """Return *condition*, looked at only where one of *narrow* is true, and false elsewhere."""
    return f"CASE WHEN {' OR '.join(narrow)} THEN {condition} ELSE false END"


def found(word: str) -> str:
    """Return what a text surely has that has *word* in whatever case; it may be empty."""
    # The case of other letters is PostgreSQL's to say.
    return word.lower() if word.isascii() else ""
