# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The uuids of messages and events: those of RFC 9562, version 7, whose order is that of time.

The uuid of a message follows from its instance and its queue id, which begins with the
second of its arrival: nobody has to look it up, and a node cannot name the message of
another instance. The uuid of an event is a number that only grows.
"""

from __future__ import annotations

import hashlib
import re
import typing as tp
import uuid as sys_uuid

ORDER_BITS: tp.Final = 60
"""Of an event's number: 48 of milliseconds, 12 of those of one millisecond."""

# 4.96 and before 6-6-2, from 4.97 on 6-11-4: seconds, process, fraction of the second.
_QUEUE_ID: tp.Final = re.compile(
    r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})"
)
_DIGITS: tp.Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: tp.Final = {digit: value for value, digit in enumerate(_DIGITS)}
_RANDOM_BITS: tp.Final = 62


def is_queue_id(text: str) -> bool:
    """Return whether *text* is a queue id of exim's."""
    return _QUEUE_ID.fullmatch(text) is not None


def arrived(queue_id: str) -> int:
    """Return the second since 1970 that a queue id begins with."""
    return _number(queue_id[:6])


def message_uuid(instance: sys_uuid.UUID, queue_id: str) -> sys_uuid.UUID:
    """Return the uuid of a message of *instance*; ValueError if *queue_id* is none."""
    if not is_queue_id(queue_id):
        raise ValueError("this is no queue id")
    fraction = queue_id.rpartition("-")[2]
    digest = hashlib.sha256(instance.bytes + queue_id.encode("ascii")).digest()
    # In the order of their arrival also within a second.
    order = (_number(queue_id[:6]) * 1000 << 12) + (
        (_number(fraction) << 12) // len(_DIGITS) ** len(fraction)
    )
    return of_order(order, int.from_bytes(digest[:8], "big"))


def of_order(order: int, rest: int = 0) -> sys_uuid.UUID:
    """Return the uuid with the number *order*, and the lowest bits of *rest*."""
    order &= (1 << ORDER_BITS) - 1
    rest &= (1 << _RANDOM_BITS) - 1
    return sys_uuid.UUID(
        int=order >> 12 << 80 | 7 << 76 | (order & 0xFFF) << 64 | 2 << _RANDOM_BITS | rest
    )


def first_of(milliseconds: int) -> sys_uuid.UUID:
    """Return the lowest uuid of a time, in milliseconds since 1970."""
    return of_order(max(milliseconds, 0) << 12)


def milliseconds(uuid: sys_uuid.UUID) -> int:
    """Return the time that *uuid* begins with."""
    return uuid.int >> 80


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * len(_DIGITS) + _VALUES[digit]
    return number
