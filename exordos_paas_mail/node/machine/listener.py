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
        self._said: dict[socket.socket, tuple[bytes, float]] = {}

    def close(self) -> None:
        """Close the socket and all connections."""
        for connection in list(self._said):
            self._end(connection)
        self._selector.close()
        self._socket.close()

    def turn(self, answer: Callable[[str], str], seconds: float) -> None:
        """Answer whoever asks within *seconds*; an empty answer is none."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._socket:
                self._accept()
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

    def _read(self, connection: socket.socket, answer: Callable[[str], str]) -> None:
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
        if end:
            answered = answer(line.decode("utf-8", "replace"))
            # It fits into the buffer of a socket that nothing was written to.
            with contextlib.suppress(OSError):
                connection.sendall(answered.encode())
        self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        del self._said[connection]
