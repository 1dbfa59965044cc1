# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A message's envelope in exim's spool: its -H file (exim specification, chapter 56).

Addresses, names and the values of variables are others' words. exim writes one
value a line, and those that may hold line ends with their length.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import bounded

# A `-` more says that the value is a stranger's; from 4.97 on, in brackets, how it is quoted.
_VARIABLE = re.compile(rb"--?(?:\([^)]*\))?(?P<name>[a-z_]+)(?: (?P<value>.*))?", re.DOTALL)
_ACL_VARIABLES: tp.Final = frozenset({b"aclc", b"aclm"})
_HOLD: tp.Final = (b"aclm", b"_hold")
_TLS_OPTIONAL: tp.Final = (b"aclm", b"_tls_optional")
_RECEIVED = re.compile(rb"(?P<seconds>\d{1,12}) \d+")
_WITH_OPTIONS = re.compile(
    rb"(?P<before>.*) (?P<original_size>\d+),-?\d+ (?P<errors>.*)(?P<errors_size>\d+),-?\d+#3",
    re.DOTALL,
)
_LINES_MAX: tp.Final = 1_000_000


class Envelope(tp.NamedTuple):
    """What is known of a message, but for what its journal says."""

    sender: str
    """Empty for reports."""
    account: str
    """The login it was submitted with, empty where there was none."""
    arrived_at: int
    """Seconds since 1970."""
    frozen: bool
    recipients: tuple[str, ...]
    """Those that had not been delivered or given up when the file was written."""
    size: int
    """Octets of the message's header."""
    hold: str = ""
    """Why it was put apart as it came (``acl_m_hold``), in a word."""
    tls_optional: bool = False
    """Whether it says ``TLS-Required: No`` (``acl_m_tls_optional``)."""


def parse(data: bytes) -> Envelope:
    """Return the envelope of a -H file; ValueError, without a word of it, if it is none."""
    try:
        return _parse(_Lines(data))
    except IndexError as error:
        raise ValueError("the envelope ends early") from error


def journalled(data: bytes) -> frozenset[str]:
    """Return the recipients that a -J file says are done with, as ``key`` spells them."""
    lines = data.split(b"\n")[:-1]
    return frozenset(key(_text(line)) for line in lines)


def key(address: str) -> str:
    """Return *address* as exim compares it: the case of a domain does not matter."""
    local_part, at, domain = address.rpartition("@")
    return f"{local_part}{at}{domain.lower()}"


class _Lines:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def next(self) -> bytes:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise IndexError
        line = self._data[self._at : end]
        self._at = end + 1
        return line

    def take(self, size: int) -> bytes:
        """Return a value of *size* octets, and pass over the end of its line."""
        value = self._data[self._at : self._at + size]
        self._at += size + 1
        return value

    @property
    def left(self) -> int:
        return max(len(self._data) - self._at, 0)


def _parse(lines: _Lines) -> Envelope:
    lines.next()  # the name of the file
    lines.next()  # who called exim
    sender = lines.next()
    received = _RECEIVED.fullmatch(lines.next())
    if not (sender.startswith(b"<") and sender.endswith(b">")) or received is None:
        raise ValueError("the envelope has no sender or no time")
    account, frozen, hold, tls_optional = "", False, "", False
    line = lines.next()
    while line.startswith(b"-"):
        variable = _VARIABLE.fullmatch(line)
        if variable is not None:
            value = variable["value"] or b""
            if variable["name"] in _ACL_VARIABLES:
                text = lines.take(_number(value.rpartition(b" ")[2]))
                named = variable["name"], value.partition(b" ")[0]
                if named == _HOLD:
                    hold = _text(text)
                elif named == _TLS_OPTIONAL:
                    tls_optional = bool(text)
            elif variable["name"] == b"auth_id":
                account = _text(value)
            elif variable["name"] == b"frozen":
                frozen = True
        line = lines.next()
    done = _done(line, lines)
    count = _number(lines.next())
    recipients = [_recipient(lines.next()) for _ in range(count)]
    if lines.next():
        raise ValueError("the envelope has more recipients than it says")
    return Envelope(
        sender=_text(sender[1:-1]),
        account=account,
        arrived_at=int(received["seconds"]),
        frozen=frozen,
        recipients=tuple(one for one in dict.fromkeys(recipients) if key(one) not in done),
        size=lines.left,
        hold=hold,
        tls_optional=tls_optional,
    )


def _done(line: bytes, lines: _Lines) -> set[str]:
    """Return the recipients that are done with: a tree, each node with its two branches first."""
    done: set[str] = set()
    if line == b"XX":
        return done
    pending = 1
    while True:
        branches, address = line[:2], line[3:]
        if branches not in {b"YY", b"YN", b"NY", b"NN"}:
            raise ValueError("the envelope has a branch that is none")
        done.add(key(_text(address)))
        pending += branches.count(b"Y") - 1
        if not pending:
            return done
        line = lines.next()


def _recipient(line: bytes) -> str:
    """Return the recipient of a line, which may go on with the options of DSN (RFC 3461)."""
    match = _WITH_OPTIONS.fullmatch(line)
    if match is None:
        return _text(line)
    # What is before the sizes ends with the original recipient, of that size, after a space.
    size = int(match["original_size"])
    before = match["before"]
    return _text(before[: len(before) - size - 1] if 0 <= size < len(before) else before)


def _number(digits: bytes) -> int:
    number = int(digits)
    if not 0 <= number <= _LINES_MAX:
        raise ValueError("the envelope has a number that is none")
    return number


def _text(value: bytes) -> str:
    return bounded.plain(value.decode("utf-8", "replace"))
