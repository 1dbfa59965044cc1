# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""User names: the local part of an account's address.

A name is the key of a line in a colon-separated file and a part of mail
addresses: a colon or a line break in it would write another account's line.
"""

from __future__ import annotations

import re
import typing as tp

# RFC 5321, section 4.5.3.1.1.
MAX_LENGTH: tp.Final = 64
RULE: tp.Final = (
    "must be 1 to 64 letters, digits and . _ - + =, with no dot at an end or doubled, "
    "and no - or + or = first"
)

# The dot-atom of RFC 5322 without the characters that mean something to a
# shell, to exim's look-ups (#, *, !, ^) or to address routing (%, !).
_NAME = re.compile(r"[a-z0-9_][a-z0-9_+=-]*(?:\.[a-z0-9_+=-]+)*")


def normalise(value: str) -> str:
    """Return *value* lower-cased; raise ValueError, naming the rule, if it is no user name."""
    if not isinstance(value, str) or not value.isascii():
        raise ValueError(RULE)
    name = value.lower()
    if len(name) > MAX_LENGTH or not _NAME.fullmatch(name):
        raise ValueError(RULE)
    return name
