# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Tells the control plane how webhooks fare, in a thread of its own: sending never waits for it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import time
import typing as tp

from exordos_paas_mail.codecs import webhook_reports
from exordos_paas_mail.node import status_api

if tp.TYPE_CHECKING:
    from exordos_paas_mail.node.webhooks import outbox

LOOK_PERIOD: tp.Final = 2.0
"""Seconds between two reports that differ."""
AGAIN: tp.Final = 600.0
"""Seconds after which the same is told again."""
PAUSE_MAX: tp.Final = 60.0
"""Seconds between two attempts to reach a control plane that does not answer."""
_PAUSE_MIN = 1.0


class Teller:
    """Speaks to *api*, and keeps in *box* what it tells."""

    def __init__(self, api: status_api.StatusApi, box: outbox.Outbox) -> None:
        self._api = api
        self._box = box
        self._pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="teller")
        self._telling: concurrent.futures.Future[None] | None = None
        self._told = b""
        """The digest of what was told."""
        self._told_at = 0.0
        self._next = 0.0
        self._pause = 0.0
        self.refused_since: float | None = None
        """Since when (time.monotonic) nothing but refusals came back; None if it is not so."""

    @property
    def is_due(self) -> bool:
        """Whether a report may be told now."""
        return self._telling is None and time.monotonic() >= self._next

    def offer(self, report: webhook_reports.Report) -> None:
        """Begin to tell *report*, if it is news; raises sqlite3.Error."""
        now = time.monotonic()
        self._next = now + LOOK_PERIOD
        content = webhook_reports.render_report(report)
        digest = hashlib.sha256(content).digest()
        if digest == self._told and now - self._told_at < AGAIN:
            return
        if not report.hooks and self._box.report() is None:
            # A node without webhooks has nothing to tell.
            return
        moment = time.time_ns() // 1_000_000
        content = webhook_reports.render_report(dataclasses.replace(report, at=moment))
        revision = self._box.tell(content, moment)
        self._told, self._told_at = digest, now
        self._telling = self._pool.submit(self._tell, revision, content)

    def check(self) -> str:
        """Return why the last report could not be told, empty where it was or is on its way."""
        if self._telling is None or not self._telling.done():
            return ""
        telling, self._telling = self._telling, None
        try:
            telling.result()
        except status_api.StatusError as error:
            self._told = b""
            self._pause = min(PAUSE_MAX, max(_PAUSE_MIN, 2 * self._pause))
            self._next = time.monotonic() + self._pause
            if not isinstance(error, status_api.RefusedError):
                self.refused_since = None
            elif self.refused_since is None:
                self.refused_since = time.monotonic()
            return str(error)
        self._pause = 0.0
        self.refused_since = None
        return ""

    def _tell(self, revision: int, content: bytes) -> None:
        node = self._api.node
        row = webhook_reports.seal(self._api.key, node, revision, content)
        self._api.replace(
            webhook_reports.KIND, webhook_reports.row_uuid(node), webhook_reports.render(row)
        )
