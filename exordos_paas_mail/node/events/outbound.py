# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Whether mail can leave: which servers were tried since one has answered at last.

A network that closes port 25 outward looks like servers that are all away. So it is
told by all that was tried: one server that answers, whatever it says, and mail can leave.
"""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import answers, bounded, main_log

if tp.TYPE_CHECKING:
    import datetime

TRIED_MAX: tp.Final = 20
"""Servers that are kept: those that were tried last."""
_WORDS_SIZE_MAX: tp.Final = 200
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
        self.answered = False
        """Whether a server has answered; then only those that were tried later are in ``tried``."""
        self.tried: dict[tuple[str, int], Tried] = {}
        """By address and port."""

    def add(self, line: main_log.Line) -> None:
        """Take a line of the log."""
        if _has_answered(line.entry):
            self.answered = True
            self.tried.clear()
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


def _has_answered(entry: main_log.Entry) -> bool:
    if isinstance(entry, main_log.LoginRefused):
        return True
    if isinstance(entry, main_log.Delivery):
        return entry.remote is not None
    if isinstance(entry, main_log.Deferral) and entry.errno in _AFTER_A_GREETING:
        return True
    if isinstance(entry, main_log.Deferral | main_log.Failure | main_log.Unreached):
        return entry.remote is not None and answers.answer(entry.words) is not None
    return False
