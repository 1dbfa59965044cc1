# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What exim asks exordos-mail-policy, and what it is answered (templates/exim4/acl/limits.j2).

A line each way. ``take LOGIN`` counts one recipient, if it may be sent to: the answer is
``do=pass at=<ms>`` or ``do=stop said="<why, and until when>"``, and has ``signals=...`` where
there are any. ``give LOGIN COUNT AT`` takes back what was counted at that time and is not
sent: the answer is ``do=pass``.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import limit_signals, windows

if tp.TYPE_CHECKING:
    from collections.abc import Sequence

REQUEST_SIZE_MAX: tp.Final = 1024

_TAKE: tp.Final = re.compile(r"take (?P<login>\S{1,512})")
_GIVE: tp.Final = re.compile(r"give (?P<login>\S{1,512}) (?P<count>\d{1,9}) (?P<at>\d{1,14})")


class Take(tp.NamedTuple):
    """Count a recipient."""

    login: str


class Give(tp.NamedTuple):
    """Take back what was counted."""

    login: str
    recipients: int
    at: int


def parse(line: str) -> Take | Give:
    """Return what *line*, without its end, asks for; ValueError where it asks for nothing."""
    take = _TAKE.fullmatch(line)
    if take:
        return Take(take["login"])
    give = _GIVE.fullmatch(line)
    if give is None:
        raise ValueError("no request")
    return Give(give["login"], int(give["count"]), int(give["at"]))


def passed(at: int, signals: Sequence[limit_signals.Signal]) -> str:
    """Return the answer for a recipient that is counted at *at*."""
    return f"do=pass at={at}{_signals(signals)}"


def stopped(
    login: str,
    reached: limit_signals.Signal,
    now: int,
    signals: Sequence[limit_signals.Signal],
) -> str:
    """Return the answer for a recipient that a limit, *reached*, is against."""
    whose = login if reached.scope == limit_signals.ACCOUNT else "all accounts together"
    seconds = max(1, -(-(reached.until - now) // 1000))
    recipients = "1 recipient" if reached.limit == 1 else f"{reached.limit} recipients"
    each = "an hour" if reached.period == "hour" else f"a {reached.period}"
    said = (
        f"The limit of {recipients} {each} of {whose} is reached:"
        f" the next is taken in {seconds} s, at {windows.text(reached.until)}"
    )
    return f'do=stop said="{said}"{_signals(signals)}'


def _signals(signals: Sequence[limit_signals.Signal]) -> str:
    return f" signals={limit_signals.render(signals)}" if signals else ""
