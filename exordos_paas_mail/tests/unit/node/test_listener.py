# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lines that are answered at once, and lines whose answers come later."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import typing as tp

import pytest

from exordos_paas_mail.node.machine import listener as listener_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

# A turn that nothing ends would last for this long.
FOR_EVER = 3600.0

pytestmark = pytest.mark.timeout(120)


class Stage:
    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "socket"
        self.listener = listener_.Listener(self.path)

    def client(self, line: str) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(60)
        made.connect(str(self.path))
        made.sendall(f"{line}\n".encode())
        return made


@pytest.fixture
def stage(tmp_path: pathlib.Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    with contextlib.closing(made.listener):
        yield made


def read(client: socket.socket) -> str:
    with client, client.makefile() as file:
        return file.read()


def test_who_waits_for_an_answer_is_in_nobodys_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_, "_PATIENCE", FOR_EVER)
    waited: list[float] = []
    is_known = False

    def answer(line: str, seconds: float) -> str | None:
        if line == "quick":
            return "at once"
        waited.append(seconds)
        return "later" if is_known else None

    slow, quick = stage.client("slow"), stage.client("quick")
    gone = stage.client("gone")
    gone.close()
    # Two turns for each: it is taken, and then read.
    for _ in range(12):
        stage.listener.turn_patiently(answer, 0.01)
    assert read(quick) == "at once"
    is_known = True
    stage.listener.turn_patiently(answer, 0.01)
    assert read(slow) == "later"
    assert waited[0] < max(waited)
    calls = len(waited)
    stage.listener.turn_patiently(answer, 0.01)
    assert len(waited) == calls


def test_who_is_never_answered_is_let_go(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_, "_PATIENCE", 0.05)
    client = stage.client("slow")
    deadline = time.monotonic() + 60
    client.setblocking(False)  # noqa: FBT003 - its only argument
    while True:
        assert time.monotonic() < deadline
        stage.listener.turn_patiently(lambda *_: None, 0.01)
        with contextlib.suppress(BlockingIOError):
            assert client.recv(100) == b""
            break
    client.close()


def test_a_turn_ends_when_it_is_woken(stage: Stage) -> None:
    for _ in range(3):
        thread = threading.Thread(target=stage.listener.wake)
        thread.start()
        stage.listener.turn(lambda _: "", FOR_EVER)
        thread.join()
    # Woken more often than it turns, it turns once.
    for _ in range(2000):
        stage.listener.wake()
    stage.listener.turn(lambda _: "", FOR_EVER)
