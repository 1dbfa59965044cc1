# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the thread of the shards does: their digests are as the accounts are.

Triggers see to that; this looks whether it is so, because nobody else would.
"""

from __future__ import annotations

import logging
import time
import typing as tp

from exordos_paas_mail.control_plane.records import account_shards
from exordos_paas_mail.control_plane.runtime import threads

if tp.TYPE_CHECKING:
    import threading

LOG = logging.getLogger(__name__)

# Seconds. The first look is soon after a start, which may be one on a restored database.
FIRST: tp.Final = 60.0
PERIOD: tp.Final = 3600.0


def repair_all() -> None:
    """Repair the digests that are wrong, an instance at a time."""
    for instance in account_shards.wrong():
        repaired = account_shards.repair(instance)
        if repaired:
            LOG.warning("%s: %d digests of accounts were wrong, repaired", instance, repaired)


class Keeper:
    """What the thread does."""

    def __init__(self) -> None:
        self._next = 0.0

    def run(self, stop: threading.Event) -> None:
        """Look a minute after the start and each hour from then on, until *stop* is set."""
        threads.repeat(stop, FIRST, self._turn, of="digests of accounts")

    def _turn(self) -> None:
        if time.monotonic() >= self._next:
            repair_all()
            self._next = time.monotonic() + PERIOD
