# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Password hashes: crypt(3) strings that exim's ``crypteq`` verifies.

No error of this module carries the value it is about.
"""

from __future__ import annotations

import re
import typing as tp

from passlib import exc
from passlib import hash as schemes

MAX_LENGTH: tp.Final = 255
# What `openssl passwd -6` uses. exim pays this price at every login: 2 ms
# here, against a quarter of a second for passlib's default of 656,000.
ROUNDS: tp.Final = 5_000
# A login that costs more is a way to keep the node busy from outside.
ROUNDS_MAX: tp.Final = 1_000_000
# What `verify` spends at most, on a machine that all tenants share: a tenth of a second at the
# longest password, a hundredth at a common one.
VERIFY_ROUNDS_MAX: tp.Final = 50_000
# crypt(3) refuses less than 4; more than 15 is seconds a login.
BCRYPT_COSTS: tp.Final = range(4, 16)
PLAINTEXT_MAX_LENGTH: tp.Final = 255
# crypt(3) refuses a longer one (CRYPT_MAX_PASSPHRASE_SIZE is 512, with its NUL).
PLAINTEXT_MAX_BYTES: tp.Final = 511

RULE: tp.Final = "must be a crypt(3) string such as $6$salt$hash, of a scheme that crypt verifies"
PLAINTEXT_RULE: tp.Final = (
    "must be 1 to 255 characters, 511 bytes in UTF-8 at most, without control characters"
    " (SMTP AUTH cannot carry others, crypt verifies no longer ones)"
)

_B64 = r"[./0-9A-Za-z]"
_SHAPES: tp.Final = {
    "1": re.compile(rf"\$1\${_B64}{{1,8}}\${_B64}+"),
    "5": re.compile(rf"\$5\$(?:rounds=(?P<rounds>[1-9][0-9]{{3,8}})\$)?{_B64}{{1,16}}\${_B64}+"),
    "6": re.compile(rf"\$6\$(?:rounds=(?P<rounds>[1-9][0-9]{{3,8}})\$)?{_B64}{{1,16}}\${_B64}+"),
    "2a": re.compile(rf"\$2a\$(?P<cost>[0-9]{{2}})\${_B64}{{53}}"),
    "2b": re.compile(rf"\$2b\$(?P<cost>[0-9]{{2}})\${_B64}{{53}}"),
    "2y": re.compile(rf"\$2y\$(?P<cost>[0-9]{{2}})\${_B64}{{53}}"),
    "y": re.compile(rf"\$y\$(?P<yescrypt>{_B64}{{3,10}})\${_B64}{{1,86}}\${_B64}{{43}}"),
    "gy": re.compile(rf"\$gy\$(?P<yescrypt>{_B64}{{3,10}})\${_B64}{{1,86}}\${_B64}{{43}}"),
    "7": re.compile(rf"\$7\$(?P<scrypt>{_B64}{{11}}){_B64}{{0,86}}\${_B64}{{43}}"),
}
# What crypt_gensalt(3) makes of its costs up to 9, of which crypt(3) takes N from 4 and r from 1:
# flavour, N and r of yescrypt; N, r and p of scrypt. Cost 9 is 256 MB and half a second a login,
# and each one more is twice that: the smallest node has 512 MB.
_YESCRYPT_COST: tp.Final = re.compile(r"j[/0-9A-D][./0-9A-T]")
_SCRYPT_COST: tp.Final = re.compile(r"[0-9A-E][/0-9A-U]\.{4}/\.{4}")
# Dovecot's name of a scheme: the crypt ids it may stand before.
_DOVECOT_PREFIXES: tp.Final = {
    "MD5-CRYPT": frozenset({"1"}),
    "SHA256-CRYPT": frozenset({"5"}),
    "SHA512-CRYPT": frozenset({"6"}),
    "BLF-CRYPT": frozenset({"2a", "2b", "2y"}),
    "CRYPT": frozenset(_SHAPES),
}
_PREFIXED = re.compile(r"\{(?P<scheme>[A-Za-z0-9.-]+)\}(?P<hash>.*)", re.DOTALL)
_ID = re.compile(r"\$(?P<id>[a-z0-9]{1,2})\$")
# A surrogate has no place in UTF-8; JSON can carry one.
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

# passlib's classes are made by a metaclass that its types do not describe.
_SHA512: tp.Any = tp.cast("tp.Any", schemes.sha512_crypt).using(rounds=ROUNDS)
_VERIFIERS: tp.Final[tp.Mapping[str, tp.Any]] = {
    "1": schemes.md5_crypt,
    "5": schemes.sha256_crypt,
    "6": schemes.sha512_crypt,
}


def normalise(value: str) -> str:
    """Return the crypt(3) string of *value*, without the Dovecot prefix it may have.

    Raises ValueError, naming the rule and never the value, when it is not
    one, or when the prefix names another scheme than the string has. What it
    costs is a question of its own: ``check_cost``.
    """
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        raise ValueError(RULE)
    text, allowed = value, frozenset(_SHAPES)
    if prefixed := _PREFIXED.fullmatch(value):
        text = prefixed["hash"]
        try:
            allowed = _DOVECOT_PREFIXES[prefixed["scheme"].upper()]
        except KeyError:
            raise ValueError("has a {SCHEME} prefix whose hashes crypt cannot verify") from None
    scheme, parameters = _parse(text)
    if parameters is None:
        raise ValueError(RULE)
    if scheme not in allowed:
        raise ValueError("has a {SCHEME} prefix that contradicts its $id$")
    return text


def check_cost(password_hash: str) -> None:
    """Raise ValueError if crypt(3) refuses the cost of *password_hash*, or a login is too dear.

    *password_hash* is one that ``normalise`` returned.
    """
    _, parameters = _parse(password_hash)
    if parameters is None:
        raise ValueError(RULE)
    if int(parameters.get("rounds") or 0) > ROUNDS_MAX:
        raise ValueError("must have a million rounds at most")
    if int(parameters.get("cost") or BCRYPT_COSTS[0]) not in BCRYPT_COSTS:
        raise ValueError("must have a bcrypt cost of 4 to 15")
    for scheme, cost in (("yescrypt", _YESCRYPT_COST), ("scrypt", _SCRYPT_COST)):
        found = parameters.get(scheme)
        if found is not None and not cost.fullmatch(found):
            raise ValueError(f"must have a {scheme} cost that crypt verifies, 9 (256 MB) at most")


def _parse(text: str) -> tuple[str, dict[str, str | None] | None]:
    """Return the scheme of *text* and its parameters, which are None if it is no hash of it."""
    identifier = _ID.match(text)
    if identifier is None or identifier["id"] not in _SHAPES:
        return "", None
    found = _SHAPES[identifier["id"]].fullmatch(text)
    return identifier["id"], found.groupdict() if found else None


def check_plaintext(plaintext: str) -> str:
    """Return *plaintext*; raise ValueError, without it, if no client could log in with it."""
    if (
        not isinstance(plaintext, str)
        or not 1 <= len(plaintext) <= PLAINTEXT_MAX_LENGTH
        or _UNSENDABLE.search(plaintext)
        or len(plaintext.encode()) > PLAINTEXT_MAX_BYTES
    ):
        raise ValueError(PLAINTEXT_RULE)
    return plaintext


def hash_plaintext(plaintext: str) -> str:
    """Return a new SHA512-crypt hash of *plaintext*, 5,000 rounds, random salt."""
    return str(_SHA512.hash(check_plaintext(plaintext)))


def verify(plaintext: str, password_hash: str) -> bool:
    """Return whether *password_hash* is one of *plaintext*.

    False also for a hash that only the node verifies: of bcrypt, yescrypt or
    scrypt, or of more than 50,000 rounds. The caller then sets a new hash,
    which is always right. One of ``hash_plaintext`` is never among them.
    """
    scheme, parameters = _parse(password_hash)
    verifier = _VERIFIERS.get(scheme)
    if verifier is None or parameters is None:
        return False
    if int(parameters.get("rounds") or 0) > VERIFY_ROUNDS_MAX:
        return False
    try:
        return bool(verifier.verify(plaintext, password_hash))
    except (ValueError, exc.PasswordValueError):
        # A string of the right shape whose hash has the wrong length
        # cannot be a hash of anything.
        return False
