# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Faults at random while clients go on, in an order that can be repeated."""

from __future__ import annotations

import collections
import random
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clients import waiting
    from exordos_paas_mail.tests.functional import kills, stand_control


def order(kinds: tp.Iterable[str], count: int, seed: int) -> list[str]:
    """Return *count* of *kinds* shuffled, each as often as the others, as far as that goes."""
    chance = random.Random(seed)  # noqa: S311 - an order that can be repeated, no secret
    names = [*kinds]
    shuffled = names * -(-count // len(names))
    chance.shuffle(shuffled)
    return shuffled[:count]


def suffer(
    kinds: Mapping[str, kills.Kill],
    names: list[str],
    stand: stand_control.Stand,
    node: str,
    poll: waiting.Poll,
    count: int,
    done: Callable[[], int],
    allow: Callable[[int], object] = lambda _: None,
) -> collections.Counter[str]:
    """Do what is to happen, evenly over *count*, of which *done* tells how many are over.

    *allow* is told how many there may be before the next but one happens, so that none of it
    comes too late. Returns how often what was done, once all of *count* are over.
    """
    dues = [count * number // (len(names) + 1) for number in range(1, len(names) + 1)]
    happened: collections.Counter[str] = collections.Counter()
    for name, due, next_due in zip(names, dues, [*dues[1:], count], strict=True):
        allow(next_due)
        poll.until(
            f"{due} are done, after {dict(happened)}",
            done,
            lambda found, due=due: found >= due,  # type: ignore[misc]
        )
        kinds[name](stand, node)
        happened[name] += 1
    allow(count)
    poll.until(f"all are done, after {dict(happened)}", done, lambda found: found >= count)
    return happened
