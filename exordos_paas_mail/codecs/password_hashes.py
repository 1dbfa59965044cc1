# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Passwords, and what they are stored as: crypt(3) strings.

No error of this module carries the value it is about.
"""

from __future__ import annotations

import re
import typing as tp

from passlib import exc
from passlib import hash as schemes

from exordos_paas_mail.codecs import credentials, crypt_strings, rules

# With a Dovecot prefix, if there is one: the column is as long.
MAX_LENGTH: tp.Final = crypt_strings.MAX_LENGTH
# What `openssl passwd -6` uses. exim pays this price at every login: 2 ms
# here, against a quarter of a second for passlib's default of 656,000.
ROUNDS: tp.Final = 5_000
# What `verify` spends at most, on a machine that all tenants share: half a tenth of a second at
# the longest password.
VERIFY_ROUNDS_MAX: tp.Final = 20_000
PLAINTEXT_MAX_LENGTH: tp.Final = 255
# crypt(3) refuses a longer one (CRYPT_MAX_PASSPHRASE_SIZE is 512, with its NUL).
PLAINTEXT_MAX_BYTES: tp.Final = 511

PLAINTEXT_RULE: tp.Final = (
    "must be 1 to 255 characters, 511 bytes in UTF-8 at most, without control characters"
    " (SMTP AUTH cannot carry others, crypt verifies no longer ones)"
)

# Dovecot's name of a scheme: the crypt ids it may stand before.
_DOVECOT_PREFIXES: tp.Final = {
    "MD5-CRYPT": frozenset({"1"}),
    "SHA256-CRYPT": frozenset({"5"}),
    "SHA512-CRYPT": frozenset({"6"}),
    "BLF-CRYPT": frozenset({"2a", "2b", "2y"}),
    "CRYPT": crypt_strings.SCHEMES,
}
_PREFIXED = re.compile(r"\{(?P<scheme>[A-Za-z0-9.-]+)\}(?P<hash>.*)", re.DOTALL)
# A surrogate has no place in UTF-8; JSON can carry one.
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

# passlib's classes are made by a metaclass that its types do not describe.
_SHA512: tp.Any = tp.cast("tp.Any", schemes.sha512_crypt).using(rounds=ROUNDS)
_VERIFIERS: tp.Final[tp.Mapping[str | None, tp.Any]] = {
    "1": schemes.md5_crypt,
    "5": schemes.sha256_crypt,
    "6": schemes.sha512_crypt,
}


def normalise(value: str) -> str:
    """Return the crypt(3) string of *value*, without the Dovecot prefix it may have.

    Raises RuleError, never naming the value, when it is not one, or when the
    prefix names another scheme than the string has. Whether a node can pay its
    price is a question of its own: ``crypt_strings.check_cost``.
    """
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        raise rules.RuleError(crypt_strings.RULE)
    text, allowed = value, crypt_strings.SCHEMES
    if prefixed := _PREFIXED.fullmatch(value):
        text = prefixed["hash"]
        try:
            allowed = _DOVECOT_PREFIXES[prefixed["scheme"].upper()]
        except KeyError:
            raise rules.RuleError(
                "has a {SCHEME} prefix of a scheme that crypt cannot verify"
            ) from None
    crypt_strings.parse(text)
    if crypt_strings.scheme_of(text) not in allowed:
        raise rules.RuleError("has a {SCHEME} prefix that does not match its $id$")
    return text


def is_prefixed_hash(value: str) -> bool:
    """Return whether *value* is meant as a hash: a crypt(3) string behind its Dovecot prefix.

    Clients of other releases of this API send such a string as the password.
    Whether it is whole is for ``normalise`` to say.
    """
    prefixed = _PREFIXED.fullmatch(value)
    if prefixed is None:
        return False
    allowed = _DOVECOT_PREFIXES.get(prefixed["scheme"].upper(), frozenset())
    return crypt_strings.scheme_of(prefixed["hash"]) in allowed


def check_plaintext(plaintext: str) -> str:
    """Return *plaintext*; raise RuleError, without it, if no client could log in with it."""
    if (
        not isinstance(plaintext, str)
        or not 1 <= len(plaintext) <= PLAINTEXT_MAX_LENGTH
        or _UNSENDABLE.search(plaintext)
        or len(plaintext.encode()) > PLAINTEXT_MAX_BYTES
    ):
        raise rules.RuleError(PLAINTEXT_RULE)
    if credentials.looks_like_one(plaintext):
        raise rules.RuleError("must not look like the secret of a credential")
    return plaintext


def check_password(value: str) -> str:
    """Return *value*, a plaintext or a hash behind a Dovecot prefix; RuleError if it is neither."""
    if isinstance(value, str) and is_prefixed_hash(value):
        normalise(value)
        return value
    return check_plaintext(value)


def hash_plaintext(plaintext: str) -> str:
    """Return a new SHA512-crypt hash of *plaintext*, 5,000 rounds, random salt."""
    return str(_SHA512.hash(check_plaintext(plaintext)))


def to_hash(value: str) -> str:
    """Return the hash to store for *value*, which is one that ``check_password`` takes."""
    return normalise(value) if is_prefixed_hash(value) else hash_plaintext(value)


def verify(plaintext: str, password_hash: str) -> bool:
    """Return whether *password_hash* is one of *plaintext*.

    False also for a hash that only the node verifies: of bcrypt, yescrypt or
    scrypt, or of more than 20,000 rounds. The caller then sets a new hash,
    which is always right. One of ``hash_plaintext`` is never among them.
    """
    verifier = _VERIFIERS.get(crypt_strings.scheme_of(password_hash))
    if verifier is None or (crypt_strings.rounds_of(password_hash) or 0) > VERIFY_ROUNDS_MAX:
        return False
    try:
        return bool(verifier.verify(plaintext, password_hash))
    except (ValueError, exc.PasswordValueError):
        # A string of the right shape whose hash has the wrong length
        # cannot be a hash of anything.
        return False


def means(value: str, password_hash: str) -> bool:
    """Return whether *password_hash* is what ``to_hash`` could have made of *value*."""
    if is_prefixed_hash(value):
        return value.endswith(f"}}{password_hash}")
    return verify(value, password_hash)
