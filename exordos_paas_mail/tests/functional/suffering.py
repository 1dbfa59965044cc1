# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Faults one after the other while clients go on."""

from __future__ import annotations

import collections
import contextlib
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
    met: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """How much was cut off that clients had under way, by the fault it was after."""
    at_work: int = 0
    """How many of them were over before any client was through with its share."""
    meanwhile: int = 0
    """How much clients did from the order to do a fault until that was carried out."""

    def __str__(self) -> str:
        lines = (
            f"\n  {count} x {name}, cut off: {self.met[name]}"
            for name, count in sorted(self.happened.items())
        )
        return (
            f"{self.happened.total()} faults, {self.at_work} met all at work, {self.meanwhile} done"
            f" meanwhile, {self.met.total()} cut off{''.join(lines)}"
        )


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
    still to do, or more. Until it is carried out, which takes a machine its time, they go on and
    do not come to the share's end: see ``paced.Clients.slowed``. None is further than half a
    share ahead of the slowest.
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

    wait_for(share)
    for number, name in enumerate(names, 2):
        met, done = _sums(clients)
        with contextlib.ExitStack() as stack:
            for each in clients:
                stack.enter_context(each.slowed(seconds))
            _allow(clients, number * share)
            kinds[name](stand, node)
            suffered.at_work += all(each.is_at_work() for each in clients)
        suffered.happened[name] += 1
        suffered.meanwhile += _sums(clients)[1] - done
        wait_for(number * share)
        suffered.met[name] += _sums(clients)[0] - met
    return suffered


def _sums(clients: Sequence[paced.Clients]) -> tuple[int, int]:
    return sum(each.met() for each in clients), sum(each.done() for each in clients)


def _allow(clients: Sequence[paced.Clients], part: fractions.Fraction) -> None:
    for each in clients:
        each.allow(math.ceil(each.count * part))
