# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The node's metrics, in the textfile directory of the base image's node exporter.

Written by the keeper, which is root and knows the relay's health anyway. What was
counted of mail comes from the daemon of events by a file, of which nothing but known
names and numbers is taken: a process that is exim's user writes no line of this one.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import time
import typing as tp

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import (
    certificates,
    event_figures,
    mail_env,
    metric_text,
    mta_sts,
    resolver_status,
    webhook_figures,
)
from exordos_paas_mail.node.machine import watched

if tp.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exordos_paas_mail.node import health as health_
    from exordos_paas_mail.node import machine
    from exordos_paas_mail.node.parts import domains

PERIOD: tp.Final = 15.0
_MODE: tp.Final = 0o644
# Signs of life of daemons that exim asks come each second.
_SILENCE: tp.Final = 15.0
_PACKAGE: tp.Final = "exordos_paas_mail"


def _parse_owner(data: bytes | None) -> mail_env.Owner | None:
    try:
        return None if data is None else mail_env.parse_owner(data.decode(errors="replace"))
    except ValueError:
        return None


def _parse_certificate(data: bytes | None) -> certificates.Served | None:
    try:
        return None if data is None else certificates.served(data)
    except ValueError:
        return None


def _parse_figures(data: bytes | None) -> event_figures.Figures | None:
    try:
        return None if data is None else event_figures.parse(data)
    except ValueError:
        return None


def parse_webhook_figures(data: bytes | None) -> webhook_figures.Figures | None:
    """Return how webhooks fare, None where *data* does not say."""
    try:
        return None if data is None else webhook_figures.parse(data)
    except ValueError:
        return None


def _parse_resolver(data: bytes | None) -> resolver_status.Status | None:
    try:
        return None if data is None else resolver_status.parse(data)
    except ValueError:
        return None


def _parse_sts_settings(data: bytes | None) -> mta_sts.Settings:
    return mta_sts.parse_settings((data or b"").decode("ascii", "replace"))


def _parse_sts_figures(data: bytes | None) -> mta_sts.Figures | None:
    try:
        return None if data is None else mta_sts.parse_figures(data)
    except ValueError:
        return None


class Metrics:
    """The metrics of one machine."""

    def __init__(
        self, node: machine.Machine, health: health_.Health, table: domains.Domains
    ) -> None:
        self._node = node
        self._health = health
        self._table = table
        self._owner = watched.Watched(node, constants.MAIL_ENV_FILE, _parse_owner)
        self._certificate = watched.Watched(node, constants.TLS_SERVED_FILE, _parse_certificate)
        self._sts = watched.Watched(node, constants.EXIM_CONFIG_FILE, _parse_sts_settings)
        self._version = importlib.metadata.version(_PACKAGE)
        self._next = 0.0

    def turn(self, condition: health_.Condition) -> None:
        """Write the metrics, if it is time; *condition* is how the relay was found.

        Raises OSError and MachineError. Nothing is written where the base image has
        no node exporter.
        """
        now = time.monotonic()
        if now < self._next or not self._node.exists(constants.METRICS_DIR):
            return
        self._next = now + PERIOD
        text = metric_text.render(self._families(condition), self._labels())
        self._node.write_volatile(constants.METRICS_FILE, text.encode(), _MODE)

    def _labels(self) -> Mapping[str, str]:
        _, owner = self._owner.read()
        if owner is None:
            return metric_text.NO_LABELS
        return {
            "exordos_mail_instance": str(owner.instance),
            "exordos_project": str(owner.project),
        }

    def _families(self, condition: health_.Condition) -> Iterator[metric_text.Family]:
        keys = len(self._table.facts()["dkim_keys"].splitlines())
        faults = self._table.faults()
        is_well = condition.configured and not condition.faults and not faults
        yield metric_text.gauge(
            "mailaas_relay_ok",
            "1 while the relay is configured and nothing is wrong with it (exordos-mail-status).",
            int(is_well),
        )
        yield from self._queue()
        if condition.configured:
            yield _dkim(condition, keys, len(faults))
        yield from self._tls(condition.hostname)
        yield from self._disk()
        figures = _parse_figures(self._node.read(constants.EVENT_FIGURES_FILE))
        if figures is not None:
            yield from event_figures.families(figures, time.time())
        hooks = parse_webhook_figures(self._node.read(constants.WEBHOOK_FIGURES_FILE))
        if hooks is not None:
            yield from webhook_figures.families(hooks, time.time())
        resolver = _parse_resolver(self._node.read(constants.RESOLVER_STATUS_FILE))
        if resolver is not None:
            yield from resolver_status.families(resolver)
        yield metric_text.gauge(
            "mailaas_limits_counted",
            "1 while exordos-mail-policy answers: else mail is taken, and no limit counts.",
            int(self._is_alive(constants.POLICY_ALIVE_FILE)),
        )
        yield from self._policies()
        yield metric_text.Family(
            "mailaas_build_info",
            "gauge",
            "1; the release that the node's image has.",
            (metric_text.Sample(1, {"version": self._version}),),
        )
        yield metric_text.gauge(
            "mailaas_metrics_timestamp_seconds",
            "When these metrics were written.",
            round(time.time(), 3),
        )

    def _queue(self) -> Iterator[metric_text.Family]:
        """Tell the queue as it was listed last, at most a minute ago (a long one is seldomer)."""
        queue = self._health.queue
        if queue is None:
            return
        yield metric_text.gauge("mailaas_queue_messages", "Messages in the queue.", queue.messages)
        yield metric_text.gauge(
            "mailaas_queue_frozen",
            "Messages in the queue that exim does not try; most of them for a minute.",
            queue.frozen,
        )
        yield metric_text.gauge(
            "mailaas_queue_oldest_seconds",
            "Age of the oldest message in the queue, 0 where there is none.",
            queue.oldest_seconds,
        )

    def _policies(self) -> Iterator[metric_text.Family]:
        """Tell whether domains' policies are found out, where that is not turned off."""
        _, settings = self._sts.read()
        if not settings.on:
            return
        yield metric_text.gauge(
            "mailaas_mta_sts_answered",
            "1 while exordos-mail-sts answers: else mail to domains that it does not know goes as"
            " if they had no policy.",
            int(self._is_alive(constants.STS_ALIVE_FILE)),
        )
        figures = _parse_sts_figures(self._node.read(constants.STS_FIGURES_FILE))
        if figures is not None:
            yield metric_text.gauge(
                "mailaas_mta_sts_failing",
                "Domains whose policies cannot be found out, or not anew.",
                figures.failing,
            )

    def _is_alive(self, sign: str) -> bool:
        alive = self._node.signature(sign)
        # Either way: a clock that is set back leaves a time that is still to come.
        return alive is not None and abs(time.time() - alive.mtime) < _SILENCE

    def _tls(self, hostname: str) -> Iterator[metric_text.Family]:
        _, served = self._certificate.read()
        if served is None:
            return
        now = datetime.datetime.now(datetime.timezone.utc)
        yield metric_text.gauge(
            "mailaas_certificate_not_before_timestamp_seconds",
            "When the certificate that the relay serves has begun to be valid.",
            int(served.not_before.timestamp()),
        )
        yield metric_text.gauge(
            "mailaas_certificate_expiry_timestamp_seconds",
            "When the certificate that the relay serves expires.",
            int(served.not_after.timestamp()),
        )
        is_unfit = bool(served.remarks(hostname, now))
        state = "self_signed" if served.self_signed else "unfit" if is_unfit else "installed"
        yield metric_text.Family(
            "mailaas_certificate_state",
            "gauge",
            "1 for what the relay serves: a self-signed certificate, an installed one, or an"
            " installed one that has expired or names another host.",
            [
                metric_text.Sample(int(each == state), {"state": each})
                for each in ("self_signed", "installed", "unfit")
            ],
        )

    def _disk(self) -> Iterator[metric_text.Family]:
        space = self._node.free_space(constants.EXIM_SPOOL_DIR)
        panic = self._node.signature(constants.EXIM_PANIC_LOG)
        yield metric_text.gauge(
            "mailaas_spool_free_bytes",
            "Free space of the data disk; with less than 200 MB the relay takes no mail.",
            space.bytes,
        )
        yield metric_text.gauge(
            "mailaas_panic_log_bytes",
            "Size of exim's panic log; one that is not empty is a fault of exim's.",
            0 if panic is None else panic.size,
        )


def _dkim(condition: health_.Condition, keys: int, faults: int) -> metric_text.Family:
    """Tell the keys of all domains; without a table of them there is the first domain's."""
    first = int(bool(condition.dkim_public_key) and not condition.dkim_fault)
    states = {"usable": keys or first, "faulty": faults + bool(condition.dkim_fault)}
    return metric_text.Family(
        "mailaas_dkim_keys",
        "gauge",
        "DKIM keys that the node signs with, and what is wrong with keys (the node repairs it).",
        [metric_text.Sample(value, {"state": state}) for state, value in states.items()],
    )
