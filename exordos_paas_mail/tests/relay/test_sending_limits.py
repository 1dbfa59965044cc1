# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The limits of instance and account, with the daemon that counts."""

from __future__ import annotations

import re
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import mail_events, main_log
from exordos_paas_mail.tests.relay import policy as policy_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

if tp.TYPE_CHECKING:
    import smtplib
    from collections.abc import Iterator

ALICE, BOB = relay_.ALICE, relay_.BOB
TO = "someone@elsewhere.example"
HOUR = 3600
REACHED = r"reached: the next is taken in \d+ s, at \d{4}-\d\d-\d\dT\d\d:\d\d:00Z"


@pytest.fixture
def policy(relay: relay_.Relay) -> Iterator[policy_.Policy]:
    policy = policy_.Policy()
    yield policy
    policy.close()


def rcpts(client: smtplib.SMTP, count: int, sender: str = ALICE) -> list[int]:
    client.mail(sender)
    return [client.rcpt(f"to{number}@elsewhere.example")[0] for number in range(count)]


def test_an_account_sends_as_much_as_its_limit_says(
    relay: relay_.Relay, policy: policy_.Policy
) -> None:
    assert policy
    policy_.limit(alice={"recipients_per_month": 3})
    with relay.login() as client:
        assert rcpts(client, 3) == [250] * 3
        code, text = client.rcpt(TO)
        assert code == 451
        expected = f"4.7.1 The limit of 3 recipients a month of {ALICE} is "
        assert re.fullmatch(expected + REACHED, relay_.sentence(text)), text
        assert client.data(relay_.message(From=ALICE))[0] == 250
        assert rcpts(client, 2) == [451] * 2
    with relay.login(login=BOB) as client:
        client.mail(BOB)
        answers = [client.rcpt(f"to{number}@elsewhere.example") for number in range(9)]
        assert [code for code, _ in answers] == [250] * 9, (answers, relay.log()[-3000:])

    # A change counts in the next second, in open sessions too.
    with relay.login() as client:
        assert rcpts(client, 1) == [451]
        policy_.limit({"recipients_per_month": 5}, "reject", alice={"recipients_per_month": 9})
        client.rset()
        assert rcpts(client, 3) == [250, 250, 550]
        code, text = client.rcpt(TO)
        expected = "5.7.1 The limit of 5 recipients a month of all accounts together is "
        assert re.fullmatch(expected + REACHED, relay_.sentence(text)), text


def test_signals_are_told_once_a_window(relay: relay_.Relay, policy: policy_.Policy) -> None:
    assert policy
    policy_.limit({"recipients_per_month": 10}, alice={"recipients_per_month": 5})
    with relay.login() as client:
        rcpts(client, 9)
    lines = relay.wait_for_log("limits account=")
    events = [
        (event.type.value, event.account, event.text.partition(",")[0])
        for line in lines
        if (parsed := main_log.parse(line)) is not None
        for event in mail_events.of(parsed)
    ]
    assert events == [
        ("limit_near", ALICE, "4 of the 5 of recipients_per_month are used"),
        ("limit_reached", ALICE, "5 of the 5 of recipients_per_month are used"),
    ]


def test_what_is_not_taken_in_the_end_is_given_back(
    relay: relay_.Relay, policy: policy_.Policy
) -> None:
    assert policy
    policy_.limit(alice={"recipients_per_month": 2})
    with relay.login() as client:
        # By RSET, by a refusal after DATA, and by the end of the session.
        for _ in range(2):
            assert rcpts(client, 3) == [250, 250, 451]
            client.rset()
        assert rcpts(client, 3) == [250, 250, 451]
        assert client.data(relay_.message(From="stranger@elsewhere.example"))[0] == 553
        assert rcpts(client, 2) == [250, 250]
    client = relay.login()
    assert rcpts(client, 2) == [250, 250]
    client.close()
    # exim finds the connection gone when it reads on.
    deadline = time.monotonic() + units.PATIENCE
    while True:
        with relay.login() as client:
            if rcpts(client, 2) == [250, 250]:
                assert client.data(relay_.message(From=ALICE))[0] == 250
                break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    # What was taken counts.
    with relay.login() as client:
        assert rcpts(client, 1) == [451]
        # No recipient at all is counted that has no mail server.
    policy_.limit(alice={"recipients_per_month": 3})
    with relay.login() as client:
        client.mail(ALICE)
        assert client.rcpt("someone@nowhere.example")[0] == 550
        assert client.rcpt(TO)[0] == 250


def test_a_message_has_so_many_recipients_and_octets(relay: relay_.Relay) -> None:
    """Without the daemon: these are exim's to say."""
    policy_.limit({"message_size_mb": 2}, alice={"message_size_mb": 1, "recipients_per_message": 2})
    try:
        with relay.login() as client:
            assert rcpts(client, 3) == [250, 250, 452]
            assert relay_.sentence(client.rcpt(TO)[1]) == (
                f"4.5.3 A message of {ALICE} has 2 recipients at most:"
                " send to the others in another message"
            )
            said = (552, f"5.3.4 A message of {ALICE} has 1 MB at most".encode())
            client.rset()
            assert client.mail(ALICE, [f"SIZE={2**20 + 1}"]) == said
            assert client.mail(ALICE, [f"SIZE={2**20}"])[0] == 250
            client.rset()
            large = relay_.message("x" * 70 + "\r\n", From=ALICE)
            large += ("y" * 70 + "\r\n") * (2**20 // 70)
            assert rcpts(client, 1) == [250]
            assert client.data(large) == said
            assert rcpts(client, 1) == [250]
            assert client.data(relay_.message(From=ALICE))[0] == 250
        with relay.login(login=BOB) as client:
            assert rcpts(client, 5, BOB) == [250] * 5
            client.rset()
            assert client.mail(BOB, [f"SIZE={2**21}"])[0] == 250
            client.rset()
            assert client.mail(BOB, [f"SIZE={2**21 + 1}"])[1].endswith(b"has 2 MB at most")
    finally:
        policy_.LIMITS.unlink()


def send(relay: relay_.Relay, count: int) -> None:
    """Send messages, each in a session of its own."""
    for _ in range(count):
        assert relay.send()[0] == 250


def test_mail_flows_while_nobody_counts_and_waits_for_nobody(
    relay: relay_.Relay, policy: policy_.Policy
) -> None:
    policy_.limit(alice={"recipients_per_month": 1})
    policy.pause()
    policy.unanswered()

    # Its sign of life is young: a session waits once, and asks no more for 5 seconds.
    policy.set_sign_of_life(-HOUR)
    begun = time.monotonic()
    with relay.login() as client:
        assert rcpts(client, 5) == [250] * 5
    spent = time.monotonic() - begun
    assert 1 <= policy.unanswered() <= 1 + spent // 5

    # It is old: nobody asks.
    policy.set_sign_of_life(HOUR)
    send(relay, 3)
    assert policy.unanswered() == 0

    # It has just been killed.
    policy.kill()
    policy.set_sign_of_life(-HOUR)
    send(relay, 2)
    assert policy.unanswered() == 2

    policy_.SOCKET.unlink()
    send(relay, 2)
    assert policy.unanswered() == 0
    # Each of the eight sessions says so.
    lines = relay.log_lines(f"limits not counted account={ALICE}: exordos-mail-policy")
    assert len(lines) >= 8


def test_a_kill_costs_nothing_that_was_counted(relay: relay_.Relay, policy: policy_.Policy) -> None:
    policy_.limit(alice={"recipients_per_month": 5})
    with relay.login() as client:
        assert rcpts(client, 3) == [250] * 3
        policy.kill()
        policy.start()
        assert [client.rcpt(f"more{number}@elsewhere.example")[0] for number in range(4)] == [
            *[250] * 2,
            *[451] * 2,
        ]
