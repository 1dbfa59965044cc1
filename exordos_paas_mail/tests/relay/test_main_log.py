# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Exim's own lines, with what others have it write, and what is read out of them.

That each line of every other test of this suite is understood is the fixture's check.
"""

from __future__ import annotations

import subprocess
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import mail_events, main_log, refusals
from exordos_paas_mail.tests.relay import internet as internet_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

ALICE = relay_.ALICE
HOSTILE = [
    '"x H=evil [192.0.2.66]:25"@elsewhere.example',
    '": 550 5.1.1 nobody"@elsewhere.example',
    '"x routing defer (-1): x"@elsewhere.example',
    '"Upper.Case"@elsewhere.example',
    "Upper.Case@elsewhere.example",
]
# Only an address inside of the local part could end it before its time.
REFUSED = [
    r'"> F=<eve@example.org> R=mx T=remote_smtp S=1 C=\"250 OK\" QT=0s DT=0s"@elsewhere.example',
    '"x@elsewhere.example routing defer (-1): x"@elsewhere.example',
]


def entries(relay: relay_.Relay, kind: type) -> list[tp.Any]:
    lines = map(main_log.parse, relay.log().splitlines())
    return [line.entry for line in lines if line is not None and isinstance(line.entry, kind)]


@pytest.mark.parametrize("recipient", HOSTILE)
def test_a_recipient_writes_no_field(
    relay: relay_.Relay, internet: internet_.Internet, recipient: str
) -> None:
    with relay.login() as client:
        assert client.mail(ALICE)[0] == 250
        # As it stands: smtplib's own method would write it anew.
        assert client.docmd("RCPT", f"TO:<{recipient}>")[0] == 250
        assert client.data(relay_.message(From=ALICE))[0] == 250
    internet.wait_for(1)
    relay.wait_for_log("Completed")
    (delivery,) = entries(relay, main_log.Delivery)
    assert (delivery.recipient, delivery.sender) == (recipient, ALICE)
    assert (delivery.remote.name, delivery.remote.port) == ("mx.public.example", 25)


@pytest.mark.parametrize("recipient", REFUSED)
def test_an_address_inside_of_a_local_part_is_refused(relay: relay_.Relay, recipient: str) -> None:
    with relay.login() as client:
        assert client.mail(ALICE)[0] == 250
        assert client.docmd("RCPT", f"TO:<{recipient}>")[0] == 501


def test_a_message_id_writes_no_login(relay: relay_.Relay, internet: internet_.Internet) -> None:
    hostile = '<"x A=plain:eve@example.org S=1"@client.example>'
    assert relay.send(relay_.message(From=ALICE, Message_ID=hostile))[0] == 250
    internet.wait_for(1)
    (arrival,) = entries(relay, main_log.Arrival)
    assert (arrival.account, arrival.sender, arrival.protocol) == (ALICE, ALICE, "esmtpsa")
    (accepted,) = entries(relay, main_log.Accepted)
    assert (accepted.account, accepted.recipients) == (ALICE, 1)


def test_what_a_sender_calls_its_mail_is_logged_and_its_tags_stay_here(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    fields = {"From": f'"A, =?x" <{ALICE}>', "Message_ID": "<a b\tid=1@client.example>"}
    tags = "X-Mail-Tag: welcome\r\nx-mail-tag: second one,\r\n\tfolded\r\nX-Mail-Tag: n\u00fa\r\n"
    assert relay.send((tags + relay_.message(**fields)).encode())[0] == 250
    (kept,) = internet.wait_for(1)
    assert b"x-mail-tag" not in kept.data.lower()
    (accepted,) = entries(relay, main_log.Accepted)
    assert accepted.header_from.strip() == fields["From"]
    assert accepted.message_id.strip() == fields["Message_ID"]
    assert accepted.tags == ("welcome", "second one,\n\tfolded", "n\u00fa")


@pytest.mark.parametrize("size", [900, 15_000])
def test_fields_without_end_leave_the_line_whole(
    relay: relay_.Relay, internet: internet_.Internet, size: int
) -> None:
    folded = "\r\n ".join(["x" * 900] * -(-size // 900))
    fields = {"From": f'"{folded}" <{ALICE}>', "Message_ID": f"<{folded}@client.example>"}
    code, text = relay.send(relay_.message(**fields, X_Mail_Tag=folded))
    assert code == 250, text
    internet.wait_for(1)
    relay.wait_for_log("Completed")
    (accepted,) = entries(relay, main_log.Accepted)
    sent = (f" {field}\n".replace("\r", "") for field in fields.values())
    assert [accepted.header_from, accepted.message_id] == [field[:1000] for field in sent]
    assert accepted.tags == (folded.replace("\r", "")[:1000],)


def test_a_message_that_is_repaired_is_told_as_it_was_sent(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    sent = f"Alice <{ALICE}>, "
    tag = " ".join(["tag"] * 400)
    assert relay.send(relay_.message(From=sent, X_Mail_Tag=tag))[0] == 250
    (kept,) = internet.wait_for(1)
    assert b"x-mail-tag" not in kept.data.lower()
    (accepted,) = entries(relay, main_log.Accepted)
    assert (accepted.header_from.strip(), accepted.tags) == (sent.strip(), (tag[:1000],))


def test_what_an_operator_removes_and_gives_up(relay: relay_.Relay) -> None:
    removed, given_up = (
        relay.send(recipients=["a@silent.example"])[1].removeprefix("OK id=") for _ in range(2)
    )
    relay.wait_until_idle()
    subprocess.run(["exim4", "-Mrm", removed], check=True, capture_output=True)
    subprocess.run(["exim4", "-Mg", given_up], check=True, capture_output=True)
    relay.wait_for_log(f"{given_up} Completed")
    ends = [
        (line.queue_id, type(line.entry))
        for line in map(main_log.parse, relay.log().splitlines())
        if line is not None
        and isinstance(line.entry, main_log.Removal | main_log.Completed)
        and line.queue_id in {removed, given_up}
    ]
    assert ends == [
        (removed, main_log.Removal),
        (removed, main_log.Completed),
        (given_up, main_log.Removal),
        (given_up, main_log.Completed),
    ]


def test_a_login_is_logged_once_and_of_nobody(relay: relay_.Relay) -> None:
    for port in (465, 587):
        with relay.login(port) as client:
            client.mail(ALICE)
            client.rset()
            client.mail(ALICE)
    with relay_.Raw(relay, 587, tls=True) as client:
        assert client.command(f"AUTH PLAIN {relay_.token(ALICE, 'wrong')}")[:3] == "535"
    relay.wait_for_log("authenticator failed")
    assert entries(relay, main_log.Login) == [
        main_log.Login(465, "password"),
        main_log.Login(587, "password"),
    ]
    (line, _) = relay.log_lines("logged in")
    assert ALICE not in line


def test_a_failed_login_and_a_refusal(relay: relay_.Relay) -> None:
    with relay_.Raw(relay, 587, tls=True) as client:
        assert client.command(f"AUTH PLAIN {relay_.token(ALICE, 'wrong')}")[:3] == "535"
    assert relay.send(sender="eve@example.org")[0] == 553
    with relay_.Raw(relay, 587, tls=True) as client:
        assert client.command(f"AUTH PLAIN {relay_.token('nobody', 'wrong')}")[:3] == "535"
    # exim logs a failed login behind its answer.
    deadline = time.monotonic() + units.PATIENCE
    while len(found := entries(relay, main_log.FailedLogin)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found == [
        main_log.FailedLogin("127.0.0.1", ALICE),
        main_log.FailedLogin("127.0.0.1"),
    ]
    (refusal,) = entries(relay, main_log.Refusal)
    assert (refusal.client, refusal.command, refusal.temporary) == ("127.0.0.1", "MAIL", False)
    assert refusal.words.startswith("<eve@example.org>")


def test_a_refusal_is_counted_by_what_the_relay_has_against_it(relay: relay_.Relay) -> None:
    with relay.connect(587) as client:
        assert client.mail(ALICE)[0] == 530
    with relay.login() as client:
        assert client.mail("eve@elsewhere.example")[0] == 553
        assert client.mail(ALICE)[0] == 250
        # A client has its word before the relay has the last.
        assert client.docmd("RCPT", 'TO:<"Account is disabled%x"@elsewhere.example>')[0] == 501
        assert client.rcpt("bob@elsewhere.example")[0] == 250
        assert client.data(relay_.message("A \0.\r\n", From=ALICE))[0] == 554
    lines = filter(None, map(main_log.parse, relay.log().splitlines()))
    found = [event for line in lines for event in mail_events.of(line)]
    assert [
        refusals.classify(event.command, event.text)
        for event in found
        if event.type is mail_events.Type.REJECTED
    ] == [
        refusals.Reason.LOGIN,
        refusals.Reason.SENDER,
        refusals.Reason.RECIPIENT,
        refusals.Reason.CONTENT,
    ]
