# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which server of the network the resolver asks, how, and whether the node asks the resolver.

What is found once decides nothing against what is so already: an answer may be lost, and a
machine may be busy. What is found three times in a row does.
"""

from __future__ import annotations

import enum
import typing as tp

from exordos_paas_mail.codecs import resolv_conf

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

IN_A_ROW: tp.Final = 3
# Seconds until validation is tried again that unbound could not do; doubled each time.
_WAIT_MIN: tp.Final = 600.0
_WAIT_MAX: tp.Final = 6 * 3600.0


class Heard(enum.Enum):
    """What a server of the network was found to do."""

    SIGNED = "signed"
    """It hands on signatures, and proofs that something is not there."""
    STRIPPED = "stripped"
    """It answers, without them, or with such as nobody can verify."""
    NOTHING = "nothing"
    """It does not answer, or cannot find out."""


class Wanted(tp.NamedTuple):
    """What the resolver is to be."""

    server: str
    """Whom it asks."""
    private: tuple[str, ...]
    """Whom it asks for private names: the network's first server, and its other private ones."""
    validates: bool


class Choice:
    """What was found so far; times are of a clock that is never set, in seconds."""

    def __init__(self) -> None:
        self._servers: tuple[str, ...] = ()
        self._server = ""
        self._is_signed = False
        self._silent = 0
        self._otherwise = 0
        self._first_back = 0
        self._failed = 0
        self._passed = 0
        self._gave_up = False
        self._plain_until = 0.0
        self._wait = _WAIT_MIN
        self.is_served = False
        """Whether the resolver does its work: the node may ask it."""

    def offer(self, servers: Sequence[str]) -> None:
        """Take over which servers the network gives."""
        if tuple(servers) == self._servers:
            return
        self._servers = tuple(servers)
        if self._server not in self._servers:
            self._server = ""
            self.is_served = False
        self._silent = self._otherwise = self._first_back = 0

    def asked(self) -> list[str]:
        """Return which servers are to be asked now, in this order."""
        if not self._server or self._silent >= IN_A_ROW:
            return list(self._servers)
        return list(dict.fromkeys((self._server, self._servers[0])))

    def hear(self, found: dict[str, Heard]) -> None:
        """Take over what the servers that were asked have answered."""
        answering = [it for it in self._servers if found.get(it, Heard.NOTHING) != Heard.NOTHING]
        if self._server not in answering:
            self._silent += 1
            if answering and (not self._server or self._silent >= IN_A_ROW):
                self._take(answering[0], found)
            return
        self._silent = 0
        is_first_back = self._server != self._servers[0] == answering[0]
        self._first_back = self._first_back + 1 if is_first_back else 0
        if self._first_back >= IN_A_ROW:
            self._take(answering[0], found)
            return
        is_otherwise = (found[self._server] == Heard.SIGNED) != self._is_signed
        self._otherwise = self._otherwise + 1 if is_otherwise else 0
        if self._otherwise >= IN_A_ROW:
            self._take(self._server, found)

    @property
    def is_silent(self) -> bool:
        """Whether the server was not heard when it was last asked."""
        return self._silent > 0

    def wanted(self, now: float) -> Wanted | None:
        """Return what the resolver is to be; None while no server has ever answered."""
        if not self._server:
            return None
        validates = self._is_signed and now >= self._plain_until
        others = filter(resolv_conf.is_private, self._servers[1:])
        return Wanted(self._server, (self._servers[0], *others), validates)

    def judge(self, *, passed: bool, now: float) -> None:
        """Take over whether the resolver, which is as it is wanted, has answered as it should."""
        if passed:
            self._failed = 0
            self._passed += 1
            if self._passed >= IN_A_ROW:
                self._gave_up = False
                if self._is_signed and now >= self._plain_until:
                    self._wait = _WAIT_MIN
            # The first time it is enough to have seen it work.
            self.is_served = self.is_served or not self._gave_up
            return
        self._passed = 0
        self._failed += 1
        if self._failed < IN_A_ROW:
            return
        self._failed = 0
        if self._is_signed and now >= self._plain_until:
            self._plain_until = now + self._wait
            self._wait = min(2 * self._wait, _WAIT_MAX)
        else:
            self.is_served = False
            self._gave_up = True

    def _take(self, server: str, found: dict[str, Heard]) -> None:
        self._server = server
        self._is_signed = found[server] == Heard.SIGNED
        self._silent = self._otherwise = self._first_back = 0
        self._failed = self._passed = 0
