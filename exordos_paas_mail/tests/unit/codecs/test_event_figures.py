# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.event_figures: what events add up to, and how it is told."""

from __future__ import annotations

import collections
import json
import typing as tp

import pytest
from prometheus_client import parser

from exordos_paas_mail.codecs import event_figures, mail_events, main_log, metric_text
from exordos_paas_mail.codecs.mail_events import Event, Type
from exordos_paas_mail.tests.unit.codecs import log_lines

NOW = 1_800_000_000.0


def counted(*events: Event) -> dict[str, int]:
    counters: collections.Counter[str] = collections.Counter()
    for event in events:
        event_figures.count(counters, event)
    return dict(counters)


def figures(counters: dict[str, int] | None = None, **others: tp.Any) -> event_figures.Figures:
    at = int(NOW * 1000)
    fields = {"at": at, "read_at": at, "waiting": 0, "waiting_bytes": 0, "oldest_at": 0, **others}
    whole = {**dict.fromkeys(event_figures.NAMES, 0), **(counters or {})}
    return event_figures.Figures(**fields, counters=whole)


def told(given: event_figures.Figures) -> dict[str, float]:
    """Return what Prometheus reads, by name and labels."""
    text = metric_text.render(event_figures.families(given, NOW))
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("event", "counters"),
    [
        (Event(0, Type.ACCEPTED, account="a@b.c", client="::1"), {"submissions account": 1}),
        (Event(0, Type.ACCEPTED, client="::1"), {"submissions outside": 1}),
        (Event(0, Type.ACCEPTED, about="id"), {"submissions relay": 1}),
        (
            Event(0, Type.DELIVERED, queued=5_000),
            {"recipients delivered none": 1, "deliveries 5": 1, "delivery_ms": 5_000},
        ),
        (
            Event(0, Type.DELIVERED, queued=300_000_001),
            {"recipients delivered none": 1, "deliveries +Inf": 1, "delivery_ms": 300_000_001},
        ),
        (Event(0, Type.DEFERRED, reason="rate"), {"recipients deferred rate": 1}),
        (Event(0, Type.FAILED, reason="expired"), {"recipients failed expired": 1}),
        (Event(0, Type.FAILED), {"recipients failed other": 1}),
        (Event(0, Type.BOUNCED, reason="mailbox_full"), {"reports bounced": 1}),
        (Event(0, Type.DELAY_REPORTED), {"reports delayed": 1}),
        (Event(0, Type.COMPLAINED), {"reports complained": 1}),
        (Event(0, Type.DELIVERY_REPORTED), {"reports delivered": 1}),
        (Event(0, Type.REJECTED, text=": Account is disabled"), {"rejections account": 1}),
        (Event(0, Type.REJECTED, count=7), {"rejections other": 7}),
        (Event(0, Type.LOGIN_FAILED, account="a@b.c"), {"failed_logins account": 1}),
        (Event(0, Type.LOGIN_FAILED, count=3), {"failed_logins unknown": 3}),
        (Event(0, Type.GAP, count=0), {"gaps": 1}),
        (
            Event(0, Type.ACCEPTED, account="a@b.c", text=mail_events.FOUND),
            {"submissions account": 1, "reconciled found": 1},
        ),
        (Event(0, Type.UNACCOUNTED), {"reconciled unaccounted": 1}),
        (Event(0, Type.SUBMITTED), {}),
        (Event(0, Type.COMPLETED), {}),
        (Event(0, Type.DELETED), {}),
    ],
)
def test_an_event_counts_once(event: Event, counters: dict[str, int]) -> None:
    assert counted(event) == counters


def test_whatever_the_log_says_is_counted_by_a_known_name() -> None:
    lines = [main_log.parse(f"{log_lines.AT} [1] {text}") for text, _ in log_lines.LINES]
    counters = counted(*(e for line in lines if line is not None for e in mail_events.of(line)))
    assert sum(counters.values()) > len(log_lines.LINES) // 2
    assert counters.keys() - event_figures.NAMES == set()
    text = metric_text.render(event_figures.families(figures(counters), NOW))
    assert "@" not in text
    assert "example" not in text


def test_the_histogram_adds_up() -> None:
    counters = counted(*(Event(0, Type.DELIVERED, queued=ms) for ms in (0, 1000, 1001, 10**9)))
    read = told(figures(counters))
    assert {name: read[name] for name in read if "seconds_" in name and "delivery" in name} == {
        **{f"mailaas_delivery_seconds_bucket {bound}": 3 for bound in event_figures.BUCKETS},
        "mailaas_delivery_seconds_bucket 1": 2,
        "mailaas_delivery_seconds_bucket +Inf": 4,
        "mailaas_delivery_seconds_sum": 1_000_002.001,
        "mailaas_delivery_seconds_count": 4,
    }


def test_all_series_are_there_before_anything_happens() -> None:
    """A series that comes with its first event has no increase."""
    before = told(figures())
    assert len(before) == 72
    assert before.keys() == told(figures(dict.fromkeys(event_figures.NAMES, 9))).keys()
    assert before["mailaas_rejections_total limit"] == 0


@pytest.mark.parametrize(
    ("times", "lag"),
    [
        ({}, 0),
        ({"oldest_at": int(NOW * 1000) - 30_000}, 30),
        ({"read_at": int(NOW * 1000) - 90_000, "oldest_at": int(NOW * 1000) - 30_000}, 90),
        # The clock was set back.
        ({"read_at": int(NOW * 1000) + 90_000}, 0),
    ],
    ids=["all is told", "one waits", "nobody reads", "from the future"],
)
def test_the_lag_is_of_what_is_not_told_and_of_what_is_not_read(
    times: dict[str, tp.Any], lag: float
) -> None:
    assert told(figures(**times))["mailaas_event_lag_seconds"] == lag


def test_parse_is_the_inverse_of_render() -> None:
    given = figures(dict.fromkeys(event_figures.NAMES, 5), waiting=3, oldest_at=1)
    assert event_figures.parse(event_figures.render(given)) == given


def test_names_of_another_release_are_passed_over() -> None:
    given = json.loads(event_figures.render(figures({"gaps": 2})))
    del given["counters"]["rejections limit"]
    given["counters"]['later{a="b"}\n'] = 7
    given["later"] = "x"
    assert event_figures.parse(json.dumps(given).encode()) == figures({"gaps": 2})


@pytest.mark.parametrize(
    "harm",
    [
        {"at": None},
        {"at": -1},
        {"at": 1.5},
        {"at": True},
        {"at": "1"},
        {"waiting": 2**53 + 1},
        {"counters": None},
        {"counters": []},
        {"counters": {"gaps": -1}},
        {"counters": {"gaps": "1\nevil 2"}},
    ],
)
def test_what_is_no_figure_is_refused(harm: dict[str, tp.Any]) -> None:
    given = {**json.loads(event_figures.render(figures())), **harm}
    with pytest.raises(ValueError, match="figure"):
        event_figures.parse(json.dumps(given).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"{}"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="figures of events"):
        event_figures.parse(data)
