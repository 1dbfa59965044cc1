# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Signals of limits: that one is nearly reached, or is. They travel by a line of exim's log.

``near:account:hour:400:500:1795222800000;reached:instance:day:9000:9000:1795305600000``
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import limits, windows

if tp.TYPE_CHECKING:
    from collections.abc import Iterable

NEAR: tp.Final = "near"
"""Four fifths of a limit are used."""
REACHED: tp.Final = "reached"

ACCOUNT: tp.Final = "account"
INSTANCE: tp.Final = "instance"

SIGNALS_MAX: tp.Final = 2 * len(limits.PERIODS)
PATTERN: tp.Final = r"[a-z]+:[a-z]+:[a-z]+:\d{1,10}:\d{1,10}:\d{1,14}"
_SIGNAL: tp.Final = re.compile(
    rf"(?P<what>{NEAR}|{REACHED}):(?P<scope>{ACCOUNT}|{INSTANCE})"
    rf":(?P<period>{'|'.join(limits.PERIODS)})"
    r":(?P<used>\d{1,10}):(?P<limit>\d{1,10}):(?P<until>\d{1,14})"
)


class Signal(tp.NamedTuple):
    """One of them, once in a window."""

    what: str
    scope: str
    """Whose limit it is: the account's own, or that of all accounts together."""
    period: str
    used: int
    limit: int
    until: int
    """When the window ends, in milliseconds since 1970."""


def render(signals: Iterable[Signal]) -> str:
    """Return *signals* as a word; ``parse`` is the inverse."""
    return ";".join(":".join(map(str, signal)) for signal in signals)


def parse(text: str) -> list[Signal]:
    """Return the signals of a word; ValueError if one is none."""
    found: list[Signal] = []
    for word in text.split(";")[: SIGNALS_MAX + 1]:
        match = _SIGNAL.fullmatch(word)
        if match is None or len(found) == SIGNALS_MAX:
            raise ValueError("no signal of a limit, or too many")
        what, scope, period, *numbers = match.groups()
        found.append(Signal(what, scope, period, *map(int, numbers)))
    return found


def said(signal: Signal) -> str:
    """Return what people are told of *signal*."""
    return (
        f"{signal.used} of the {signal.limit} of recipients_per_{signal.period} are used,"
        f" until {windows.text(signal.until)}"
    )
