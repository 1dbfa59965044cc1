# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of suppressions as a text: what is imported and exported, a line an address.

A line is ``address,reason,expires_at``; what is after the address may be left out.
Empty lines and those that begin with ``#`` say nothing.
"""

from __future__ import annotations

import datetime
import typing as tp

from exordos_paas_mail.codecs import rules, suppressions

LINES_MAX: tp.Final = 10_000
"""Of a text that is imported, and of one that is exported."""
SIZE_MAX: tp.Final = LINES_MAX * 330
"""Characters of a text."""
_REASONS: tp.Final = tuple(reason.value for reason in suppressions.Reason)


class Line(tp.NamedTuple):
    """What a line says."""

    address: str
    reason: str = ""
    """Empty where it says none."""
    expires_at: datetime.datetime | None = None


def render(lines: tp.Iterable[Line]) -> str:
    """Return the text of *lines*; ``parse`` is the inverse of each."""
    return "".join(f"{line.address},{line.reason},{_time(line.expires_at)}\n" for line in lines)


def parse(text: str) -> Line | None:
    """Return what a line says, None where that is nothing; RuleError if it is none."""
    text = text.strip()
    if not text or text.startswith("#"):
        return None
    # There may be a comma in a local part, and in no domain.
    local, at, rest = text.rpartition("@")
    domain, *fields = rest.split(",")
    address = suppressions.normalise(f"{local}{at}{domain.strip()}")
    if len(fields) > len(Line._fields) - 1:
        raise rules.RuleError("must be address,reason,expires_at")
    reason, expires_at = (*(field.strip() for field in fields), "", "")[:2]
    if reason not in ("", *_REASONS):
        raise rules.RuleError(f"reason must be one of {', '.join(_REASONS)}")
    return Line(address, reason, _moment(expires_at) if expires_at else None)


def _time(moment: datetime.datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def _moment(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").astimezone(
            datetime.timezone.utc
        )
    except ValueError:
        raise rules.RuleError("expires_at must be a time such as 2026-01-31T12:00:00Z") from None
