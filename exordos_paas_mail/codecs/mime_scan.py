# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the parts of a message (RFC 2046 5.1) that have lines which are too long.

Reads a body once and keeps no more of it than the header of one part, the
delimiters of the multiparts that are open, and the parts it found.
"""

from __future__ import annotations

import dataclasses
import email.message
import email.parser
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

LINE_MAX: tp.Final = 998
_CHUNK = 1 << 16
_HEADER_MAX = 1 << 16
_DEPTH_MAX = 100
# A part costs as much time as some hundred lines
_PARTS_MAX = 10_000
_SEALED = frozenset({"multipart/signed", "multipart/encrypted"})
_SEALED_PARTS = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_PGP = (b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP MESSAGE-----")
_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})
_DECODABLE = frozenset({"base64", "quoted-printable"})


class UnencodableError(ValueError):
    """A too long line has to stay: says which and why."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A part with a line that is too long."""

    header: int | None
    """Where its header starts; None for the message itself."""
    start: int
    """Where its body starts."""
    end: int
    """Where it ends: its last line end is the delimiter's."""
    encoding: str
    """base64, quoted-printable, or empty for none."""
    is_message: bool
    """Whether its header is a message's."""


@dataclasses.dataclass
class _Open:
    """A multipart whose parts are being read."""

    boundary: bytes
    digest: bool
    sealed: bool


@dataclasses.dataclass
class _Leaf:
    """The part that is being read."""

    header: int | None
    start: int
    fields: email.message.Message
    is_message: bool
    place: str = ""
    """Why nothing in it can be encoded, if so."""
    long_line: int = 0
    pgp: bool = False


def scan(header: bytes, source: tp.BinaryIO, start: int) -> Iterator[Part]:
    """Yield the parts of the body that *source* has from *start* on, in order.

    *header* is the message's. Raises UnencodableError for a line that is too long where
    nothing can be encoded: in what is signed or encrypted, outside of all parts,
    in a part's own header.
    """
    return _Scan(source, start).run(header)


class _Scan:
    def __init__(self, source: tp.BinaryIO, start: int) -> None:
        self._source = source
        self._position = start
        self._number = 0
        self._parts = 0
        self._open: list[_Open] = []
        self._boundaries: dict[bytes, int] = {}
        self._leaf: _Leaf | None = None
        self._header: list[bytes] = []
        self._header_at: int | None = None
        self._is_message = True

    def run(self, header: bytes) -> Iterator[Part]:
        self._source.seek(self._position)
        self._begin(header, None, is_message=True)
        while line := self._source.readline(_CHUNK):
            at, length = self._position, len(line)
            self._number += 1
            while not line.endswith(b"\n") and (more := self._source.readline(_CHUNK)):
                length += len(more)
                if more.endswith(b"\n"):
                    break
            self._position += length
            delimited = self._delimiter(line) if line.startswith(b"--") and self._open else None
            if delimited is not None:
                yield from self._end(at)
                self._delimit(*delimited)
            elif self._leaf is None:
                self._header_line(line, length)
            else:
                self._body_line(self._leaf, line, length)
        yield from self._end(self._position)

    def _delimiter(self, line: bytes) -> tuple[int, bool] | None:
        """Return which multipart *line* delimits, and whether it closes it."""
        if len(line) > LINE_MAX:
            return None
        content = line[2:].rstrip(b" \t\r\n")
        if content in self._boundaries:
            return self._boundaries[content], False
        if content.endswith(b"--") and content[:-2] in self._boundaries:
            return self._boundaries[content[:-2]], True
        return None

    def _delimit(self, depth: int, closes: bool) -> None:  # noqa: FBT001 - as _delimiter returns it
        for closed in self._open[depth + (not closes) :]:
            self._boundaries.pop(closed.boundary, None)
        del self._open[depth + (not closes) :]
        if closes:
            self._leaf = _Leaf(None, self._position, email.message.Message(), is_message=False)
            self._leaf.place = "outside of all parts"
        else:
            self._leaf = None
            self._header, self._header_at, self._is_message = [], self._position, False

    def _header_line(self, line: bytes, length: int) -> None:
        if length > LINE_MAX + 1:
            raise UnencodableError(f"line {self._number} of the body, in a part's header: fold it")
        if line in {b"\n", b"\r\n"}:
            self._begin(b"".join(self._header), self._header_at, is_message=self._is_message)
            return
        self._header.append(line)
        if self._position - (self._header_at or 0) > _HEADER_MAX:
            raise UnencodableError(f"line {self._number} of the body, in a part's header: too long")

    def _begin(self, header: bytes, at: int | None, *, is_message: bool) -> None:
        """Begin what follows a header: a part, parts, or a message."""
        self._parts += 1
        if self._parts > _PARTS_MAX:
            raise UnencodableError(f"line {self._number} of the body, after {_PARTS_MAX} parts")
        fields = email.parser.BytesHeaderParser().parsebytes(header)
        in_digest = bool(self._open) and self._open[-1].digest and not is_message
        if in_digest and "content-type" not in fields:
            fields.set_default_type("message/rfc822")
        kind = fields.get_content_type()
        self._leaf = _Leaf(at, self._position, fields, is_message)
        encoding = _encoding(fields)
        if len(fields.get_all("content-type", [])) > 1:
            self._leaf.place = "in a part with two Content-Type fields"
            return
        if kind == "message/rfc822" and encoding in _AS_IT_IS:
            self._leaf = None
            self._header, self._header_at, self._is_message = [], self._position, True
        elif fields.get_content_maintype() == "multipart":
            boundary = fields.get_boundary()
            if not boundary or encoding not in _AS_IT_IS:
                self._leaf.place = "in a multipart that cannot be read"
                return
            self._leaf.place = "outside of all parts"
            if len(self._open) == _DEPTH_MAX:
                self._leaf.place = f"below {_DEPTH_MAX} multiparts"
                return
            octets = boundary.encode("utf-8", "surrogateescape").rstrip()
            if octets in self._boundaries:
                self._leaf.place = "in a multipart that cannot be read"
                return
            self._boundaries[octets] = len(self._open)
            sealed = kind in _SEALED or (bool(self._open) and self._open[-1].sealed)
            self._open.append(_Open(octets, kind == "multipart/digest", sealed))

    def _body_line(self, leaf: _Leaf, line: bytes, length: int) -> None:
        if line.startswith(_PGP):
            leaf.pgp = True
        if length > LINE_MAX + 1 and not leaf.long_line:
            leaf.long_line = self._number

    def _end(self, at: int) -> Iterator[Part]:
        """End the part that is being read before the line at *at*."""
        leaf = self._leaf
        if leaf is None or not leaf.long_line:
            return
        where = f"line {leaf.long_line} of the body"
        kind = leaf.fields.get_content_type()
        encoding = _encoding(leaf.fields)
        if (self._open and self._open[-1].sealed) or kind in _SEALED_PARTS or leaf.pgp:
            raise UnencodableError(f"{where}, in what is signed or encrypted: sign shorter lines")
        if leaf.place:
            raise UnencodableError(f"{where}, {leaf.place}")
        if leaf.fields.get_content_maintype() == "message" or (
            encoding not in _AS_IT_IS | _DECODABLE
        ):
            raise UnencodableError(f"{where}, in a part of type {_shown(kind)}")
        yield Part(
            leaf.header,
            leaf.start,
            at,
            encoding if encoding in _DECODABLE else "",
            leaf.is_message,
        )


def _encoding(fields: email.message.Message) -> str:
    """Return a part's Content-Transfer-Encoding, "?" when it has two."""
    found = {
        str(value).strip().lower() for value in fields.get_all("content-transfer-encoding", [""])
    }
    return found.pop().partition(";")[0].strip() if len(found) == 1 else "?"


def _shown(kind: str) -> str:
    return kind if kind.isascii() and kind.isprintable() else "?"
