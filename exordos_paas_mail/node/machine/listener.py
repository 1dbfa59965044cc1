# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A UNIX socket on which lines are answered, one a connection, one after the other."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
import typing as tp

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

_BACKLOG: tp.Final = 4096
_LINE_SIZE_MAX: tp.Final = 1024
# A client that has said nothing for so long never will.
_PATIENCE: tp.Final = 5.0
# Seconds between two looks at whom there is no answer for yet.
_TICK: tp.Final = 0.1
# sd_listen_fds(3): the first of the descriptors that are handed in.
_HANDED_IN: tp.Final = 3


class Listener:
    """Listens on the socket that systemd hands in, or else on one made at *path*."""

    def __init__(self, path: pathlib.Path) -> None:
        if os.environ.get("LISTEN_PID") == str(os.getpid()):
            self._socket = socket.socket(fileno=_HANDED_IN)
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            path.unlink(missing_ok=True)
            self._socket.bind(str(path))
            path.chmod(0o600)
            self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)  # noqa: FBT003 - its only argument
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)  # noqa: FBT003 - its only argument
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._said: dict[socket.socket, tuple[bytes, float]] = {}
        self._asked: dict[socket.socket, tuple[str, float]] = {}

    def close(self) -> None:
        """Close the socket and all connections."""
        for connection in list(self._said):
            self._end(connection)
        for connection in self._asked:
            connection.close()
        self._asked.clear()
        self._selector.close()
        for each in (self._socket, self._woken, self._waker):
            each.close()

    def wake(self) -> None:
        """End a turn that waits, from any thread."""
        # Full, it has been woken already.
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"\0")

    def turn(self, answer: Callable[[str], str], seconds: float) -> None:
        """Answer whoever asks within *seconds*; an empty answer is none."""
        self.turn_patiently(lambda line, _: answer(line), seconds)

    def turn_patiently(self, answer: Callable[[str, float], str | None], seconds: float) -> None:
        """Answer whoever asks within *seconds*, or has asked before.

        *answer* is told for how many seconds a line has waited, and returns None while there is
        no answer yet: it is asked again by the next turns.
        """
        for connection, (line, since) in list(self._asked.items()):
            del self._asked[connection]
            self._answer(connection, line, since, answer)
        for key, _ in self._selector.select(min(seconds, _TICK) if self._asked else seconds):
            if key.fileobj is self._socket:
                self._accept()
            elif key.fileobj is self._woken:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(_LINE_SIZE_MAX)
            else:
                self._read(tp.cast("socket.socket", key.fileobj), answer)
        bound = time.monotonic() - _PATIENCE
        for connection in [one for one, (_, since) in self._said.items() if since < bound]:
            self._end(connection)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = self._socket.accept()
            connection.setblocking(False)  # noqa: FBT003 - its only argument
            self._said[connection] = b"", time.monotonic()
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket, answer: Callable[[str, float], str | None]) -> None:
        said, since = self._said[connection]
        try:
            data = connection.recv(_LINE_SIZE_MAX)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        said += data
        line, end, _ = said.partition(b"\n")
        if data and not end and len(said) < _LINE_SIZE_MAX:
            self._said[connection] = said, since
            return
        if not end:
            self._end(connection)
            return
        # What else it says is not listened to.
        self._selector.unregister(connection)
        del self._said[connection]
        self._answer(connection, line.decode("utf-8", "replace"), time.monotonic(), answer)

    def _answer(
        self,
        connection: socket.socket,
        line: str,
        since: float,
        answer: Callable[[str, float], str | None],
    ) -> None:
        waited = time.monotonic() - since
        answered = answer(line, waited)
        if answered is None and waited < _PATIENCE:
            self._asked[connection] = line, since
            return
        # It fits into the buffer of a socket that nothing was written to.
        with contextlib.suppress(OSError):
            connection.sendall((answered or "").encode())
        connection.close()

    def _end(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        del self._said[connection]
