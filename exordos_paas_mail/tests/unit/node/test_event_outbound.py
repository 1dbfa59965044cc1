# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whether mail can leave, from the lines of exim's log to what the queue's daemon tells."""

from __future__ import annotations

import typing as tp

import pytest

from exordos_paas_mail.node.events import outbound as outbound_
from exordos_paas_mail.node.events import recorder as recorder_
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
SINCE = "since 2026-09-21T14:13:20Z"


def unreached(number: int, words: str = "Connection timed out", port: int = 25) -> str:
    return f"H=mx{number}.example.net [192.0.2.{number}]:{port} {words}"


class Node:
    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._log = folder / "mainlog"
        self._recorder = recorder_.Recorder(self._log, folder, lambda: 2**40)
        self._attempts = attempts_.Attempts(folder)

    def told(self, *lines: str) -> tuple[str, str]:
        """Have exim log this; returns what is told of all that it has logged."""
        with self._log.open("a") as log:
            log.writelines(f"2026-09-21 14:13:20.000 [493] {ID} {line}\n" for line in lines)
        while self._recorder.turn():
            pass
        self._recorder._keep()
        self._attempts.read(())
        return self._attempts.outbound()

    def restart(self) -> None:
        self._recorder.store.close()
        self._recorder = recorder_.Recorder(self._log, self._folder, lambda: 2**40)
        self._attempts = attempts_.Attempts(self._folder)


@pytest.fixture
def node(tmp_path: pathlib.Path) -> Node:
    return Node(tmp_path)


def test_before_the_first_message_nothing_is_known(node: Node, tmp_path: pathlib.Path) -> None:
    assert attempts_.Attempts(tmp_path / "none").outbound() == UNKNOWN
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
    assert told[1].startswith(
        f"no mail server answers: mx2.example.net [192.0.2.2]:25 3 times {SINCE} (Connection timed"
    )


def test_the_only_server_is_tried_twice(node: Node) -> None:
    node.told(unreached(1))
    assert node.told(unreached(1))[0] == "BLOCKED"


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
        pytest.param(
            "smarthostplain authenticator failed H=smart.example [192.0.2.9] 535 5.7.8 Bad",
            id="a wrong password",
        ),
    ],
)
def test_a_server_that_answers_whatever_it_says_has_mail_leave(node: Node, line: str) -> None:
    assert node.told(unreached(1), unreached(2))[0] == "BLOCKED"
    assert node.told(line) == OK
    assert node.told() == OK


def test_where_a_server_has_answered_a_few_that_are_away_are_no_network(node: Node) -> None:
    assert node.told(DELIVERED, *[unreached(1)] * 5, *[unreached(2)] * 5) == OK
    assert node.told(unreached(3))[0] == "BLOCKED"
    node.restart()
    assert node.told()[0] == "BLOCKED"
    assert node.told(DELIVERED) == OK


def test_what_was_tried_is_bounded(node: Node) -> None:
    for number in range(1, 60):
        status, text = node.told(unreached(number))
    assert (status, text.count("192.0.2.")) == ("BLOCKED", 4)
    assert text.endswith(f", and {outbound_.TRIED_MAX - 4} more")


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
