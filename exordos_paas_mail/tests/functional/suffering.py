# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Faults one after the other while clients go on."""

from __future__ import annotations

import collections
import dataclasses
import fractions
import math
import random
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clients import waiting
    from exordos_paas_mail.tests.functional import kills, paced, stand_control


@dataclasses.dataclass
class Suffered:
    """What has happened, and how often."""

    happened: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    at_work: int = 0
    """How many of them were over before any client was through with its share."""

    def __str__(self) -> str:
        lines = (f"\n  {count} x {name}" for name, count in sorted(self.happened.items()))
        return f"{self.happened.total()} faults, {self.at_work} met all at work{''.join(lines)}"


def order(kinds: tp.Iterable[str], count: int, seed: int) -> list[str]:
    """Return *count* of *kinds* shuffled, each as often as the others, as far as that goes."""
    chance = random.Random(seed)  # noqa: S311 - an order that can be repeated, no secret
    names = [*kinds]
    shuffled = names * -(-count // len(names))
    chance.shuffle(shuffled)
    return shuffled[:count]


def suffer(
    kinds: Mapping[str, kills.Kill],
    names: Sequence[str],
    stand: stand_control.Stand,
    node: str,
    poll: waiting.Poll,
    clients: Sequence[paced.Clients],
    seconds: float = 0,
) -> Suffered:
    """Do what is to happen, in its order, and return once *clients* have done all they have to.

    What they do is shared out evenly between the faults. At each, a client has half a share
    still to do, in no less than *seconds*. None is further than half a share ahead of the slowest.
    """
    share = fractions.Fraction(1, len(names) + 1)
    suffered = Suffered()

    def wait_for(part: fractions.Fraction) -> None:
        def look() -> fractions.Fraction:
            slowest = min(fractions.Fraction(each.done(), each.count) for each in clients)
            assert [each.wrong for each in clients] == [[] for _ in clients]
            _allow(clients, slowest + share / 2)
            return slowest

        poll.until(f"{part} is done, after {suffered}", look, lambda found: found >= part)

    for number, name in enumerate(names, 1):
        wait_for(number * share)
        _allow(clients, (number + 1) * share, seconds)
        kinds[name](stand, node)
        suffered.happened[name] += 1
        suffered.at_work += all(each.is_at_work() for each in clients)
    wait_for(fractions.Fraction(1))
    return suffered


def _allow(clients: Sequence[paced.Clients], part: fractions.Fraction, seconds: float = 0) -> None:
    for each in clients:
        each.allow(math.ceil(each.count * part), seconds)
