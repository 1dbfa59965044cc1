# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Which accounts are on hold: the file exim looks a login up in.

An account that is on hold has a line that says what becomes of its mail, and since
when. One that was released keeps a line for a while, which says what becomes of what
had been put apart until then. Whoever has no line is not on hold, and nothing of what
is apart is touched for it: an account that was deleted is not released by that.

The end mark counts the lines: in a file that was cut at the end of a line an account
that is missing would send.

::

    app@example.com:hold 1764200000000
    web@example.com:delete 1764200000000
    .:2
"""

from __future__ import annotations

import enum
import re
import typing as tp

from exordos_paas_mail.codecs import bounded, usernames

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What no login is: a login has an "@".
END_KEY: tp.Final = "."
QUEUE: tp.Final = "hold"
"""exim's named queue of what is apart; nothing runs it."""
ACCOUNT: tp.Final = "account"
"""Why a message is apart (``acl_m_hold``) whose account was on hold; others say another word."""


class State(str, enum.Enum):
    """What becomes of an account's mail."""

    HOLD = "hold"
    """It is taken, and put apart."""
    DEFER = "defer"
    """It is refused for now; what was taken before is put apart."""
    REJECT = "reject"
    """It is refused for good; what was taken before is put apart."""
    DELIVER = "deliver"
    """The account was released, and what is apart is delivered."""
    DELETE = "delete"
    """The account was released, and what is apart is deleted."""

    @property
    def is_held(self) -> bool:
        """Whether the account is on hold."""
        return self in HELD


HELD: tp.Final = (State.HOLD, State.DEFER, State.REJECT)


class Hold(tp.NamedTuple):
    """What a line says of an account."""

    state: State
    at: int
    """When it was put on hold, or released, in milliseconds since 1970."""


_STATES: tp.Final = "|".join(state.value for state in State)
_VALUE = re.compile(rf"(?P<state>{_STATES}) (?P<at>[1-9][0-9]{{0,15}})")


def render(holds: Iterable[tuple[str, Hold]], domain: str) -> str:
    """Return the file for (username, hold) pairs of accounts of *domain*.

    Sorted, so that equal input gives equal bytes. ``parse`` is the exact inverse.
    """
    lines = [
        f"{username}@{domain}:{hold.state.value} {hold.at}\n" for username, hold in sorted(holds)
    ]
    return "".join([*lines, f"{END_KEY}:{len(lines)}\n"])


def parse(text: str, domain: str) -> list[tuple[str, Hold]]:
    """Return the (username, hold) pairs of a file for accounts of *domain*.

    Accepts what ``render`` writes and nothing else: ValueError, naming the number
    of the line, for any other text.
    """
    suffix = f"@{domain}"
    accounts: list[tuple[str, Hold]] = []
    for number, (login, hold) in enumerate(by_login(text).items(), start=1):
        username = login.removesuffix(suffix)
        if username == login or not usernames.fits_account_file(username):
            raise ValueError(f"line {number}: not an account of {domain}")
        if accounts and username <= accounts[-1][0]:
            raise ValueError(f"line {number}: out of order")
        accounts.append((username, hold))
    return accounts


def by_login(text: str) -> Mapping[str, Hold]:
    """Return the holds by login, whatever its domain; ValueError for a file that is not whole."""
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    *lines, last = text.split("\n")[:-1]
    if last != f"{END_KEY}:{len(lines)}":
        raise ValueError("the end mark is missing, or counts another number of lines")
    holds: dict[str, Hold] = {}
    for number, line in enumerate(lines, start=1):
        login, _, value = line.partition(":")
        match = _VALUE.fullmatch(value)
        if match is None or int(match["at"]) > bounded.NUMBER_MAX:
            raise ValueError(f"line {number}: says nothing of an account")
        if login in holds:
            raise ValueError(f"line {number}: given twice")
        holds[login] = Hold(State(match["state"]), int(match["at"]))
    return holds
