# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""pace: each fault at its own."""

from __future__ import annotations

import time
import typing as tp

import pytest

from exordos_paas_mail.node import pace

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Collection

Look: tp.TypeAlias = "Callable[[float, Collection[str]], list[str]]"


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """Return a look at a node: what is due of the faults found so many seconds after the first."""
    faults = pace.Pace()
    # Whole seconds, of which a difference is exact.
    started = 1000.0

    def due(second: float, found: Collection[str]) -> list[str]:
        monkeypatch.setattr(time, "monotonic", lambda: started + second)
        return faults.due(found)

    return due


def test_a_fault_that_stays_is_repaired_ever_more_seldom(look: Look) -> None:
    repaired = [second for second in range(300) if look(second, ["key lost"])]

    assert repaired == [0, 5, 15, 35, 75, 135, 195, 255]


def test_a_fault_is_repaired_at_once_whatever_else_stays(look: Look) -> None:
    for second in range(100):
        look(second, ["disk full"])

    assert look(100, ["disk full", "key lost"]) == ["key lost"]
    assert look(102, ["disk full", "port closed"]) == ["port closed"]
    assert look(135, ["disk full", "port closed"]) == ["disk full", "port closed"]


def test_faults_that_follow_each_other_are_each_repaired_at_once(look: Look) -> None:
    faults = ["file emptied", "file cut short", "file removed", "another mode", "file removed"]

    assert [look(2 * number, [it]) for number, it in enumerate(faults)] == [[it] for it in faults]


def test_a_fault_whose_repair_helped_is_new_when_it_comes_again(look: Look) -> None:
    for second in range(100):
        look(second, ["key lost"])

    assert look(100, []) == []
    assert look(101, ["key lost"]) == ["key lost"]
    assert look(103, ["key lost"]) == []
    assert look(106, ["key lost"]) == ["key lost"]
