# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of the calendar, in UTC; times are milliseconds since 1970."""

from __future__ import annotations

import datetime
import typing as tp

MINUTE: tp.Final = 60_000
HOUR: tp.Final = 60 * MINUTE
DAY: tp.Final = 24 * HOUR

_EPOCH: tp.Final = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
_LENGTHS: tp.Final = {"minute": MINUTE, "hour": HOUR, "day": DAY}


def begin(period: str, at: int) -> int:
    """Return when the window of *period* that *at* is in began."""
    if period in _LENGTHS:
        return at - at % _LENGTHS[period]
    when = _EPOCH + datetime.timedelta(milliseconds=at)
    return _milliseconds(when.year, when.month)


def end(period: str, at: int) -> int:
    """Return when the window of *period* that *at* is in ends, and the next one begins."""
    if period in _LENGTHS:
        return begin(period, at) + _LENGTHS[period]
    when = _EPOCH + datetime.timedelta(milliseconds=at)
    years, month = divmod(when.month, 12)
    return _milliseconds(when.year + years, month + 1)


def text(at: int) -> str:
    """Return *at* to the second, as the API writes times."""
    return (_EPOCH + datetime.timedelta(seconds=at // 1000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _milliseconds(year: int, month: int) -> int:
    first = datetime.datetime(year, month, 1, tzinfo=datetime.timezone.utc)
    return (first - _EPOCH) // datetime.timedelta(milliseconds=1)
