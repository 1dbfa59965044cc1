# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail and writes of accounts at a time, through the same faults: nothing of either is lost.

MESSAGES (10,000) and WRITES (1,000) are shared out between FAULTS (80) of all kinds, 56 of which
are of those that meet mail, and 56 of those that meet the accounts, beside OTHERS (800) that
nobody changes. SEED repeats a run's order.
"""

from __future__ import annotations

import os
import time
import typing as tp

import pytest

from exordos_paas_mail.tests.functional import kills, suffering
from exordos_paas_mail.tests.survival import runs

if tp.TYPE_CHECKING:
    from clients import iam, rest, waiting
    from clients import internet as internet_client
    from exordos_paas_mail.tests.functional import provisioning, stand_control, submission

MESSAGES: tp.Final = int(os.environ.get("MESSAGES") or 10_000)
WRITES: tp.Final = int(os.environ.get("WRITES") or 1_000)
OTHERS: tp.Final = int(os.environ.get("OTHERS") or 800)
FAULTS: tp.Final = int(os.environ.get("FAULTS") or 80)
SEED: tp.Final = int(os.environ.get("SEED") or time.time())
# Nobody waits for ever; see the two others.
SECONDS: tp.Final = 1500 + FAULTS * 120 + MESSAGES * 0.5 + (WRITES + OTHERS) * 2


@pytest.mark.timeout(SECONDS)
def test_no_message_and_no_write_is_lost(
    owner: rest.Api,
    owner_session: iam.Session,
    url: str,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    internet: internet_client.Client,
    stand: stand_control.Stand,
    poll: waiting.Poll,
) -> None:
    messages = runs.Mail(owner, instance, relay, accounts, internet, poll, MESSAGES)
    written = runs.Accounts(owner_session, url, instance, relay, stand, poll, WRITES, OTHERS, SEED)
    # Whose mail it is is there before: to the writers they are others.
    clients, writers = messages.begin(), written.begin()
    happens = {**kills.of_mail(), **kills.of_accounts()}
    names = suffering.order(happens, FAULTS, SEED)
    begun = time.monotonic()
    with clients.running(), writers.running():
        suffered = suffering.suffer(
            happens, names, stand, instance["ipsv4"][0], poll, [clients, writers], runs.PACE
        )
    seconds = time.monotonic() - begun
    of_mail, wrong_mail = messages.end(clients)
    of_accounts, wrong_accounts = written.end(writers)
    runs.tell(SEED, seconds, suffered, of_mail, of_accounts)
    assert (wrong_mail, wrong_accounts) == (
        {"lost": [], "told": {}, "gaps": [], "of nobody": []},
        {"listed": [], "on the node": [], "logins": []},
    )
    # A short form may have no fault that ends sessions, and requests.
    assert (clients.sent.cut > 0 and writers.met() > 0) or len(happens) > FAULTS
