# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What is used of limits, as a node tells it and the API shows it."""

from __future__ import annotations

import datetime
import typing as tp

import pytest

from exordos_paas_mail.codecs import limits, queue_reports, windows
from exordos_paas_mail.tests.unit.control_plane import queue_rows, sealed
from exordos_paas_mail.tests.unit.control_plane import stage as stages

LOGIN = "noreply@mail.example.com"
Usage = queue_reports.Usage


@pytest.fixture
def stage(served: stages.Stage) -> stages.Stage:
    return served


@pytest.fixture
def queue(stage: stages.Stage) -> queue_rows.Queue:
    return queue_rows.Queue(stage.serving())


def moment(milliseconds: int) -> str:
    since = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
    return f"{since + datetime.timedelta(milliseconds=milliseconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def expected(used: tuple[int, ...], given: dict[str, int], now: int) -> list[dict[str, tp.Any]]:
    return [
        {
            "period": period,
            "used": number,
            "limit": given.get(period),
            "resets_at": moment(windows.end(period, now)),
        }
        for period, number in zip(limits.PERIODS, used, strict=True)
    ]


def in_one_window(read: tp.Callable[[], tp.Any]) -> tuple[int, tp.Any]:
    """Return what *read* returns, and a time in the minute that it was read in."""
    while True:
        begun = sealed.now()
        found = read()
        if windows.begin("minute", begun) == windows.begin("minute", sealed.now()):
            return begun, found


def test_an_account_and_its_instance_show_what_they_have_used(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    own = {"recipients_per_hour": 100, "recipients_per_day": 1000}
    account = stage.api.account(stage.path, limits=own)
    whole = {"recipients_per_hour": 500, "recipients_per_day": 900}
    stage.api.patch(stage.path, {"limits": whole})
    now, shown = in_one_window(lambda: stage.api.get(f"{account}/usage/"))
    # The smaller one of the two counts.
    bounds = {"hour": 100, "day": 900}
    assert shown == expected((0,) * 4, bounds, now)

    def told() -> list[tp.Any]:
        at = sealed.now()
        usage = (Usage("*", at, 2, 8, 9, 10), Usage(LOGIN, at, 1, 2, 3, 4), Usage("x@y", at))
        queue.tell_state(usage=usage)
        queue_rows.follow()
        return [stage.api.get(f"{path}/usage/") for path in (account, stage.path)]

    now, shown = in_one_window(told)
    assert shown == [
        expected((1, 2, 3, 4), bounds, now),
        expected((2, 8, 9, 10), {"hour": 500, "day": 900}, now),
    ]


def test_a_window_that_is_over_is_used_no_more(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    account = stage.api.account(stage.path)
    months_ago = sealed.now() - 70 * windows.DAY
    queue.tell_state(usage=(Usage(LOGIN, months_ago, 1, 2, 3, 4),))
    queue_rows.follow()
    now, shown = in_one_window(lambda: stage.api.get(f"{account}/usage/"))
    assert shown == expected((0,) * 4, {}, now)


def test_what_is_told_is_replaced_and_goes_with_its_account(
    stage: stages.Stage, queue: queue_rows.Queue
) -> None:
    account = stage.api.account(stage.path)
    for used in (7, 5):
        queue.tell_state(usage=(Usage(LOGIN, sealed.now(), used, used, used, used),))
        queue_rows.follow()
        # It may be the next minute by now.
        assert stage.api.get(f"{account}/usage/")[3]["used"] == used
    stage.api.delete(account)
    again = stage.api.account(stage.path)
    assert stage.api.get(f"{again}/usage/")[3]["used"] == 0


def test_nothing_may_be_asked_of_it(stage: stages.Stage, queue: queue_rows.Queue) -> None:
    assert queue
    status, message = stage.api.refused("GET", f"{stage.path}/usage/?period=hour")
    assert (status, message.partition(":")[0]) == (400, "period")
    assert stage.api.call("POST", f"{stage.path}/usage/", {}).status_code in {400, 405}
