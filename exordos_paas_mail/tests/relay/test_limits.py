# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import shlex
import smtplib
import socket
import struct
import subprocess
import time

import pytest

from exordos_paas_mail.codecs import exim_conf
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

ALICE = relay_.ALICE
BOB = relay_.BOB


def hold(stack: contextlib.ExitStack, relay: relay_.Relay, port: int, source: str) -> str:
    """Connect in the clear, stay, and return the greeting's code."""
    client = stack.enter_context(relay_.Raw(relay, port, source=source))
    if port == 465:
        return "220" if client.answer() else "421"
    return client.answer()[:3]


@pytest.mark.parametrize("port", [25, 587])
def test_sessions_are_bounded_by_address_and_in_all(relay: relay_.Relay, port: int) -> None:
    with (
        relay.configured(connections_max=5, connections_per_address_max=3),
        contextlib.ExitStack() as stack,
    ):
        first = [hold(stack, relay, port, "127.0.0.1") for _ in range(4)]
        second = [hold(stack, relay, port, "127.0.0.2") for _ in range(3)]
    assert first == ["220", "220", "220", "421"]
    assert second == ["220", "220", "421"]


def test_one_address_leaves_most_of_a_port_to_others_by_default(relay: relay_.Relay) -> None:
    # A session of another test may not have ended: a new process counts from nothing.
    relay.units.reload()
    with contextlib.ExitStack() as stack:
        greetings = [hold(stack, relay, 587, "127.0.0.1") for _ in range(41)]
        other = hold(stack, relay, 587, "127.0.0.2")
    assert (greetings, other) == ([*["220"] * 40, "421"], "220")
    default = exim_conf.Settings(domain=relay_.DOMAIN)
    assert default.connections_per_address_max * 5 <= default.connections_max


@pytest.mark.parametrize("port", [25, 465, 587])
def test_a_client_gets_in_beside_a_thousand_sessions_that_do_nothing(
    relay: relay_.Relay, port: int
) -> None:
    """From 25 addresses, 40 each; half of them send an octet a second, half are silent."""
    relay.units.reload()
    with contextlib.ExitStack() as stack:
        held = [
            stack.enter_context(
                socket.create_connection(
                    ("127.0.0.1", port), units.PATIENCE, (f"127.0.1.{number % 25}", 0)
                )
            )
            for number in range(1000)
        ]
        # They are all dealt with: taken, or sent away.
        deadline = time.monotonic() + 60
        while len(relay.log_lines(r"127\.0\.1\.\d+\]:\d+ (refused|\(TCP)")) < len(held):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for second in range(3):
            for one in held[::2]:
                # Most have been sent away.
                with contextlib.suppress(OSError):
                    one.sendall(b"E")
            # Long before any of them is given up, which takes minutes.
            relay.login(port, source=f"127.0.0.{second + 2}").quit()
            time.sleep(1)


def test_an_address_may_have_all_sessions_of_a_port(relay: relay_.Relay) -> None:
    with (
        relay.configured(connections_max=4, connections_per_address_max=4),
        contextlib.ExitStack() as stack,
    ):
        greetings = [hold(stack, relay, 587, "127.0.0.1") for _ in range(5)]
    assert greetings == [*["220"] * 4, "421"]


def test_sessions_that_outlive_a_reload_are_not_counted_again(relay: relay_.Relay) -> None:
    """The unit's TasksMax bounds them; a new process counts from nothing."""
    with relay.configured(connections_per_address_max=2), contextlib.ExitStack() as stack:
        before = [hold(stack, relay, 587, "127.0.0.1") for _ in range(3)]
        relay.units.reload()
        after = [hold(stack, relay, 587, "127.0.0.1") for _ in range(3)]
    assert (before, after) == (["220", "220", "421"], ["220", "220", "421"])


def test_as_many_sessions_as_outlive_a_reload_find_room_beside_new_ones() -> None:
    """By default; docs/relay.md tells what happens at the end of the room."""
    room = int(units.read("exim4@.service")["Service"]["TasksMax"][0])
    sessions = exim_conf.Settings(domain=relay_.DOMAIN).connections_max
    # Each may have a delivery under way.
    assert room >= 2 * 2 * sessions + 1


def test_an_ended_session_makes_room(relay: relay_.Relay) -> None:
    with relay.configured(connections_max=3):
        for _ in range(12):
            relay.login().quit()


def test_an_account_sends_to_so_many_recipients_an_hour(relay: relay_.Relay) -> None:
    with relay.configured(recipients_per_hour=5):
        with relay.login() as client:
            client.mail(ALICE)
            answers = [client.rcpt(f"r{n}@elsewhere.example")[0] for n in range(8)]
        with relay.login(source="127.0.0.2") as client:
            client.mail(ALICE)
            elsewhere = client.rcpt("r@elsewhere.example")
        with relay.login(login=BOB) as client:
            client.mail(BOB)
            assert client.rcpt("r@elsewhere.example")[0] == 250
    assert answers == [250] * 5 + [451] * 3
    assert (elsewhere[0], relay_.sentence(elsewhere[1])) == (
        451,
        "4.7.1 alice@tenant.example has reached its limit of 5 recipients an hour: "
        "one more is taken every 720 seconds",
    )
    assert relay.log_lines(f"sending limit reached account={ALICE} rate=")


def test_an_account_at_its_limit_goes_on_at_the_pace_it_is_told(relay: relay_.Relay) -> None:
    with relay.configured(recipients_per_hour=1500, recipients_max=2000), relay.login() as client:
        client.mail(ALICE)
        while (answer := client.rcpt("r@elsewhere.example"))[0] == 250:
            pass
        assert relay_.sentence(answer[1]).endswith("one more is taken every 3 seconds")
        time.sleep(3)
        assert client.rcpt("r@elsewhere.example")[0] == 250


def test_recipients_beyond_the_limit_are_for_the_next_message(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    """RFC 5321 4.5.3.1.10: 452, and those before get it. A refused one takes no room."""
    with relay.configured(recipients_max=3), relay.login() as client:
        client.mail(ALICE)
        assert client.rcpt("r@nxdomain.example")[0] == 550
        answers = [client.rcpt(f"r{n}@elsewhere.example") for n in range(5)]
        assert client.data(relay_.message(From=ALICE))[0] == 250
        client.mail(ALICE)
        assert client.rcpt("r3@elsewhere.example")[0] == 250
    assert [code for code, _ in answers] == [250, 250, 250, 452, 452]
    assert relay_.sentence(answers[4][1]) == (
        "4.5.3 A message has 3 recipients at most: send to the others in another message"
    )
    (got,) = internet.wait_for(1)
    assert sorted(got.recipients) == [f"r{n}@elsewhere.example" for n in range(3)]


def test_a_message_is_so_large(relay: relay_.Relay) -> None:
    body = ("x" * 76 + "\r\n") * (2**20 // 76)
    with relay.configured(message_size_mb=1):
        assert relay.send(relay_.message(body, From=ALICE))[0] == 552
        with relay.login() as client:
            assert client.esmtp_features["size"] == str(2**20)
            assert client.mail(ALICE, ["SIZE=1048577"])[0] == 552


def test_the_largest_limit_is_announced_as_it_is(relay: relay_.Relay) -> None:
    with relay.configured(message_size_mb=2047), relay.login() as client:
        assert client.esmtp_features["size"] == str(2047 * 2**20)


def test_default_limits_let_a_large_message_and_many_recipients_pass(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    body = ("x" * 76 + "\r\n") * (20 * 2**20 // 78)
    recipients = [f"r{n}@elsewhere.example" for n in range(100)]
    assert relay.send(relay_.message(body, From=ALICE), recipients=recipients)[0] == 250
    (got,) = internet.wait_for(1)
    assert sorted(got.recipients) == sorted(recipients)


def test_a_pool_may_keep_its_session_alive(relay: relay_.Relay) -> None:
    with relay.login() as client:
        for _ in range(40):
            assert client.noop()[0] == 250
        assert client.mail(ALICE)[0] == 250


def test_limits_of_failed_logins_hold_for_ipv6_networks(relay: relay_.Relay) -> None:
    wrong = relay_.token("x@tenant.example", "wrong")
    with relay.configured(failed_logins_per_address=2):
        codes = []
        for _ in range(4):
            with smtplib.SMTP("::1", 587, timeout=units.PATIENCE) as client:
                client.starttls(context=relay.tls_context())
                client.ehlo()
                codes.append(client.docmd("AUTH", f"PLAIN {wrong}")[0])
    assert (codes[:2], codes[-1]) == ([535, 535], 454)


def fail_to_log_in(relay: relay_.Relay, login: str) -> None:
    with relay_.Raw(relay, 587, tls=True) as client:
        assert client.command(f"AUTH PLAIN {relay_.token(login, 'wrong')}")[:3] == "535"


def test_a_failed_login_takes_no_more_room_the_longer_it_is(relay: relay_.Relay) -> None:
    logins = [f"{number}{'x' * 11_500}" for number in range(3)]
    for login in logins:
        fail_to_log_in(relay, login)
    keys = [line.partition(" key: ")[2] for line in relay.hints("ratelimit").splitlines()]
    assert len(keys) == len(logins) + 1
    assert max(len(key) for key in keys) < 80


@pytest.mark.parametrize(("hours", "kept"), [(23, True), (25, False)])
def test_the_daily_housekeeping_keeps_counts_for_a_day(
    relay: relay_.Relay, hours: int, *, kept: bool
) -> None:
    fail_to_log_in(relay, "nobody")
    # exim's own tools give a record that they write the time of now.
    counts = relay_.SPOOL / "db" / "ratelimit"
    data = counts.read_bytes()
    now = int(time.time())
    for then in range(now - 60, now + 1):
        data = data.replace(struct.pack("@q", then), struct.pack("@q", then - hours * 3600))
    counts.write_bytes(data)

    command = units.read("exim4-base.service.d/sweep.conf")["Service"]["ExecStartPre"][1]
    subprocess.run(shlex.split(command.removeprefix("-")), check=True)

    assert ("key: " in relay.hints("ratelimit")) == kept
    relay.login().quit()
