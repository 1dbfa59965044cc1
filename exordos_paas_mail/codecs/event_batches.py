# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Batches of events on their way from a node to the control plane.

A batch is a row of the Status API, sealed (``sealing``) and bound to the place its
events were numbered for: it opens as the one it was sealed as, or not at all.
"""

from __future__ import annotations

import typing as tp
import uuid

from exordos_paas_mail.codecs import sealing

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

KIND: tp.Final = "mail_event_batch"
EVENTS_MAX: tp.Final = 500
RAW_SIZE_MAX: tp.Final = 256 * 1024
"""Octets of the events of a batch, as JSON."""

_VERSION: tp.Final = 1
_SEQ_MAX: tp.Final = 2**53
_SEAL: tp.Final = sealing.Seal("the batch", b"mailaas-events", RAW_SIZE_MAX)


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
    return Batch(stream, seq, _SEAL.seal(key, _bound_to(node, stream, seq), events))


def unseal(key: bytes, node: uuid.UUID, batch: Batch) -> bytes:
    """Return the events of *batch* as JSON; raises ValueError, without a word of it, if it cannot.

    It cannot where *batch* was sealed with another key, for another node or under
    another number, or is larger than a batch may be.
    """
    return _SEAL.unseal(key, _bound_to(node, batch.stream, batch.seq), batch.events)


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
    if len(events) > _SEAL.sealed_size_max:
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


def _bound_to(node: uuid.UUID, stream: uuid.UUID, seq: int) -> str:
    return f"{node}:{KIND}:{stream}:{seq}"
