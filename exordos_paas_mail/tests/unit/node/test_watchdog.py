# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What systemd is told by a process that it watches."""

from __future__ import annotations

import os
import socket
import time
import typing as tp

import pytest

from exordos_paas_mail.node.machine import watchdog

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator


@pytest.fixture
def notified(tmp_path: pathlib.Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(0)
        yield made


def said(notified: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(notified.recv(100))
    except BlockingIOError:
        return found


def environment(notified: socket.socket, **changes: str) -> dict[str, str]:
    given = {"NOTIFY_SOCKET": notified.getsockname(), "WATCHDOG_USEC": "30000000", **changes}
    return {name: value for name, value in given.items() if value}


def test_it_is_told_at_once_and_four_times_in_its_period(
    notified: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Exact in binary, as what is added to it.
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watched = watchdog.Watchdog(environment(notified, WATCHDOG_PID=str(os.getpid())))
    watched.turn()
    watched.turn()
    assert said(notified) == [b"WATCHDOG=1"]
    now += 7.25
    watched.turn()
    assert said(notified) == []
    now += 0.25
    watched.turn()
    assert said(notified) == [b"WATCHDOG=1"]
    watched.close()


def test_a_name_of_the_abstract_name_space_is_found() -> None:
    name = f"mailaas-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"\0{name}")
        made.settimeout(60)
        given = {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "1"}
        watched = watchdog.Watchdog(given)
        watched.turn()
        assert made.recv(100) == b"WATCHDOG=1"
        watched.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"NOTIFY_SOCKET": ""},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_PID": "1"},
    ],
    ids=str,
)
def test_who_is_not_watched_says_nothing(notified: socket.socket, changes: dict[str, str]) -> None:
    watched = watchdog.Watchdog(environment(notified, **changes))
    watched.turn()
    assert said(notified) == []
    watched.close()


def test_what_cannot_be_said_is_said_the_next_time(
    notified: socket.socket, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "notify"
    path.rename(tmp_path / "away")
    watched = watchdog.Watchdog(environment(notified))
    watched.turn()
    (tmp_path / "away").rename(path)
    watched.turn()
    assert said(notified) == [b"WATCHDOG=1"]
    watched.close()
