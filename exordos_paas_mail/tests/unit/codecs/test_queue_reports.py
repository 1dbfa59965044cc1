# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import typing as tp
import uuid

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import queue_reports

KEY = bytes(range(32))
NODE = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0001")
OTHER = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0002")
QUEUE_ID = "1tFxyz-0000Ab-2C"
SHARD = queue_reports.shard_of(QUEUE_ID)

ITEM = queue_reports.Item(
    QUEUE_ID,
    account="robot",
    sender="robot@example.com",
    recipients=("a@example.org", "b@example.net"),
    recipients_count=2,
    size=1234,
    arrived_at=1_790_000_000_123,
    frozen=True,
    attempts=3,
    last_error="Connection refused",
    reason="network",
    last_attempt_at=1_790_000_100_000,
    retry_at=1_790_000_200_000,
)
STATE = queue_reports.State(
    at=1_790_000_300_000,
    messages=5,
    oldest_at=1_790_000_000_123,
    frozen=1,
    recipients=7,
    domains=(
        queue_reports.Domain("example.org", 3, 1_790_000_000_123, "Busy", "rate", 5),
        queue_reports.Domain("example.net", suspended_until=9, suspended_for="asked to"),
    ),
    others=queue_reports.Domain(messages=2, oldest_at=8),
    results=(
        queue_reports.Result(OTHER, done=(QUEUE_ID,), count=1, failed={"x": "no"}, failed_count=1),
        queue_reports.Result(NODE, error="exim does not run"),
    ),
    documents={"suppressions": 12, "webhooks": 0},
)

_numbers = st.integers(0, 2**53)
_texts = st.text(max_size=300).filter(str.isprintable)
_ids = st.from_regex(r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}", fullmatch=True)
_items = st.builds(
    queue_reports.Item,
    queue_id=_ids,
    account=_texts,
    sender=_texts,
    recipients=st.lists(_texts.filter(bool), max_size=5).map(tuple),
    recipients_count=_numbers,
    size=_numbers,
    arrived_at=_numbers,
    frozen=st.booleans(),
    attempts=_numbers,
    last_error=_texts,
    reason=_texts,
    last_attempt_at=_numbers,
    retry_at=_numbers,
)


def _sealed(
    content: bytes = b"[]", shard: queue_reports.Shard = 3, revision: int = 7
) -> queue_reports.Row:
    return queue_reports.seal(KEY, NODE, shard, revision, content)


@hypothesis.given(
    st.binary(max_size=4096), st.integers(0, 63) | st.just("state"), st.integers(1, 2**53)
)
def test_what_is_sealed_opens(content: bytes, shard: queue_reports.Shard, revision: int) -> None:
    row = queue_reports.parse(queue_reports.render(_sealed(content, shard, revision)))
    assert (row.shard, row.revision) == (shard, revision)
    assert queue_reports.unseal(KEY, NODE, row) == content


def test_the_largest_row_travels() -> None:
    content = os.urandom(queue_reports.RAW_SIZE_MAX)
    row = queue_reports.parse(queue_reports.render(_sealed(content)))
    assert queue_reports.unseal(KEY, NODE, row) == content


def test_a_row_opens_as_what_it_was_sealed_as_and_as_nothing_else() -> None:
    row = _sealed()
    for key, node, moved in (
        (KEY[::-1], NODE, row),
        (KEY, OTHER, row),
        (KEY, NODE, row._replace(shard=4)),
        (KEY, NODE, row._replace(shard="state")),
        (KEY, NODE, row._replace(revision=8)),
        (KEY, NODE, row._replace(content=_sealed().content[:-4])),
    ):
        with pytest.raises(ValueError, match="the report"):
            queue_reports.unseal(key, node, moved)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"shard": -1},
        {"shard": 64},
        {"shard": True},
        {"shard": "x"},
        {"shard": None},
        {"revision": 0},
        {"revision": "1"},
        {"revision": 2**60},
        {"content": None},
        {"content": "x" * 1_500_000},
    ],
)
def test_what_is_no_row_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="the report"):
        queue_reports.parse({**queue_reports.render(_sealed()), **changes})


def test_each_row_has_a_uuid_of_its_own_and_keeps_it() -> None:
    shards: list[queue_reports.Shard] = [*range(queue_reports.SHARDS), queue_reports.STATE]
    rows = {queue_reports.row_uuid(node, shard) for node in (NODE, OTHER) for shard in shards}
    assert len(rows) == 2 * 65
    assert queue_reports.row_uuid(NODE, 0) == uuid.uuid5(NODE, "mail_queue_shard:0")


@hypothesis.given(_items)
def test_messages_that_are_told_are_read(item: queue_reports.Item) -> None:
    data = queue_reports.render_items([item])
    assert queue_reports.parse_items(data, queue_reports.shard_of(item.queue_id)) == [item]


def test_a_message_says_no_more_than_it_has() -> None:
    data = queue_reports.render_items([queue_reports.Item(QUEUE_ID, size=5)])
    assert json.loads(data) == [{"queue_id": QUEUE_ID, "size": 5}]


def test_the_state_that_is_told_is_read() -> None:
    assert queue_reports.parse_state(queue_reports.render_state(STATE)) == STATE


def test_fields_of_a_later_release_are_passed_over() -> None:
    (item,) = json.loads(queue_reports.render_items([ITEM]))
    data = json.dumps([{**item, "colour": "red"}]).encode()
    assert queue_reports.parse_items(data, SHARD) == [ITEM]


@pytest.mark.parametrize(
    "changes",
    [
        {"queue_id": "1tFxyz"},
        {"queue_id": 1},
        {"size": -1},
        {"size": 1.5},
        {"size": True},
        {"size": 2**54},
        {"frozen": 1},
        {"account": "two\nlines"},
        {"sender": "x" * 1025},
        {"last_error": "x" * 513},
        {"recipients": "a@example.org"},
        {"recipients": [""]},
        {"recipients": ["a@example.org"] * 101},
    ],
)
def test_a_message_out_of_bounds_is_refused(changes: dict[str, tp.Any]) -> None:
    (item,) = json.loads(queue_reports.render_items([ITEM]))
    data = json.dumps([{**item, **changes}]).encode()
    with pytest.raises(ValueError, match=f"^{next(iter(changes))} of a message in the queue"):
        queue_reports.parse_items(data, SHARD)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"[" * 100_000])
def test_what_is_no_list_of_messages_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="queue is no"):
        queue_reports.parse_items(data, SHARD)


def test_a_message_is_told_once_and_in_its_place() -> None:
    for items, shard in (([ITEM, ITEM], SHARD), ([ITEM], SHARD ^ 1)):
        with pytest.raises(ValueError, match="twice in the queue, or in another row's place"):
            queue_reports.parse_items(queue_reports.render_items(items), shard)


@pytest.mark.parametrize(
    "changes",
    [
        {"at": "now"},
        {"messages": -1},
        {"domains": {}},
        {"domains": [{"domain": "a.example"}, {"domain": "a.example"}]},
        {"domains": [{"messages": 1}]},
        {"domains": [{"domain": "x" * 254}]},
        {"domains": [{"domain": f"d{n}.example"} for n in range(201)]},
        {"others": []},
        {"documents": {"x": -1}},
        {"documents": {f"{n}": 1 for n in range(17)}},
        {"results": [{"id": "x"}]},
        {"results": [{"id": str(NODE), "failed": ["x"]}]},
        {"results": [{"id": str(NODE), "failed": {"x": "y" * 201}}]},
        {"results": [{"id": str(NODE), "done": [QUEUE_ID] * 501}]},
        {"results": [{"id": str(NODE), "failed": {str(n): "" for n in range(501)}}]},
    ],
)
def test_a_state_out_of_bounds_is_refused(changes: dict[str, tp.Any]) -> None:
    state = json.loads(queue_reports.render_state(STATE))
    with pytest.raises(ValueError, match=r"out of its bounds|is no object|a domain is twice"):
        queue_reports.parse_state(json.dumps({**state, **changes}).encode())
