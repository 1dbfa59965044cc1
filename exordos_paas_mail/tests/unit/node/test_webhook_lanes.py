# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is sent next, and when again: nothing is sent here, and the clock is a number."""

from __future__ import annotations

import typing as tp
import uuid
from unittest import mock

import pytest

from exordos_paas_mail.codecs import webhook_config
from exordos_paas_mail.node.webhooks import lanes, outbox

HOOK = webhook_config.Hook(uuid.UUID(int=1), "https://hooks.example.org/", (), ())
HOUR = 3_600_000
NOW = 1_000_000


def made(*keys: str) -> tuple[lanes.Lane, list[outbox.Row]]:
    """Return a lane in which an event of each key waits."""
    lane = lanes.Lane(HOOK, outbox.Standing("", 0), mock.Mock())
    rows = [
        outbox.Row(serial, outbox.Event(uuid.UUID(int=serial), "message.delivered", key, b""))
        for serial, key in enumerate(keys, start=1)
    ]
    lane.add(rows)
    return lane, rows


def begun(lane: lanes.Lane, now: int) -> list[int]:
    """Send all that may be sent."""
    found = []
    while (row := lane.next(now)) is not None:
        found.append(row.serial)
    return found


def test_an_event_is_tried_ten_times_over_three_days() -> None:
    lane, (row,) = made("a")
    now, times = NOW, [0]
    while lane.next(now) is row:
        assert lane.due(now) is None
        lane.failed(row, now, "answered 500")
        # An event of another message arrives meanwhile.
        lane.standing.last_success_at = now
        due = lane.due(now)
        if due is None:
            break
        assert (lane.next(due - 1), lane.due(due - 1)) == (None, due)
        times.append((due - NOW) // 1000)
        now = due
    steps = [5, 60, 300, 1800, 7200, 21600, 43200, 86400, 86400]
    assert times == [sum(steps[:count]) for count in range(10)]
    assert (lane.waiting, lane.standing.given_up, lane.runs) == (0, 1, True)


def test_a_clock_that_is_set_back_puts_nothing_off() -> None:
    lane, (row, _) = made("a", "b")
    assert lane.next(NOW + 48 * HOUR) is row
    lane.failed(row, NOW + 48 * HOUR, "answered 500")
    # By 48 hours: no first pause is as long.
    assert lane.due(NOW) == NOW
    assert begun(lane, NOW) == [1, 2]
    lane.failed(row, NOW, "answered 500")
    assert (lane.next(NOW), lane.due(NOW)) == (None, NOW + 60_000)


def test_a_clock_that_is_set_back_puts_off_no_first_attempt() -> None:
    lane, (*rows, last) = made(*map(str, range(lanes.CONCURRENCY + 1)))
    late = NOW + 48 * HOUR
    lane.standing.last_success_at = late
    for row in rows:
        row.attempts, row.first_at = len(lanes.RETRIES), NOW
        assert lane.next(late) is row
        assert lane.failed(row, late, "answered 500")
    assert (lane.next(late), lane.due(late)) == (None, late + lanes.PROBE_PERIOD)
    assert (lane.due(NOW), lane.next(NOW)) == (NOW, last)


def test_events_of_a_message_go_one_after_the_other() -> None:
    lane, rows = made("a", "a", "b", "a", "", "")
    assert begun(lane, NOW) == [1, 3, 5, 6]
    lane.failed(rows[0], NOW, "answered 500")
    lane.arrived(rows[2], NOW)
    assert begun(lane, NOW) == []
    assert begun(lane, NOW + 5_000) == [1]
    lane.arrived(rows[0], NOW + 5_000)
    assert begun(lane, NOW + 5_000) == [2]
    lane.arrived(rows[1], NOW + 5_000)
    assert begun(lane, NOW + 5_000) == [4]


def test_a_lane_has_its_bounds() -> None:
    lane, _ = made(*map(str, range(lanes.WAITING_MAX // 2)))
    assert lane.has_room
    assert begun(lane, NOW) == list(range(1, lanes.CONCURRENCY + 1))
    lane.add([outbox.Row(10**6, outbox.Event(uuid.UUID(int=9), "", "", b""))])
    assert not lane.has_room


def test_what_is_large_takes_the_room_of_many() -> None:
    lane = lanes.Lane(HOOK, outbox.Standing("", 0), mock.Mock())
    body = b"x" * (lanes.OCTETS_MAX // 2)
    rows = [outbox.Row(n, outbox.Event(uuid.UUID(int=n), "", str(n), body)) for n in (1, 2)]
    lane.add(rows[:1])
    found = [lane.has_room]
    lane.add(rows[1:])
    found.append(lane.has_room)
    assert lane.next(NOW) is rows[0]
    lane.arrived(rows[0], NOW)
    assert [*found, lane.has_room] == [True, False, True]


def test_while_nothing_arrives_one_event_a_minute_is_tried_first() -> None:
    lane, rows = made(*map(str, range(100)))
    first = begun(lane, NOW)
    for serial in first:
        lane.failed(rows[serial - 1], NOW, "answered 500")
    assert begun(lane, NOW + 4_999) == []
    again = begun(lane, NOW + 5_000)
    assert again == first
    for serial in again:
        lane.failed(rows[serial - 1], NOW + 5_000, "answered 500")
    assert lane.due(NOW + 6_000) == NOW + 65_000
    assert begun(lane, NOW + 65_000) == first
    for serial in first:
        lane.failed(rows[serial - 1], NOW + 65_000, "answered 500")
    assert begun(lane, NOW + 125_000) == [11]
    # It arrives, and all that waits is worth trying.
    assert lane.arrived(rows[10], NOW + 125_000)
    assert {row.serial for row in lane.hurry(NOW + 125_000)} == set(first)
    assert begun(lane, NOW + 125_000) == first
    assert [row.attempts for row in rows[:10]] == [3] * 10
    assert not lane.arrived(rows[0], NOW + 125_000)
    assert begun(lane, NOW + 125_000) == [12]


def test_one_event_that_never_arrives_does_not_hold_the_others() -> None:
    lane, rows = made("a", *map(str, range(30)))
    for row in rows[1:]:
        assert lane.next(NOW) is not None
        lane.failed(rows[0], NOW, "answered 500") if row is rows[1] else None
        if row is not rows[1]:
            lane.arrived(rows[row.serial - 2], NOW)
    assert lane.standing.given_up == 0
    assert lane.waiting == 2


def test_after_three_days_without_a_success_nothing_more_is_sent() -> None:
    lane, rows = made("a", "b")
    (row, other) = rows
    now = NOW
    while lane.runs:
        assert begun(lane, now)
        lane.failed(row, now, "answered 500")
        if other.attempts == 0:
            lane.failed(other, now, "answered 500")
            other.next_at = now + 10**9
            lane._retries = [(row.next_at, row.serial)]
        now = row.next_at
    assert (lane.standing.given_up, lane.waiting, lane.next(now), lane.due(now)) == (
        0,
        2,
        None,
        None,
    )
    assert lane.standing.failing_since == NOW
    # Somebody has seen to it.
    lane.standing.is_disabled = False
    lane.hurry(now, afresh=True)
    assert begun(lane, now) == [1, 2]
    assert [(one.attempts, one.first_at) for one in rows] == [(0, 0)] * 2
    assert lane.standing.failing_since == 0


@pytest.mark.parametrize("afresh", [True, False])
def test_what_is_being_sent_is_not_sent_twice(*, afresh: bool) -> None:
    lane, rows = made("a", "a", "b")
    assert begun(lane, NOW) == [1, 3]
    lane.failed(rows[0], NOW, "answered 500")
    assert begun(lane, NOW + 5_000) == [1]
    lane.failed(rows[2], NOW, "answered 500")
    assert [row.serial for row in lane.hurry(NOW + 5_000, afresh=afresh)] == [3]
    assert begun(lane, NOW + 5_000) == [3]


def test_a_lane_that_is_not_active_sends_nothing() -> None:
    lane, rows = made("a")
    changes: dict[str, tp.Any] = {"active": False}
    lane.hook = webhook_config.Hook(HOOK.id, HOOK.url, (), (), **changes)
    assert (lane.next(NOW), lane.due(NOW), lane.runs) == (None, None, False)
    lane.hook = HOOK
    lane.disable()
    assert (lane.next(NOW), lane.due(NOW), lane.runs) == (None, None, False)
    assert lane.waiting == len(rows)
