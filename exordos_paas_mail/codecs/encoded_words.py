# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded-words (RFC 2047): how a header field says what is not ASCII."""

from __future__ import annotations

import base64
import binascii
import re
import typing as tp

LENGTH_MAX: tp.Final = 75
"""Octets of one encoded-word (RFC 2047 2)."""

PATTERN: tp.Final = re.compile(rb"=\?([!#-'*+\-0-9A-Z^-~]+)\?([bBqQ])\?([!->@-~]*)\?=")

_ROOM = LENGTH_MAX - len("=?utf-8?q??=")
# What may stand for itself in an encoded-word inside a phrase (RFC 2047 5, rule 3).
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_QUOTED = [
    b"_" if octet == ord(" ") else bytes([octet]) if octet in _PLAIN else b"=%02X" % octet
    for octet in range(256)
]


def encode(text: str) -> bytes:
    """Return *text* as encoded-words of UTF-8, with a space between each two.

    They are fit for a phrase and for a comment, and no character is split between
    two. Readers drop the spaces: ``decode`` is the exact inverse.
    """
    octets = text.encode()
    if sum(len(_QUOTED[octet]) for octet in octets) <= 4 * len(octets) / 3:
        return b" ".join(
            b"=?utf-8?q?%s?=" % b"".join(_QUOTED[octet] for octet in chunk)
            for chunk in _chunks(text, lambda octets: sum(len(_QUOTED[o]) for o in octets), _ROOM)
        )
    return b" ".join(
        b"=?utf-8?b?%s?=" % base64.b64encode(chunk) for chunk in _chunks(text, len, _ROOM // 4 * 3)
    )


def _chunks(text: str, cost: tp.Callable[[bytes], int], room: int) -> tp.Iterator[bytes]:
    chunk, used = b"", 0
    for character in text:
        octets = character.encode()
        price = cost(octets)
        if used + price > room:
            yield chunk
            chunk, used = b"", 0
        chunk += octets
        used += price
    yield chunk


def decode(octets: bytes) -> str:
    """Return what a reader sees of *octets*: encoded-words and UTF-8.

    White space between two encoded-words is dropped (RFC 2047 6.2). Raises
    ValueError for a charset that is not known, and for octets that are not what
    they say they are.
    """
    text, end, after_word = [], 0, False
    for match in PATTERN.finditer(octets):
        between = octets[end : match.start()]
        if between.strip(b" \t") or not after_word:
            text.append(between.decode())
        text.append(_decode_word(*match.groups()))
        end, after_word = match.end(), True
    return "".join([*text, octets[end:].decode()])


def _decode_word(charset: bytes, encoding: bytes, content: bytes) -> str:
    name = charset.partition(b"*")[0].decode()  # RFC 2231 5: a language may follow
    if encoding in b"bB":
        octets = binascii.a2b_base64(content + b"==="[: -len(content) % 4])
    else:
        octets = binascii.a2b_qp(content, header=True)
    try:
        return octets.decode(name)
    except LookupError:
        raise ValueError("an encoded-word's charset is not known") from None
