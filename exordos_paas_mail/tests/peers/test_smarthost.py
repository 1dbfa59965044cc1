# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Mail of an instance by Debian's Postfix, which an account of Cyrus SASL lets in."""

from __future__ import annotations

import typing as tp

import pytest

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.peers import sending


@pytest.mark.parametrize("port", [587, 465])
def test_mail_goes_by_the_smarthost_and_arrives_as_the_senders(
    sender: sending.Sender, port: int
) -> None:
    sender.choose(port)
    found = sender.wait_chosen(port)
    verdict = found["verdict"]
    # The relay has signed it; SPF is the smarthost's matter now, which its owner would publish.
    assert (verdict["dkim"], verdict["dmarc"], verdict["spf"]) == ("pass", "pass", "fail")
    assert found["mail_from"] == sender.account.address


def test_mail_waits_for_the_right_password_and_its_owner_is_told(sender: sending.Sender) -> None:
    sender.choose(587, "another")
    sent, event = sender.wait_deferred()
    assert (event["code"], event["class"]) == (535, "auth")
    assert event["text"].startswith("The smarthost refuses the login: ")
    assert "The smarthost refuses the login" in sender.reason(sent)
    assert "another" not in event["text"]

    sender.choose(587)
    # It is tried again by itself.
    assert sender.arrived(sent)["client"] == sender.server.address


def test_mail_waits_while_the_smarthost_is_down_and_leaves_when_it_is_up(
    sender: sending.Sender,
) -> None:
    sender.choose(587)
    sender.wait_chosen(587)
    sender.server.stop()
    sent, event = sender.wait_deferred()
    assert "refused" in event["text"]
    assert "refused" in sender.reason(sent)

    sender.server.start()
    sender.retry(sent)
    assert sender.arrived(sent)["client"] == sender.server.address
