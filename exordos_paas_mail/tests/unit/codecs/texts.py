# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Strategies for texts of a given shape; st.from_regex draws the same ten times slower."""

import string

from hypothesis import strategies as st

LETTERS = string.ascii_lowercase
_LETTERS_DIGITS = LETTERS + string.digits


def words(alphabet: str, longest: int, *, first: str | None = None) -> st.SearchStrategy[str]:
    """Return texts of 1 to *longest* characters; those of *first* alone may begin one."""
    if first is None:
        return st.text(alphabet, min_size=1, max_size=longest)
    return st.builds(str.__add__, st.sampled_from(first), st.text(alphabet, max_size=longest - 1))


def labels(longest: int = 63) -> st.SearchStrategy[str]:
    """Return labels of a host name: no hyphen is at an end of one."""
    return words(_LETTERS_DIGITS + "-", longest).map(lambda text: text.strip("-") or "0")


def top_labels(longest: int) -> st.SearchStrategy[str]:
    """Return last labels of a host name: two letters and more."""
    return st.text(LETTERS, min_size=2, max_size=longest)
