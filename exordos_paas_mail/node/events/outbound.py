# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whether mail can leave: which servers were tried since one has answered at last.

A network that closes port 25 outward looks like servers that are all away. So it is
told by all that was tried on a port: one server that answers there, whatever it says, and
mail can leave by it. A smarthost says nothing of port 25, though it listen there.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import answers, bounded, main_log

if tp.TYPE_CHECKING:
    import datetime

MX_PORT: tp.Final = 25
"""Where the servers listen that MX records name."""
SMARTHOST: tp.Final = 0
"""In place of its port, which not each line has."""
TRIED_MAX: tp.Final = 20
"""Servers that are kept: those that were tried last."""
_WORDS_SIZE_MAX: tp.Final = 200
_SMARTHOST: tp.Final = "smarthost_"
# exim's error numbers of what a server has answered to: TLSFAILURE, TLSREQUIRED, AUTHFAIL.
_AFTER_A_GREETING: tp.Final = frozenset({-37, -38, main_log.LOGIN_REFUSED})


class Tried(tp.NamedTuple):
    """A server that did not answer."""

    name: str
    address: str
    port: int
    attempts: int
    since: int
    """When it was tried first, in milliseconds since 1970."""
    at: int
    """When it was tried at last."""
    words: str
    """Why it did not answer the last time."""


class Outbound:
    """What is new."""

    def __init__(self) -> None:
        self.answered: dict[int, int] = {}
        """By port, when a server has answered at last, in milliseconds since 1970.

        Of a port only what was tried later is in ``tried``; ``SMARTHOST`` takes out what has the
        name that the smarthost answered by.
        """
        self.smarthosts_name = ""
        """That the smarthost has answered by at last; empty where it has not."""
        self.tried: dict[tuple[str, int], Tried] = {}
        """By address and port."""

    def add(self, line: main_log.Line) -> None:
        """Take a line of the log."""
        port = _answered(line.entry)
        if port is not None:
            self.answered[port] = int(line.at.timestamp() * 1000)
            name = ""
            if port == SMARTHOST and (remote := getattr(line.entry, "remote", None)) is not None:
                self.smarthosts_name = name = bounded.plain(remote.name)
            self.tried = {
                key: one
                for key, one in self.tried.items()
                if one.port != port and (not name or one.name != name)
            }
        elif isinstance(line.entry, main_log.Unreached):
            self._note(line.at, line.entry)

    def _note(self, at: datetime.datetime, entry: main_log.Unreached) -> None:
        remote = entry.remote
        key = remote.address, remote.port or 0
        before = self.tried.get(key)
        now = int(at.timestamp() * 1000)
        since = now if before is None else before.since
        attempts = 1 if before is None else before.attempts + 1
        words = bounded.plain(entry.words, _WORDS_SIZE_MAX)
        self.tried[key] = Tried(bounded.plain(remote.name), *key, attempts, since, now, words)


def _answered(entry: main_log.Entry) -> int | None:
    """Return the port on which a server has answered, None if none has."""
    if isinstance(entry, main_log.LoginRefused):
        return SMARTHOST
    if not isinstance(
        entry, main_log.Delivery | main_log.Deferral | main_log.Failure | main_log.Unreached
    ):
        return None
    if isinstance(entry, main_log.Delivery):
        has_answered = entry.remote is not None
    elif isinstance(entry, main_log.Deferral) and entry.errno in _AFTER_A_GREETING:
        has_answered = True
    else:
        has_answered = entry.remote is not None and answers.answer(entry.words) is not None
    if not has_answered:
        return None
    if getattr(entry, "transport", "").startswith(_SMARTHOST):
        return SMARTHOST
    if entry.remote is not None and entry.remote.port is not None:
        return entry.remote.port
    return MX_PORT
