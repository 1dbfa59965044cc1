# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Why recipients wait, from the lines of exim's log to the store."""

from __future__ import annotations

import sqlite3
import typing as tp

import pytest

from exordos_paas_mail.codecs import mail_events
from exordos_paas_mail.node.events import deferrals as deferrals_
from exordos_paas_mail.node.events import follower
from exordos_paas_mail.node.events import recorder as recorder_
from exordos_paas_mail.node.events import store as store_

if tp.TYPE_CHECKING:
    import pathlib

ID = "1xWXbc-000001-20"
BOB = "Bob@Example.net"
KEY = "Bob@example.net"
AT = 1_790_000_000_000
REFUSED = f"== {BOB} R=mx T=remote_smtp defer (111): Connection refused"
BUSY = (
    f"== {BOB} R=mx T=remote_smtp defer (-44) H=mx.example.net [192.0.2.1]:25 DT=0.100s: "
    "SMTP error from remote mail server after RCPT TO:<bob@example.net>: 451 4.7.1 Greylisted"
)
NOT_YET = f"== {BOB} R=mx T=remote_smtp defer (-54): retry time not reached for any host"
HELD = f"== {BOB} routing defer (-23): domain is held"
NOT_YET_ROUTED = f"== {BOB} routing defer (-52): retry time not reached"


class Node:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.log = folder / "mainlog"
        self.recorder = recorder_.Recorder(self.log, folder, lambda: 2**40)

    def told(self, *lines: str, pids: tp.Sequence[int] = ()) -> list[str]:
        """Have exim log this a second after the other; returns the types of the events."""
        with self.log.open("a") as log:
            for number, line in enumerate(lines):
                pid = pids[number] if pids else 493
                log.write(f"2026-09-21 14:13:{20 + number}.000 [{pid}] {ID} {line}\n")
        while self.recorder.turn():
            pass
        self.recorder._keep()
        found = []
        while batch := self.recorder.store.next():
            found += mail_events.parse(batch[1])
            self.recorder.store.forget(batch[0])
        return [event.type.value for event in found]

    def known(self, recipient: str = KEY) -> deferrals_.Deferral | None:
        return self.recorder.store.deferral(ID, recipient)

    def restart(self) -> None:
        self.recorder.store.close()
        self.recorder = recorder_.Recorder(self.log, self.folder, lambda: 2**40)


@pytest.fixture
def node(tmp_path: pathlib.Path) -> Node:
    return Node(tmp_path)


def test_attempts_are_counted_and_the_last_says_why(node: Node) -> None:
    assert node.told(REFUSED, BUSY) == ["deferred", "deferred"]
    assert node.known() == deferrals_.Deferral(
        *(ID, KEY, 2, AT + 1000, "451 4.7.1 Greylisted", "rate", "mx.example.net", "192.0.2.1")
    )
    node.restart()
    assert node.told(REFUSED) == ["deferred"]
    known = node.known()
    assert known is not None
    assert (known.attempts, known.text, known.reason) == (3, "Connection refused", "network")


def test_what_is_not_tried_is_told_once_and_is_no_attempt(node: Node) -> None:
    assert node.told(NOT_YET, NOT_YET_ROUTED, NOT_YET) == ["deferred"]
    known = node.known()
    assert known is not None
    assert (known.attempts, known.at, known.reason) == (0, 0, "network")
    node.restart()
    assert node.told(NOT_YET) == []
    assert node.told(REFUSED, NOT_YET) == ["deferred"]
    assert node.told(NOT_YET) == []
    known = node.known()
    assert known is not None
    assert (known.attempts, known.text) == (1, "Connection refused")


def test_where_the_server_is_named_in_another_line_it_is_told_from_there(node: Node) -> None:
    unreached = "H=mx.example.net [192.0.2.1]:25 Connection refused"
    assert node.told(unreached) == []
    # Also where what comes of it is read later.
    assert node.told(REFUSED, REFUSED) == ["deferred", "deferred"]
    known = node.known()
    assert known is not None
    assert (known.mx, known.mx_address) == ("mx.example.net", "192.0.2.1")
    no_route = f"== {BOB} R=mx defer (-1): host lookup did not complete"
    assert node.told(no_route) == ["deferred"]
    known = node.known()
    assert known is not None
    assert (known.mx, known.mx_address) == ("", "")


ONE, TWO = "ann@one.example", "bob@two.example"
OF_ONE, OF_TWO = ("mx.one.example", "192.0.2.1"), ("mx.two.example", "192.0.2.2")


def unreached(server: tuple[str, str], why: str = "Connection refused") -> str:
    return f"H={server[0]} [{server[1]}]:25 {why}"


def deferred(recipient: str, errno: int = 111, why: str = "Connection refused") -> str:
    return f"== {recipient} R=mx T=remote_smtp defer ({errno}): {why}"


@pytest.mark.parametrize(
    ("lines", "pids", "servers"),
    [
        pytest.param(
            [unreached(OF_ONE), unreached(OF_TWO), deferred(ONE), deferred(TWO)],
            [8, 9, 7, 7],
            (("", ""), ("", "")),
            id="both at once for one reason",
        ),
        pytest.param(
            [
                unreached(OF_ONE, "Connection timed out"),
                unreached(OF_TWO),
                deferred(TWO),
                deferred(ONE, 110, "Connection timed out"),
            ],
            [8, 9, 7, 7],
            (OF_ONE, OF_TWO),
            id="both at once for another",
        ),
        pytest.param(
            [unreached(OF_ONE), deferred(ONE), unreached(OF_TWO), deferred(TWO)],
            [8, 7, 9, 6],
            (OF_ONE, OF_TWO),
            id="one after the other",
        ),
        pytest.param(
            [unreached(OF_TWO), unreached(OF_ONE), deferred(ONE)],
            [8, 8, 7],
            (OF_ONE, None),
            id="two of one domain",
        ),
        pytest.param(
            [unreached(OF_ONE), unreached(OF_ONE), deferred(ONE), deferred(TWO)],
            [8, 9, 7, 7],
            (OF_ONE, OF_ONE),
            id="one of two domains",
        ),
        pytest.param(
            [
                unreached(OF_ONE),
                f"smarthostplain authenticator failed H={OF_TWO[0]} [{OF_TWO[1]}] 535 No",
                deferred(ONE),
                f"== {TWO} R=smarthost T=smarthost_starttls defer (-42):"
                " authentication required but authentication attempt(s) failed",
            ],
            [8, 9, 7, 7],
            (OF_ONE, OF_TWO),
            id="one by a smarthost that refuses the login",
        ),
    ],
)
def test_no_recipient_waits_for_another_ones_server(
    node: Node,
    lines: list[str],
    pids: list[int],
    servers: tuple[tuple[str, str] | None, tuple[str, str] | None],
) -> None:
    """Exim speaks to several at a time: by whose line it is told which is not known."""
    node.told(*lines, pids=pids)
    found = [node.known(recipient) for recipient in (ONE, TWO)]
    assert tuple(one and (one.mx, one.mx_address) for one in found) == servers


def test_a_login_that_the_smarthost_refuses_is_told_in_clear_words(node: Node) -> None:
    assert node.told(
        "smarthostplain authenticator failed H=smart.example [192.0.2.9] 535 5.7.8 Bad password",
        f"== {BOB} R=smarthost T=smarthost_starttls defer (-42):"
        " authentication required but authentication attempt(s) failed",
    ) == ["deferred"]
    said = "535 5.7.8 The smarthost refuses the login: Bad password"
    assert node.known() == deferrals_.Deferral(
        *(ID, KEY, 1, AT + 1000, said, "auth", "smart.example", "192.0.2.9")
    )


def test_a_suspension_is_told_once_and_is_no_attempt(node: Node) -> None:
    assert node.told(REFUSED, HELD, HELD) == ["deferred", "deferred"]
    node.restart()
    assert node.told(HELD) == []
    known = node.known()
    assert known is not None
    assert (known.attempts, known.text, known.held) == (1, "Connection refused", True)
    # Over, and suspended again.
    assert node.told(NOT_YET, HELD) == ["deferred"]
    assert node.told(BUSY, HELD) == ["deferred", "deferred"]


def test_a_recipient_of_another_message_is_another(node: Node) -> None:
    node.told(REFUSED)
    assert node.recorder.store.deferral(ID.replace("1", "2"), KEY) is None
    assert node.known("bob@example.org") is None


@pytest.mark.parametrize("end", ["Completed", "removed by root", "cancelled by Debian-exim"])
def test_with_the_message_it_is_forgotten(node: Node, end: str) -> None:
    node.told(REFUSED)
    node.told(end)
    assert node.known() is None


def test_what_may_be_of_no_message_any_more_is_forgotten(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.told(REFUSED)
    node.log.unlink()
    monkeypatch.setattr(follower, "_PATIENCE", 0)
    node.restart()
    assert [*node.told(NOT_YET), *node.told(), *node.told()] == ["gap", "deferred"]
    known = node.known()
    assert known is not None
    assert known.attempts == 0


def test_a_store_of_an_older_image_is_taken_over_and_can_go_back(tmp_path: pathlib.Path) -> None:
    kept = store_.Store(tmp_path)
    kept.keep([mail_events.Event(1, mail_events.Type.COMPLETED)], None, [])
    stream = kept.stream
    kept.close()
    with sqlite3.connect(tmp_path / store_.FILE_NAME) as older:
        older.execute("DROP TABLE deferrals")
        ((version,),) = older.execute("PRAGMA user_version")
    older.close()
    node = Node(tmp_path)
    assert (node.recorder.store.stream, version) == (stream, 1)
    assert node.told(REFUSED) == ["completed", "deferred"]
    assert node.known() is not None
