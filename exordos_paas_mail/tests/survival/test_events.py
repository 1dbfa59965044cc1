# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every accepted message has its beginning and its end in the API once, whatever was killed.

MESSAGES (10,000) are sent, by clients that begin anew where they were cut off, while
FAULTS (50) happen; SEED repeats a run's order of faults.
"""

from __future__ import annotations

import collections
import os
import time
import typing as tp

import pytest

from clients import mail
from exordos_paas_mail.tests.functional import kills, pages, suffering
from exordos_paas_mail.tests.survival import sending

if tp.TYPE_CHECKING:
    from clients import internet as internet_client
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning, stand_control, submission

MESSAGES: tp.Final = int(os.environ.get("MESSAGES") or 10_000)
FAULTS: tp.Final = int(os.environ.get("FAULTS") or 50)
SEED: tp.Final = int(os.environ.get("SEED") or time.time())
RECIPIENT: tp.Final = "survivor@example.net"
# Nobody waits for ever: a message, its delivery and its events at a rate that is slow anywhere.
SECONDS: tp.Final = 600 + FAULTS * 60 + MESSAGES * 0.5

# An account may send 500 an hour (docs/relay.md); a message that nobody heard of counts, too.
OF_AN_ACCOUNT: tp.Final = 400


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
    path = mail.instance_path(instance)
    senders = [accounts.make() for _ in range(-(-MESSAGES // OF_AN_ACCOUNT))]
    for account in senders:
        accounts.wait_login(account)
    clients = sending.Clients(relay, senders, RECIPIENT, MESSAGES)
    with clients.running():
        happens = kills.of_mail()
        done = suffering.suffer(
            happens,
            suffering.order(happens, FAULTS, SEED),
            stand,
            instance["ipsv4"][0],
            poll,
            MESSAGES,
            lambda: len(clients.sent.accepted),
        )
    accepted = clients.sent.accepted

    def status_of_all() -> collections.Counter[str]:
        messages = pages.everything(owner, f"{path}/messages/", poll)
        found = {each["queue_id"]: each["status"] for each in messages}
        return collections.Counter(found.get(queue_id, "missing") for queue_id in accepted)

    poll.until(
        "each is told as delivered", status_of_all, lambda found: set(found) == {"DELIVERED"}
    )

    told = collections.Counter(
        (event["queue_id"], event["type"])
        for event in pages.everything(owner, f"{path}/events/", poll)
    )
    gaps = sum(count for (_, kind), count in told.items() if kind == "gap")
    wrong = {
        (queue_id, kind): told[queue_id, kind]
        for queue_id in accepted
        for kind in ("submitted", "accepted", "completed")
        if told[queue_id, kind] != 1
    }
    arrived = collections.Counter(each["subject"] for each in internet.messages(RECIPIENT))
    lost = [queue_id for queue_id, subject in accepted.items() if not arrived[subject]]
    twice = sum(arrived[subject] > 1 for subject in accepted.values())
    print(  # noqa: T201 - the figures of the run
        f"\n{len(accepted)} messages accepted, {clients.sent.unanswered} unanswered,"
        f" {len(clients.sent.refused)} refused, over {done.total()} faults (SEED={SEED}):"
        f" {len(lost)} lost, {twice} arrived more than once, {gaps} gaps told,"
        f" {len(wrong)} events missing or doubled"
    )
    for name, count in sorted(done.items()):
        print(f"  {count} x {name}")  # noqa: T201 - as above
    assert (lost, wrong, gaps) == ([], {}, 0)
