# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every accepted message has its beginning and its end in the API once, whatever was killed.

MESSAGES (10,000) are sent, by clients that begin anew where they were cut off, while
FAULTS (50) happen; SEED repeats a run's order of faults.
"""

from __future__ import annotations

import os
import time
import typing as tp

import pytest

from exordos_paas_mail.tests.functional import kills, suffering
from exordos_paas_mail.tests.survival import runs

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning, stand_control, submission

MESSAGES: tp.Final = int(os.environ.get("MESSAGES") or 10_000)
FAULTS: tp.Final = int(os.environ.get("FAULTS") or 50)
SEED: tp.Final = int(os.environ.get("SEED") or time.time())
# Nobody waits for ever: a message, its delivery and its events at a rate that is slow anywhere.
SECONDS: tp.Final = 600 + FAULTS * 60 + MESSAGES * 0.5


@pytest.mark.timeout(SECONDS)
def test_every_accepted_message_is_told_once(
    owner: rest.Api,
    instance: rest.Json,
    relay: submission.Relay,
    accounts: provisioning.Accounts,
    internet: internet_client.Client,
    stand: stand_control.Stand,
    poll: waiting.Poll,
) -> None:
    messages = runs.Mail(owner, instance, relay, accounts, internet, poll, MESSAGES)
    clients = messages.begin()
    happens = kills.of_mail()
    names = suffering.order(happens, FAULTS, SEED)
    begun = time.monotonic()
    with clients.running():
        suffered = suffering.suffer(
            happens, names, stand, instance["ipsv4"][0], poll, [clients], runs.PACE
        )
    seconds = time.monotonic() - begun
    figures, wrong = messages.end(clients)
    runs.tell(SEED, seconds, suffered, figures)
    assert wrong == {"lost": [], "told": {}, "gaps": [], "of nobody": []}
    # A short form may have no fault that ends sessions.
    assert clients.sent.cut > 0 or len(happens) > FAULTS
