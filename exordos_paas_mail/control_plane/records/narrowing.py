# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Conditions on words of many rows, looked at only where a cheaper look finds the word.

No index answers them, a queue has 128,000 rows, and the process that asks serves everybody.
"""

from __future__ import annotations


def where_found(text: str, condition: str, word: str = "%s") -> str:
    """Return *condition*, false for rows whose *text* does not have ``found`` of the word.

    All three are SQL; *word* is the placeholder of ``found``, and comes before those of
    *condition*. It is a CASE, as PostgreSQL may look at the sides of an AND in any order.
    """
    return (
        f'CASE WHEN strpos(lower({text} COLLATE "C"), {word}) > 0 THEN {condition} ELSE false END'
    )


def found(word: str) -> str:
    """Return what a text surely has that has *word* in whatever case; it may be empty."""
    # The case of other letters is PostgreSQL's to say.
    return word.lower() if word.isascii() else ""
