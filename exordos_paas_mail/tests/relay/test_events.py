# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""From a client's message to the events of it, through exim's own log."""

from __future__ import annotations

import shutil
import time
import typing as tp

import pytest

from exordos_paas_mail.codecs import credentials, mail_events, spool_findings
from exordos_paas_mail.node.events import recorder as recorder_
from exordos_paas_mail.node.queue import reconciler as reconciler_
from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.tests.relay import relay as relay_
from exordos_paas_mail.tests.relay import units

if tp.TYPE_CHECKING:
    import pathlib

    from exordos_paas_mail.tests.relay import internet as internet_

ALICE = relay_.ALICE


class Events:
    """What a node's daemon has read of the log."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.recorder = recorder_.Recorder(relay_.LOG, folder, lambda: 2**40)
        self.left = folder / spool_findings.FILE_NAME
        self.found: list[mail_events.Event] = []

    def wait_for(self, kind: mail_events.Type, count: int) -> list[mail_events.Event]:
        """Return all events once *count* of *kind* are there."""
        deadline = time.monotonic() + units.PATIENCE
        while sum(event.type is kind for event in self.found) < count:
            assert time.monotonic() < deadline, self.found
            if not self.recorder.turn():
                time.sleep(0.1)
            while batch := self.recorder.store.next():
                self.found += mail_events.parse(batch[1])
                self.recorder.store.forget(batch[0])
        return self.found

    def wait_until_judged(self) -> None:
        """Read until what a look at the spool has left is judged."""
        deadline = time.monotonic() + units.PATIENCE
        while self.left.exists():
            assert time.monotonic() < deadline, "the log does not come to its end"
            if not self.recorder.turn():
                time.sleep(0.1)


@pytest.fixture
def events(relay: relay_.Relay, tmp_path: pathlib.Path) -> Events:
    return Events(tmp_path)


def test_a_message_is_told_from_end_to_end(
    relay: relay_.Relay, internet: internet_.Internet, events: Events
) -> None:
    recipients = ["someone@elsewhere.example", "refused@elsewhere.example"]
    _, text = relay.send(relay_.message(From=ALICE, X_Mail_Tag="welcome"), recipients=recipients)
    name = text.removeprefix("OK id=")
    internet.wait_for(1)
    told = events.wait_for(mail_events.Type.COMPLETED, 2)
    of_it = [event for event in told if event.queue_id == name]
    submitted, accepted = of_it[:2]
    assert (submitted.account, submitted.recipients, submitted.tags) == (ALICE, 2, ("welcome",))
    assert (submitted.header_from, submitted.message_id) == (ALICE, "1@client.example")
    assert (accepted.sender, accepted.client) == (ALICE, "127.0.0.1")
    ends = {(event.type.value, event.recipient, event.code, event.reason) for event in of_it[2:]}
    assert ends == {
        ("delivered", "someone@elsewhere.example", 250, ""),
        ("failed", "refused@elsewhere.example", 550, "recipient_unknown"),
        ("completed", "", 0, ""),
    }
    assert {event.type.value: event.tls_policy for event in of_it} == {
        **dict.fromkeys(("submitted", "accepted", "completed"), ""),
        **dict.fromkeys(("delivered", "failed"), "auto"),
    }
    (report,) = (event for event in told if event.about)
    assert (report.about, report.sender, report.account) == (name, "", "")


def test_what_a_power_cut_took_of_the_log_is_told_from_the_spool(
    relay: relay_.Relay, internet: internet_.Internet, events: Events, tmp_path: pathlib.Path
) -> None:
    later = "later@elsewhere.example"
    spool = spool_.Spool(str(relay_.SPOOL))
    reconciler = reconciler_.Reconciler(tmp_path, first=0, period=0)

    secret = credentials.make()
    relay.set_credentials(credentials.Credential(secret.prefix, "alice", secret.digest))

    def wait(count: int) -> str:
        """Send what waits for one of its recipients; return its name."""
        recipients = [later, "someone@elsewhere.example"]
        tags = "X-Mail-Tag: welcome\r\nx-mail-tag: =?utf-8?q?n=C3=BA?=,\r\n\tfolded\r\n"
        message = tags + relay_.message(From=ALICE)
        with relay.connect(587) as client:
            client.login(ALICE, secret.secret_key)
            codes = [client.mail(ALICE)[0], *(client.rcpt(one)[0] for one in recipients)]
            assert codes == [250, 250, 250]
            text = client.data(message)[1].decode()
        name = text.removeprefix("OK id=")
        internet.wait_for(count)
        relay.wait_for_log(f"{name} == ")
        relay.wait_until_idle()
        return name

    def look() -> None:
        spool.look(time.time())
        reconciler.turn(spool)
        events.wait_until_judged()

    kept = wait(1)
    look()
    gone = wait(2)
    events.wait_for(mail_events.Type.DEFERRED, 2)
    read = events.recorder.store.position()
    assert read is not None
    found = wait(3)
    relay.units.kill()
    with relay_.LOG.open("r+b") as log:
        log.truncate(read.offset)
    for path in relay_.SPOOL.glob(f"input/*/{gone}-*"):
        path.unlink()
    relay.units.boot()
    relay.wait_until_idle()
    for _ in range(3):
        look()
    told = events.wait_for(mail_events.Type.UNACCOUNTED, 1)
    assert [each.queue_id for each in told if each.type is mail_events.Type.UNACCOUNTED] == [gone]
    (arrival,) = (each for each in told if each.text == mail_events.FOUND)
    submitted = [each for each in told if each.type is mail_events.Type.SUBMITTED]
    assert (arrival.queue_id, arrival.account, arrival.sender) == (found, ALICE, ALICE)
    assert (arrival.recipients, arrival.client) == (2, "127.0.0.1")
    assert (arrival.header_from, arrival.message_id) == (ALICE, "1@client.example")
    # As the log tells them of the others.
    ways = {(each.tags, each.credential) for each in (arrival, *submitted)}
    assert ways == {(("welcome", "n\u00fa, folded"), secret.prefix)}
    arrived = [each.queue_id for each in told if each.type is mail_events.Type.ACCEPTED]
    assert arrived == [kept, gone, found]


def test_a_delivery_that_was_noted_and_not_logged_is_no_event_and_ends_the_message(
    relay: relay_.Relay, internet: internet_.Internet, events: Events
) -> None:
    later = "later@elsewhere.example"
    name = relay.send(recipients=[later])[1].removeprefix("OK id=")
    relay.wait_for_log(f"{name} == ")
    relay.wait_until_idle()
    # What an exim leaves that is killed between the two.
    (envelope,) = relay_.SPOOL.glob(f"input/*/{name}-H")
    journal = envelope.with_name(f"{name}-J")
    journal.write_text(f"{later}\n")
    shutil.chown(journal, "Debian-exim", "Debian-exim")
    relay.run_queue()
    told = events.wait_for(mail_events.Type.COMPLETED, 1)
    types = [event.type.value for event in told if event.queue_id == name]
    assert (types[:2], set(types[2:-1]), types[-1]) == (
        *(["submitted", "accepted"], {"deferred"}, "completed"),
    )
    assert (internet.wait_for(0), relay.queue()) == ([], [])


def test_a_rotation_between_messages_loses_none(
    relay: relay_.Relay, internet: internet_.Internet, events: Events
) -> None:
    names = []
    rotated = relay_.LOG.with_name("mainlog.1")
    try:
        for number in range(1, 5):
            names.append(relay.send()[1].removeprefix("OK id="))
            internet.wait_for(number)
            if number == 1:
                events.wait_for(mail_events.Type.COMPLETED, 1)
            relay.wait_until_idle()
            if number in {1, 3}:
                # As logrotate does on a node: exim's processes keep the file open.
                relay_.LOG.rename(rotated)
                if number == 3:
                    events.wait_for(mail_events.Type.COMPLETED, 3)
        told = events.wait_for(mail_events.Type.COMPLETED, 4)
    finally:
        rotated.unlink(missing_ok=True)
    ends = [event.queue_id for event in told if event.type is mail_events.Type.COMPLETED]
    assert ends == names
    assert [event for event in told if event.type is mail_events.Type.GAP] == []
