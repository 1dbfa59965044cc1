# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Quoted-printable and base64 as streams (RFC 2045 6.7, 6.8), for lines of any length.

Each function takes lines that end with LF. One that is too long for memory comes in
pieces, and the last one may lack its end. Line ends stay line ends.
"""

from __future__ import annotations

import binascii
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LINE_MAX: tp.Final = 76
"""Octets of an encoded line (RFC 2045 6.7, rule 5)."""
_LINE_MAX_SMTP = 998
_SOFT = b"=\n"
# Of a line that is broken: a soft break and a "-" that is encoded still fit
_ROOM = LINE_MAX - 4


def encode(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield quoted-printable whose decoded lines are *lines*."""
    for line in lines:
        text = line.removesuffix(b"\n")
        # No line end inside: a CR is content and is encoded, as a space at the end is
        encoded = binascii.b2a_qp(text, istext=False)
        if b"--" in encoded:
            # A line that is made by a soft break must not be a delimiter
            encoded = b"\n".join(_harmless(one) for one in encoded.split(b"\n"))
        yield encoded + (b"\n" if line.endswith(b"\n") else _SOFT)


def _harmless(line: bytes) -> bytes:
    """Return *line* such that it begins no delimiter (RFC 2046 5.1.1), and decodes alike."""
    if not line.startswith(b"--"):
        return line
    if len(line) <= LINE_MAX - 2:
        return b"=2D" + line[1:]
    return b"=2D=2D" + _SOFT + _harmless(line[2:])


def rewrap(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the quoted-printable *lines*, with soft breaks in those that are too long."""

    def cut(octets: bytes) -> int:
        # Never inside "=3D"
        sign = octets.rfind(b"=", _ROOM - 2, _ROOM)
        return _ROOM if sign < 0 else sign

    yield from _broken(lines, cut, _SOFT)


def rewrap_base64(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the base64 *lines*, with breaks in those that are too long."""
    yield from _broken(lines, lambda _: LINE_MAX, b"\n")


def _broken(lines: Iterable[bytes], cut: Callable[[bytes], int], joint: bytes) -> Iterator[bytes]:
    rest, goes_on = b"", False
    for line in lines:
        whole = line.endswith(b"\n")
        if not goes_on and whole and len(line) <= _LINE_MAX_SMTP + 1:
            yield line
            continue
        octets = rest + line.removesuffix(b"\n")
        position, first = 0, not goes_on
        found = []
        while len(octets) - position > LINE_MAX:
            end = position + cut(octets[position : position + LINE_MAX])
            found.append(_start(octets[position:end], joint, first=first) + joint)
            position, first = end, False
        rest, goes_on = octets[position:], not whole
        if whole:
            found.append(_start(rest, joint, first=first) + b"\n")
            rest = b""
        yield b"".join(found)
    yield rest


def _start(octets: bytes, joint: bytes, *, first: bool) -> bytes:
    return _harmless(octets) if joint == _SOFT and not first else octets
