# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Accounts that are on hold: what they send is put apart, what they have sent stops."""

from __future__ import annotations

import concurrent.futures
import pathlib
import shutil
import smtplib
import subprocess
import time
import typing as tp

import pytest

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import cdb, exim_conf, holds, main_log
from exordos_paas_mail.node import machine
from exordos_paas_mail.node.queue import holding as holding_
from exordos_paas_mail.node.queue import spool as spool_
from exordos_paas_mail.tests.relay import relay as relay_

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    from exordos_paas_mail.tests.relay import internet as internet_

LATER = "later@elsewhere.example"


class Node:
    """What a node's daemon does with messages that are apart, or are to be."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.machine = machine.Machine()
        self.spool = spool_.Spool(str(relay_.SPOOL))
        self.holding = holding_.Holding(self.machine, self.tried.extend)

    def turn(self) -> dict[str, bool]:
        """Do what is to be done next; returns which messages are apart."""
        # No message of a test is as old as those that are looked at.
        now = time.time() + spool_.YOUNG + 1
        self.spool.look(now)
        self.holding.begin(self.spool.messages)
        if self.holding._running is not None:
            concurrent.futures.wait([self.holding._running])
        self.holding.end()
        self.spool.look(now)
        return {name: one.held for name, one in self.spool.messages.items()}


@pytest.fixture
def node(relay: relay_.Relay) -> Iterator[Node]:
    # The test is root, the daemon exim's user.
    relay_.APART.mkdir()
    shutil.chown(relay_.APART, "Debian-exim", "Debian-exim")
    node = Node()
    yield node
    node.holding.close()


def submit(relay: relay_.Relay, *recipients: str, login: str = relay_.ALICE) -> str:
    code, text = relay.send(login=login, recipients=recipients or ("someone@elsewhere.example",))
    assert code == 250, text
    return text.removeprefix("OK id=")


def apart() -> set[str]:
    return {path.name[:-2] for path in relay_.APART.glob("input/*/*-H")}


def entries(relay: relay_.Relay, kind: type) -> list[tp.Any]:
    lines = [main_log.parse(line) for line in relay.log().splitlines()]
    return [line.entry for line in lines if line is not None and isinstance(line.entry, kind)]


def test_mail_of_an_account_on_hold_is_taken_and_put_apart(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    relay.set_holds(alice="hold")
    held = submit(relay)
    sent = submit(relay, login=relay_.BOB)
    internet.wait_for(1)
    relay.wait_for_log(f"{sent} Completed")
    assert apart() == {held}
    assert [entry.hold for entry in entries(relay, main_log.Accepted)] == ["account", ""]
    relay.run_queue()
    relay.wait_until_idle()
    assert apart() == {held}
    assert relay.queue() == []


def test_a_session_that_is_open_learns_of_a_hold_and_of_its_end(
    relay: relay_.Relay, internet: internet_.Internet
) -> None:
    sent = 0
    with relay.login() as client:
        for state, count in (("deliver", 0), ("hold", 1), ("deliver", 1), ("hold", 2)):
            relay.set_holds(alice=state)
            client.sendmail(
                relay_.ALICE, ["x@elsewhere.example"], relay_.message(From=relay_.ALICE)
            )
            assert len(apart()) == count
            # What is being delivered stops at the next hold.
            sent += state == "deliver"
            internet.wait_for(sent)
    relay.wait_until_idle()


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [("defer", 451, "4.7.1 The account is on hold"), ("reject", 550, "5.7.1 The account is on")],
)
def test_mail_of_an_account_on_hold_is_refused_where_that_is_asked_for(
    relay: relay_.Relay, state: str, code: int, said: str
) -> None:
    relay.set_holds(alice=state)
    with relay.login() as client:
        answer, text = client.mail(relay_.ALICE)
    assert (answer, relay_.sentence(text).startswith(said)) == (code, True)


def test_a_message_that_is_repaired_is_put_apart(relay: relay_.Relay) -> None:
    relay.set_holds(alice="hold")
    code, text = relay.send(relay_.message("x" * 2000 + "\r\n", From=relay_.ALICE))
    assert code == 250, text
    assert len(apart()) == 1


def test_many_holds_are_looked_up_in_an_index(relay: relay_.Relay) -> None:
    relay.set_holds(alice="hold")
    status = relay_.HOLDS.stat()
    tie = exim_conf.index_tie(inode=status.st_ino, size=status.st_size, mtime=int(status.st_mtime))
    records = [(exim_conf.INDEX_TIE_KEY, tie), (holds.END_KEY, "1"), (relay_.BOB, "reject 1")]
    relay_.install(relay_.HOLDS_INDEX, cdb.render(records))
    with relay.login(login=relay_.BOB) as client:
        assert client.mail(relay_.BOB)[0] == 550
    with relay.login() as client:
        assert client.mail(relay_.ALICE)[0] == 250
    # Another file than that of the index
    relay.set_holds(alice="reject")
    with relay.login() as client:
        assert client.mail(relay_.ALICE)[0] == 550


@pytest.mark.parametrize("harm", ["lost", "cut"])
def test_who_is_on_hold_and_cannot_be_known_neither_sends_nor_is_sent(
    relay: relay_.Relay, internet: internet_.Internet, harm: str
) -> None:
    name = submit(relay, LATER)
    relay.wait_for_log(f"{name} == ")
    relay.wait_until_idle()
    relay.forget_counts()
    relay.set_holds(alice="hold", bob="hold")
    relay_.APART.mkdir()
    shutil.chown(relay_.APART, "Debian-exim", "Debian-exim")
    if harm == "lost":
        relay_.HOLDS.unlink()
    else:
        relay_.install(relay_.HOLDS, relay_.HOLDS.read_text().splitlines(keepends=True)[1])
    with relay.login() as client:
        code, text = client.mail(relay_.ALICE)
    assert (code, b"is not known now" in text) == (451, True)
    subprocess.run(["exim4", "-q"], check=True)
    relay.wait_for_log(f"{name} == .* domain is held")
    relay.wait_until_idle()
    assert internet.received() == []


def test_no_more_is_put_apart_than_may_be(relay: relay_.Relay) -> None:
    relay.set_holds(alice="hold", bob="hold")
    submit(relay)
    full = pathlib.Path(constants.HOLD_FULL_FILE)
    full.write_text(f"{relay_.ALICE}:\n")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        relay.send()
    assert (refused.value.smtp_code, b"as much of its mail" in refused.value.smtp_error) == (
        452,
        True,
    )
    submit(relay, login=relay_.BOB)
    full.unlink()
    submit(relay)


def test_what_is_in_the_queue_stops_without_a_daemon_and_is_put_apart_by_it(
    relay: relay_.Relay, node: Node
) -> None:
    relay.set_holds()
    name, other = submit(relay, LATER), submit(relay, LATER, login=relay_.BOB)
    for one in (name, other):
        relay.wait_for_log(f"{one} == ")
    relay.wait_until_idle()
    relay.forget_counts()
    relay.set_holds(alice="hold")
    subprocess.run(["exim4", "-q"], check=True)
    relay.wait_for_log(f"{name} == .* domain is held")
    relay.wait_until_idle()
    assert relay.log_lines(f"{other} == .* domain is held") == []
    assert node.turn() == {name: True, other: False}
    assert apart() == {name}
    assert relay.queue() == [other]


def test_a_release_delivers_what_is_apart(
    relay: relay_.Relay, internet: internet_.Internet, node: Node
) -> None:
    relay.set_holds(alice="hold")
    names = {submit(relay), submit(relay)}
    assert node.turn() == dict.fromkeys(names, True)
    relay.set_holds(alice="deliver")
    assert node.turn() == dict.fromkeys(names, False)
    assert set(node.tried) == names
    # As the daemon does at once
    delivery = node.machine.begin_delivery(node.tried)
    internet.wait_for(2)
    relay.wait_until_idle()
    while not delivery.is_over():
        time.sleep(0.05)
    assert (apart(), relay.queue()) == (set(), [])
    assert [entry.queue for entry in entries(relay, main_log.Move)] == ["", ""]


def test_a_release_deletes_what_is_apart_and_nothing_else(
    relay: relay_.Relay, internet: internet_.Internet, node: Node
) -> None:
    relay.set_holds(alice="hold", bob="hold")
    name, kept = submit(relay), submit(relay, login=relay_.BOB)
    relay.set_holds(alice="delete", bob="hold")
    assert node.turn() == {kept: True}
    assert apart() == {kept}
    assert [entry.by for entry in entries(relay, main_log.Removal)] == ["Debian-exim"]
    relay.wait_for_log(f"{name} removed by")
    submit(relay)
    internet.wait_for(1)
    relay.wait_until_idle()


def test_what_a_limit_has_put_apart_says_so(relay: relay_.Relay, node: Node) -> None:
    relay.set_holds()
    text = relay_.CONFIG.read_text()
    mark = "\nacl_predata:\n"
    relay_.install(relay_.CONFIG, text.replace(mark, f"{mark}  warn\n    set acl_m_hold = limit\n"))
    relay.units.restart()
    try:
        name = submit(relay)
        assert node.turn() == {name: True}
        assert node.spool.messages[name].hold == "limit"
        # Nobody has released it.
        assert node.turn() == {name: True}
    finally:
        relay.configure()
        relay.units.restart()
