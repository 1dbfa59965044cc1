# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The tokens of an address field, well-formed or not (RFC 5322 3.2).

Splitting takes time that grows with the length of a value and not faster,
whatever is in it.
"""

from __future__ import annotations

import re
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

Token: tp.TypeAlias = tuple[str, bytes]
"""A kind and its octets: one of WORDS, space, comment, angle, other, or the sign itself."""

WORDS: tp.Final = ("text", "quoted")

_TOKEN = re.compile(
    rb"(?P<space>[ \t\n]+)"
    rb"|(?P<quoted>\"(?:[^\"\\]|\\[^\n])*\")"
    rb"|(?P<angle><(?:[^<>\"]|\"(?:[^\"\\]|\\[^\n])*\")*>)"
    rb"|(?P<text>(?:\\[^ \t\n]|[^ \t\n\"()<>,:;\\\x00-\x1f\x7f])+)"
    rb"|(?P<sign>[,:;])"
    rb"|(?P<other>.)",
    re.DOTALL,
)
_IN_COMMENT = re.compile(rb"[()]|\\.|[^()\\]+", re.DOTALL)
_FOLD = re.compile(rb"[ \t]*\n[ \t]*")


def split(value: bytes) -> list[Token]:
    """Return the tokens of *value*, which joined are *value* again.

    What opens and is never closed is of kind ``other``, one octet long. So is every
    parenthesis after the first that is never closed.
    """
    found: list[Token] = []
    position, with_comments = 0, True
    while position < len(value):
        if with_comments and value[position] == ord("("):
            end = _comment_end(value, position)
            if end:
                found.append(("comment", value[position:end]))
                position = end
                continue
            with_comments = False
        match = _TOKEN.match(value, position)
        assert match is not None  # noqa: S101 - the last alternative takes any octet
        kind = match.lastgroup or ""
        found.append((match[0].decode() if kind == "sign" else kind, match[0]))
        position = match.end()
    return found


def _comment_end(value: bytes, start: int) -> int:
    depth = 0
    for match in _IN_COMMENT.finditer(value, start):
        depth += {b"(": 1, b")": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return 0


def join(part: Sequence[Token]) -> bytes:
    """Return the text of *part* on one line, without space around it."""
    return _FOLD.sub(b" ", b"".join(octets for _, octets in part)).strip(b" \t")


def content(part: Sequence[Token]) -> bytes:
    """Return what *part* reads as when it is a name: without quotes, comments as they are."""
    plain = (
        ("text", re.sub(rb"\\(.)", rb"\1", octets[1:-1], flags=re.DOTALL))
        if kind == "quoted"
        else (kind, octets)
        for kind, octets in part
    )
    return join([*plain])


def quote(octets: bytes) -> bytes:
    """Return *octets* as a quoted-string (RFC 5322 3.2.4)."""
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", octets) + b'"'
