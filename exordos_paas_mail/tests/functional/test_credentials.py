# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials: made once, shown once, replaced under a client that sends all the time."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.tests.functional import submission, traffic

if tp.TYPE_CHECKING:
    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"


@pytest.fixture
def account(accounts: provisioning.Accounts) -> provisioning.Account:
    return accounts.ready()


class Credentials:
    """The credentials of an account, as its owner has them."""

    def __init__(self, api: rest.Api, account: provisioning.Account, poll: waiting.Poll) -> None:
        self._api, self._poll = api, poll
        self.path = f"{account.path}/credentials/"

    def make(self, **fields: tp.Any) -> rest.Json:
        """Return a new one, which the node has."""
        return self._taken(self._api.create(self.path, fields))

    def rotate(self, made: rest.Json, **fields: tp.Any) -> rest.Json:
        """Return the one in the place of *made*, which the node has."""
        action = f"{self.path}{made['uuid']}/actions/rotate/invoke"
        return self._taken(self._api.expect(200, "POST", action, fields))

    def _taken(self, made: rest.Json) -> rest.Json:
        assert made["status"] == "NEW"
        self._poll.until(
            f"{made['prefix']} is ACTIVE",
            lambda: self.read(made),
            lambda found: found["status"] == "ACTIVE",
        )
        return made

    def read(self, made: rest.Json) -> rest.Json:
        return self._api.read(f"{self.path}{made['uuid']}")


@pytest.fixture
def credentials(owner: rest.Api, account: provisioning.Account, poll: waiting.Poll) -> Credentials:
    return Credentials(owner, account, poll)


def test_a_credential_logs_in_as_soon_as_it_is_active_and_the_password_can_go(
    owner: rest.Api,
    relay: submission.Relay,
    account: provisioning.Account,
    accounts: provisioning.Accounts,
    credentials: Credentials,
    poll: waiting.Poll,
) -> None:
    made = credentials.make()
    secret = made["secret_key"]
    assert secret not in owner.call("GET", credentials.path).text
    for port in (submission.SUBMISSION, submission.SUBMISSIONS):
        for mechanism in ("PLAIN", "LOGIN"):
            assert relay.login(account.address, secret, port, mechanism) == submission.OK
    owner.expect(200, "PATCH", account.path, {"password": None})
    accounts.wait_login(account, submission.REFUSED)
    with relay.logged_in(account.address, secret) as client:
        composed = submission.message(account.address, BOB)
        assert submission.transact(client, account.address, BOB, composed) == 250
    used = poll.until(
        f"{made['prefix']} was used",
        lambda: credentials.read(made),
        lambda found: found["last_used_at"] is not None,
    )
    assert used["last_used_ip"]


def test_a_credential_of_another_network_is_a_wrong_password(
    relay: submission.Relay, account: provisioning.Account, credentials: Credentials
) -> None:
    made = credentials.make(networks=["192.0.2.0/24", "2001:db8::/32"])
    assert relay.login(account.address, made["secret_key"]) == submission.REFUSED


def test_a_rotation_refuses_nobody_who_sends_all_the_time(
    relay: submission.Relay,
    account: provisioning.Account,
    credentials: Credentials,
    poll: waiting.Poll,
) -> None:
    old = credentials.make()
    secrets = [old["secret_key"]]

    def send() -> None:
        traffic.Sender(relay, account.address, secrets[-1], BOB).send()

    with traffic.repeated(send) as outcomes:
        new = credentials.rotate(old, overlap_hours=1)
        secrets.append(new["secret_key"])
        newer = credentials.rotate(new, overlap_hours=1)
        secrets.append(newer["secret_key"])
        before = len(outcomes.found)
        poll.until("three more messages", lambda: len(outcomes.found) >= before + 3, bool)
    assert outcomes.failures == []
    assert credentials.read(old)["expires_at"] is not None

    # Without an overlap the secret has ended by the time the new one is taken.
    credentials.rotate(newer, overlap_hours=0)
    poll.until(
        "the one that was replaced is refused",
        lambda: relay.try_login(account.address, newer["secret_key"]),
        lambda found: found == submission.REFUSED,
    )
    assert relay.login(account.address, old["secret_key"]) == submission.OK
