# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.cdb: the index beside the account file."""

from __future__ import annotations

import struct

import hypothesis
from hypothesis import strategies as st

from exordos_paas_mail.codecs import cdb

texts = st.text(st.characters(codec="utf-8"), max_size=30)


def look_up(data: bytes, key: bytes) -> bytes | None:
    """Return the value by https://cr.yp.to/cdb/cdb.txt, step by step."""
    digest = 5381
    for octet in key:
        digest = (((digest << 5) + digest) & 0xFFFFFFFF) ^ octet
    table, slots = struct.unpack_from("<II", data, 8 * (digest % 256))
    for probe in range(slots):
        at = table + 8 * ((digest // 256 + probe) % slots)
        stored, record = struct.unpack_from("<II", data, at)
        if record == 0:
            return None
        if stored == digest:
            key_size, value_size = struct.unpack_from("<II", data, record)
            begin = record + 8
            if data[begin : begin + key_size] == key:
                return data[begin + key_size : begin + key_size + value_size]
    return None


@hypothesis.given(st.dictionaries(texts, texts, max_size=50))
def test_parse_is_the_inverse_of_render(records: dict[str, str]) -> None:
    assert cdb.parse(cdb.render(records.items())) == list(records.items())


@hypothesis.given(st.dictionaries(texts, texts, max_size=50), texts)
def test_a_reader_of_the_published_format_finds_each_key_and_no_other(
    records: dict[str, str], other: str
) -> None:
    data = cdb.render(records.items())

    found = {key: look_up(data, key.encode()) for key in {*records, other}}

    assert found == {
        key: records[key].encode() if key in records else None for key in {*records, other}
    }


def test_equal_records_give_equal_bytes() -> None:
    records = [("a@example.com", "$6$s$h"), ("b@example.com", "$6$s$i")]

    assert cdb.render(records) == cdb.render(list(records))


@hypothesis.given(st.lists(texts), texts, texts)
def test_an_index_of_lines_is_that_of_their_records(lines: list[str], key: str, value: str) -> None:
    text = "".join(f"{line}\n" for line in lines)
    pairs = [line.partition(":") for line in text.split("\n")[:-1]]
    records = [(name, rest) for name, _, rest in pairs]
    assert cdb.render_lines(text, (key, value)) == cdb.render([(key, value), *records])
