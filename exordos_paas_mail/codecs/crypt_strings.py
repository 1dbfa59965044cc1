# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""crypt(3) strings: the schemes exim's ``crypteq`` verifies, their shape, length and price.

Three rules, each inside the one before. The account file can hold every string
that its look-up reads back unchanged (``fits_account_file``): a node keeps what
any release has given it. A string can be given to an account if it has the
shape of its scheme (``parse``), and if crypt(3) verifies its cost in the memory
there is (``check_cost``).
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import rules

MAX_LENGTH: tp.Final = 255
# A login that costs more is a way to keep the node busy from outside.
ROUNDS_MAX: tp.Final = 1_000_000
# crypt(3) refuses less than 4; more than 15 is seconds a login.
BCRYPT_COSTS: tp.Final = range(4, 16)
# The part of a node's memory that one login may take; several come at once.
_MEMORY_SHARE: tp.Final = 8
# crypt_gensalt(3)'s cost 9, half a second a login; each one more is twice that.
MEMORY_MAX_MB: tp.Final = 256

# What is in the place of a hash for an account that has no password, in the account file and
# in the table: it has the cost of a usual one, is no hash of anything, and is a placeholder to
# a release that knows of no account without a password.
NO_PASSWORD: tp.Final = "$6$nopassword$none"  # noqa: S105 - there is none

RULE: tp.Final = "must be a crypt(3) string such as $6$salt$hash, of a scheme that crypt verifies"

_B64 = r"[./0-9A-Za-z]"
_ROUNDS = r"(?:rounds=(?P<rounds>[1-9][0-9]{3,8})\$)?"
_YESCRYPT = rf"(?P<yescrypt>{_B64}{{3,10}})\${_B64}{{1,86}}\$(?P<digest>{_B64}+)"
_BCRYPT = rf"(?P<cost>[0-9]{{2}})\$(?P<digest>{_B64}+)"
_SHAPES: tp.Final = {
    "1": re.compile(rf"\$1\${_B64}{{1,8}}\$(?P<digest>{_B64}+)"),
    "5": re.compile(rf"\$5\${_ROUNDS}{_B64}{{1,16}}\$(?P<digest>{_B64}+)"),
    "6": re.compile(rf"\$6\${_ROUNDS}{_B64}{{1,16}}\$(?P<digest>{_B64}+)"),
    "2a": re.compile(rf"\$2a\${_BCRYPT}"),
    "2b": re.compile(rf"\$2b\${_BCRYPT}"),
    "2y": re.compile(rf"\$2y\${_BCRYPT}"),
    "y": re.compile(rf"\$y\${_YESCRYPT}"),
    "gy": re.compile(rf"\$gy\${_YESCRYPT}"),
    "7": re.compile(rf"\$7\$(?P<scrypt>{_B64}{{11}}){_B64}{{0,86}}\$(?P<digest>{_B64}+)"),
}
SCHEMES: tp.Final = frozenset(_SHAPES)
# crypt(5): the characters after the last dollar sign. bcrypt has no dollar sign between its
# salt (22) and its hash (31).
_LENGTHS: tp.Final = {
    "1": 22,
    "5": 43,
    "6": 86,
    "2a": 53,
    "2b": 53,
    "2y": 53,
    "y": 43,
    "gy": 43,
    "7": 43,
}
# Documentation and tests write `$6$salt$hash` where a hash goes. It verifies nothing, which
# whoever writes it knows. What is longer was a hash once, and was cut by a column or a
# copy: its account could never log in, and nobody would know why.
PLACEHOLDER_MAX_LENGTH: tp.Final = 16
_PLACEHOLDER_SCHEMES: tp.Final = frozenset({"1", "5", "6"})
_ID = re.compile(r"\$(?P<id>[a-z0-9]{1,2})\$")
# `$id$...`, printable, without colon, white space and quotes.
_STORED = re.compile(r"\$[0-9a-z][0-9a-z-]*\$[!#$%&()*+,\-./0-9;<=>?@A-Z\[\]^_`a-z{|}~]+")
_STORED_LENGTH_MAX: tp.Final = 512

# What crypt_gensalt(3) makes of its costs up to 9, of which crypt(3) takes N from 4 and r from 1:
# flavour, N and r of yescrypt; N, r and p of scrypt, in crypt's own base 64.
_ALPHABET: tp.Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_YESCRYPT_COST: tp.Final = re.compile(r"j(?P<n>[/0-9A-D])(?P<r>[./0-9A-T])")
_SCRYPT_COST: tp.Final = re.compile(r"(?P<n>[0-9A-E])(?P<r>[/0-9A-U])\.{4}/\.{4}")


def fits_account_file(value: str) -> bool:
    """Return whether *value* is one value of the account file."""
    return len(value) <= _STORED_LENGTH_MAX and _STORED.fullmatch(value) is not None


def scheme_of(text: str) -> str | None:
    """Return the id of the scheme that *text* begins with, None if it is none we know."""
    identifier = _ID.match(text)
    return identifier["id"] if identifier and identifier["id"] in _SHAPES else None


def parse(text: str) -> dict[str, str | None]:
    """Return the parameters of a crypt string: ``rounds``, ``cost``, ``yescrypt``, ``scrypt``.

    Raises RuleError if *text* has not the shape of its scheme, or a hash of
    another length than the scheme has. A hash of md5, sha256 or sha512 crypt
    may also be a placeholder of at most 16 characters.
    """
    scheme = scheme_of(text)
    shaped = _SHAPES[scheme].fullmatch(text) if scheme and len(text) <= MAX_LENGTH else None
    if scheme is None or shaped is None:
        raise rules.RuleError(RULE)
    length, expected = len(shaped["digest"]), _LENGTHS[scheme]
    is_placeholder = scheme in _PLACEHOLDER_SCHEMES and length <= PLACEHOLDER_MAX_LENGTH
    if length != expected and not is_placeholder:
        raise rules.RuleError(
            f"must have {expected} characters after the last $ of a ${scheme}$ hash, not {length}"
        )
    return shaped.groupdict()


def rounds_of(text: str) -> int | None:
    """Return the ``rounds=`` of *text*, None if it names none or is no crypt string."""
    scheme = scheme_of(text)
    shaped = _SHAPES[scheme].fullmatch(text) if scheme else None
    rounds = shaped.groupdict().get("rounds") if shaped else None
    return int(rounds) if rounds else None


def memory_allowed_mb(ram_mb: int) -> int:
    """Return how much memory, in MB, one login may take on a node with *ram_mb* MB of it."""
    return min(ram_mb // _MEMORY_SHARE, MEMORY_MAX_MB)


def memory_bytes(text: str) -> int:
    """Return the memory that crypt(3) takes to verify *text*, in bytes; 0 if it is negligible.

    That is the block matrix of scrypt, 128 * r * N (RFC 7914, section 2), which
    yescrypt has too. 0 also for a string whose cost cannot be told.
    """
    for pattern, cost in ((r"\$g?y\$([^$]+)", _YESCRYPT_COST), (r"\$7\$(.{11})", _SCRYPT_COST)):
        given = re.match(pattern, text)
        found = cost.fullmatch(given[1]) if given else None
        if found:
            n, r = (_ALPHABET.index(found[name]) for name in ("n", "r"))
            # yescrypt writes both less one.
            more = int(cost is _YESCRYPT_COST)
            return 128 * (r + more) << (n + more)
    return 0


def check_cost(text: str, ram_mb: int) -> None:
    """Raise RuleError if crypt(3) refuses the cost of *text*, or a login would be too expensive.

    *text* is one that ``parse`` takes, *ram_mb* the memory of the node in MB: one
    login may take an eighth of it.
    """
    parameters = parse(text)
    if int(parameters.get("rounds") or 0) > ROUNDS_MAX:
        raise rules.RuleError("must have at most a million rounds")
    if int(parameters.get("cost") or BCRYPT_COSTS[0]) not in BCRYPT_COSTS:
        raise rules.RuleError("must have a bcrypt cost of 4 to 15")
    for scheme, cost in (("yescrypt", _YESCRYPT_COST), ("scrypt", _SCRYPT_COST)):
        given = parameters.get(scheme)
        if given is not None and not cost.fullmatch(given):
            raise rules.RuleError(
                f"must have a {scheme} cost that crypt verifies, 9 (256 MB) at most"
            )
    needed, allowed = memory_bytes(text) / 2**20, memory_allowed_mb(ram_mb)
    if needed > allowed:
        raise rules.RuleError(
            f"must need at most {allowed} MB per login (an eighth of the instance's ram,"
            f" and {MEMORY_MAX_MB} MB at most), not {needed:.0f} MB: choose a lower cost"
        )
