# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime
import json
import typing as tp
import uuid

import pytest

from exordos_paas_mail.codecs import bounded, node_documents, notices

ONE = notices.Notice(
    uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0001"), 7, 1000, "domain.verified", {"domain": "a.b"}
)


def _changed(**changes: tp.Any) -> bytes:
    value = json.loads(notices.render([ONE]))
    value["notices"][0].update(changes)
    return json.dumps(value).encode()


def test_what_is_told_is_read() -> None:
    other = notices.Notice(uuid.UUID(int=1), 8, 2000, "teleport.done", {"to": ["a", 1, None]})
    assert notices.parse(notices.render([ONE, other])) == [ONE, other]
    assert notices.parse(notices.render([])) == []
    assert notices.parse(_changed(colour="red")) == [ONE]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x"},
        {"id": 5},
        {"number": -1},
        {"number": True},
        {"at": "now"},
        {"type": "a" * 65},
        {"type": None},
        {"data": []},
        {"data": None},
        {"data": {"text": "x" * notices.SIZE_MAX}},
    ],
    ids=str,
)
def test_what_is_no_notice_is_refused(changes: dict[str, tp.Any]) -> None:
    with pytest.raises(ValueError, match="of a notice is out of its bounds"):
        notices.parse(_changed(**changes))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "notices": {}}']
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="the notices"):
        notices.parse(data)


def test_the_shards_are_a_ring_whose_oldest_is_written_anew() -> None:
    size = notices.SHARD_SIZE
    assert [notices.shard_of(n) for n in (1, size - 1, size, 15 * size, 16 * size)] == list("001f0")
    for last in range(1, 40 * size):
        first = notices.first_of_ring(last)
        by_shard: dict[str, set[int]] = {}
        for number in range(first, last + 1):
            by_shard.setdefault(notices.shard_of(number), set()).add(number // size)
        assert all(len(blocks) == 1 for blocks in by_shard.values())
        assert last - first + 1 >= min(last, (notices.SHARDS - 1) * size)
    assert all(node_documents.is_name(notices.shard_of(n)) for n in range(0, 16 * size, size))


def test_data_is_of_one_line_each_in_bounds_and_as_the_api_tells_it() -> None:
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
    given = {"a": None, "b": "", "c": 0, "d": "x\ny", "e": at, "f": ONE.id, "g": "z" * 600}
    assert notices.bounded_data(given) == {
        "c": 0,
        "d": "x\N{REPLACEMENT CHARACTER}y",
        "e": "2026-01-02T03:04:05.000006Z",
        "f": str(ONE.id),
        "g": "z" * notices.TEXT_SIZE_MAX,
    }


def test_a_shard_of_the_largest_notices_is_a_document() -> None:
    worst = {f"{name:04}": 1000 * "\N{PILE OF POO}" for name in range(20)}
    data = notices.bounded_data(worst)
    assert len(bounded.dump(data)) <= notices.SIZE_MAX
    filled = {f"{name:04}": "x" * (notices.SIZE_MAX // 20 - 20) for name in range(20)}
    largest = [notices.Notice(uuid.uuid4(), 2**53, 2**53, "a" * 64, filled)] * notices.SHARD_SIZE
    rendered = notices.render(largest)
    assert len(rendered) <= node_documents.RAW_SIZE_MAX
    assert notices.parse(rendered) == largest


def test_notices_about_the_same_have_the_same_key() -> None:
    assert ONE.key == "domain a.b"
    for kind, about in notices.ABOUT.items():
        told = notices.Notice(ONE.id, 1, 1, kind, {about: "x"} if about else {})
        assert told.key == f"{kind.partition('.')[0]} {'x' if about else ''}"
