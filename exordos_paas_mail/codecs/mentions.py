# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Where the words of others name an address, and not another that it is a part of."""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import rules

RULE: tp.Final = "must be an address, such as bob@elsewhere.example"

# Whatever may have been said to a relay: also what no mail goes to.
_ADDRESS: tp.Final = re.compile(
    r"""(?:"(?:[^"\\]|\\.)+"|[^\s"<>()\[\],:;@]+)"""
    r"""@(?:[^\s"<>()\[\],:;@]+|\[[^\s\[\]]+\])"""
)
_SPECIAL: tp.Final = re.compile(r"[^\w\s]", re.ASCII)
# What a local part may have is also what servers put around an address: a quote, a bar or an
# equals sign is taken for a part of it only behind a letter, and the last one never.
_BEFORE: tp.Final = "(?<![[:alnum:]._+-])(?<![[:alnum:]][!#$%&'*/?^`{|}~])"
# A dot ends a sentence, too.
_AFTER: tp.Final = "(?![[:alnum:]_]|[.][[:alnum:]_]|-+[[:alnum:]_])"
# The same in Python's words, where a letter, a digit or an underscore is ``\w``.
_BEFORE_HERE: tp.Final = r"(?<![\w.+-])(?<![^\W_][!#$%&'*/?^`{|}~])"
_AFTER_HERE: tp.Final = r"(?!\w|[.]\w|-+\w)"


def check(address: str) -> str:
    """Return *address*; RuleError if there is no domain or no local part in it."""
    if not _ADDRESS.fullmatch(address):
        raise rules.RuleError(RULE)
    return address


def pattern(address: str) -> str:
    """Return the regular expression of PostgreSQL, for ``~*``, of a text that names *address*."""
    # Nothing but ASCII is special, and what has a backslash before it is not.
    escaped = "".join(
        f"\\{each}" if each.isascii() and _SPECIAL.match(each) else each for each in address
    )
    return f"{_BEFORE}{escaped}{_AFTER}"


def is_named(address: str, text: str) -> bool:
    """Return whether *text* names *address*, as PostgreSQL finds it by ``pattern``."""
    found = re.search(f"{_BEFORE_HERE}{re.escape(address)}{_AFTER_HERE}", text, re.IGNORECASE)
    return found is not None
