# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import socket
import threading
import typing as tp

from stand import answering

if tp.TYPE_CHECKING:
    import pytest

BUSY: tp.Final = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
UP: tp.Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nup"


def serve(listener: socket.socket, held: list[socket.socket]) -> None:
    """Leave the first connection without an answer, refuse the second, answer the others."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            held.append(connection)
            if len(held) == 1:
                continue
            connection.recv(65536)
            connection.sendall(BUSY if len(held) == 2 else UP)
            connection.close()


def test_a_first_answer_that_is_late_or_a_refusal_is_waited_for_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answering, "_LOOK_SECONDS", 0.2)
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, held))
        thread.start()
        found = answering.wait("it", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in held:
        connection.close()
    assert found.text == "up"
    assert len(held) >= 3
