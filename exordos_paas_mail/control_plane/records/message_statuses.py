# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The words for what became of a message."""

from __future__ import annotations

import typing as tp

ACCEPTED: tp.Final = "ACCEPTED"
DELIVERED: tp.Final = "DELIVERED"
PARTIAL: tp.Final = "PARTIAL"
DEFERRED: tp.Final = "DEFERRED"
FAILED: tp.Final = "FAILED"
HELD: tp.Final = "HELD"
DELETED: tp.Final = "DELETED"
UNKNOWN: tp.Final = "UNKNOWN"
ALL: tp.Final = (ACCEPTED, DELIVERED, PARTIAL, DEFERRED, FAILED, HELD, DELETED, UNKNOWN)
