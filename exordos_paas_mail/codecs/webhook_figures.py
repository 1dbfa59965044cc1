# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the webhooks of a node add up to, for its metrics.

The daemon of webhooks leaves a file (``render``); whoever writes the node's metrics reads
it (``parse``) and tells (``families``). No address and no word of a receiver is in it.
"""

from __future__ import annotations

import types
import typing as tp

from exordos_paas_mail.codecs import bounded, metric_text

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

ACTIVE: tp.Final = "active"
FAILING: tp.Final = "failing"
DISABLED: tp.Final = "disabled"
INACTIVE: tp.Final = "inactive"
STATES: tp.Final = (ACTIVE, FAILING, DISABLED, INACTIVE)

DELIVERED: tp.Final = "delivered"
FAILED: tp.Final = "failed"
GIVEN_UP: tp.Final = "given_up"
COUNTERS: tp.Final = (DELIVERED, FAILED, GIVEN_UP)

_STATES: tp.Final[Mapping[str, str]] = types.MappingProxyType(
    {state: f"webhooks_{state}" for state in STATES}
)


class Figures(tp.NamedTuple):
    """What there is to tell of the webhooks of a node."""

    at: int
    """When this was so; milliseconds since 1970, as is the other time."""
    states: Mapping[str, int]
    """How many webhooks there are, by ``STATES``."""
    waiting: int
    """Events that wait in the outbox."""
    oldest_at: int
    """When the oldest of them happened, 0 where there is none."""
    counters: Mapping[str, int]
    """What was counted of attempts, by ``COUNTERS``."""


def render(figures: Figures) -> bytes:
    """Return *figures* as JSON; ``parse`` is the inverse."""
    return bounded.dump(
        {
            "at": figures.at,
            "waiting": figures.waiting,
            "oldest_at": figures.oldest_at,
            **{name: figures.states[state] for state, name in _STATES.items()},
            **{name: figures.counters[name] for name in COUNTERS},
        }
    )


def parse(data: bytes) -> Figures:
    """Return the figures of *data*; ValueError, without a word of it, when it holds none.

    Names of another release are passed over, and a number that is missing is 0.
    """
    fields = bounded.Fields(bounded.load(data, "the figures"), "the figures of webhooks")
    return Figures(
        at=fields.number("at"),
        states={state: fields.number(name) for state, name in _STATES.items()},
        waiting=fields.number("waiting"),
        oldest_at=fields.number("oldest_at"),
        counters={name: fields.number(name) for name in COUNTERS},
    )


def families(figures: Figures, now: float) -> list[metric_text.Family]:
    """Return the metrics of *figures* as they are *now*, in seconds since 1970."""
    age = now - figures.oldest_at / 1000 if figures.oldest_at else 0.0
    return [
        metric_text.Family(
            "mailaas_webhooks",
            "gauge",
            "Webhooks by how they fare: what was sent last has not arrived (failing), nothing is"
            " sent until the tenant changes it (disabled), or asks for it (inactive).",
            [metric_text.Sample(figures.states[state], {"state": state}) for state in STATES],
        ),
        metric_text.Family(
            "mailaas_webhook_attempts_total",
            "counter",
            "Attempts to hand an event over to a webhook that are over.",
            [
                metric_text.Sample(figures.counters[result], {"result": result})
                for result in (DELIVERED, FAILED)
            ],
        ),
        metric_text.Family(
            "mailaas_webhook_events_given_up_total",
            "counter",
            "Events that a webhook does not get: each of the attempts of three days has failed.",
            (metric_text.Sample(figures.counters[GIVEN_UP]),),
        ),
        metric_text.gauge(
            "mailaas_webhook_events_waiting",
            "Events that wait in the outbox, of all webhooks.",
            figures.waiting,
        ),
        metric_text.gauge(
            "mailaas_webhook_oldest_seconds",
            "Age of the oldest event in the outbox of a webhook that is sent to, 0 without one.",
            max(0.0, round(age, 3)),
        ),
        metric_text.gauge(
            "mailaas_webhooks_timestamp_seconds",
            "When exordos-mail-webhooks last told its figures.",
            figures.at / 1000,
        ),
    ]
