# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The queue as ``exim4 -bpr`` lists it (exim specification, 5.2)."""

from __future__ import annotations

import re
import typing as tp

# Age, size, id and sender; the lines between messages are recipients.
_MESSAGE = re.compile(
    r" *(?P<number>\d+)(?P<unit>[mhd]) +\S+ [\w-]{16,23} <.*?>(?P<frozen> \*\*\* frozen \*\*\*)?"
    r"(?: \(.*\))?"
)
# auto_thaw, a queue run and a retry after it fit in several times.
STUCK_SECONDS: tp.Final = 600
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


class Queue(tp.NamedTuple):
    """What waits in the queue."""

    messages: int
    frozen: int
    """Messages exim does not try; most of them it tries again within a minute or two."""
    oldest_seconds: int
    """Age of the oldest, to the minute, hour or day that exim shows; 0 when there is none."""
    stuck: int
    """Frozen messages that came long enough ago to have been tried again, and were."""


def parse(text: str) -> Queue:
    """Return the queue that *text* lists."""
    messages = [match for line in text.splitlines() if (match := _MESSAGE.fullmatch(line))]
    ages = [int(match["number"]) * _SECONDS[match["unit"]] for match in messages]
    frozen = [age for match, age in zip(messages, ages, strict=True) if match["frozen"] is not None]
    stuck = sum(age >= STUCK_SECONDS for age in frozen)
    return Queue(len(messages), len(frozen), max(ages, default=0), stuck)
