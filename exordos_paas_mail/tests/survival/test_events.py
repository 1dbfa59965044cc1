# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Every accepted message has its beginning and its end in the API once, whatever was killed.

MESSAGES (10,000) are sent, by clients that begin anew where they were cut off, while
FAULTS (50) happen; SEED repeats a run's order of faults.
"""

from __future__ import annotations

import collections
import os
import random
import time
import typing as tp
from http import HTTPStatus

import pytest
import requests

from clients import mail
from exordos_paas_mail.tests.survival import faults, sending

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

_PAGE: tp.Final = 500


def everything(owner: rest.Api, path: str, poll: waiting.Poll) -> tp.Iterator[rest.Json]:
    """Give all of a list, by pages.

    A request is repeated, as a user does it, where the API is not up yet or has lost its
    database: it learns so of each of its connections when it uses it (503, 500).
    """
    marker: dict[str, tp.Any] = {}

    def look() -> requests.Response | None:
        try:
            return owner.call("GET", path, page_limit=_PAGE, **marker)
        except requests.ConnectionError:
            return None

    def is_answer(found: requests.Response | None) -> bool:
        return found is not None and found.status_code < HTTPStatus.INTERNAL_SERVER_ERROR

    while True:
        answer = poll.until(f"{path} answers", look, is_answer)
        answer.raise_for_status()
        page: list[rest.Json] = answer.json()
        if not page:
            return
        yield from page
        marker["page_marker"] = page[-1]["uuid"]


def suffer(
    clients: sending.Clients, stand: stand_control.Stand, node: str, poll: waiting.Poll
) -> collections.Counter[str]:
    """Do what is to happen, evenly over the messages; returns how often what was done."""
    chance = random.Random(SEED)  # noqa: S311 - an order that can be repeated, no secret
    kinds = faults.kinds()
    # Each kind as often as the others, as far as the number allows.
    order = [name for _ in range(-(-FAULTS // len(kinds))) for name in kinds]
    chance.shuffle(order)
    done: collections.Counter[str] = collections.Counter()
    for number, name in enumerate(order[:FAULTS], 1):
        due = MESSAGES * number // (FAULTS + 1)
        poll.until(
            f"{due} messages are accepted, after {dict(done)}",
            lambda due=due: len(clients.sent.accepted) >= due,  # type: ignore[misc]
        )
        kinds[name](stand, node)
        done[name] += 1
    poll.until("all messages are accepted", clients.is_done)
    return done


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
        done = suffer(clients, stand, instance["ipsv4"][0], poll)
    accepted = clients.sent.accepted

    def status_of_all() -> collections.Counter[str]:
        messages = everything(owner, f"{path}/messages/", poll)
        found = {each["queue_id"]: each["status"] for each in messages}
        return collections.Counter(found.get(queue_id, "missing") for queue_id in accepted)

    poll.until(
        "each is told as delivered", status_of_all, lambda found: set(found) == {"DELIVERED"}
    )

    told = collections.Counter(
        (event["queue_id"], event["type"]) for event in everything(owner, f"{path}/events/", poll)
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
