# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much of its mail's log an instance keeps."""

from __future__ import annotations

import typing as tp

ALL: tp.Final = "all"
FAILURES: tp.Final = "failures"
NONE: tp.Final = "none"
LEVELS: tp.Final = (ALL, FAILURES, NONE)
RETENTION_DAYS_MAX: tp.Final = 90
BOUNDS: tp.Final[tp.Mapping[str, tuple[int, int]]] = {
    "retention_days": (1, RETENTION_DAYS_MAX),
    "max_rows": (1_000, 10_000_000),
}
DEFAULT: tp.Final[tp.Mapping[str, tp.Any]] = {
    "level": ALL,
    "retention_days": 14,
    "max_rows": 1_000_000,
}
