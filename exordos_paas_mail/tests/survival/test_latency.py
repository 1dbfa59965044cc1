# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How long after its 250 a message is in ``messages/``: RATE (10) a second for MINUTES (3)."""

from __future__ import annotations

import os
import statistics
import threading
import time
import typing as tp

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

RATE: tp.Final = float(os.environ.get("RATE") or 10)
MINUTES: tp.Final = float(os.environ.get("MINUTES") or 3)
MESSAGES: tp.Final = int(RATE * MINUTES * 60)
RECIPIENT: tp.Final = "reader@example.net"
CLIENTS: tp.Final = 4
# An account may send 500 an hour (docs/relay.md).
OF_AN_ACCOUNT: tp.Final = 400
PAGE: tp.Final = 500
# Seconds between two looks of one who waits for a message.
PAUSE: tp.Final = 0.25


class Sending:
    """Clients that send at the rate, each message when it is due; times are monotonic seconds."""

    def __init__(self, relay: submission.Relay, accounts: list[provisioning.Account]) -> None:
        self.accepted: dict[str, float] = {}
        """When each message was accepted, by queue id."""
        self.errors: list[str] = []
        self._relay, self._accounts = relay, accounts
        self._begun = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def is_over(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, client: int) -> None:
        try:
            # A session for the messages of one account, as a service has it.
            for first in range(0, MESSAGES, OF_AN_ACCOUNT):
                account = self._accounts[first // OF_AN_ACCOUNT]
                numbers = range(first + client, min(first + OF_AN_ACCOUNT, MESSAGES), CLIENTS)
                with self._relay.logged_in(account.address, account.password) as session:
                    for number in numbers:
                        due = self._begun + number / RATE
                        time.sleep(max(due - time.monotonic(), 0))
                        composed = submission.message(account.address, RECIPIENT)
                        queue_id = submission.send(session, account.address, RECIPIENT, composed)
                        self.accepted[queue_id] = time.monotonic()
        except (OSError, AssertionError) as error:
            self.errors.append(repr(error))


@pytest.mark.timeout(1200 + 120 * MINUTES)
def test_how_long_a_message_takes_from_its_acceptance_to_the_api(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    internet: internet_client.Client,
    poll: waiting.Poll,
) -> None:
    path = f"{mail.instance_path(instance)}/messages/"
    senders = [accounts.make() for _ in range(-(-MESSAGES // OF_AN_ACCOUNT))]
    for account in senders:
        accounts.wait_login(account)
    seen: dict[str, float] = {}
    looks: list[float] = []
    sending = Sending(relay, senders)

    def is_all_there() -> bool:
        asked = time.monotonic()
        listed = owner.list(path, page_limit=PAGE)
        now = time.monotonic()
        looks.append(now - asked)
        for each in listed:
            seen.setdefault(each["queue_id"], now)
        return sending.is_over() and seen.keys() >= sending.accepted.keys()

    begun = time.monotonic()
    end = begun + MINUTES * 60 + poll.seconds
    while not is_all_there():
        assert time.monotonic() < end, f"{len(sending.accepted.keys() - seen.keys())} are missing"
        time.sleep(PAUSE)
    assert sending.errors == []
    delays = sorted(seen[queue_id] - at for queue_id, at in sending.accepted.items())
    rate = len(delays) / (max(sending.accepted.values()) - begun)
    print(  # noqa: T201 - the figures of the run
        f"\n{len(delays)} messages at {rate:.1f} a second, visible after their acceptance:"
        f" median {statistics.median(delays):.1f} s, 95 % {delays[int(len(delays) * 0.95)]:.1f} s,"
        f" worst {delays[-1]:.1f} s; a look took {statistics.median(looks):.2f} s"
    )
    assert internet.messages(RECIPIENT)
