# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The account file exim looks logins up in: ``user@domain:hash``, one a line.

The format is exim's *lsearch* (exim specification, chapter "File and database
lookups"): the key ends at the first colon, a line that begins with ``#`` or
white space is not a key, and a quoted key is unquoted. A username that could
meet one of these rules is refused.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import crypt_strings, usernames

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Dovecot's password scheme prefix, `{SHA512-CRYPT}` or `{SHA512-CRYPT.b64}`.
_PREFIX = re.compile(r"^([^:\n]+):(\{[A-Za-z0-9.-]+\})", re.MULTILINE)


def _refuse(username: str, where: str) -> tp.NoReturn:
    if not usernames.fits_account_file(username):
        raise ValueError(f"{where}: the username is not a lower-case local part of plain ASCII")
    raise ValueError(f"{where}: the password hash is not a crypt(5) string")


def is_line(username: str, password_hash: str) -> bool:
    """Return whether the two are a line of the account file."""
    return usernames.fits_account_file(username) and crypt_strings.fits_account_file(password_hash)


def render(accounts: Iterable[tuple[str, str]], domain: str) -> str:
    """Return the account file for (username, hash) pairs of *domain*.

    Sorted by username, so equal accounts give equal bytes and a settled target
    never costs a reload. ``parse`` is the exact inverse. No accounts give the
    empty string.

    Raises ValueError for a pair that would not be one line for one account,
    and for a username given twice; the message holds no hash.
    """
    pairs = sorted(accounts)
    previous = None
    lines = []
    for username, password_hash in pairs:
        if not is_line(username, password_hash):
            _refuse(username, f"account {username!r}")
        if username == previous:
            raise ValueError(f"account {username!r}: given twice")
        previous = username
        lines.append(f"{username}@{domain}:{password_hash}\n")
    return "".join(lines)


def parse(text: str, domain: str) -> list[tuple[str, str]]:
    """Return the (username, hash) pairs of an account file of *domain*.

    Accepts what ``render`` writes and nothing else: ValueError, naming the
    number of the line, for any other text.
    """
    if text and not text.endswith("\n"):
        raise ValueError("the last line has no end")
    suffix = f"@{domain}"
    pairs: list[tuple[str, str]] = []
    previous = ""
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        key, _, password_hash = line.partition(":")
        if not key.endswith(suffix):
            raise ValueError(f"line {number}: not an account of {domain}")
        username = key[: -len(suffix)]
        if not is_line(username, password_hash):
            _refuse(username, f"line {number}")
        if username <= previous:
            raise ValueError(f"line {number}: out of order, or given twice")
        previous = username
        pairs.append((username, password_hash))
    return pairs


def split_prefixes(text: str) -> tuple[str, dict[str, str]]:
    """Return *text* without Dovecot scheme prefixes, and the prefixes by key.

    exim's ``crypteq`` verifies a crypt(3) string and takes ``{SHA512-CRYPT}``
    for something else. ``join_prefixes`` is the inverse.
    """
    # A search for two characters is a hundred times cheaper than the pattern, and one for a
    # single character, which no common hash has, twenty times cheaper than that.
    if "{" not in text or ":{" not in text:
        return text, {}
    prefixes = {match[1]: match[2] for match in _PREFIX.finditer(text)}
    return _PREFIX.sub(r"\1:", text), prefixes


def join_prefixes(text: str, prefixes: Mapping[str, str]) -> str:
    """Return *text* with the scheme prefix of each key put back."""
    if not prefixes:
        return text
    lines = []
    for line in text.splitlines(keepends=True):
        key, colon, rest = line.partition(":")
        lines.append(f"{key}{colon}{prefixes.get(key, '')}{rest}" if colon else line)
    return "".join(lines)
