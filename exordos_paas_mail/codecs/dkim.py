# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""DKIM keys and their DNS records (RFC 6376 section 3.6.1, RFC 8463 for ed25519).

*value* is the TXT value whole, ``v=DKIM1; k=rsa; p=...``; *record* is the same
in a zone file's words (RFC 1035 section 5.1), where a character string holds
at most 255 octets and a long value is several of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as tp

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

# The words of the tag ``k=``.
RSA: tp.Final = "rsa"
ED25519: tp.Final = "ed25519"
ALGORITHMS: tp.Final = (RSA, ED25519)

KEY_BITS = 2048
# RFC 8301 section 3.2: a signer uses 1024 bits at least.
_KEY_BITS_MIN = 1024
# RSA of 8192 bits has 1038 octets.
_PUBLIC_KEY_SIZE_MAX = 2048
_ED25519_SIZE = 32
_STRING_SIZE_MAX = 255
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_TOKEN = re.compile(rf"(?P<string>{_STRING})|(?P<comment>;[^\n]*)|(?P<word>[^\s;\"]+)")
_ESCAPE = re.compile(r"\\([0-9]{3}|.)")
_OWNER_INFIX = "._domainkey."
# OpenSSL proves the primes of an RSA key each time it reads one, which takes as long as to
# make one. Twice as many as a node may hold.
_PUBLIC_HALVES_MAX = 2048
_public_halves: dict[tuple[bytes, str], str] = {}


def generate(algorithm: str = RSA) -> bytes:
    """Return a new private key, PEM, from the system's randomness.

    RSA in PKCS#1; ed25519 in PKCS#8, which is the only form it has.
    """
    if algorithm == ED25519:
        return ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def public_key_of(private_key: bytes, algorithm: str = RSA) -> str:
    """Return the public half of a PEM private key as ``p=`` holds it, in base64.

    Of RSA the SubjectPublicKeyInfo, of ed25519 the 32 octets (RFC 8463 section
    4.2). Raises ValueError for anything but an unencrypted key of *algorithm*,
    and for RSA of less than 1024 bits; the message holds nothing of the key.
    """
    # By digest: a private key is not kept in memory.
    name = (hashlib.sha256(private_key).digest(), algorithm)
    known = _public_halves.get(name)
    if known is None:
        known = _read_public_half(private_key, algorithm)
        if len(_public_halves) >= _PUBLIC_HALVES_MAX:
            _public_halves.clear()
        _public_halves[name] = known
    return known


def _read_public_half(private_key: bytes, algorithm: str) -> str:
    try:
        key = serialization.load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as error:
        raise ValueError("the DKIM private key is not an unencrypted PEM key") from error
    if algorithm == ED25519:
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise ValueError("the DKIM private key is not of ed25519")
        public = key.public_key().public_bytes_raw()
    else:
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _KEY_BITS_MIN:
            raise ValueError(f"the DKIM private key is not RSA of {_KEY_BITS_MIN} bits or more")
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return base64.b64encode(public).decode("ascii")


def value_for(algorithm: str, public_key: str) -> str:
    """Return the TXT value that publishes *public_key*, which is in base64.

    Raises ValueError for what is no public key of *algorithm*.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"the algorithm is not one of {', '.join(ALGORITHMS)}")
    try:
        octets = base64.b64decode(public_key, validate=True)
    except ValueError as error:
        raise ValueError("the public key is not base64") from error
    # One spelling each: a comparison of texts is one of keys.
    if base64.b64encode(octets).decode("ascii") != public_key or not octets:
        raise ValueError("the public key is not base64")
    if len(octets) > _PUBLIC_KEY_SIZE_MAX:
        raise ValueError(f"the public key has more than {_PUBLIC_KEY_SIZE_MAX} octets")
    if algorithm == ED25519 and len(octets) != _ED25519_SIZE:
        raise ValueError(f"the public key has not the {_ED25519_SIZE} octets of ed25519")
    return f"v=DKIM1; k={algorithm}; p={public_key}"


def value_of(private_key: bytes) -> str:
    """Return the TXT value that publishes the public half of a PEM private key of RSA.

    Raises ValueError as ``public_key_of`` does.
    """
    return value_for(RSA, public_key_of(private_key))


def render(value: str, selector: str, domain: str) -> str:
    """Return the zone file record that publishes *value* for *selector* at *domain*.

    ``parse`` is the inverse. Raises ValueError for a value that is not a DKIM
    key record.
    """
    _check(value)
    strings = "\n".join(
        f'\t"{value[start : start + _STRING_SIZE_MAX]}"'
        for start in range(0, len(value), _STRING_SIZE_MAX)
    )
    return f"{selector}{_OWNER_INFIX}{domain}. IN TXT (\n{strings}\n)\n"


def parse(record: str) -> tuple[str, str]:
    """Return (domain, value) of one zone file TXT record, strings joined.

    The domain is the owner name's, without the final dot, or empty where the
    owner name is relative (``opendkim-genkey`` writes such). Raises ValueError
    when *record* is not one TXT record with a DKIM key in it.
    """
    words: list[str] = []
    strings: list[str] = []
    position = 0
    while position < len(record):
        if record[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(record, position)
        if match is None:
            raise ValueError("the DKIM record has a string without an end")
        if match["string"] is not None:
            strings.append(_ESCAPE.sub(_unescape, match["string"][1:-1]))
        elif match["word"] is not None:
            words.append(match["word"].lower())
        position = match.end()
    if "txt" not in words or not strings:
        raise ValueError("the DKIM record is not a TXT record")
    value = "".join(strings)
    _check(value)
    _, infix, domain = words[0].partition(_OWNER_INFIX)
    return domain.removesuffix(".") if infix and domain.endswith(".") else "", value


def _unescape(match: re.Match[str]) -> str:
    escaped = match[1]
    return chr(int(escaped)) if len(escaped) > 1 else escaped


def _check(value: str) -> None:
    tags = {}
    for tag in value.split(";"):
        name, equals, text = tag.partition("=")
        if equals:
            tags[name.strip()] = text.strip()
    if tags.get("v") != "DKIM1":
        raise ValueError("the DKIM record does not begin with v=DKIM1")
    try:
        key = base64.b64decode("".join(tags.get("p", "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the public key in the DKIM record is not base64") from error
    if not key or not value.isascii() or not value.isprintable() or set('"\\') & set(value):
        raise ValueError("the DKIM record holds no public key, or more than one")
