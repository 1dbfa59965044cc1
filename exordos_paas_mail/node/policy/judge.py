# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Says of each recipient whether it may be sent to, and counts it in the same step."""

from __future__ import annotations

import sys
import typing as tp

from exordos_paas_mail.codecs import limit_answers, limit_signals, limits, windows
from exordos_paas_mail.node.policy import counts as counts_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

    Signal: tp.TypeAlias = limit_signals.Signal

# Of a limit: from here on it is near.
_NEAR: tp.Final = (4, 5)
_NO_LIMITS: tp.Final = limits.File(limits.Limits({}), {})


class Judge:
    """Answers requests by the file of limits at *path* and what is counted in *counts*.

    The file is read anew when it has changed. One that cannot be read, or is none, changes
    nothing: the limits are those that were read last.
    """

    def __init__(self, path: pathlib.Path, counts: counts_.Counts) -> None:
        self._path = path
        self._counts = counts
        self._file = _NO_LIMITS
        self._seen: tuple[int, int, int] | None = None

    def answer(self, line: str, now: int) -> str:
        """Return the answer to *line* at *now*, in milliseconds since 1970.

        Raises ValueError where it is no request, and sqlite3.Error where nothing can be
        counted.
        """
        request = limit_answers.parse(line)
        if isinstance(request, limit_answers.Give):
            self._give(request, now)
            return "do=pass"
        return self._take(request.login, now)

    def _take(self, login: str, now: int) -> str:
        self._read()
        sides = (
            (limit_signals.ACCOUNT, login, self._file.of(login).numbers),
            (limit_signals.INSTANCE, counts_.INSTANCE, self._file.instance.numbers),
        )
        found = {key: self._counts.read(key, now) for _, key, _ in sides}
        reached = [
            signal
            for scope, key, numbers in sides
            for signal in _states(scope, found[key], numbers)
            if signal.what == limit_signals.REACHED
        ]
        if not reached:
            found = {
                key: count._replace(used=tuple(used + 1 for used in count.used))
                for key, count in found.items()
            }
        signals: list[Signal] = []
        changed = {}
        for scope, key, numbers in sides:
            told, new = _told(found[key].told, _states(scope, found[key], numbers))
            signals += new
            changed[key] = found[key]._replace(told=told)
        if reached and not signals:
            return self._stopped(login, reached, now, ())
        self._counts.write(changed.items())
        if reached:
            return self._stopped(login, reached, now, signals)
        return limit_answers.passed(changed[login].at, signals)

    @staticmethod
    def _stopped(login: str, reached: list[Signal], now: int, signals: tp.Sequence[Signal]) -> str:
        # Until that one ends none of the others matters.
        last = max(reached, key=lambda signal: signal.until)
        return limit_answers.stopped(login, last, now, signals)

    def _give(self, request: limit_answers.Give, now: int) -> None:
        changed = []
        for key in (request.login, counts_.INSTANCE):
            count = self._counts.read(key, now)
            used = tuple(
                # Of the windows alone that it was counted in.
                max(used - request.recipients, 0)
                if windows.begin(period, count.at) <= request.at
                else used
                for period, used in zip(limits.PERIODS, count.used, strict=True)
            )
            changed.append((key, count._replace(used=used)))
        self._counts.write(changed)

    def _read(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            # On a node that was never told of limits; or lost, and put back in seconds.
            return
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._file = limits.parse(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            sys.stderr.write(f"exordos-mail-policy: the limits stay as they were: {error}\n")
            sys.stderr.flush()


def _states(scope: str, count: counts_.Count, numbers: Mapping[str, int]) -> list[Signal]:
    """Return which limits are near or reached."""
    states = []
    for period, used in zip(limits.PERIODS, count.used, strict=True):
        limit = numbers.get(period)
        if limit is None:
            continue
        near, whole = _NEAR
        if used >= limit:
            what = limit_signals.REACHED
        elif used * whole >= limit * near:
            what = limit_signals.NEAR
        else:
            continue
        until = windows.end(period, count.at)
        states.append(limit_signals.Signal(what, scope, period, used, limit, until))
    return states


def _told(told: int, states: list[Signal]) -> tuple[int, list[Signal]]:
    """Return the signals that are told by now, and those of *states* that were not."""
    kept, new = 0, []
    for state in states:
        place = 2 * limits.PERIODS.index(state.period)
        bits = (3 if state.what == limit_signals.REACHED else 1) << place
        if bits & ~told:
            new.append(state)
        # A limit that was raised is reached anew.
        kept |= bits
    return kept, new
