# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How the node's own resolver is used, as its keeper tells the node and its metrics."""

from __future__ import annotations

import enum
import typing as tp

from exordos_paas_mail.codecs import bounded, metric_text


class Mode(enum.Enum):
    """Whom the node asks."""

    VALIDATING = "validating"
    """The own resolver, which validates (DNSSEC)."""
    PLAIN = "plain"
    """The own resolver, which cannot: the network's server hands no signatures on."""
    AWAY = "away"
    """The network's servers: the own resolver does not answer, or has nobody to ask."""
    OFF = "off"
    """The network's servers: so says relay.env."""


class Status(tp.NamedTuple):
    """What there is to tell of the resolver."""

    at: int
    """When this was so; milliseconds since 1970."""
    mode: Mode
    server: str = ""
    """The network's server that it asks, empty where it asks none."""
    detail: str = ""
    """Why it is not ``VALIDATING``, or what is wrong all the same."""


def render(status: Status) -> bytes:
    """Return *status* as a line of JSON; ``parse`` is the inverse."""
    said = {**status._asdict(), "mode": status.mode.value, "detail": bounded.plain(status.detail)}
    return bounded.dump(said) + b"\n"


def parse(data: bytes) -> Status:
    """Return the status of *data*; ValueError, without a word of it, when it holds none."""
    fields = bounded.Fields(bounded.load(data, "the resolver's status"), "the resolver's status")
    mode = fields.text("mode")
    if mode not in {each.value for each in Mode}:
        raise fields.error("mode")
    return Status(fields.number("at"), Mode(mode), fields.text("server"), fields.text("detail"))


def families(status: Status) -> list[metric_text.Family]:
    """Return the metrics of *status*."""
    return [
        metric_text.Family(
            "mailaas_resolver_mode",
            "gauge",
            "1 for whom the node asks: its own resolver, which validates (DNSSEC) or cannot"
            " (plain), or the network's servers (away, off). DANE needs the first.",
            [metric_text.Sample(int(status.mode is mode), {"mode": mode.value}) for mode in Mode],
        ),
        metric_text.gauge(
            "mailaas_resolver_timestamp_seconds",
            "When exordos-mail-keep-resolver last told whom the node asks.",
            status.at / 1000,
        ),
    ]
