# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Folding of header fields whose lines are too long (RFC 5322 2.2.3), lossless.

A field is its name, a colon and its value; lines end with LF, the last one too.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import address_tokens

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

LINE_MAX: tp.Final = 998
"""Octets of a line, without its end (RFC 5322 2.1.1)."""

_LINE_WISHED = 78
_AT_SPACE = re.compile(rb"[ \t]*[^ \t]+[ \t]*\Z|[ \t]*[^ \t]+")
_IDS = re.compile(rb"[ \t]*(?:<[^<> \t]*>|[^<> \t]+|[<>])(?:[ \t]+\Z)?")


class UnfoldableError(ValueError):
    """A line is too long and has no place where it may be folded."""


def is_too_long(field: bytes) -> bool:
    """Return whether a line of *field* is longer than a line may be."""
    return any(len(line) > LINE_MAX for line in field.split(b"\n"))


def fold(field: bytes, kind: tp.Literal["addresses", "ids", "text"]) -> bytes:
    """Return *field* with its too long lines folded, the other ones as they are.

    Between two addresses, and between two message ids, a space is added where there
    is none; otherwise unfolding the result gives *field* back. Raises UnfoldableError.
    """
    found: list[bytes] = []
    value_start = field.index(b":") + 1
    commas = _commas(field[value_start:-1], value_start) if kind == "addresses" else set()
    position = 0
    for line in field[:-1].split(b"\n"):
        if len(line) <= LINE_MAX:
            found.append(line)
        else:
            pieces = list(_pieces(line, position, kind, commas))
            # The name stays with what comes first: a line of spaces alone is none
            found.extend(_fill(pieces))
        position += len(line) + 1
    folded = b"\n".join(found) + b"\n"
    if is_too_long(folded):
        raise UnfoldableError
    return folded


def _commas(value: bytes, offset: int) -> set[int]:
    """Return where in the field an entry of an address list ends, after its comma."""
    found, position = set(), offset
    for kind, octets in address_tokens.split(value):
        position += len(octets)
        if kind == ",":
            found.add(position)
    return found


def _pieces(line: bytes, position: int, kind: str, commas: set[int]) -> Iterator[bytes]:
    pattern = _IDS if kind == "ids" else _AT_SPACE
    for match in pattern.finditer(line):
        start = match.start()
        for end in range(match.start() + 1, match.end()):
            if position + end in commas:
                yield line[start:end]
                start = end
        yield line[start : match.end()]


def _fill(pieces: list[bytes]) -> Iterator[bytes]:
    current = b""
    for piece in pieces:
        if not current or len(current) + len(piece) <= _LINE_WISHED or not current.strip(b" \t"):
            current += piece
        else:
            yield current
            current = piece if piece[:1] in {b" ", b"\t"} else b" " + piece
    yield current
