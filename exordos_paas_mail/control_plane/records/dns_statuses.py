# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The words for what DNS shows of a record."""

from __future__ import annotations

import typing as tp

# Not looked at yet.
PENDING: tp.Final = "PENDING"
OK: tp.Final = "OK"
# Right on some of the zone's servers.
PROPAGATING: tp.Final = "PROPAGATING"
MISSING: tp.Final = "MISSING"
MISMATCH: tp.Final = "MISMATCH"
# Right, or not, beside others of which there may be no more than one.
CONFLICT: tp.Final = "CONFLICT"
# Nobody answers.
ERROR: tp.Final = "ERROR"
ALL: tp.Final = (PENDING, OK, PROPAGATING, MISSING, MISMATCH, CONFLICT, ERROR)
