# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much may be sent: the limits of an instance and of its accounts, and the file of them.

A limit of the recipients in a window of the calendar (UTC) of the instance is one of all its
accounts together; an account's own is counted beside it. How many recipients and octets a
message may have is the smaller one of the two.

The file has the instance's line first, then the accounts that have something of their own by
login, and an end mark. What exim asks for by login alone (``message``, ``size``, ``on``)
stands in an account's line as it counts, the instance's taken into account.

::

    *:hour=500 size=10
    app@example.com:hour=100 day=1000 size=5 on=hold
    .:2
"""

from __future__ import annotations

import re
import types
import typing as tp

from exordos_paas_mail.codecs import usernames

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PERIODS: tp.Final = ("minute", "hour", "day", "month")
"""The windows, the shortest first."""
MESSAGE: tp.Final = "message"
"""Recipients of one message."""
SIZE: tp.Final = "size"
"""MiB of one message."""

NUMBER_MAX: tp.Final = 1_000_000_000
SIZE_MAX: tp.Final = 2047
"""exim counts the octets of a message in 31 bits."""

# What the file calls the fields of the API, in the order of its lines.
FIELDS: tp.Final[Mapping[str, str]] = types.MappingProxyType(
    {
        **{f"recipients_per_{period}": period for period in PERIODS},
        "recipients_per_message": MESSAGE,
        "message_size_mb": SIZE,
    }
)
HIGHEST: tp.Final[Mapping[str, int]] = types.MappingProxyType(
    {field: SIZE_MAX if name == SIZE else NUMBER_MAX for field, name in FIELDS.items()}
)
"""Of each field of the API; the lowest is 1."""
NONE: tp.Final[Mapping[str, int | None]] = types.MappingProxyType(dict.fromkeys(FIELDS))
"""The limits of whoever has none."""

DEFER: tp.Final = "defer"
HOLD: tp.Final = "hold"
REJECT: tp.Final = "reject"
ON_LIMIT: tp.Final = (DEFER, HOLD, REJECT)

INSTANCE_KEY: tp.Final = "*"
END_KEY: tp.Final = "."

_ON = "on"
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


class Limits(tp.NamedTuple):
    """What one line says: limits by their name in the file, and what is done beyond them."""

    numbers: Mapping[str, int]
    on_limit: str = DEFER


class File(tp.NamedTuple):
    """What the file says."""

    instance: Limits
    accounts: Mapping[str, Limits]
    """By login; those that are not there have nothing of their own."""

    def of(self, login: str) -> Limits:
        """Return what the account *login* has of its own."""
        return self.accounts.get(login, _NOTHING)


_NOTHING: tp.Final = Limits(types.MappingProxyType({}))


def render(
    instance: Mapping[str, int | None],
    accounts: Iterable[tuple[str, Mapping[str, int | None], str]],
    domain: str,
) -> str:
    """Return the file for the limits of an instance of *domain* and of its accounts.

    Limits are by the fields of the API, accounts (username, limits, on_limit). Sorted, so
    that equal input gives equal bytes.
    """
    whole = _numbers(instance)
    lines = [f"{INSTANCE_KEY}:{_line(whole, DEFER)}\n"]
    for username, own, on_limit in sorted(accounts, key=lambda account: account[0]):
        numbers = _numbers(own)
        if not numbers and on_limit == DEFER:
            continue
        for name in (MESSAGE, SIZE):
            both = [each[name] for each in (numbers, whole) if name in each]
            if both:
                numbers[name] = min(both)
        lines.append(f"{username}@{domain}:{_line(numbers, on_limit)}\n")
    return "".join([*lines, f"{END_KEY}:{len(lines)}\n"])


def parse(text: str, domain: str = "") -> File:
    """Return what the file *text* says; with a *domain*, that of the accounts must be that.

    Accepts what ``render`` writes and nothing else: ValueError, naming the number of the
    line, for any other text.
    """
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    first, *middle = text.split("\n")[:-1]
    start = f"{INSTANCE_KEY}:"
    if not first.startswith(start):
        raise ValueError("line 1: not the instance's")
    if not middle or middle[-1] != f"{END_KEY}:{len(middle)}":
        raise ValueError("the end mark is missing, or counts another number of lines")
    whole = _parsed(first.removeprefix(start), "line 1")
    if whole.on_limit != DEFER:
        raise ValueError("line 1: what is done beyond a limit is an account's to say")
    accounts: dict[str, Limits] = {}
    before = ""
    for number, line in enumerate(middle[:-1], start=2):
        where = f"line {number}"
        login, _, value = line.partition(":")
        username, _, of = login.partition("@")
        if not usernames.fits_account_file(username) or of != (domain or of or None):
            raise ValueError(f"{where}: not an account of the domain")
        if username <= before:
            raise ValueError(f"{where}: out of order, or given twice")
        before = username
        accounts[login] = _parsed(value, where)
        if accounts[login] == _NOTHING:
            raise ValueError(f"{where}: says nothing")
    return File(whole, accounts)


def _numbers(limits: Mapping[str, int | None]) -> dict[str, int]:
    """Return the limits that there are by their names in the file."""
    found = ((name, limits.get(field)) for field, name in FIELDS.items())
    return {name: number for name, number in found if number is not None}


def _line(numbers: Mapping[str, int], on_limit: str) -> str:
    words = [f"{name}={numbers[name]}" for name in FIELDS.values() if name in numbers]
    if on_limit != DEFER:
        words.append(f"{_ON}={on_limit}")
    return " ".join(words)


def _parsed(value: str, where: str) -> Limits:
    numbers: dict[str, int] = {}
    on_limit = DEFER
    for word in value.split(" ") if value else ():
        name, _, what = word.partition("=")
        if name == _ON and what in (HOLD, REJECT):
            on_limit = what
        elif name in _NAMES and _NUMBER.fullmatch(what) and int(what) <= _HIGHEST[name]:
            numbers[name] = int(what)
        else:
            raise ValueError(f"{where}: not a limit")
    if _line(numbers, on_limit) != value:
        raise ValueError(f"{where}: a limit is out of order, or given twice")
    return Limits(numbers, on_limit)


_NAMES: tp.Final = frozenset(FIELDS.values())
_HIGHEST: tp.Final = {name: HIGHEST[field] for field, name in FIELDS.items()}
