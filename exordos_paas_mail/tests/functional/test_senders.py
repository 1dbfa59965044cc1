# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""As what an account may send, as its owner says it."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.tests.functional import submission

if tp.TYPE_CHECKING:
    import smtplib

    from clients import rest, waiting
    from exordos_paas_mail.tests.functional import provisioning

BOB = "bob@example.net"
ACCEPTED = 250
REFUSED = 553


def codes(client: smtplib.SMTP, senders: tp.Iterable[str]) -> dict[str, int]:
    """Return the answer to MAIL of each of *senders*."""
    answers = {}
    for sender in senders:
        answers[sender], _ = client.mail(sender)
        client.rset()
    return answers


class Entitling:
    """Says as what an account may send, and knows when the node knows."""

    def __init__(
        self,
        owner: rest.Api,
        relay: submission.Relay,
        account: provisioning.Account,
        poll: waiting.Poll,
    ) -> None:
        self._owner, self._relay, self._account, self._poll = owner, relay, account, poll

    def set(self, senders: list[str] | None, expected: dict[str, int]) -> None:
        """Say the account's *senders*; return once a new session has the *expected* answers."""
        answer = self._owner.expect(200, "PATCH", self._account.path, {"senders": senders})
        assert answer["senders"] == senders
        self._poll.until(
            f"{self._account.address} sends as {senders}",
            lambda: self._codes(expected),
            lambda found: found == expected,
        )

    def _codes(self, senders: tp.Iterable[str]) -> dict[str, int]:
        with self._relay.logged_in(self._account.address, self._account.password) as client:
            return codes(client, senders)


def test_a_change_of_senders_holds_in_an_open_session(
    owner: rest.Api,
    relay: submission.Relay,
    instance: rest.Json,
    accounts: provisioning.Accounts,
    poll: waiting.Poll,
) -> None:
    account, domain = accounts.ready(), instance["domain"]
    entitling = Entitling(owner, relay, account, poll)
    own, other = account.address, f"anybody@{domain}"
    below, foreign = f"root@web1.{domain}", "anybody@example.org"
    none = dict.fromkeys((own, other, below, foreign), REFUSED)
    entries: tuple[tuple[list[str] | None, tuple[str, ...]], ...] = (
        (["own"], (own,)),
        ([f"*@*.{domain}"], (below,)),
        ([other], (other,)),
        ([f"*@{domain}"], (own, other)),
        (None, (own, other)),
    )
    for senders, allowed in entries:
        expected = {**none, **dict.fromkeys(allowed, ACCEPTED)}
        with relay.logged_in(account.address, account.password) as client:
            entitling.set(senders, expected)
            assert codes(client, expected) == expected


def test_an_account_that_is_held_to_itself_does_not_send_as_its_colleague(
    owner: rest.Api,
    relay: submission.Relay,
    alice: provisioning.Account,
    accounts: provisioning.Accounts,
    poll: waiting.Poll,
) -> None:
    account = accounts.ready()
    expected = {account.address: ACCEPTED, alice.address: REFUSED}
    Entitling(owner, relay, account, poll).set(["own"], expected)
    spoofed = submission.message(alice.address, BOB)
    with relay.logged_in(account.address, account.password) as client:
        assert submission.transact(client, account.address, BOB, spoofed) == REFUSED


def test_senders_of_a_domain_that_the_instance_does_not_have_are_refused(
    owner: rest.Api, accounts: provisioning.Accounts
) -> None:
    account = accounts.make()
    answer = owner.call("PATCH", account.path, {"senders": ["own", "*@elsewhere.example"]})
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"].startswith("senders: entry 2: ")
    assert owner.read(account.path)["senders"] is None
