# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Events that come in floods: the first of equal ones goes at once, the others as a count.

Anybody can have a relay refuse something as often as he likes.
"""

from __future__ import annotations

import dataclasses
import typing as tp

from exordos_paas_mail.codecs import mail_events

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

PERIOD: tp.Final = 60_000
"""Milliseconds for which equal events are counted."""
KINDS_MAX: tp.Final = 2000
"""How many different events are counted at a time."""

_Type = mail_events.Type
_COUNTED = frozenset({_Type.LOGIN_FAILED, _Type.REJECTED, _Type.SUPPRESSED})


@dataclasses.dataclass
class _Window:
    begin: int
    last: int
    count: int


class Counts:
    """Counts equal events; *held* are counts that another one held."""

    def __init__(self, held: Iterable[mail_events.Event] = ()) -> None:
        self._windows = {_kind(event): _Window(event.at, event.at, event.count) for event in held}

    def add(self, event: mail_events.Event) -> list[mail_events.Event]:
        """Take *event*; returns what goes on now."""
        if event.type not in _COUNTED:
            return [event]
        kind = _kind(event)
        window = self._windows.get(kind)
        if window is not None and 0 <= event.at - window.begin < PERIOD:
            window.last = max(window.last, event.at)
            window.count += 1
            return []
        ended = self._end(kind)
        if len(self._windows) >= KINDS_MAX:
            ended += self._end(next(iter(self._windows)))
        self._windows[kind] = _Window(event.at, event.at, 0)
        return [*ended, event]

    def due(self, now: int) -> list[mail_events.Event]:
        """Return the counts whose time is over, or is to come: the clock was set back."""
        begun = {kind: now - window.begin for kind, window in self._windows.items()}
        over = [kind for kind, age in begun.items() if not 0 <= age < PERIOD]
        return [event for kind in over for event in self._end(kind)]

    def held(self) -> list[mail_events.Event]:
        """Return what is counted so far and has gone nowhere."""
        return [event for kind in self._windows for event in self._told(kind)]

    def _end(self, kind: mail_events.Event) -> list[mail_events.Event]:
        told = self._told(kind)
        self._windows.pop(kind, None)
        return told

    def _told(self, kind: mail_events.Event) -> list[mail_events.Event]:
        window = self._windows.get(kind)
        if window is None or not window.count:
            return []
        return [dataclasses.replace(kind, at=window.last, count=window.count)]


def _kind(event: mail_events.Event) -> mail_events.Event:
    return dataclasses.replace(event, at=0, count=1)
