# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What became of an operation, in a word."""

from __future__ import annotations

import typing as tp

PENDING: tp.Final = "PENDING"
DONE: tp.Final = "DONE"
ERROR: tp.Final = "ERROR"
ALL: tp.Final = (PENDING, DONE, ERROR)
