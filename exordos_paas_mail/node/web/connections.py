# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Connections to servers of strangers, to none but the address that was looked at.

A name is resolved once for a connection. Each address that it leads to is looked at,
and the connection made to one of these; the certificate is verified for the name.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import time
import typing as tp

from exordos_paas_mail.node.web import errors

if tp.TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from exordos_paas_mail.codecs import public_addresses

ANSWER_SIZE_MAX: tp.Final = 4096
"""Octets of an answer that are read."""
_HEAD_SIZE_MAX: tp.Final = 131_072
"""Octets of an answer beside what is read of it: its headers, and what is read ahead."""
_ADDRESSES_MAX: tp.Final = 4
"""Addresses of a name that are tried."""
_CONNECT_TIMEOUT: tp.Final = 5.0
"""Seconds for one address where there are others."""


class Answer(tp.NamedTuple):
    """What a server said."""

    code: int
    body: bytes
    is_last: bool
    """Whether the connection is of no use any more."""
    kind: str = ""
    """Its media type in lower case, without parameters."""


class Connection:
    """A connection over which requests go, one after the other.

    Each method raises OSError, TimeoutError among them, or http.client.HTTPException.
    """

    def __init__(self, channel: _Channel, authority: str) -> None:
        self._channel = channel
        self._authority = authority
        self._http = http.client.HTTPConnection(authority)
        # It never connects by itself.
        self._http.auto_open = 0
        self._http.sock = tp.cast("socket.socket", channel)
        self.born = self.used = time.monotonic()

    def post(self, path: str, headers: Mapping[str, str], body: bytes, deadline: float) -> Answer:
        """Send *body*, and return what was said by *deadline* (time.monotonic)."""
        return self._exchange("POST", path, headers, body, deadline, ANSWER_SIZE_MAX)

    def get(self, path: str, headers: Mapping[str, str], deadline: float, size: int) -> Answer:
        """Return what is at *path*, *size* octets at most, as it was said by *deadline*."""
        return self._exchange("GET", path, headers, None, deadline, size)

    def _exchange(  # noqa: PLR0913 - a request's parts
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        size: int,
    ) -> Answer:
        self._channel.deadline = deadline
        self._channel.size_left = size + _HEAD_SIZE_MAX
        try:
            self._http.request(method, path, body, {"Host": self._authority, **headers})
            answer = self._http.getresponse()
            said = answer.read(size)
            # What is left of it is not waited for.
            is_last = not answer.isclosed() or answer.will_close
            answer.close()
            kind = answer.getheader("Content-Type", "").partition(";")[0].strip().lower()
        except (OSError, http.client.HTTPException):
            raise
        # The headers are read by a parser of mail, which a stranger's words make raise anything.
        except Exception as error:
            raise http.client.HTTPException(type(error).__name__) from error
        self.used = time.monotonic()
        return Answer(answer.status, said, is_last, kind)

    def close(self) -> None:
        """End the connection, whatever the other side does."""
        self._http.close()
        self._channel.end()


class Opener:
    """Makes connections; *resolve* gives the addresses of a name, *refuses* those that it may not.

    *resolve* takes the seconds it may need.
    """

    def __init__(
        self,
        resolve: Callable[[str, float], list[public_addresses.Address]],
        refuses: Callable[[public_addresses.Address], bool],
        context: ssl.SSLContext,
    ) -> None:
        self._resolve = resolve
        self._refuses = refuses
        self._context = context

    def open(self, name: str, port: int, deadline: float) -> Connection:
        """Return a connection to the server *name*; raises DeliveryError or OSError."""
        addresses = self._resolve(name, _left(deadline))
        for address in addresses:
            if self._refuses(address):
                raise errors.DeliveryError(f"its name leads to {address}, which is not public")
        raw = self._connected(addresses[:_ADDRESSES_MAX], port, deadline)
        try:
            # Headers and body are two writes.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.settimeout(_left(deadline))
            secured = self._context.wrap_socket(raw, server_hostname=name)
        except BaseException:
            raw.close()
            raise
        authority = name if port == http.client.HTTPS_PORT else f"{name}:{port}"
        return Connection(_Channel(secured, deadline), authority)

    def _connected(
        self, addresses: list[public_addresses.Address], port: int, deadline: float
    ) -> socket.socket:
        failed: OSError = OSError("it has no address")
        for place, address in enumerate(addresses, start=1):
            is_last = place == len(addresses)
            family = (
                socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
            )
            try:
                raw = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                # A machine without IPv6.
                failed = error
                continue
            left = _left(deadline)
            raw.settimeout(left if is_last else min(left, _CONNECT_TIMEOUT))
            try:
                raw.connect((str(address), port))
            except OSError as error:
                raw.close()
                failed = error
            else:
                return raw
        raise failed


class _Channel:
    """A socket, as far as http.client needs one, that nobody can make wait past *deadline*."""

    def __init__(self, secured: ssl.SSLSocket, deadline: float) -> None:
        self._socket = secured
        self.deadline = deadline
        self.size_left = _HEAD_SIZE_MAX
        """Octets that may still be received."""
        self._files = 0
        self._is_over = False

    def sendall(self, data: bytes) -> None:
        """Send all of *data*."""
        view = memoryview(data)
        while view:
            self._socket.settimeout(_left(self.deadline))
            view = view[self._socket.send(view) :]

    def receive_into(self, buffer: tp.Any) -> int:
        """Receive what there is, and return how much it was."""
        # Of each: a server that sends an octet now and then is slow as well.
        self._socket.settimeout(_left(self.deadline))
        if self.size_left <= 0:
            raise http.client.HTTPException("the answer is too large")
        received = self._socket.recv_into(buffer)
        self.size_left -= received
        return received

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - it is always rb
        """Return what is received as a file."""
        self._files += 1
        return io.BufferedReader(_Received(self))

    def close(self) -> None:
        """Close the socket once its files are closed, as a socket does."""
        self._is_over = True
        if not self._files:
            self._socket.close()

    def leave(self) -> None:
        """Note that a file is closed."""
        self._files -= 1
        if self._is_over:
            self.close()

    def end(self) -> None:
        """Close the socket now."""
        self._socket.close()


class _Received(io.RawIOBase):
    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: tp.Any) -> int:
        return self._channel.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._channel.leave()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left
