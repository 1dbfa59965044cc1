# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import email
import email.message
import email.policy
import io
import quopri
import tracemalloc
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import header_repair, long_lines, mime_scan

LONG = b"word " * 300
OCTETS = st.binary(max_size=60) | st.integers(900, 3000).flatmap(
    lambda size: st.binary(min_size=1, max_size=5).map(lambda some: (some * size)[:size])
)


def repair(message: bytes) -> bytes:
    """Return *message* as the relay makes it of its header and its spool file."""
    header, _, body = message.partition(b"\n\n")
    header += b"\n"
    spool = io.BytesIO(b"name-D\n" + body)
    parts = long_lines.find(header, spool, 7)
    fields = header_repair.split(header)
    if long_lines.is_whole_body(parts):
        fields = header_repair.declare_quoted_printable(fields)
    written = b"".join(long_lines.write(parts, spool, 7))
    return b"".join(field.text for field in fields) + b"\n" + written


def longest(message: bytes) -> int:
    return max(map(len, message.split(b"\n")))


def contents(message: bytes) -> list[tuple[str, bytes]]:
    """Return type and decoded octets of each part, as the standard library sees them."""
    parsed = email.message_from_bytes(message, policy=email.policy.compat32)
    return [
        (part.get_content_type(), tp.cast("bytes", part.get_payload(decode=True)))
        for part in parsed.walk()
        if not part.is_multipart()
    ]


def multipart(*parts: bytes, kind: bytes = b"mixed", boundary: bytes = b"b0") -> bytes:
    head = b"Content-Type: multipart/%s; boundary=%s\n\n" % (kind, boundary)
    body = b"".join(b"--%s\n%s\n" % (boundary, part) for part in parts)
    return head + b"preamble\n" + body + b"--%s--\nepilogue\n" % boundary


@hypothesis.given(st.lists(OCTETS.map(lambda o: o.replace(b"\n", b"")), min_size=1))
def test_a_body_decodes_to_its_octets_whatever_they_are(lines: list[bytes]) -> None:
    hypothesis.assume(not any(line.startswith(b"-----BEGIN PGP") for line in lines))
    body = b"\n".join([*lines, b"x" * 999]) + b"\n"
    repaired = repair(b"Subject: x\n\n" + body)
    header, _, encoded = repaired.partition(b"\n\n")
    assert header == (b"Subject: x\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable")
    assert quopri.decodestring(encoded) == body
    assert longest(encoded) <= 76
    assert encoded.isascii()


@hypothesis.given(st.binary(max_size=400).map(lambda o: o.replace(b"\n", b"")))
def test_a_short_body_stays_as_it_is(body: bytes) -> None:
    message = b"Subject: x\nContent-Type: text/html\n\n" + body + b"\n" + b"y" * 998 + b"\n"
    assert repair(message) == message


PARTS = st.lists(
    st.sampled_from(
        [
            b"\nshort\n",
            b"Content-Type: text/plain; charset=utf-16\n\n" + b"\xff\xfe\x0a\x00" * 400 + b"\r",
            b"Content-Type: text/html; charset=x-nobody-knows\n\n" + LONG + b"\xe9",
            b"content-type: text/plain\nCONTENT-TRANSFER-ENCODING: 8bit\nX-A: b\n\n" + LONG,
            b"Content-Type: application/json\n\n" + b'{"a": 1},' * 200,
            b"Content-Transfer-Encoding: base64\n\n" + base64.b64encode(LONG),
            b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(LONG),
            b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=3D=\n" * 9 + b"a=20--" * 300,
            b"Content-Type: message/rfc822\n\nSubject: y\n\n" + LONG,
            b"Content-Type: message/rfc822\n\n" + multipart(b"\n" + LONG, boundary=b"b1"),
            multipart(b"\n" + LONG, b"\nshort", boundary=b"b2"),
            multipart(
                b"\nSubject: z\n\n" + LONG, b"\nA: b\n\nshort", kind=b"digest", boundary=b"b3"
            ),
            b"Content-Type: text/plain\n\n--b\n" + b"--b0--b0" * 200 + b"\n--b0x\n--b0--x",
        ]
    ),
    min_size=1,
    max_size=6,
)


@hypothesis.given(PARTS)
def test_every_part_decodes_as_before_and_no_line_is_long(parts: list[bytes]) -> None:
    message = multipart(*parts)
    repaired = repair(message)
    assert contents(repaired) == contents(message)
    assert longest(repaired) <= 998
    assert repair(repaired) == repaired


@hypothesis.given(PARTS)
def test_what_has_no_long_line_stays_byte_for_byte(parts: list[bytes]) -> None:
    message = multipart(*parts)
    kept = [part for part in parts if longest(part) <= 998]
    repaired = repair(message)
    pieces = repaired.split(b"\n--b0\n")[1:]
    assert len(pieces) == len(parts)
    for piece in kept:
        assert piece in repaired
    assert repaired.startswith(message[: message.index(b"--b0")])


def test_a_part_says_its_new_encoding_and_keeps_its_other_fields() -> None:
    part = b"Content-Type: text/html\nContent-Transfer-Encoding:\n 8bit\nX-A: b\n\n" + LONG + b"\n"
    repaired = repair(multipart(part))
    assert (
        b"--b0\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/html\nX-A: b\n\n"
        b"word word "
    ) in repaired


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param(
            multipart(b"\n" + LONG, b"\nsig", kind=b"signed"),
            "line 4 of the body, in what is signed or encrypted: sign shorter lines",
            id="signed",
        ),
        pytest.param(
            multipart(multipart(b"\n" + LONG, boundary=b"b1"), b"\nsig", kind=b"signed"),
            "line 8 of the body, in what is signed or encrypted: sign shorter lines",
            id="multipart inside signed",
        ),
        pytest.param(
            multipart(b"Content-Type: message/rfc822\n\nA: b\n\n" + LONG, kind=b"signed"),
            "line 7 of the body, in what is signed or encrypted: sign shorter lines",
            id="message inside signed",
        ),
        pytest.param(
            multipart(b"\nVersion: 1", b"\n" + LONG, kind=b"encrypted"),
            "line 7 of the body, in what is signed or encrypted: sign shorter lines",
            id="encrypted",
        ),
        pytest.param(
            b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n"
            + base64.b64encode(LONG),
            "line 1 of the body, in what is signed or encrypted: sign shorter lines",
            id="S/MIME",
        ),
        pytest.param(
            b"A: b\n\n-----BEGIN PGP SIGNED MESSAGE-----\n\n" + LONG + b"\n",
            "line 3 of the body, in what is signed or encrypted: sign shorter lines",
            id="PGP in a text",
        ),
        pytest.param(
            b"Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\n" + LONG,
            "line 1 of the body, in a part of type text/plain",
            id="another encoding",
        ),
        pytest.param(
            b"Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: base64\n\n" + LONG,
            "line 1 of the body, in a part of type text/plain",
            id="two encodings",
        ),
        pytest.param(
            b"Content-Type: text/plain\nContent-Type: text/html\n\n" + LONG,
            "line 1 of the body, in a part with two Content-Type fields",
            id="two types",
        ),
        pytest.param(
            b"Content-Type: message/delivery-status\n\n" + LONG,
            "line 1 of the body, in a part of type message/delivery-status",
            id="report",
        ),
        pytest.param(
            multipart(b"\nx").replace(b"preamble", LONG),
            "line 1 of the body, outside of all parts",
            id="preamble",
        ),
        pytest.param(
            multipart(b"\nx").replace(b"epilogue", LONG),
            "line 6 of the body, outside of all parts",
            id="epilogue",
        ),
        pytest.param(
            multipart(b"X-A: " + LONG + b"\n\nx"),
            "line 3 of the body, in a part's header: fold it",
            id="header of a part",
        ),
        pytest.param(
            b"Content-Type: multipart/mixed\n\n" + LONG,
            "line 1 of the body, in a multipart that cannot be read",
            id="no boundary",
        ),
        pytest.param(
            multipart(*[b"\nx"] * 10_001, b"\n" + LONG),
            "line 30000 of the body, after 10000 parts",
            id="too many parts",
        ),
    ],
)
def test_what_cannot_be_encoded_is_named(message: bytes, reason: str) -> None:
    with pytest.raises(mime_scan.UnencodableError) as caught:
        repair(message)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"short line, \xe9\n", id="many lines"),
        pytest.param(b"\xc3\xa9 word", id="one line"),
        pytest.param(b"--b0\nA: b\n", id="many headers"),
    ],
)
def test_memory_does_not_grow_with_the_message(line: bytes, tmp_path: tp.Any) -> None:
    def peak(size: int) -> int:
        path = tmp_path / "spool"
        body = line * (size // len(line))
        path.write_bytes(b"--b0\n\n" + LONG + b"\n" + body + b"\n--b0--\n")
        header = b"Content-Type: multipart/mixed; boundary=b0\n"
        with path.open("rb") as source:
            tracemalloc.start()
            parts = long_lines.find(header, source, 0)
            assert sum(map(len, long_lines.write(parts, source, 0))) >= size
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    small, large = peak(300_000), peak(900_000)
    assert large < small + 100_000
