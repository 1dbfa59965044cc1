# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A DNS that does not answer for a moment, while a session goes on for long.

The distribution's exim4 remembers it as long as the session's process lives, and has
its deliveries inherit it; the relay's own has exordos/images/exim_dns_failures.patch.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    import pytest

ALICE = relay_.ALICE
RECIPIENT = "someone@elsewhere.example"


def test_a_delivery_asks_what_was_not_answered_at_rcpt(
    relay: relay_.Relay, internet: internet_.Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internet_, "FAILING", {"elsewhere.example"})
    with relay.login() as client:
        client.mail(ALICE)
        assert client.rcpt(RECIPIENT)[0] == 250
        monkeypatch.setattr(internet_, "FAILING", set())
        assert client.data(relay_.message(From=ALICE))[0] == 250
        (got,) = internet.wait_for(1)
    assert got.recipients == [RECIPIENT]


def test_the_next_message_of_a_session_leaves_at_once(
    relay: relay_.Relay, internet: internet_.Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internet_, "FAILING", {"elsewhere.example"})
    with relay.login() as client:
        assert client.sendmail(ALICE, RECIPIENT, relay_.message(From=ALICE)) == {}
        relay.wait_for_log(r"== someone@elsewhere\.example .*host lookup did not complete")
        monkeypatch.setattr(internet_, "FAILING", set())
        second = relay_.message(From=ALICE, Subject="the second")
        assert client.sendmail(ALICE, RECIPIENT, second) == {}
        (got,) = internet.wait_for(1)
    assert b"Subject: the second" in got.data
    relay.run_queue()
    internet.wait_for(2)


def test_a_session_learns_with_its_next_message_that_a_domain_does_not_exist(
    relay: relay_.Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipient = "a@nxdomain.example"
    monkeypatch.setattr(internet_, "FAILING", {"nxdomain.example"})
    with relay.login() as client:
        client.mail(ALICE)
        assert client.rcpt(recipient)[0] == 250
        monkeypatch.setattr(internet_, "FAILING", set())
        # For the other recipients of a message it stays as it was.
        assert client.rcpt(recipient)[0] == 250
        client.rset()
        client.mail(ALICE)
        assert client.rcpt(recipient)[0] == 550
