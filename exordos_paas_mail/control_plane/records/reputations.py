# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""When what an account sends is bad enough to warn of it, and to put the account on hold."""

from __future__ import annotations

import typing as tp

BOUNDS: tp.Final[tp.Mapping[str, tuple[int, int]]] = {
    "days": (1, 30),
    "recipients_min": (1, 1_000_000),
    "complaints_min": (1, 1_000_000),
}
PERCENT_MAX: tp.Final = 100
# Null is never.
PERCENTS: tp.Final = (
    "bounce_warn_percent",
    "bounce_hold_percent",
    "complaint_warn_percent",
    "complaint_hold_percent",
)
DEFAULT: tp.Final[tp.Mapping[str, tp.Any]] = {
    "enabled": True,
    "days": 7,
    "recipients_min": 200,
    "bounce_warn_percent": 4,
    "bounce_hold_percent": 8,
    "complaints_min": 3,
    "complaint_warn_percent": 0.08,
    "complaint_hold_percent": 0.3,
}
