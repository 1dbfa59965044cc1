# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which server the resolver asks, and whether the node asks it: nothing changes by one answer."""

from __future__ import annotations

import pytest

from exordos_paas_mail.node.resolver import choice

NEAR, FAR = "10.0.0.2", "8.8.8.8"
SIGNED, STRIPPED, NOTHING = choice.Heard.SIGNED, choice.Heard.STRIPPED, choice.Heard.NOTHING


@pytest.fixture
def chosen() -> choice.Choice:
    """Return a choice of two servers, of which the first is asked and validated."""
    made = choice.Choice()
    made.offer((NEAR, FAR))
    hear(made, SIGNED)
    made.judge(passed=True, now=0)
    assert (made.wanted(0), made.is_served) == (validating(NEAR), True)
    return made


def validating(server: str) -> choice.Wanted:
    return choice.Wanted(server, (NEAR,), validates=True)


def plain(server: str) -> choice.Wanted:
    return choice.Wanted(server, (NEAR,), validates=False)


def hear(made: choice.Choice, near: choice.Heard, far: choice.Heard = SIGNED) -> None:
    answers = {NEAR: near, FAR: far}
    made.hear({server: answers[server] for server in made.asked()})


def test_without_a_server_nothing_is_wanted() -> None:
    made = choice.Choice()
    made.offer(())
    made.hear({})
    assert (made.asked(), made.wanted(0), made.is_served) == ([], None, False)


def test_the_first_that_answers_is_taken_at_once() -> None:
    made = choice.Choice()
    made.offer((NEAR, FAR))
    hear(made, NOTHING, NOTHING)
    assert made.wanted(0) is None
    hear(made, NOTHING, STRIPPED)
    assert made.wanted(0) == plain(FAR)


def test_a_resolver_is_asked_once_it_has_worked() -> None:
    made = choice.Choice()
    made.offer((NEAR,))
    hear(made, SIGNED)
    made.judge(passed=False, now=0)
    assert not made.is_served
    made.judge(passed=True, now=0)
    assert made.is_served


@pytest.mark.parametrize("odd", [NOTHING, STRIPPED])
def test_two_odd_answers_in_a_row_change_nothing(chosen: choice.Choice, odd: choice.Heard) -> None:
    for _ in range(3):
        hear(chosen, odd)
        hear(chosen, odd)
        hear(chosen, SIGNED)
    assert (chosen.wanted(0), chosen.is_served) == (validating(NEAR), True)


def test_a_server_that_strips_signatures_is_asked_all_the_same(chosen: choice.Choice) -> None:
    for _ in range(3):
        hear(chosen, STRIPPED)
    assert (chosen.wanted(0), chosen.is_served) == (plain(NEAR), True)
    for _ in range(3):
        assert chosen.wanted(0) == plain(NEAR)
        hear(chosen, SIGNED)
    assert chosen.wanted(0) == validating(NEAR)


def test_a_server_that_is_silent_is_left_for_the_next_until_it_is_back(
    chosen: choice.Choice,
) -> None:
    assert chosen.asked() == [NEAR]
    for _ in range(3):
        hear(chosen, NOTHING)
    hear(chosen, NOTHING, STRIPPED)
    assert (chosen.wanted(0), chosen.asked()) == (plain(FAR), [FAR, NEAR])
    for _ in range(2):
        hear(chosen, SIGNED, STRIPPED)
    hear(chosen, NOTHING, STRIPPED)
    for _ in range(3):
        assert chosen.wanted(0) == plain(FAR)
        hear(chosen, SIGNED, STRIPPED)
    assert (chosen.wanted(0), chosen.is_served) == (validating(NEAR), True)


def test_while_nobody_answers_all_stays_as_it_is(chosen: choice.Choice) -> None:
    for _ in range(10):
        hear(chosen, NOTHING, NOTHING)
        assert chosen.is_silent
    assert (chosen.wanted(0), chosen.is_served) == (validating(NEAR), True)
    hear(chosen, SIGNED)
    assert (chosen.wanted(0), chosen.is_silent) == (validating(NEAR), False)


def test_other_servers_of_the_network_are_taken_over(chosen: choice.Choice) -> None:
    chosen.offer((FAR, NEAR))
    # Whoever is first may know private names, and who has a private address.
    assert chosen.wanted(0) == choice.Wanted(NEAR, (FAR, NEAR), validates=True)
    chosen.offer((FAR,))
    assert (chosen.wanted(0), chosen.is_served) == (None, False)


def test_what_does_not_validate_is_plain_for_ever_longer(chosen: choice.Choice) -> None:
    now = 0.0
    for wait in (600, 1200, 2400, 4800, 9600, 19200, 21600, 21600):
        for _ in range(3):
            assert chosen.wanted(now) == validating(NEAR)
            chosen.judge(passed=False, now=now)
        assert chosen.wanted(now) == plain(NEAR)
        chosen.judge(passed=True, now=now)
        now += wait
        assert chosen.wanted(now - 1) == plain(NEAR)
    for _ in range(3):
        chosen.judge(passed=True, now=now)
    for _ in range(3):
        chosen.judge(passed=False, now=now)
    assert chosen.wanted(now + 600) == validating(NEAR)
    assert chosen.is_served


def test_a_resolver_that_fails_is_not_asked_until_it_has_worked_thrice(
    chosen: choice.Choice,
) -> None:
    for _ in range(6):
        assert chosen.is_served
        chosen.judge(passed=False, now=0)
    assert (chosen.wanted(0), chosen.is_served) == (plain(NEAR), False)
    for _ in range(2):
        chosen.judge(passed=True, now=0)
    chosen.judge(passed=False, now=0)
    for _ in range(3):
        assert not chosen.is_served
        chosen.judge(passed=True, now=0)
    assert chosen.is_served
