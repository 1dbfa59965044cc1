# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""One attempt to hand an event over, and what came of it."""

from __future__ import annotations

import collections
import http.client
import ssl
import time
import typing as tp

from exordos_paas_mail.codecs import bounded, webhook_config, webhook_messages, webhook_reports
from exordos_paas_mail.node.web import connections, errors

if tp.TYPE_CHECKING:
    import uuid as sys_uuid
    from collections.abc import Iterable

TIMEOUT: tp.Final = 20.0
"""Seconds for all of an attempt."""
_USER_AGENT: tp.Final = "mailaas-webhooks/1.0"
_IDLE_MAX: tp.Final = 10.0
"""Seconds for which a connection is kept that is not used."""
_AGE_MAX: tp.Final = 60.0
"""Seconds after which a name is resolved again."""
_GONE: tp.Final = 410


class Outcome(tp.NamedTuple):
    """What came of an attempt."""

    code: int
    """0 where there was no answer."""
    error: str
    """Empty where the event has arrived."""
    body: str
    ms: int

    @property
    def is_gone(self) -> bool:
        """Whether the receiver says that it wants no events any more."""
        return self.code == _GONE


class Client:
    """Hands events over to the server at *url*, each in the thread that asks for it."""

    def __init__(self, url: str, opener: connections.Opener, timeout: float = TIMEOUT) -> None:
        self.url = url
        self._host, self._port, self._path = webhook_config.split_url(url)
        self._opener = opener
        self._timeout = timeout
        self._idle: collections.deque[connections.Connection] = collections.deque()
        """Shared by the threads: its methods are atomic."""

    def deliver(self, secrets: Iterable[str], event: sys_uuid.UUID, body: bytes) -> Outcome:
        """Send *body*, signed now by *secrets*."""
        begun = time.monotonic()
        headers = webhook_messages.headers(secrets, event, int(time.time()), body)
        headers["User-Agent"] = _USER_AGENT
        code, said, error = 0, b"", ""
        try:
            code, said = self._exchange(headers, body, begun + self._timeout)
        except errors.DeliveryError as failure:
            error = str(failure)
        except (OSError, ValueError, http.client.HTTPException) as failure:
            error = self._words(failure)
        else:
            error = _judged(code)
        text = " ".join(said.decode("utf-8", "replace").split()) if error else ""
        return Outcome(
            code,
            bounded.plain(error, webhook_reports.ERROR_SIZE_MAX),
            bounded.plain(text, webhook_reports.BODY_SIZE_MAX),
            round((time.monotonic() - begun) * 1000),
        )

    def close(self) -> None:
        """End the connections that nobody uses."""
        while (connection := self._take()) is not None:
            connection.close()

    def _exchange(self, headers: dict[str, str], body: bytes, deadline: float) -> tuple[int, bytes]:
        while True:
            connection = self._waiting()
            is_new = connection is None
            if connection is None:
                connection = self._opener.open(self._host, self._port, deadline)
            try:
                answer = connection.post(self._path, headers, body, deadline)
            except (OSError, ValueError, http.client.HTTPException) as error:
                connection.close()
                # A server ends a connection that waits when it likes.
                if is_new or isinstance(error, TimeoutError):
                    raise
                continue
            if answer.is_last:
                connection.close()
            else:
                self._idle.append(connection)
            return answer.code, answer.body

    def _waiting(self) -> connections.Connection | None:
        """Return a connection that may be used again, None where there is none."""
        while (connection := self._take()) is not None:
            now = time.monotonic()
            if now - connection.used < _IDLE_MAX and now - connection.born < _AGE_MAX:
                return connection
            connection.close()
        return None

    def _take(self) -> connections.Connection | None:
        try:
            # The one that was used last: the others may grow old.
            return self._idle.pop()
        except IndexError:
            return None

    def _words(self, failure: OSError | ValueError | http.client.HTTPException) -> str:
        if isinstance(failure, TimeoutError):
            return f"no answer within {self._timeout:g} seconds"
        if isinstance(failure, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {failure.verify_message}"
        if isinstance(failure, ssl.SSLError):
            return f"TLS fails: {failure.reason or 'the connection was closed'}"
        if isinstance(failure, (http.client.RemoteDisconnected, ConnectionResetError)):
            return "the connection was closed without an answer"
        if isinstance(failure, OSError):
            return f"no connection: {failure.strerror or failure}"
        return f"its answer is no HTTP: {type(failure).__name__}"


def _judged(code: int) -> str:
    """Return why an answer says that an event has not arrived, empty where it has."""
    if 200 <= code < 300:  # noqa: PLR2004 - RFC 9110, 15.3
        return ""
    if 300 <= code < 400:  # noqa: PLR2004 - RFC 9110, 15.4
        return f"answered {code}: redirects are not followed"
    return f"answered {code}"
