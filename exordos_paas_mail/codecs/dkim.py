# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""DKIM keys and their DNS records (RFC 6376 section 3.6.1).

*value* is the TXT value whole, ``v=DKIM1; k=rsa; p=...``; *record* is the same
in a zone file's words (RFC 1035 section 5.1), where a character string holds
at most 255 octets and a long value is several of them.
"""

from __future__ import annotations

import base64
import binascii
import re

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 2048
# RFC 8301 section 3.2: a signer uses 1024 bits at least.
_KEY_BITS_MIN = 1024
_STRING_SIZE_MAX = 255
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_TOKEN = re.compile(rf"(?P<string>{_STRING})|(?P<comment>;[^\n]*)|(?P<word>[^\s;\"]+)")
_ESCAPE = re.compile(r"\\([0-9]{3}|.)")
_OWNER_INFIX = "._domainkey."


def generate() -> bytes:
    """Return a new RSA private key, PEM (PKCS#1), from the system's randomness."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def value_of(private_key: bytes) -> str:
    """Return the TXT value that publishes the public half of a PEM private key.

    Raises ValueError for anything but an unencrypted RSA key of 1024 bits or
    more; the message holds nothing of the key.
    """
    try:
        key = serialization.load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as error:
        raise ValueError("the DKIM private key is not an unencrypted PEM key") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _KEY_BITS_MIN:
        raise ValueError(f"the DKIM private key is not RSA of {_KEY_BITS_MIN} bits or more")
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode('ascii')}"


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
