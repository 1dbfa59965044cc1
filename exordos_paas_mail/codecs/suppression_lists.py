# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of suppressions as a text: what is imported and exported, a line an address.

A line is ``address,reason,expires_at,account``; what is after the address may be left out.
Empty lines and those that begin with ``#`` say nothing.
"""

from __future__ import annotations

import datetime
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import rules, suppressions

LINES_MAX: tp.Final = 100_000
"""Of a text that is imported."""
SIZE_MAX: tp.Final = 16 * 1024 * 1024
"""Octets of a body with such a text, and so of the text."""
PAGE_LINES_MAX: tp.Final = 2_000
"""Of a text that is exported."""
_LINE_SIZE_MAX: tp.Final = 1_000
_SHAPE: tp.Final = "must be address,reason,expires_at,account"
_REASONS: tp.Final = tuple(reason.value for reason in suppressions.Reason)


class Line(tp.NamedTuple):
    """What a line says."""

    address: str
    reason: str = ""
    """Empty where it says none."""
    expires_at: datetime.datetime | None = None
    account: sys_uuid.UUID | None = None


def count(text: bytes) -> int:
    """Return how many lines *text* has, in UTF-8; what follows its last end of line is one."""
    return text.count(b"\n") + (not text.endswith(b"\n"))


def render(lines: tp.Iterable[Line]) -> str:
    """Return the text of *lines*; ``parse`` is the inverse of each."""
    return "".join(
        f"{line.address},{line.reason},{_time(line.expires_at)}{_account(line.account)}\n"
        for line in lines
    )


def parse(text: str) -> Line | None:
    """Return what a line says, None where that is nothing; RuleError if it is none."""
    if len(text) > _LINE_SIZE_MAX:
        raise rules.RuleError(f"must have at most {_LINE_SIZE_MAX} characters")
    text = text.strip()
    if not text or text.startswith("#"):
        return None
    # There may be a comma in a local part, and in no domain.
    local, at, rest = text.rpartition("@")
    domain, *fields = rest.split(",")
    address = suppressions.normalise(f"{local}{at}{domain.strip()}")
    if len(fields) > len(Line._fields) - 1:
        raise rules.RuleError(_SHAPE)
    reason, expires_at = (*(field.strip() for field in fields[:2]), "", "")[:2]
    if reason not in ("", *_REASONS):
        raise rules.RuleError(f"reason must be one of {', '.join(_REASONS)}")
    return Line(
        address,
        reason,
        _moment(expires_at) if expires_at else None,
        _uuid(fields[2].strip()) if len(fields) > 2 else None,  # noqa: PLR2004 - the last one
    )


def _time(moment: datetime.datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def _account(account: sys_uuid.UUID | None) -> str:
    return f",{account}" if account else ""


def _uuid(text: str) -> sys_uuid.UUID:
    try:
        return sys_uuid.UUID(text)
    except ValueError:
        raise rules.RuleError("account must be the UUID of an account") from None


def _moment(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").astimezone(
            datetime.timezone.utc
        )
    # The first and the last day of the calendar have times that are outside of it in UTC.
    except (ValueError, OverflowError):
        raise rules.RuleError("expires_at must be a time such as 2026-01-31T12:00:00Z") from None
