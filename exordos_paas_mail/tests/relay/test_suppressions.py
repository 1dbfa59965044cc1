# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Recipients that nothing is sent to, as exim has it."""

from __future__ import annotations

import contextlib
import subprocess
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import mail_events, main_log
from exordos_paas_mail.codecs.mail_events import Type
from exordos_paas_mail.codecs.suppressions import Action, Entry, Reason
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import suppressions

if tp.TYPE_CHECKING:
    import smtplib
    from collections.abc import Iterator

    from exordos_paas_mail.tests.relay import internet as internet_

SOMEONE = "someone@elsewhere.example"
GONE = "gone@elsewhere.example"
LATER = "later@elsewhere.example"
SINCE = suppressions.SINCE
REFUSED = (
    f"5.7.1 {GONE} is suppressed since 2025-11-26 (hard bounce): to send to it again, delete it"
    " from the instance's suppressions in the API"
)


def entry(
    address: str = GONE, login: str = "", until: int = 0, reason: Reason = Reason.HARD_BOUNCE
) -> Entry:
    return Entry(address, SINCE, until, reason, login)


@pytest.fixture
def suppressed(relay: relay_.Relay) -> Iterator[suppressions.Suppressed]:
    suppressed = suppressions.Suppressed()
    yield suppressed
    relay.wait_until_idle()
    suppressed.forget()


@contextlib.contextmanager
def message(client: smtplib.SMTP, sender: str = relay_.ALICE) -> Iterator[smtplib.SMTP]:
    """Give a session in which a message has a sender, and forget the message."""
    assert client.mail(sender)[0] == 250
    yield client
    client.rset()


def answer(client: smtplib.SMTP, recipient: str, sender: str = relay_.ALICE) -> tuple[int, str]:
    with message(client, sender):
        code, text = client.rcpt(recipient)
        return code, relay_.sentence(text)


def events(relay: relay_.Relay) -> list[mail_events.Event]:
    lines = filter(None, map(main_log.parse, relay.log().splitlines()))
    return [event for line in lines for event in mail_events.of(line)]


def kinds(relay: relay_.Relay, queue_id: str) -> list[tuple[Type, str]]:
    """Return what became of a message."""
    return [(one.type, one.recipient) for one in events(relay) if one.queue_id == queue_id]


def test_the_one_recipient_is_refused_and_the_others_pass(
    relay: relay_.Relay, internet: internet_.Internet, suppressed: suppressions.Suppressed
) -> None:
    suppressed.tell([entry()])
    with relay.login() as client:
        refused = client.sendmail(relay_.ALICE, [GONE, SOMEONE], relay_.message(From=relay_.ALICE))
    assert {name: (code, relay_.sentence(text)) for name, (code, text) in refused.items()} == {
        GONE: (550, REFUSED)
    }
    (received,) = internet.wait_for(1)
    assert received.recipients == [SOMEONE]
    (event,) = [one for one in events(relay) if one.type is Type.SUPPRESSED]
    assert event == mail_events.Event(
        event.at,
        Type.SUPPRESSED,
        account=relay_.ALICE,
        sender=relay_.ALICE,
        recipient=GONE,
        client="127.0.0.1",
        code=550,
        enhanced="5.7.1",
        text="since 2025-11-26 (hard bounce)",
    )
    # Said once: no refusal beside it
    assert [one.type for one in events(relay) if one.type is Type.REJECTED] == []


def test_an_entry_is_of_the_instance_or_of_one_account(
    relay: relay_.Relay, suppressed: suppressions.Suppressed
) -> None:
    suppressed.tell([entry(login=relay_.BOB), entry(SOMEONE, reason=Reason.MANUAL)])
    with relay.login() as alice, relay.login(login=relay_.BOB) as bob:
        assert answer(alice, GONE)[0] == 250
        assert answer(bob, GONE, relay_.BOB) == (550, REFUSED)
        for client, sender in ((alice, relay_.ALICE), (bob, relay_.BOB)):
            code, text = answer(client, SOMEONE, sender)
            assert (code, "2025-11-26 (by hand)" in text) == (550, True)


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("GONE@Elsewhere.EXAMPLE", 550),
        ('"gone"@elsewhere.example', 550),
        ("gone+news@elsewhere.example", 250),
        ("g.one@elsewhere.example", 250),
        ("gone@sub.elsewhere.example", 550),
    ],
)
def test_case_is_folded_and_nothing_else(
    relay: relay_.Relay, suppressed: suppressions.Suppressed, recipient: str, code: int
) -> None:
    suppressed.tell([entry()])
    with relay.login() as client:
        found, text = answer(client, recipient)
        said = "suppressed" in text
    # A domain below is another one, which has no server here
    assert (found, said) == (code, found == 550 and "sub." not in recipient)


def test_odd_addresses_are_found(relay: relay_.Relay, suppressed: suppressions.Suppressed) -> None:
    addresses = ["two words, 3#3@elsewhere.example", "o'neil&co$x{y}@elsewhere.example"]
    addresses += ["someone@xn--mller-kva.example"]
    suppressed.tell([entry(address) for address in addresses])
    umlaut = "someone@m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example"
    with relay.login() as client:
        for recipient in ('"two words, 3#3"@elsewhere.example', *addresses[1:]):
            code, text = answer(client, recipient)
            assert (code, "suppressed since" in text) == (550, True), text
        assert client.mail(relay_.ALICE, ["SMTPUTF8"])[0] == 250
        code, reply = client.docmd(f"RCPT TO:<{umlaut}>")
        assert (code, b"suppressed since" in reply) == (550, True), reply


def test_an_entry_is_none_from_the_second_of_its_end_on(
    relay: relay_.Relay, suppressed: suppressions.Suppressed
) -> None:
    end = int(time.time()) + 4
    suppressed.tell([entry(until=end), entry(SOMEONE, until=end - 60)])
    with relay.login() as client:
        assert answer(client, SOMEONE)[0] == 250
        while (before := time.time()) < end + 1:
            code, _ = answer(client, GONE)
            after = time.time()
            if after < end:
                assert code == 550
            if before >= end:
                assert code == 250
            time.sleep(0.05)
        # An entry of the account counts behind one of all that is over
        suppressed.tell([entry(until=end), entry(login=relay_.ALICE)])
        assert answer(client, GONE)[0] == 550


def test_a_change_counts_at_once_in_an_open_session(
    relay: relay_.Relay, suppressed: suppressions.Suppressed
) -> None:
    suppressed.tell()
    with relay.login() as client, message(client):
        for _ in range(5):
            assert client.rcpt(GONE)[0] == 250
            suppressed.tell([entry()])
            assert client.rcpt(GONE)[0] == 550
            suppressed.tell([entry(SOMEONE)])
            assert (client.rcpt(GONE)[0], client.rcpt(SOMEONE)[0]) == (250, 550)
            suppressed.tell()
        suppressed.tell([entry()])
        assert client.rcpt(GONE)[0] == 550
        # As on a new disk
        suppressed.forget()
        assert client.rcpt(GONE)[0] == 250


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 100, id="too short"),
        pytest.param(b"\xff" * 5000, id="garbage"),
        pytest.param(b"\0" * 5000, id="zeroes"),
    ],
)
def test_mail_does_not_wait_for_a_file_that_is_damaged(
    relay: relay_.Relay,
    internet: internet_.Internet,
    suppressed: suppressions.Suppressed,
    content: bytes | None,
) -> None:
    suppressed.tell([entry(LATER), entry(SOMEONE, reason=Reason.COMPLAINT)])
    suppressed.tell([entry(SOMEONE)])
    path = suppressions.path_of(SOMEONE)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    code, text = relay.send()
    assert code == 250, text
    assert internet.wait_for(1)[0].recipients == [SOMEONE]
    suppressed.tell([entry(SOMEONE)])
    assert relay.send()[0] == 550
    relay_.PANIC_LOG.unlink(missing_ok=True)


def test_a_file_of_another_size_does_not_stop_a_session(
    relay: relay_.Relay, suppressed: suppressions.Suppressed
) -> None:
    suppressed.tell([entry(SOMEONE)])
    path = suppressions.path_of(SOMEONE)
    whole = path.read_bytes()
    with relay.login() as client:
        for size in range(0, len(whole), 1 + len(whole) // 60):
            suppressed.tell([entry(SOMEONE)])
            path.write_bytes(whole[:size])
            code, text = answer(client, SOMEONE)
            assert code in {250, 550}, text
    relay_.PANIC_LOG.unlink(missing_ok=True)


def queued(relay: relay_.Relay, *recipients: str) -> str:
    """Have a message be taken and wait for its recipients; returns its queue id."""
    code, text = relay.send(recipients=recipients)
    assert code == 250, text
    queue_id = text.removeprefix("OK id=")
    relay.wait_for_log(f"{queue_id} == ")
    relay.wait_until_idle()
    return queue_id


def test_queued_mail_ends_with_a_report_to_its_sender(
    relay: relay_.Relay, internet: internet_.Internet, suppressed: suppressions.Suppressed
) -> None:
    queue_id = queued(relay, LATER, SOMEONE)
    suppressed.tell([entry(LATER, login=relay_.ALICE)])
    subprocess.run(["exim4", "-qff"], check=True)
    relay.wait_for_queue(0)
    report = next(one for one in internet.wait_for(2) if one.recipients == [relay_.ALICE])
    assert b"suppressed since 2025-11-26 (hard bounce)" in report.data
    (event,) = [one for one in events(relay) if one.type is Type.SUPPRESSED]
    assert (event.queue_id, event.recipient, event.sender) == (queue_id, LATER, relay_.ALICE)
    assert (event.code, event.enhanced) == (550, "5.7.1")
    assert event.text == "The recipient is suppressed since 2025-11-26 (hard bounce)"
    assert kinds(relay, queue_id)[-1] == (Type.COMPLETED, "")


def test_what_is_accepted_and_dropped_reaches_nobody_and_is_an_event(
    relay: relay_.Relay, internet: internet_.Internet, suppressed: suppressions.Suppressed
) -> None:
    suppressed.tell([entry()], Action.ACCEPT_AND_DROP)
    code, text = relay.send(recipients=[GONE, SOMEONE])
    assert code == 250, text
    queue_id = text.removeprefix("OK id=")
    relay.wait_for_log(f"{queue_id} Completed")
    relay.wait_until_idle()
    assert [one.recipients for one in internet.received()] == [[SOMEONE]]
    told = kinds(relay, queue_id)
    assert sorted(told) == sorted(
        [
            (Type.SUBMITTED, ""),
            (Type.ACCEPTED, ""),
            (Type.SUPPRESSED, GONE),
            (Type.DELIVERED, SOMEONE),
            (Type.COMPLETED, ""),
        ]
    )
    # It changes in an open session, too
    with relay.login() as client:
        assert answer(client, GONE)[0] == 250
        suppressed.tell([entry()])
        assert answer(client, GONE)[0] == 550


def test_queued_mail_is_dropped_without_a_report(
    relay: relay_.Relay, internet: internet_.Internet, suppressed: suppressions.Suppressed
) -> None:
    queue_id = queued(relay, LATER)
    suppressed.tell([entry(LATER)], Action.ACCEPT_AND_DROP)
    subprocess.run(["exim4", "-qff"], check=True)
    relay.wait_for_queue(0)
    relay.wait_until_idle()
    assert internet.received() == []
    assert kinds(relay, queue_id)[-2:] == [(Type.SUPPRESSED, LATER), (Type.COMPLETED, "")]


def test_reports_and_role_mail_are_not_stopped(
    relay: relay_.Relay, internet: internet_.Internet, suppressed: suppressions.Suppressed
) -> None:
    names = (relay_.ALICE, f"postmaster@{relay_.DOMAIN}")
    suppressed.tell([entry(name) for name in names])
    with relay.connect(25) as client:
        for name in names:
            assert answer(client, name, "")[0] == 250
    # The relay's own report of what is refused later goes to its sender
    code, text = relay.send(recipients=["refused@elsewhere.example"])
    assert code == 250, text
    assert internet.wait_for(1)[0].recipients == [relay_.ALICE]
    # An account's mail is
    assert relay.send(recipients=[names[0]])[0] == 550
