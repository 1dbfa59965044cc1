# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Threads that look at domains, so that nobody waits for somebody else's servers."""

from __future__ import annotations

import queue
import sys
import threading
import time
import traceback
import typing as tp

from exordos_paas_mail.node.sts import findings

if tp.TYPE_CHECKING:
    from collections.abc import Callable

WAITING_MAX: tp.Final = 1000
"""Looks that wait for a thread; what is more is not begun."""
ENDED_MAX: tp.Final = 50
"""Looks that are taken in at once: each is written, and a sign of life is due meanwhile."""


class Job(tp.NamedTuple):
    """A look at a domain."""

    domain: str
    known_id: str
    seconds: float


class Workers:
    """*count* threads that call *find*, and then *wake*; a domain is looked at once at a time."""

    def __init__(
        self,
        find: Callable[[str, str, float], findings.Finding],
        count: int,
        wake: Callable[[], None],
    ) -> None:
        self._find = find
        self._wake = wake
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Job, findings.Finding]] = queue.SimpleQueue()
        self._busy: dict[str, float] = {}
        self._most = WAITING_MAX + count
        for number in range(count):
            threading.Thread(target=self._work, name=f"look-{number}", daemon=True).start()

    def __contains__(self, domain: object) -> bool:
        return domain in self._busy

    def age(self, domain: str) -> float:
        """Return for how many seconds *domain* is looked at, 0 where it is not."""
        begun = self._busy.get(domain)
        return 0.0 if begun is None else time.monotonic() - begun

    def begin(self, job: Job) -> bool:
        """Have a domain be looked at, unless it is; returns False where too many wait."""
        if job.domain in self._busy:
            return True
        if len(self._busy) >= self._most:
            return False
        self._busy[job.domain] = time.monotonic()
        self._jobs.put(job)
        return True

    def ended(self) -> list[tuple[Job, findings.Finding]]:
        """Return looks that are over, ENDED_MAX at most; for more, *wake* is called again."""
        over: list[tuple[Job, findings.Finding]] = []
        while not self._done.empty():
            if len(over) == ENDED_MAX:
                self._wake()
                break
            job, found = self._done.get()
            self._busy.pop(job.domain, None)
            over.append((job, found))
        return over

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                found = self._find(*job)
            except Exception as error:  # noqa: BLE001 - what a stranger has said: no others' matter
                sys.stderr.write(f"exordos-mail-sts: {job.domain}: {traceback.format_exc()}")
                sys.stderr.flush()
                words = f"a fault of the relay ({type(error).__name__})"
                found = findings.Finding(None, None, words)
            self._done.put((job, found))
            self._wake()
