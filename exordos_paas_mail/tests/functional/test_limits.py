# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much an account may send, as its owner says it."""

from __future__ import annotations

import typing as tp

from clients import mail
from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"
ACCEPTED = 250
DEFERRED = 451
LIMIT = 5


def test_an_account_sends_as_much_as_its_limit_says_and_sees_how_much_that_is(
    owner: rest.Api,
    relay: submission.Relay,
    instance: rest.Json,
    accounts: provisioning.Accounts,
    poll: waiting.Poll,
) -> None:
    # With its account the node is told of its limits. A month does not end within a test.
    account = accounts.ready(limits={"recipients_per_month": LIMIT})

    def send() -> int:
        composed = submission.message(account.address, BOB)
        with relay.logged_in(account.address, account.password) as client:
            return submission.transact(client, account.address, BOB, composed)

    poll.until("the limit is reached", send, lambda code: code == DEFERRED)

    def month() -> tuple[int, int]:
        (shown,) = (one for one in owner.list(f"{account.path}/usage/") if one["period"] == "month")
        return shown["used"], shown["limit"]

    poll.until("what was sent is shown", month, lambda found: found == (LIMIT, LIMIT))
    events = f"{mail.instance_path(instance)}/events/"
    wanted = {"limit_near", "limit_reached"}
    poll.until(
        "the limit is told by events",
        lambda: {one["type"] for one in owner.list(events, account=account.uuid)},
        lambda found: found >= wanted,
    )

    # What is deferred is not counted, so that one more passes once the node knows.
    owner.expect(200, "PATCH", account.path, {"limits": {"recipients_per_month": LIMIT + 1}})
    poll.until("one more passes", send, lambda code: code == ACCEPTED)
    poll.until("it is reached again", send, lambda code: code == DEFERRED)
