# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of a message whose lines are too long (RFC 5322 2.1.1), encoded anew.

Such a part becomes quoted-printable (RFC 2045 6.7): what a reader gets by decoding
it is the same octets with the same line ends, whatever its charset. All the rest of
a message stays byte for byte. Memory does not grow with the message: it is read
twice, once to find the parts, once to write them.

Lines end with LF here, as in exim's spool.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import mime_scan, quoted_printable

if tp.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHUNK = 1 << 16
_ENCODING = re.compile(
    rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_VERSION = re.compile(rb"^mime-version[ \t]*:", re.IGNORECASE | re.MULTILINE)


def find(header: bytes, source: tp.BinaryIO, start: int) -> list[mime_scan.Part]:
    """Return the parts to encode of the message whose body *source* has from *start* on.

    *header* is the message's. Raises mime_scan.UnencodableError, with the line, where
    a too long one has to stay.
    """
    return list(mime_scan.scan(header, source, start))


def is_whole_body(parts: Sequence[mime_scan.Part]) -> bool:
    """Return whether the message's own header has to say quoted-printable from now on."""
    return any(part.header is None and not part.encoding for part in parts)


def write(parts: Sequence[mime_scan.Part], source: tp.BinaryIO, start: int) -> Iterator[bytes]:
    """Yield the repaired body in pieces, from the same *source* and *start*."""
    position = start
    for part in parts:
        if part.header is None or part.encoding:
            yield from _copy(source, position, part.start)
        else:
            yield from _copy(source, position, part.header)
            source.seek(part.header)
            yield _declared(source.read(part.start - part.header), part)
        source.seek(part.start)
        yield from _ENCODERS[part.encoding](_lines(source, part.start, part.end))
        position = part.end
    yield from _copy(source, position, source.seek(0, 2))


_ENCODERS: tp.Final = {
    "": quoted_printable.encode,
    "base64": quoted_printable.rewrap_base64,
    "quoted-printable": quoted_printable.rewrap,
}


def _declared(header: bytes, part: mime_scan.Part) -> bytes:
    """Return the *header* of a part that becomes quoted-printable."""
    # First: whatever follows, every reader takes it for a field
    added = b"Content-Transfer-Encoding: quoted-printable\n"
    if part.is_message and not _VERSION.search(header):
        added = b"MIME-Version: 1.0\n" + added
    return added + _ENCODING.sub(b"", header)


def _lines(source: tp.BinaryIO, position: int, end: int) -> Iterator[bytes]:
    """Yield the lines of a stretch, a long one in pieces."""
    while position < end and (line := source.readline(min(_CHUNK, end - position))):
        position += len(line)
        yield line


def _copy(source: tp.BinaryIO, position: int, end: int) -> Iterator[bytes]:
    source.seek(position)
    while position < end and (chunk := source.read(min(_CHUNK, end - position))):
        position += len(chunk)
        yield chunk
