# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials of accounts: secrets that are made here, and the file exim looks them up in.

A secret is ``mlk_``, eight characters that name it (``prefix`` is these and what
is before), ``_``, 32 characters of base 62 that are random (190 bits), and six that
are the CRC-32 of all before, in base 62: who searches texts for leaked secrets
takes nothing else for one. At so many bits a plain SHA-256 keeps it, so that a
login costs no crypt.

The file has a line for each credential that is not switched off: its name and its
login, the digest, when it ends in seconds since 1970 (0: never), and the networks
it may be used from.

::

    0a1b2c3d/app@example.com:9f86...a08 1798761600 192.0.2.0/24;2001:db8::/32
    k3j9x2ab/app@example.com:60303...752 0 *

The name is first: a name has no slash, whatever a login has.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import typing as tp
import zlib

from exordos_paas_mail.codecs import networks, rules, usernames

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

PATTERN: tp.Final = r"mlk_[0-9a-z]{8}_[0-9A-Za-z]{38}"
"""What a secret looks like, as a regular expression of any dialect."""
START: tp.Final = "mlk_"
PREFIX_LENGTH: tp.Final = 12
NETWORKS_MAX: tp.Final = 20
"""Of one credential."""
ANY_NETWORK: tp.Final = "*"
NEVER: tp.Final = 0

_NAME_ALPHABET: tp.Final = string.digits + string.ascii_lowercase
_ALPHABET: tp.Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_NAME_LENGTH: tp.Final = 8
_RANDOM_LENGTH: tp.Final = 32
_CHECKSUM_LENGTH: tp.Final = 6
_SECRET: tp.Final = re.compile(PATTERN)
_PREFIX: tp.Final = re.compile(r"mlk_[0-9a-z]{8}")
_DIGEST: tp.Final = re.compile(r"[0-9a-f]{64}")
_END: tp.Final = re.compile(r"0|[1-9][0-9]{0,11}")


class Secret(tp.NamedTuple):
    """A secret that was made."""

    prefix: str
    secret_key: str
    """All of it: shown once, and kept nowhere."""
    digest: str


class Credential(tp.NamedTuple):
    """What a node knows of one."""

    prefix: str
    username: str
    digest: str
    ends: int = NEVER
    """Seconds since 1970."""
    networks: tuple[str, ...] = ()
    """Empty: any."""


def make() -> Secret:
    """Return a new secret."""
    prefix = START + _random(_NAME_ALPHABET, _NAME_LENGTH)
    body = f"{prefix}_{_random(_ALPHABET, _RANDOM_LENGTH)}"
    secret_key = body + _checksum(body)
    return Secret(prefix, secret_key, digest(secret_key))


def digest(secret_key: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret_key.encode()).hexdigest()


def looks_like_one(text: str) -> bool:
    """Return whether exim takes *text* for a secret of a credential, and not for a password."""
    return _SECRET.fullmatch(text) is not None


def is_secret(text: str) -> bool:
    """Return whether *text* is a secret: that it was ever made is not known here."""
    return looks_like_one(text) and text.endswith(_checksum(text[:-_CHECKSUM_LENGTH]))


def is_prefix(text: str) -> bool:
    """Return whether *text* is a prefix of a secret."""
    return _PREFIX.fullmatch(text) is not None


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[rest])
    return "".join(reversed(characters))


def render(credentials: Iterable[Credential], domain: str) -> str:
    """Return the file for *credentials* of accounts of *domain*.

    Sorted, so that equal input gives equal bytes. ``parse`` is the exact inverse.
    They come from the control plane's own rows and are not looked into: the node
    does that, once, before it takes the file.
    """
    lines = [
        f"{key(prefix, username, domain)}:{known} {ends} {';'.join(nets) or ANY_NETWORK}\n"
        for prefix, username, known, ends, nets in credentials
    ]
    return "".join(sorted(lines))


def key(prefix: str, username: str, domain: str) -> str:
    """Return what a credential is looked up by."""
    return f"{prefix.removeprefix(START)}/{username}@{domain}"


def parse(text: str, domain: str) -> list[Credential]:
    """Return the credentials of a file for accounts of *domain*.

    Accepts what ``render`` writes and nothing else: ValueError, naming the number
    of the line, for any other text.
    """
    if text and not text.endswith("\n"):
        raise ValueError("the last line has no end")
    found: list[Credential] = []
    previous = ""
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        where = f"line {number}"
        name, _, value = line.partition(":")
        if name <= previous:
            raise ValueError(f"{where}: out of order, or given twice")
        previous = name
        found.append(_credential(name, value, domain, where))
    return found


def _credential(name: str, value: str, domain: str, where: str) -> Credential:
    suffix = f"@{domain}"
    bare, _, login = name.partition("/")
    username = login.removesuffix(suffix)
    if username == login or not usernames.fits_account_file(username):
        raise ValueError(f"{where}: not an account of {domain}")
    prefix = START + bare
    fields = value.split(" ")
    if len(fields) != 3:  # noqa: PLR2004 - those of the docstring
        raise ValueError(f"{where}: not a digest, an end and networks")
    known, ends, nets = fields
    if not is_prefix(prefix) or not _DIGEST.fullmatch(known) or not _END.fullmatch(ends):
        raise ValueError(f"{where}: not a name, a digest and an end")
    return Credential(prefix, username, known, int(ends), _networks(nets, where))


def _networks(text: str, where: str) -> tuple[str, ...]:
    if text == ANY_NETWORK:
        return ()
    found = tuple(text.split(";"))
    if len(found) > NETWORKS_MAX:
        raise ValueError(f"{where}: more than {NETWORKS_MAX} networks")
    for network in found:
        try:
            is_plain = networks.normalise(network) == network
        except rules.RuleError:
            is_plain = False
        if not is_plain:
            raise ValueError(f"{where}: not a network of clients")
    return found
