# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""When a fault is repaired: at once when it is new, then ever more seldom while it stays."""

from __future__ import annotations

import time
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Collection

# A repair that did not help is worth another try: a full disk is cleaned, an
# installed certificate is corrected. Seconds, doubled each time.
_WAIT_MIN: tp.Final = 5.0
_WAIT_MAX: tp.Final = 60.0


class _Repair(tp.NamedTuple):
    at: float
    wait: float


class Pace:
    """The pace of each fault, whatever others there are."""

    def __init__(self) -> None:
        self._repairs: dict[str, _Repair] = {}

    def due(self, faults: Collection[str]) -> list[str]:
        """Return which of *faults* are to be repaired now, and count them as repaired.

        *faults* are all that this look has found. A fault of the last look that is not
        among them was repaired: it is new when it comes again.
        """
        now = time.monotonic()
        self._repairs = {it: last for it, last in self._repairs.items() if it in faults}
        due = [it for it in faults if self._is_due(it, now)]
        for it in due:
            last = self._repairs.get(it)
            wait = _WAIT_MIN if last is None else min(2 * last.wait, _WAIT_MAX)
            self._repairs[it] = _Repair(now, wait)
        return due

    def _is_due(self, fault: str, now: float) -> bool:
        last = self._repairs.get(fault)
        return last is None or now - last.at >= last.wait
