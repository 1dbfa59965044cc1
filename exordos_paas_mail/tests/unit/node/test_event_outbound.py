# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whether mail can leave, from the lines of exim's log to what the queue's daemon tells."""

from __future__ import annotations

import sqlite3
import typing as tp

import pytest

from exordos_paas_mail.codecs import smarthosts
from exordos_paas_mail.node.events import outbound as outbound_
from exordos_paas_mail.node.events import recorder as recorder_
from exordos_paas_mail.node.events import store
from exordos_paas_mail.node.queue import attempts as attempts_

if tp.TYPE_CHECKING:
    import pathlib

ID = "1xWXbc-000001-20"
BOB = "bob@example.net"
MX = "H=mx.example.net [192.0.2.1]:25"
SAID = "SMTP error from remote mail server after RCPT TO:<bob@example.net>:"
OK = ("OK", "")
UNKNOWN = ("", "")
DELIVERED = (
    f'=> {BOB} F=<a@b.example> R=mx T=remote_smtp S=1279 {MX} C="250 OK" QT=1.148s DT=0.092s'
)
WRONG_PASSWORD = "smarthostplain authenticator failed H=smart.example [192.0.2.9] 535 5.7.8 Bad"
SINCE = "since 2026-09-21T14:13:20Z"


def unreached(number: int, words: str = "Connection timed out", port: int = 25) -> str:
    return f"H=mx{number}.example.net [192.0.2.{number}]:{port} {words}"


class Node:
    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._log = folder / "mainlog"
        self._recorder = recorder_.Recorder(self._log, folder, lambda: 2**40)
        self._attempts = attempts_.Attempts(folder)

    def told(
        self, *lines: str, by: smarthosts.Route | None = None, at: str = "14:13:20"
    ) -> tuple[str, str] | None:
        """Have exim log this; returns what is told of all that it has logged.

        *by* is the smarthost that there is then.
        """
        with self._log.open("a") as log:
            log.writelines(f"2026-09-21 {at}.000 [493] {ID} {line}\n" for line in lines)
        while self._recorder.turn():
            pass
        self._recorder._keep()
        self._attempts.read(())
        return self._attempts.outbound(by)

    def restart(self) -> None:
        self._recorder.store.close()
        self._recorder = recorder_.Recorder(self._log, self._folder, lambda: 2**40)
        self._attempts = attempts_.Attempts(self._folder)


def status(told: tuple[str, str] | None) -> str:
    assert told is not None
    return told[0]


@pytest.fixture
def node(tmp_path: pathlib.Path) -> Node:
    return Node(tmp_path)


def test_before_the_first_message_nothing_is_known(node: Node, tmp_path: pathlib.Path) -> None:
    assert attempts_.Attempts(tmp_path / "none").outbound(None) is None
    assert node.told() == UNKNOWN


def test_where_nothing_answers_what_was_tried_is_told(node: Node) -> None:
    assert node.told(unreached(1)) == UNKNOWN
    assert node.told(unreached(2, "No route to host")) == (
        "BLOCKED",
        f"no mail server answers: mx1.example.net [192.0.2.1]:25 once {SINCE}"
        f" (Connection timed out), mx2.example.net [192.0.2.2]:25 once {SINCE} (No route to host)",
    )
    node.restart()
    told = node.told(unreached(2), unreached(2))
    assert told is not None
    assert told[1].startswith(
        f"no mail server answers: mx2.example.net [192.0.2.2]:25 3 times {SINCE} (Connection timed"
    )


def test_the_only_server_is_tried_twice(node: Node) -> None:
    node.told(unreached(1))
    assert status(node.told(unreached(1))) == "BLOCKED"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(DELIVERED, id="delivered"),
        pytest.param(
            f"** {BOB} F=<a@b.example> R=mx T=remote_smtp {MX}: {SAID} 550 5.1.1 No DT=0.013s",
            id="refused",
        ),
        pytest.param(
            f"== {BOB} R=mx T=remote_smtp defer (-44) {MX} DT=0.100s: {SAID} 451 4.7.1 Later",
            id="put off",
        ),
        pytest.param(
            f"{MX}: SMTP error from remote mail server after initial connection: 421 Busy",
            id="busy",
        ),
        pytest.param(
            f"== {BOB} R=smarthost T=smarthost_starttls defer (-37) {MX}: TLS session: no",
            id="an unknown certificate",
        ),
        pytest.param(WRONG_PASSWORD, id="a wrong password"),
    ],
)
@pytest.mark.parametrize("port", [25, 587])
def test_a_server_that_answers_whatever_it_says_has_mail_leave(
    node: Node, line: str, port: int
) -> None:
    by = smarthosts.Route("smart.example", port, frozenset())
    assert status(node.told(unreached(1, port=port), unreached(2, port=port), by=by)) == "BLOCKED"
    assert node.told(line.replace(":25", f":{port}"), by=by) == OK
    assert node.told(by=by) == OK


@pytest.mark.parametrize(
    "line", [DELIVERED.replace(":25", ":587"), WRONG_PASSWORD], ids=["delivered", "a password"]
)
def test_a_smarthost_of_some_domains_says_nothing_of_port_25(node: Node, line: str) -> None:
    by = smarthosts.Route("smart.example", 587, frozenset({"example.org"}))
    assert node.told(line, by=by) == OK
    closed = node.told(unreached(1), unreached(2), unreached(3), line, unreached(1), by=by)
    assert closed == (
        "BLOCKED",
        f"no mail server answers: mx1.example.net [192.0.2.1]:25 2 times {SINCE} (Connection"
        f" timed out), mx2.example.net [192.0.2.2]:25 once {SINCE} (Connection timed out),"
        f" mx3.example.net [192.0.2.3]:25 once {SINCE} (Connection timed out)",
    )
    node.restart()
    assert node.told(line, by=by) == closed
    # Where all mail goes by it, nothing leaves by port 25.
    assert node.told(by=smarthosts.Route("smart.example", 587, frozenset())) == OK
    assert node.told() == closed
    assert node.told(DELIVERED, by=by) == OK


def test_a_smarthost_that_does_not_answer_is_told_beside_port_25(node: Node) -> None:
    by = smarthosts.Route("smart.example", 587, frozenset({"example.org"}))
    tried = [unreached(9, port=587)] * 2
    by_smarthost = (
        f"no mail server answers: mx9.example.net [192.0.2.9]:587 2 times {SINCE}"
        " (Connection timed out)"
    )
    assert node.told(DELIVERED, *tried, by=by) == ("BLOCKED", by_smarthost)
    # Whoever has no smarthost any more has nothing to wait for.
    assert node.told() == OK
    both = node.told(*map(unreached, (1, 2, 3)), by=by)
    by_mx = node.told()
    assert by_mx is not None
    assert both == ("BLOCKED", f"{by_mx[1]}; {by_smarthost}")


def test_where_a_server_has_answered_a_few_that_are_away_are_no_network(node: Node) -> None:
    assert node.told(DELIVERED, *[unreached(1)] * 5, *[unreached(2)] * 5) == OK
    assert status(node.told(unreached(3))) == "BLOCKED"
    node.restart()
    assert status(node.told()) == "BLOCKED"
    assert node.told(DELIVERED) == OK


def test_a_server_that_is_away_is_no_closed_port_until_an_hour_has_passed(node: Node) -> None:
    node.told(DELIVERED)
    assert node.told(*[unreached(1)] * 500) == OK
    for minute in range(5, 60, 5):
        assert node.told(unreached(1), at=f"14:{minute:02}:00") == OK
    assert node.told(unreached(1), at="15:13:20") == (
        "BLOCKED",
        "no mail server has answered for an hour, and mail is for no others:"
        f" mx1.example.net [192.0.2.1]:25 512 times {SINCE} (Connection timed out)",
    )
    node.restart()
    assert status(node.told()) == "BLOCKED"
    assert node.told(DELIVERED, at="15:20:00") == OK
    # From then on anew, and a few attempts are no hour's.
    node.told(unreached(1), at="15:21:00")
    assert node.told(unreached(1), at="17:00:00") == OK


@pytest.mark.parametrize("name", ["smart.example", "edge.provider.example"])
def test_a_smarthost_on_port_25_stands_for_no_other_server_there(node: Node, name: str) -> None:
    by = smarthosts.Route("smart.example", 25, frozenset({"example.org"}))
    its = f"H={name} [192.0.2.9]:25"
    taken = DELIVERED.replace("T=remote_smtp", "T=smarthost_starttls").replace(MX, its)
    closed = node.told(unreached(1), unreached(2), by=by)
    assert status(closed) == "BLOCKED"
    assert node.told(taken, by=by) == closed
    node.restart()
    assert node.told(by=by) == closed
    assert node.told(DELIVERED, by=by) == OK


def test_a_smarthost_on_port_25_that_never_answers_is_told_by_its_name(node: Node) -> None:
    by = smarthosts.Route("smart.example", 25, frozenset({"example.org"}))
    its = "H=smart.example [192.0.2.9]:25 Connection timed out"
    assert node.told(DELIVERED, by=by) == OK
    assert node.told(its, its, by=by) == (
        "BLOCKED",
        f"no mail server answers: smart.example [192.0.2.9]:25 2 times {SINCE}"
        " (Connection timed out)",
    )


def test_where_all_mail_goes_by_another_way_than_before_nothing_is_known(node: Node) -> None:
    assert status(node.told(unreached(1), unreached(2))) == "BLOCKED"
    assert node.told(by=smarthosts.Route("smart.example", 587, frozenset())) == UNKNOWN


def test_what_was_tried_is_bounded(node: Node) -> None:
    for number in range(1, 60):
        told = node.told(unreached(number))
    assert told is not None
    assert (told[0], told[1].count("192.0.2.")) == ("BLOCKED", 4)
    assert told[1].endswith(f", and {outbound_.TRIED_MAX - 4} more")


def test_other_lines_say_nothing_of_it(node: Node) -> None:
    assert (
        node.told(
            f"== {BOB} R=mx defer (-1): host lookup did not complete",
            f"== {BOB} R=mx T=remote_smtp defer (110): Connection timed out",
            f"** {BOB} F=<a@b.example>: Unrouteable address DT=0s",
            f"=> postmaster <{BOB}> F=<> R=role_here T=role_mailbox S=900 QT=1s DT=0.001s",
        )
        == UNKNOWN
    )


def test_a_server_that_answered_the_release_before_counts_for_each_port(
    node: Node, tmp_path: pathlib.Path
) -> None:
    assert node.told(unreached(1)) == UNKNOWN
    with sqlite3.connect(tmp_path / store.FILE_NAME) as db:
        db.execute("DELETE FROM outbound")
        db.execute("INSERT INTO outbound VALUES ('', 0, '', 0, 0, 0, '')")
    assert node.told(unreached(1), unreached(1)) == OK
    assert status(node.told(unreached(2), unreached(3))) == "BLOCKED"
