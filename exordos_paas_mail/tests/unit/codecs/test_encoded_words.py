# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import email.header

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import encoded_words

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200)


@hypothesis.given(TEXT)
def test_decoding_is_the_inverse_of_encoding(text: str) -> None:
    assert encoded_words.decode(encoded_words.encode(text)) == text


@hypothesis.given(TEXT)
def test_the_standard_library_reads_the_same(text: str) -> None:
    (parts,) = email.header.decode_header(encoded_words.encode(text).decode())
    assert parts == (text.encode(), "utf-8")


@hypothesis.given(TEXT)
def test_a_word_is_short_and_of_safe_characters(text: str) -> None:
    for word in encoded_words.encode(text).split(b" "):
        assert len(word) <= encoded_words.LENGTH_MAX
        assert encoded_words.PATTERN.fullmatch(word)
        assert not set(word) & set(b'()<>@,;:\\"[].')


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        pytest.param(b"=?iso-8859-1?Q?M=FCller?=", "M\u00fcller", id="Latin 1"),
        pytest.param(b"=?utf-8*de?b?w7w?= x", "\u00fc x", id="a language, no padding"),
        pytest.param(b"a =?utf-8?q?b?=\t =?utf-8?q?c?= d", "a bc d", id="space between two"),
        pytest.param("M\u00fcller".encode(), "M\u00fcller", id="raw UTF-8"),
        pytest.param(b"=?x?", "=?x?", id="not one"),
    ],
)
def test_what_readers_see(octets: bytes, text: str) -> None:
    assert encoded_words.decode(octets) == text


@pytest.mark.parametrize(
    "octets", [b"=?no-such?q?x?=", b"M\xfcller", b"=?utf-8?q?=FC?=", b"=?utf-8?b?w?="]
)
def test_what_cannot_be_read_raises(octets: bytes) -> None:
    with pytest.raises(ValueError):
        encoded_words.decode(octets)
