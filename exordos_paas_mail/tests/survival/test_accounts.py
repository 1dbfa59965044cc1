# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Each write of an account that was said yes to is there, on the node as well, whatever died.

WRITES (1,000) are done by clients that repeat what is not answered, while FAULTS (50) happen.
OTHERS (800) are accounts that are there before and that nobody changes: with so many the node
is told the whole account file at first, and its shards later. SEED repeats a run's order of
writes and of faults.
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
    from exordos_paas_mail.tests.functional import stand_control, submission

WRITES: tp.Final = int(os.environ.get("WRITES") or 1_000)
FAULTS: tp.Final = int(os.environ.get("FAULTS") or 50)
OTHERS: tp.Final = int(os.environ.get("OTHERS") or 800)
SEED: tp.Final = int(os.environ.get("SEED") or time.time())
# Nobody waits for ever: a write, a machine that boots.
SECONDS: tp.Final = 900 + FAULTS * 120 + (WRITES + OTHERS) * 2


@pytest.mark.timeout(SECONDS)
def test_every_write_that_was_answered_is_there(
    owner_session: iam.Session,
    url: str,
    instance: rest.Json,
    relay: submission.Relay,
    stand: stand_control.Stand,
    poll: waiting.Poll,
) -> None:
    written = runs.Accounts(owner_session, url, instance, relay, stand, poll, WRITES, OTHERS, SEED)
    writers = written.begin()
    happens = kills.of_accounts()
    names = suffering.order(happens, FAULTS, SEED)
    begun = time.monotonic()
    with writers.running():
        suffered = suffering.suffer(
            happens, names, stand, instance["ipsv4"][0], poll, [writers], runs.PACE
        )
    seconds = time.monotonic() - begun
    figures, wrong = written.end(writers)
    runs.tell(SEED, seconds, suffered, figures)
    assert wrong == {"listed": [], "on the node": [], "logins": []}
    # A short form may have no fault that ends requests.
    assert writers.met() > 0 or len(happens) > FAULTS
