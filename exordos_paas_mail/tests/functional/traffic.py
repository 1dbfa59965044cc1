# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Things done over and over, while something else happens."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
import time
import typing as tp

from exordos_paas_mail.tests.functional import submission


@dataclasses.dataclass
class Outcomes:
    """What came of each attempt: (time, None or why it failed); times are monotonic seconds."""

    found: list[tuple[float, str | None]] = dataclasses.field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Return why attempts failed, in their order."""
        return [why for _, why in self.found if why is not None]

    @property
    def longest_gap(self) -> float:
        """Return the longest time between two successes that follow each other, in seconds."""
        ends = [moment for moment, why in self.found if why is None]
        return max((after - before for before, after in itertools.pairwise(ends)), default=0.0)


@contextlib.contextmanager
def repeated(attempt: tp.Callable[[], object], period: float = 0.5) -> tp.Iterator[Outcomes]:
    """Make the attempt again and again while the block runs; an exception is a failure."""
    outcomes, end = Outcomes(), threading.Event()

    def run() -> None:
        while not end.is_set():
            try:
                attempt()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
                outcomes.found.append((time.monotonic(), repr(error)))
            else:
                outcomes.found.append((time.monotonic(), None))
            end.wait(period)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield outcomes
    finally:
        end.set()
        thread.join()


class Sender:
    """A client that logs in anew for each message it sends."""

    def __init__(
        self, relay: submission.Relay, address: str, password: str, recipient: str
    ) -> None:
        self._relay = relay
        self._address = address
        self._password = password
        self._recipient = recipient
        self.accepted: list[str] = []

    def send(self) -> None:
        """Log in and send a message; AssertionError or OSError if that does not work."""
        composed = submission.message(self._address, self._recipient)
        with self._relay.logged_in(self._address, self._password) as client:
            code = submission.transact(client, self._address, self._recipient, composed)
        assert code == 250, f"the message was answered with {code}"
        self.accepted.append(composed["Subject"])
