# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the events of a node add up to: counters, and how far the events are told.

The daemon of events counts (``count``) and leaves a file (``render``); whoever writes
the node's metrics reads it (``parse``) and tells (``families``). What is counted is a
closed set of names, so no account, no address and nothing that a client says is one.
"""

from __future__ import annotations

import json
import typing as tp

from exordos_paas_mail.codecs import answers, mail_events, main_log, metric_text, refusals

if tp.TYPE_CHECKING:
    import collections
    from collections.abc import Mapping, Sequence

Type: tp.TypeAlias = mail_events.Type

BUCKETS: tp.Final = (1, 2, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 259_200)
"""Seconds from arrival to delivery, upper bounds; they never change, or sums over time break.

To a second where the first attempt succeeds, which is nearly all mail; then exim's retry
rules (``retry.j2``): every 5 minutes for an hour, ever more seldom for 12 hours, every 4
hours for 3 days. 5 and 15 minutes are where greylisting ends.
"""

_SOURCES: tp.Final = ("account", "outside", "relay")
_RESULTS: tp.Final = {
    Type.DELIVERED: "delivered",
    Type.DEFERRED: "deferred",
    Type.FAILED: "failed",
}
_REPORTS: tp.Final = {
    Type.BOUNCED: "bounced",
    Type.DELAY_REPORTED: "delayed",
    Type.DELIVERY_REPORTED: "delivered",
    Type.COMPLAINED: "complained",
}
# What a look at the spool has told where lines of the log are lost.
_RECONCILED: tp.Final = ("found", "unaccounted")
_NO_CLASS: tp.Final = "none"
_CLASSES: tp.Final = tuple(each.value for each in answers.Class)
_REASONS: tp.Final = tuple(each.value for each in refusals.Reason)
_LOGINS: tp.Final = ("account", "unknown")
_PORTS: tp.Final = ("25", "465", "587")
_SECRETS: tp.Final = ("password", "credential")
_INFINITY: tp.Final = "+Inf"
_BOUNDS: tp.Final = (*map(str, BUCKETS), _INFINITY)

_SUBMISSIONS: tp.Final = "submissions"
_RECIPIENTS: tp.Final = "recipients"
_REPORTED: tp.Final = "reports"
_REJECTIONS: tp.Final = "rejections"
_LOGGED_IN: tp.Final = "logins"
_FAILED_LOGINS: tp.Final = "failed_logins"
_DELIVERIES: tp.Final = "deliveries"
_DELIVERY_MS: tp.Final = "delivery_ms"
_GAPS: tp.Final = "gaps"
_MESSAGES: tp.Final = "reconciled"

# A counter's name is a word, or a word and the value or values of its labels.
_PAIRS: tp.Final = (
    (_RESULTS[Type.DELIVERED], _NO_CLASS),
    *((_RESULTS[result], each) for result in (Type.DEFERRED, Type.FAILED) for each in _CLASSES),
)
NAMES: tp.Final = frozenset(
    {
        *(f"{_SUBMISSIONS} {source}" for source in _SOURCES),
        *(f"{_RECIPIENTS} {result} {each}" for result, each in _PAIRS),
        *(f"{_REPORTED} {report}" for report in _REPORTS.values()),
        *(f"{_REJECTIONS} {reason}" for reason in _REASONS),
        *(f"{_LOGGED_IN} {port} {secret}" for port in _PORTS for secret in _SECRETS),
        *(f"{_FAILED_LOGINS} {login}" for login in _LOGINS),
        *(f"{_DELIVERIES} {bound}" for bound in _BOUNDS),
        _DELIVERY_MS,
        _GAPS,
        *(f"{_MESSAGES} {what}" for what in _RECONCILED),
    }
)
_NUMBER_MAX: tp.Final = 2**53


class Figures(tp.NamedTuple):
    """What there is to tell of the events of a node."""

    at: int
    """When this was so; this and the other times are milliseconds since 1970."""
    read_at: int
    """When all of the log was last read and kept, or the daemon was started."""
    waiting: int
    """Events that the control plane does not have yet."""
    waiting_bytes: int
    oldest_at: int
    """When the oldest of them happened, 0 where there is none."""
    counters: Mapping[str, int]
    """What was counted, by its name (``NAMES``)."""


def count(counters: collections.Counter[str], event: mail_events.Event) -> None:
    """Add *event* to *counters*."""
    if event.type is Type.ACCEPTED:
        by_relay = "outside" if event.client else "relay"
        counters[f"{_SUBMISSIONS} {'account' if event.account else by_relay}"] += 1
        if event.text == mail_events.FOUND:
            counters[f"{_MESSAGES} found"] += 1
    elif event.type is Type.DELIVERED:
        counters[f"{_RECIPIENTS} {_RESULTS[event.type]} {_NO_CLASS}"] += 1
        seconds = event.queued / 1000
        bound = next((str(bound) for bound in BUCKETS if seconds <= bound), _INFINITY)
        counters[f"{_DELIVERIES} {bound}"] += 1
        counters[_DELIVERY_MS] += event.queued
    elif event.type in _RESULTS:
        reason = event.reason or answers.Class.OTHER.value
        counters[f"{_RECIPIENTS} {_RESULTS[event.type]} {reason}"] += 1
    elif event.type in _REPORTS:
        counters[f"{_REPORTED} {_REPORTS[event.type]}"] += 1
    elif event.type is Type.REJECTED:
        why = refusals.classify(event.command, event.text)
        counters[f"{_REJECTIONS} {why.value}"] += event.count
    elif event.type is Type.LOGIN_FAILED:
        counters[f"{_FAILED_LOGINS} {'account' if event.account else 'unknown'}"] += event.count
    elif event.type is Type.UNACCOUNTED:
        counters[f"{_MESSAGES} unaccounted"] += 1
    elif event.type is Type.GAP:
        counters[_GAPS] += 1


def count_login(counters: collections.Counter[str], login: main_log.Login) -> None:
    """Add a login that succeeded to *counters*; it is no event."""
    counters[f"{_LOGGED_IN} {login.port} {login.secret}"] += 1


def render(figures: Figures) -> bytes:
    """Return *figures* as JSON; ``parse`` is the inverse."""
    return json.dumps({**figures._asdict(), "counters": dict(figures.counters)}).encode("ascii")


def parse(data: bytes) -> Figures:
    """Return the figures of *data*; ValueError, without a word of it, when it holds none.

    Names of another release are passed over, and a counter that is missing is 0.
    """
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError("the figures of events are not JSON") from error
    counters = fields.pop("counters", None) if isinstance(fields, dict) else None
    if not isinstance(counters, dict):
        raise ValueError("the figures of events have no counters")  # noqa: TRY004 - codecs raise it
    numbers = [fields.get(name) for name in Figures._fields[:-1]]
    counted = {name: counters.get(name, 0) for name in NAMES}
    if not all(map(_is_number, (*numbers, *counted.values()))):
        raise ValueError("a figure of events is no number")
    at, read_at, waiting, waiting_bytes, oldest_at = tp.cast("list[int]", numbers)
    return Figures(at, read_at, waiting, waiting_bytes, oldest_at, counted)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _NUMBER_MAX


def families(figures: Figures, now: float) -> list[metric_text.Family]:
    """Return the metrics of *figures* as they are *now*, in seconds since 1970."""
    return [*_counters(figures), *_gauges(figures, now)]


def _counters(figures: Figures) -> list[metric_text.Family]:
    return [
        _counter(
            figures,
            "mailaas_submissions_total",
            "Messages taken into the queue: of an account, from outside without a login"
            " (to a role, or a report), or made by the relay (its own reports).",
            {f"{_SUBMISSIONS} {each}": {"source": each} for each in _SOURCES},
        ),
        _counter(
            figures,
            "mailaas_recipients_total",
            "Ends of attempts to deliver, one for each recipient; a recipient that is tried"
            " five times in vain and then delivered is 5 deferred and 1 delivered.",
            {
                f"{_RECIPIENTS} {result} {each}": {"result": result, "class": each}
                for result, each in _PAIRS
            },
        ),
        _counter(
            figures,
            "mailaas_reports_total",
            "Recipients of whom other servers reported after they had taken the mail.",
            {f"{_REPORTED} {each}": {"report": each} for each in _REPORTS.values()},
        ),
        _counter(
            figures,
            "mailaas_rejections_total",
            "Commands that the relay refused, by what it has against them.",
            {f"{_REJECTIONS} {each}": {"reason": each} for each in _REASONS},
        ),
        _counter(
            figures,
            "mailaas_logins_total",
            "Logins that succeeded, by the port and by what was sent as the secret.",
            {
                f"{_LOGGED_IN} {port} {secret}": {"port": port, "secret": secret}
                for port in _PORTS
                for secret in _SECRETS
            },
        ),
        _counter(
            figures,
            "mailaas_failed_logins_total",
            "Logins with a wrong name or password, by whether there is such an account.",
            {f"{_FAILED_LOGINS} {each}": {"login": each} for each in _LOGINS},
        ),
        _histogram(figures),
        _counter(
            figures,
            "mailaas_event_gaps_total",
            "Places in the log of mail where events are missing.",
            {_GAPS: {}},
        ),
        _counter(
            figures,
            "mailaas_reconciled_messages_total",
            "Messages of which the log lost a line: found in the spool, or told as accepted and"
            " neither there nor told as ended.",
            {f"{_MESSAGES} {each}": {"what": each} for each in _RECONCILED},
        ),
    ]


def _gauges(figures: Figures, now: float) -> list[metric_text.Family]:
    # A daemon that does not run, or cannot read or keep, is late as one that cannot send.
    since = min(figures.read_at, figures.oldest_at or figures.read_at)
    return [
        metric_text.gauge(
            "mailaas_events_waiting",
            "Events that the control plane does not have yet.",
            figures.waiting,
        ),
        metric_text.gauge(
            "mailaas_events_waiting_bytes",
            "What these take on the data disk.",
            figures.waiting_bytes,
        ),
        metric_text.gauge(
            "mailaas_event_lag_seconds",
            "Since when the control plane does not know everything.",
            max(0.0, round(now - since / 1000, 3)),
        ),
        metric_text.gauge(
            "mailaas_events_timestamp_seconds",
            "When exordos-mail-events last told its figures.",
            figures.at / 1000,
        ),
    ]


def _counter(
    figures: Figures, name: str, help_text: str, labels: Mapping[str, Mapping[str, str]]
) -> metric_text.Family:
    samples = [
        metric_text.Sample(figures.counters[counter], own) for counter, own in labels.items()
    ]
    return metric_text.Family(name, "counter", help_text, samples)


def _histogram(figures: Figures) -> metric_text.Family:
    samples = []
    total = 0
    for bound in _BOUNDS:
        total += figures.counters[f"{_DELIVERIES} {bound}"]
        samples.append(metric_text.Sample(total, {"le": bound}, "_bucket"))
    rest: Sequence[metric_text.Sample] = (
        metric_text.Sample(figures.counters[_DELIVERY_MS] / 1000, suffix="_sum"),
        metric_text.Sample(total, suffix="_count"),
    )
    return metric_text.Family(
        "mailaas_delivery_seconds",
        "histogram",
        "From the arrival of a message to its delivery, one for each recipient delivered.",
        [*samples, *rest],
    )
