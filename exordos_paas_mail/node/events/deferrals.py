# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Why recipients still wait for their message, from the first delay to the message's end.

exim logs a line a minute of a recipient that it does not even try: the time has not
come, or the domain is held. The first of them is an event, the others say nothing new.
"""

from __future__ import annotations

import dataclasses
import typing as tp

from exordos_paas_mail.codecs import answers, bounded, mail_events, main_log, spool_headers

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Failure: tp.TypeAlias = main_log.Unreached | main_log.LoginRefused
# What becomes of the recipients is told within a second.
_FAILURES_MAX = 1000
_ENDS = frozenset({mail_events.Type.COMPLETED, mail_events.Type.DELETED})


class Deferral(tp.NamedTuple):
    """What is known of a recipient that waits."""

    queue_id: str
    recipient: str
    """As ``spool_headers.key`` spells it."""
    attempts: int = 0
    at: int = 0
    """When it was tried at last, in milliseconds since 1970; 0 where it never was."""
    text: str = ""
    reason: str = ""
    mx: str = ""
    mx_address: str = ""
    held: bool = False
    """That it is not tried at all for now."""


class Tried:
    """What the servers of a message did at last, each told by the process that spoke to it.

    exim speaks to the servers of several domains at a time, and logs what comes of it for the
    recipients afterwards, by the process of the message: what is of which recipient it does not
    say.
    """

    def __init__(self) -> None:
        self._failures: dict[int, _Failure] = {}
        self._message = 0
        self._before: set[int] = set()

    def add(self, pid: int, failure: _Failure) -> None:
        """Take what the process *pid* says."""
        self._failures[pid] = failure
        self._before.discard(pid)

    def find(self, pid: int, entry: main_log.Deferral) -> _Failure | None:
        """Return why a recipient waits by *entry*, of the process *pid* of the message.

        None where that is not known, or may be one server or another.
        """
        if pid != self._message:
            # Another attempt than that which was told of before.
            for old in self._before:
                del self._failures[old]
            self._message = pid
        self._before = set(self._failures)
        is_login = entry.errno == main_log.LOGIN_REFUSED
        found = {
            (one.remote.name, one.remote.address): one
            for one in self._failures.values()
            if isinstance(one, main_log.LoginRefused) == is_login
        }
        if len(found) > 1:
            found = {server: one for server, one in found.items() if one.words == entry.words}
        return next(iter(found.values())) if len(found) == 1 else None


class Deferrals:
    """What is new; *find* returns what is kept of a message's recipient.

    *failures* are those of the reading before.
    """

    def __init__(
        self,
        find: Callable[[str, str], Deferral | None],
        failures: Sequence[tuple[str, Tried]] = (),
    ) -> None:
        self._find = find
        self.changed: dict[tuple[str, str], Deferral] = {}
        self.ended: set[str] = set()
        """Messages that nobody waits for any more."""
        self.failures: dict[str, Tried] = dict(failures[-_FAILURES_MAX:])
        """By message."""
        self.lost = False
        """That lines are missing, of ends as well: what is kept may be of no message."""

    def add(self, line: main_log.Line, events: list[mail_events.Event]) -> list[mail_events.Event]:
        """Take a line and its events; returns those that say something new."""
        self.ended.update(event.queue_id for event in events if event.type in _ENDS)
        entry = line.entry
        if isinstance(entry, main_log.Unreached | main_log.LoginRefused):
            # At the end, as the newest.
            tried = self.failures.pop(line.queue_id, None) or Tried()
            tried.add(line.pid, entry)
            self.failures[line.queue_id] = tried
        if not isinstance(entry, main_log.Deferral):
            return events
        told = [self._told(line.pid, entry, event) for event in events]
        return [event for event in told if self._is_new(entry, event)]

    def _told(
        self, pid: int, entry: main_log.Deferral, event: mail_events.Event
    ) -> mail_events.Event:
        """Return *event* with what the line of its server says, where its own says less."""
        tried = self.failures.get(event.queue_id)
        failure = None if tried is None else tried.find(pid, entry)
        is_of_server = entry.errno > 0 or entry.errno == main_log.LOGIN_REFUSED
        if failure is None or not is_of_server or event.mx:
            return event
        mx, mx_address = bounded.plain(failure.remote.name), failure.remote.address
        if entry.errno != main_log.LOGIN_REFUSED:
            return dataclasses.replace(event, mx=mx, mx_address=mx_address)
        said = answers.parse(failure.words) or answers.Answer(0, "", failure.words)
        text = f"The smarthost refuses the login: {said.text}"
        return dataclasses.replace(
            event,
            mx=mx,
            mx_address=mx_address,
            code=said.code,
            enhanced=said.enhanced,
            text=bounded.plain(text, mail_events.TEXT_SIZE_MAX),
        )

    def _is_new(self, entry: main_log.Deferral, event: mail_events.Event) -> bool:
        recipient = spool_headers.key(event.recipient)
        key = event.queue_id, recipient
        known = self.changed.get(key) or (None if self.lost else self._find(*key))
        before = known or Deferral(*key)
        if entry.errno == main_log.HELD:
            self.changed[key] = before._replace(held=True)
            return not before.held
        if entry.errno <= main_log.NOT_TRIED_MAX:
            if known is not None and not known.held:
                return False
            # The domain has failed for other messages: why is not known here.
            self.changed[key] = before._replace(
                held=False,
                text=before.text or event.text,
                reason=before.reason or event.reason,
            )
            return known is None
        said = (str(event.code or ""), event.enhanced, event.text)
        self.changed[key] = Deferral(
            *key,
            attempts=before.attempts + 1,
            at=event.at,
            text=bounded.plain(" ".join(filter(None, said)), mail_events.TEXT_SIZE_MAX),
            reason=event.reason,
            mx=event.mx,
            mx_address=event.mx_address,
        )
        return True
