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
from passlib import hash as passlib_hash

from clients import mail
from exordos_paas_mail.tests.functional import (
    account_writing,
    kills,
    pages,
    provisioning,
    submission,
    suffering,
)

if tp.TYPE_CHECKING:
    from clients import iam, rest, waiting
    from exordos_paas_mail.tests.functional import stand_control

WRITES: tp.Final = int(os.environ.get("WRITES") or 1_000)
FAULTS: tp.Final = int(os.environ.get("FAULTS") or 50)
OTHERS: tp.Final = int(os.environ.get("OTHERS") or 800)
SEED: tp.Final = int(os.environ.get("SEED") or time.time())
# Nobody waits for ever: a write, a machine that boots.
SECONDS: tp.Final = 900 + FAULTS * 120 + (WRITES + OTHERS) * 2
HASH: tp.Final = passlib_hash.sha512_crypt.using(rounds=5000).hash("of nobody")


@pytest.mark.timeout(SECONDS)
def test_every_write_that_was_answered_is_there(
    owner: rest.Api,
    owner_session: iam.Session,
    url: str,
    instance: rest.Json,
    relay: submission.Relay,
    stand: stand_control.Stand,
    poll: waiting.Poll,
) -> None:
    path, address = mail.accounts_path(instance), instance["ipsv4"][0]
    node = account_writing.Node(stand, address, instance["domain"])
    known = provisioning.add_past_the_api(stand, instance, "other-", OTHERS, HASH)
    others = poll.until(
        "the others are on the node", node.accounts, lambda held: held.keys() >= set(known)
    )
    writers = account_writing.Writers(
        lambda: owner_session.api(url), path, instance["domain"], "survivor", WRITES, SEED
    )
    begun = time.monotonic()
    happens = kills.of_accounts()
    with writers.running():
        done = suffering.suffer(
            happens,
            suffering.order(happens, FAULTS, SEED),
            stand,
            address,
            poll,
            WRITES,
            writers.done,
            writers.allow,
        )
    seconds = time.monotonic() - begun
    written = writers.written

    listed = {
        each["username"]: (each["uuid"], each["active"], each["senders"])
        for each in pages.everything(owner, path, poll)
        if each["username"] not in others
    }
    differences = poll.until(
        "the node has what was written",
        lambda: node.differences(written, others),
        lambda found: found == [],
    )
    instance_now = poll.until(
        "the instance is well",
        lambda: owner.read(mail.instance_path(instance)),
        lambda found: (found["status"], found["error"]) == ("ACTIVE", ""),
    )
    print(  # noqa: T201 - the figures of the run
        f"\n{written.done} writes in {seconds:.0f} s over {done.total()} faults (SEED={SEED}),"
        f" {len(written.accounts)} accounts left beside {len(others)} others;"
        f" repeated: {dict(written.repeated)}; had been done: {dict(written.found_done)}"
    )
    for name, count in sorted(done.items()):
        print(f"  {count} x {name}")  # noqa: T201 - as above
    assert (differences, instance_now["uuid"]) == ([], instance["uuid"])
    assert listed == {
        name: (each.uuid, each.active, each.senders) for name, each in written.accounts.items()
    }
    active = [each for each in written.accounts.values() if each.active]
    logins = [(f"{each.username}@{instance['domain']}", each.password) for each in active[:3]]
    assert {relay.login(*login) for login in logins} <= {submission.OK}
