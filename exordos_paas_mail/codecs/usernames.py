# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""User names: the local part of an account's address.

Two rules, the second inside the first. The account file can hold every name
that exim's look-up reads back unchanged (``fits_account_file``): a node keeps
what any release has given it. A new account gets a narrower choice (``normalise``).
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import rules

# RFC 5321, section 4.5.3.1.1.
MAX_LENGTH: tp.Final = 64
RULE: tp.Final = (
    "must be 1 to 64 letters, digits or . _ - + =, must start with a letter, a digit or _,"
    " and must not end with a dot or contain two in a row"
)

# The dot-atom of RFC 5322 without the characters that mean something to a
# shell, to exim's look-ups (#, *, !, ^) or to address routing (%, !).
_NAME = re.compile(r"[a-z0-9_][a-z0-9_+=-]*(?:\.[a-z0-9_+=-]+)*")


# RFC 5322 atext and dots, lower-case, without slash and percent, and no # first: nothing that
# lsearch, an address list or the percent hack gives a meaning of its own.
_KEY = re.compile(rf"(?!#)[!#$&'*+\-.0-9=?^_`a-z{{|}}~]{{1,{MAX_LENGTH}}}")


def normalise(value: str) -> str:
    """Return *value* lower-cased; raise RuleError if a new account cannot have that name."""
    if not isinstance(value, str) or not value.isascii():
        raise rules.RuleError(RULE)
    name = value.lower()
    if len(name) > MAX_LENGTH or not _NAME.fullmatch(name):
        raise rules.RuleError(RULE)
    return name


def fits_account_file(value: str) -> bool:
    """Return whether *value* is a local part that is one key of the account file.

    A colon or a line break would write another account's line.
    """
    return _KEY.fullmatch(value) is not None
