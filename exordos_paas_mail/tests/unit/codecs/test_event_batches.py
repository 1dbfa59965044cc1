# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import typing as tp
import uuid
import zlib

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import event_batches

KEY = bytes(range(32))
NODE = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0001")
STREAM = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0002")
OTHER = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0003")
EVENTS = b'[{"at":1,"type":"completed"}]'


def _sealed(events: bytes = EVENTS, seq: int = 7) -> event_batches.Batch:
    return event_batches.seal(KEY, NODE, STREAM, seq, events)


@hypothesis.given(st.binary(max_size=4096), st.integers(1, 2**53))
def test_what_is_sealed_opens(events: bytes, seq: int) -> None:
    batch = event_batches.parse(event_batches.render(_sealed(events, seq)))
    assert (batch.stream, batch.seq) == (STREAM, seq)
    assert event_batches.unseal(KEY, NODE, batch) == events


@pytest.mark.parametrize("octets", [b"x", os.urandom(4096)])
def test_the_largest_batch_travels(octets: bytes) -> None:
    events = (octets * event_batches.RAW_SIZE_MAX)[: event_batches.RAW_SIZE_MAX]
    batch = event_batches.parse(event_batches.render(_sealed(events)))
    assert event_batches.unseal(KEY, NODE, batch) == events


def test_a_batch_opens_as_what_it_was_sealed_as_and_as_nothing_else() -> None:
    batch = _sealed()
    for key, node, moved in (
        (KEY[::-1], NODE, batch),
        (KEY, OTHER, batch),
        (KEY, NODE, batch._replace(stream=OTHER)),
        (KEY, NODE, batch._replace(seq=8)),
        (KEY, NODE, batch._replace(events=_sealed().events[:-4])),
        (KEY, NODE, batch._replace(events="")),
        (KEY, NODE, batch._replace(events="=" + batch.events)),
        (KEY, NODE, batch._replace(events="\N{EURO SIGN}")),
    ):
        with pytest.raises(ValueError, match="the batch"):
            event_batches.unseal(key, node, moved)


@pytest.mark.parametrize("events", [b"x" * (event_batches.RAW_SIZE_MAX + 1), b"\0" * 50_000_000])
def test_a_batch_that_is_too_large_is_not_unpacked(events: bytes) -> None:
    with pytest.raises(ValueError, match="too large"):
        event_batches.unseal(KEY, NODE, _sealed(events))


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda p: p[:-1], lambda p: p + b"x"])
def test_what_is_not_packed_whole_is_refused(
    monkeypatch: pytest.MonkeyPatch, spoil: tp.Callable[[bytes], bytes]
) -> None:
    packed = spoil(zlib.compress(EVENTS))
    with monkeypatch.context() as patch:
        patch.setattr(zlib, "compress", lambda _: packed)
        batch = _sealed()
    with pytest.raises(ValueError, match="the batch"):
        event_batches.unseal(KEY, NODE, batch)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"version": None},
        {"stream": "x"},
        {"stream": str(STREAM).upper()},
        {"stream": 1},
        {"seq": 0},
        {"seq": -1},
        {"seq": True},
        {"seq": "1"},
        {"seq": 2**60},
        {"events": None},
        {"events": "x" * 400_000},
    ],
)
def test_what_is_no_batch_is_refused(changes: dict[str, object]) -> None:
    value = event_batches.render(_sealed())
    with pytest.raises(ValueError, match="the batch"):
        event_batches.parse({**value, **changes})


def test_each_row_has_a_uuid_of_its_own_and_keeps_it() -> None:
    rows = [
        event_batches.row_uuid(node, stream, seq)
        for node in (NODE, OTHER)
        for stream in (STREAM, OTHER)
        for seq in (1, 2)
    ]
    assert len(set(rows)) == 8
    assert event_batches.row_uuid(NODE, STREAM, 1) == rows[0]
