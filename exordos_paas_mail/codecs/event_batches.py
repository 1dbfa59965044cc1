# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of events on their way from a node to the control plane.

A batch is a row of the Status API, which takes any row from any node and lets any
node read it. So its events are sealed with a key that only this node and the
control plane have, and bound to the place they were numbered for: a batch opens
as the one it was sealed as, or not at all.
"""

from __future__ import annotations

import base64
import os
import typing as tp
import uuid
import zlib

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import aead
from cryptography.hazmat.primitives.kdf import hkdf

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

KIND: tp.Final = "mail_event_batch"
EVENTS_MAX: tp.Final = 500
RAW_SIZE_MAX: tp.Final = 256 * 1024
"""Octets of the events of a batch, as JSON."""

_VERSION: tp.Final = 1
_SEQ_MAX: tp.Final = 2**53
_KEY_SIZE: tp.Final = 32
_NONCE_SIZE: tp.Final = 12
# What deflate cannot shorten grows by far less than this, and base64 is longer by a third.
_SEALED_SIZE_MAX: tp.Final = (RAW_SIZE_MAX + 1024) * 4 // 3


class Batch(tp.NamedTuple):
    """The value of a row."""

    stream: uuid.UUID
    """Names the node's store: another one begins to number anew."""
    seq: int
    """1 for the first batch of a stream, and one more for each that follows."""
    events: str
    """Sealed, in base64."""


def row_uuid(node: uuid.UUID, stream: uuid.UUID, seq: int) -> uuid.UUID:
    """Return the uuid of a batch's row: the same for each attempt to send it."""
    return uuid.uuid5(node, f"{stream}:{seq}")


def seal(key: bytes, node: uuid.UUID, stream: uuid.UUID, seq: int, events: bytes) -> Batch:
    """Return *events*, JSON of at most ``RAW_SIZE_MAX`` octets, as a batch.

    *key* is the node's own; each call gives another text.
    """
    nonce = os.urandom(_NONCE_SIZE)
    bound_to = _bound_to(node, stream, seq)
    box = aead.ChaCha20Poly1305(_derived(key)).encrypt(nonce, zlib.compress(events), bound_to)
    return Batch(stream, seq, base64.b64encode(nonce + box).decode())


def unseal(key: bytes, node: uuid.UUID, batch: Batch) -> bytes:
    """Return the events of *batch* as JSON; raises ValueError, without a word of it, if it cannot.

    It cannot where *batch* was sealed with another key, for another node or under
    another number, or is larger than a batch may be.
    """
    try:
        sealed = base64.b64decode(batch.events, validate=True)
    except ValueError as error:
        raise ValueError("the batch is not in base64") from error
    nonce, box = sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:]
    bound_to = _bound_to(node, batch.stream, batch.seq)
    try:
        packed = aead.ChaCha20Poly1305(_derived(key)).decrypt(nonce, box, bound_to)
    except (exceptions.InvalidTag, ValueError) as error:
        raise ValueError("the batch does not open") from error
    inflater = zlib.decompressobj()
    try:
        events = inflater.decompress(packed, RAW_SIZE_MAX + 1)
    except zlib.error as error:
        raise ValueError("the batch cannot be unpacked") from error
    if len(events) > RAW_SIZE_MAX or not inflater.eof or inflater.unused_data:
        raise ValueError("the batch is too large, or not whole")
    return events


def render(batch: Batch) -> dict[str, tp.Any]:
    """Return *batch* as the value of a row; ``parse`` is the inverse."""
    return {
        "version": _VERSION,
        "stream": str(batch.stream),
        "seq": batch.seq,
        "events": batch.events,
    }


def parse(value: Mapping[str, tp.Any]) -> Batch:
    """Return the batch that a row's *value* is; raises ValueError, without a word of it."""
    version, stream, seq, events = (
        value.get(name) for name in ("version", "stream", "seq", "events")
    )
    if type(version) is not int or version != _VERSION:
        raise ValueError("the batch is of no version that is known")
    if type(seq) is not int or not 0 < seq <= _SEQ_MAX:
        raise ValueError("the batch has no number")
    if not isinstance(stream, str) or not isinstance(events, str):
        raise ValueError("the batch has no stream or no events")  # noqa: TRY004 - a codec
    if len(events) > _SEALED_SIZE_MAX:
        raise ValueError("the batch is too large")
    return Batch(_uuid(stream), seq, events)


def _uuid(text: str) -> uuid.UUID:
    try:
        parsed = uuid.UUID(text)
    except ValueError as error:
        raise ValueError("the stream of the batch is no uuid") from error
    if str(parsed) != text:
        raise ValueError("the stream of the batch is not in its one spelling")
    return parsed


def _bound_to(node: uuid.UUID, stream: uuid.UUID, seq: int) -> bytes:
    return f"{node}:{KIND}:{stream}:{seq}".encode("ascii")


def _derived(key: bytes) -> bytes:
    return hkdf.HKDF(hashes.SHA256(), _KEY_SIZE, salt=None, info=b"mailaas-events").derive(key)
