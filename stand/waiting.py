# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for something another process brings about."""

from __future__ import annotations

import time
import typing as tp

_PAUSE: tp.Final = 0.2
Found = tp.TypeVar("Found")


def until(what: str, look: tp.Callable[[], Found | None], seconds: float) -> Found:
    """Return the first true answer of *look*; TimeoutError names *what* after *seconds*."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not in {seconds:.0f} s")
        time.sleep(_PAUSE)
