# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A limit under many clients at once: SUBMISSIONS against half as many recipients.

The gate runs the short form, `make test-limits` the long one.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import os
import random
import signal
import smtplib
import sys
import threading
import typing as tp

import pytest

from exordos_paas_mail.tests.relay import policy as policy_
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUBMISSIONS: tp.Final = int(os.environ.get("SUBMISSIONS", "600"))
LIMIT: tp.Final = SUBMISSIONS // 2
CLIENTS: tp.Final = 50
# So that sessions begin and end all the time.
PER_SESSION: tp.Final = 6
FAULTS: tp.Final = 9
# How far from the limit what passes may be when processes are killed.
NEAR: tp.Final = 10

pytestmark = pytest.mark.timeout(240 + SUBMISSIONS // 5)


@pytest.fixture
def policy(relay: relay_.Relay) -> Iterator[policy_.Policy]:
    policy = policy_.Policy()
    policy_.limit(alice={"recipients_per_month": LIMIT})
    with relay.configured(recipients_per_hour=1_000_000, connections_per_address_max=2 * CLIENTS):
        yield policy
        relay.forget_queue(seconds=60 + SUBMISSIONS // 20)
    policy.close()


class Clients:
    """Submit until all of SUBMISSIONS have got an answer, or were cut off."""

    def __init__(self, relay: relay_.Relay) -> None:
        self._relay = relay
        self._lock = threading.Lock()
        self._left = SUBMISSIONS
        self.ends: collections.Counter[str] = collections.Counter()

    def run(self) -> None:
        while self._take():
            self._session()

    def _session(self) -> None:
        try:
            with self._relay.login() as client:
                self._submit(client)
                for _ in range(PER_SESSION - 1):
                    if not self._take():
                        return
                    self._submit(client)
        except (OSError, smtplib.SMTPException) as error:
            # Its process was killed: whether the message was taken, the log says.
            self._count(f"cut off: {error!r}")

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _submit(self, client: smtplib.SMTP) -> None:
        client.mail(relay_.ALICE)
        code, text = client.rcpt("someone@elsewhere.example")
        if code == 250:
            code, text = client.data(relay_.message(From=relay_.ALICE))
        else:
            client.rset()
        self._count("taken" if code == 250 else f"{code} {text.decode().partition(' recip')[0]}")

    def _count(self, end: str) -> None:
        with self._lock:
            self.ends[end] += 1

    def done(self) -> int:
        with self._lock:
            return self.ends.total()


def test_clients_at_once_pass_a_limit_exactly(relay: relay_.Relay, policy: policy_.Policy) -> None:
    assert policy
    clients = Clients(relay)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for each in [pool.submit(clients.run) for _ in range(CLIENTS)]:
            each.result()

    assert relay.log_lines("limits not counted") == []
    refused = f"451 4.7.1 The limit of {LIMIT}"
    assert clients.ends == {"taken": LIMIT, refused: SUBMISSIONS - LIMIT}
    assert len(relay.log_lines(" <= alice@")) == LIMIT


def test_kills_and_reloads_let_a_limit_pass_by_no_more_than_a_few(
    relay: relay_.Relay, policy: policy_.Policy
) -> None:
    chance = random.Random(SUBMISSIONS)  # noqa: S311 - which one is killed

    def kill_the_daemon() -> None:
        policy.kill()
        policy.start()

    def kill_a_session() -> None:
        # Not a delivery: what exim says of one that ends like that is test_frozen's.
        if sessions := relay.units.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(sorted(sessions)), signal.SIGKILL)

    faults: list[Callable[[], None]] = [kill_the_daemon, kill_a_session, relay.units.reload]
    clients = Clients(relay)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        each = [pool.submit(clients.run) for _ in range(CLIENTS)]
        for number in range(1, FAULTS + 1):
            # Most before the limit is reached, some while it is.
            while clients.done() < SUBMISSIONS * 2 // 3 * number // FAULTS:
                concurrent.futures.wait(each, 0.02)
            faults[number % len(faults)]()
        for one in each:
            one.result()

    relay.wait_until_idle(seconds=60 + SUBMISSIONS // 20)
    passed = len(relay.log_lines(" <= alice@"))
    sys.stdout.write(
        f"\n{SUBMISSIONS} submissions, limit {LIMIT}, {FAULTS} faults: {passed} passed;"
        f" {dict(clients.ends)}\n"
    )
    assert abs(passed - LIMIT) <= NEAR, clients.ends
    assert clients.ends.total() == SUBMISSIONS, clients.ends
