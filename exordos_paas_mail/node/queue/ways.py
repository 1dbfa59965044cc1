# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How mail leaves by MX records, and which mail could not leave as it would now.

exim tries a server that one way has put off by another way at once: each has retry times of its
own (``tls_policies.RETRY_KEYS``). What waits because no server may be gone to at all has the time
of its address, whatever the way was. ``Waiting`` knows by which way that was.
"""

from __future__ import annotations

import functools
import typing as tp

from exordos_paas_mail.codecs import (
    answers,
    bounded,
    domains,
    mta_sts,
    rules,
    spool_headers,
    tls_policies,
)
from exordos_paas_mail.node.queue import published

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

    from exordos_paas_mail.node.events import deferrals
    from exordos_paas_mail.node.queue import attempts as attempts_
    from exordos_paas_mail.node.queue import spool as spool_

_Mode: tp.TypeAlias = tls_policies.Mode


@functools.lru_cache(maxsize=4096)
def spelled(domain: str) -> str:
    """Return *domain* as the API spells it, or as it is where it is no domain."""
    try:
        return domains.normalise(domain)
    except rules.RuleError:
        return bounded.plain(domain.lower(), domains.MAX_LENGTH)


class Way(tp.NamedTuple):
    """How mail of a sender leaves for a domain."""

    mode: _Mode | None
    """What its tenant asks for; None while that cannot be known, and nothing leaves."""
    mx: str = ""
    """The servers that it may go to, a regular expression; empty for any."""

    @property
    def transport(self) -> _Mode:
        """The mode whose transport it leaves by."""
        return _Mode.MTA_STS if self.mx else self.mode or _Mode.AUTO

    def explains(self, text: str) -> bool:
        """Return whether mail that leaves so may wait, without a server, for what *text* says."""
        if self.mx:
            return mta_sts.UNNAMED in text
        return self.mode in (None, _Mode.MTA_STS)


class Ways(tp.NamedTuple):
    """How mail leaves for each domain."""

    policies: tls_policies.File | None = tls_policies.NOTHING
    """None for a file that is not whole."""
    enforced: Mapping[str, str] = published.NOTHING
    """As ``published.Published`` has it."""

    def of(self, domain: str, login: str, *, optional: bool = False) -> Way:
        """Return how a message of *login* goes to *domain*, as ``tls_policies.File.mode`` has it.

        Without a login it is role mail or a report: what the tenant's own domains enforce is for
        others' mail to them.
        """
        if self.policies is None:
            return Way(None)
        mode = self.policies.mode(domain, login, optional=optional)
        is_kept = bool(login) and mode in tls_policies.KEEPING
        return Way(mode, self.enforced.get(domain, "") if is_kept else "")


NOTHING: tp.Final = Ways()


class _Tried(tp.NamedTuple):
    """A recipient that waits, without a server, for a reason of TLS."""

    way: Way | None
    """The one that it was tried by at last; None for another than was seen since."""
    seen: Way
    """The one that there was at the last look."""
    since: int
    """When it was seen first, in milliseconds since 1970."""


class Waiting:
    """The recipients that wait so, each with the way that it was tried by.

    What they were tried by before this process was there is guessed by what exim has said.
    """

    def __init__(self) -> None:
        self._tried: dict[str, dict[str, _Tried]] = {}

    def forget(self, queue_id: str) -> None:
        """Forget a message; one that is not known is none."""
        self._tried.pop(queue_id, None)

    def rerouted(
        self, message: spool_.Message, attempts: attempts_.Of, ways: Ways, now: int
    ) -> frozenset[str]:
        """Return the recipients, as the message has them, that were tried by another way at last.

        They are due, whatever time exim has put them off to. *now* is in milliseconds since 1970.
        """
        before = self._tried.pop(message.queue_id, {})
        kept = {}
        for recipient in message.recipients:
            known = attempts.get(spool_headers.key(recipient))
            if known is not None and _is_without_a_server(known):
                domain = spelled(recipient.rpartition("@")[2])
                way = ways.of(domain, message.account, optional=message.tls_optional)
                kept[recipient] = _tried(before.get(recipient), known, way, now)
        if kept:
            self._tried[message.queue_id] = kept
        return frozenset(name for name, tried in kept.items() if tried.way != tried.seen)


def _is_without_a_server(known: deferrals.Deferral) -> bool:
    return not known.mx and known.reason == answers.Class.TLS.value


def _tried(before: _Tried | None, known: deferrals.Deferral, way: Way, now: int) -> _Tried:
    if before is None:
        before = _Tried(way if way.explains(known.text) else None, way, now)
    elif before.seen != way:
        before = before._replace(seen=way, since=now)
    # What was logged before is of an attempt that may have begun before the change.
    return before._replace(way=way) if known.at > before.since else before
