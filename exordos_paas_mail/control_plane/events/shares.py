# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much of the disk of the log each instance may have, and who keeps less while it fills.

What is on the disk does not go before its day does, so whoever has more than a fair share
of it is written less of first, and nobody else while that is enough.
"""

from __future__ import annotations

import dataclasses
import typing as tp

from exordos_paas_mail.control_plane.events import rows
from exordos_paas_mail.control_plane.records import instance_logs

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Mapping

_ALL, _FAILURES, _NONE = instance_logs.LEVELS
# Above a part of the room for all: the level of who has more than a share, and of the others.
STEPS: tp.Final = (
    (0.8, _FAILURES, _ALL),
    (0.9, _NONE, _ALL),
    (0.95, _NONE, _FAILURES),
    (1.0, _NONE, _NONE),
)


@dataclasses.dataclass(frozen=True)
class Levels:
    """The highest level that the log of each instance is kept at."""

    others: str = instance_logs.ALL
    beyond: frozenset[sys_uuid.UUID] = frozenset()
    """The instances with more than a share."""
    of_beyond: str = instance_logs.ALL

    def of(self, instance: sys_uuid.UUID) -> str:
        """Return the level of *instance*."""
        return self.of_beyond if instance in self.beyond else self.others


def share(sizes: Mapping[sys_uuid.UUID, float], room: float) -> float:
    """Return the most that each of *sizes* may be so that all fit into *room* together.

    Who has less leaves the rest to the others. Infinity where they fit as they are.
    """
    left = room
    for number, size in zip(range(len(sizes), 0, -1), sorted(sizes.values()), strict=True):
        if size * number > left:
            return left / number
        left -= size
    return float("inf")


def judge(session: tp.Any, size: int, room: int) -> Levels:
    """Return what instances keep while the log of all has *size* octets of a *room* of as many."""
    levels = Levels()
    for part, of_beyond, others in STEPS:
        if size > part * room:
            levels = Levels(others, levels.beyond, of_beyond)
    if levels.of_beyond == levels.others:
        return levels
    # A row of one takes what a row of another does, and so of the indexes.
    counts = rows.counts(session)
    sizes = {uuid: size * count / sum(counts.values()) for uuid, count in counts.items()}
    most = share(sizes, STEPS[0][0] * room)
    beyond = frozenset(uuid for uuid, one in sizes.items() if one > most)
    return dataclasses.replace(levels, beyond=beyond)
