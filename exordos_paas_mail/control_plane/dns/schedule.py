# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""When a domain is checked again."""

from __future__ import annotations

import datetime
import typing as tp

# Seconds. A change is awaited by somebody, then likely, then a surprise.
SOON: tp.Final = 30.0
OFTEN: tp.Final = 300.0
SELDOM: tp.Final = 6 * 3600.0
_SOON_FOR: tp.Final = datetime.timedelta(minutes=10)
_OFTEN_FOR: tp.Final = datetime.timedelta(days=1)
# Of the pause, so that what began together does not stay together.
_JITTER: tp.Final = 0.2


def next_check(
    changed_at: datetime.datetime,
    now: datetime.datetime,
    chance: float,
    *,
    is_settled: bool,
) -> datetime.datetime:
    """Return when a domain that was checked at *now* is checked again.

    *changed_at*: when its records or what was found of them last changed, or
    somebody asked. *is_settled*: everything is as it should be and nothing is
    awaited; what is not right is looked at every five minutes for a day, as long
    as somebody may be at work on it. *chance*: from 0 to 1, for the jitter.
    """
    since = now - changed_at
    if since < _SOON_FOR:
        return now + datetime.timedelta(seconds=SOON)
    pause = OFTEN if not is_settled and since < _OFTEN_FOR else SELDOM
    return now + datetime.timedelta(seconds=pause * (1 - _JITTER + 2 * _JITTER * chance))
