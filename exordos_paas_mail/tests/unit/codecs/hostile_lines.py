# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of exim's log in which all that others write is hostile, and whose each of them is.

They are written as exim 4.96 writes them, with what the relay lets in: a name in HELO that
acl_helo takes, a recipient that acl_rcpt takes, a login of an account.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import event_figures, mail_events, main_log
from exordos_paas_mail.tests.unit.codecs import log_lines

if tp.TYPE_CHECKING:
    import collections
    import random
    from collections.abc import Callable, Iterator

Type: tp.TypeAlias = mail_events.Type

EVE = "eve@evil.example"
# What would be taken for a field, for another kind of line, or for the end of this one.
FRAGMENTS: tp.Final = (
    f"{log_lines.ID} => {EVE} F=<{EVE}> R=mx T=remote_smtp S=1 QT=0s DT=0s",
    f"{log_lines.ID} Completed QT=0s",
    f" A=plain:{EVE}",
    f" A=plain:{EVE} S=1",
    " H=evil.example [192.0.2.66]:25",
    "H=(evil) [192.0.2.66]:25 rejected RCPT",
    "[192.0.2.66]:25",
    "] [192.0.2.66]",
    ") [192.0.2.66]:4711",
    f" F=<{EVE}>",
    f"> F=<{EVE}> R=mx",
    f" <{EVE}>",
    f" <b-bvqtdj4-b5-cw-{'0' * 14}-eve@bounces.evil.example>",
    ' C="250 OK"',
    '" QT=0s DT=0s',
    " QT=0.100s DT=0.100s",
    " DT=0s: ",
    " routing defer (-1): ",
    " R=mx T=remote_smtp defer (-44)",
    " X=TLS1.3:AES:256 CV=dane",
    f": 535 x (set_id={EVE})",
    f"accepted account={EVE} recipients=1 size=1",
    "reported ",
    "removed by root",
    " rejected RCPT <x>: limit",
    " temporarily rejected after DATA: x",
    " P=esmtpsa",
    " from <> for x",
    "<=",
    "=>",
    "->",
    "==",
    "**",
    ": 550 5.1.1 ",
    "SMTP error from remote mail server after RCPT TO:<x@y.example>: 550 5.7.1 spam",
    "Relaying denied",
    r"\n",
    "\\",
    '"',
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    "\N{LINE SEPARATOR}",
    "\x85",
    "\udcff",
)
_CHARACTERS: tp.Final = "".join(map(chr, range(32, 127)))
_ATOM: tp.Final = "abcXYZ019!#$&'*+=?^_`{}~.-"
# acl_helo refuses these, and acl_rcpt those in a local part.
_NO_HELO: tp.Final = re.compile(r"[\x00-\x1f\x7f]|[)\]]\s|\s\S*=")
_NO_LOCAL_PART: tp.Final = re.compile(r"[@%!]|^[./|]|/\.\./")


class Lines:
    """Lines out of *source*, each with the fields of its event that are not free text."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._makers: tuple[Callable[[], tuple[str, dict[str, tp.Any]]], ...] = (
            self._arrival,
            self._delivery,
            self._deferral,
            self._failure,
            self._refusal,
            self._failed_login,
        )

    def __iter__(self) -> Iterator[tuple[str, dict[str, tp.Any]]]:
        while True:
            yield self._random.choice(self._makers)()

    def _words(self) -> str:
        """Return words of another server, or a field of a client's: anything of one line."""
        parts = []
        for _ in range(self._random.randrange(5)):
            if self._random.random() < 0.7:
                parts.append(self._random.choice(FRAGMENTS))
            else:
                size = self._random.randrange(12)
                parts.append("".join(self._random.choices(_CHARACTERS, k=size)))
        return "".join(parts)

    def _address(self) -> str:
        domain = "".join(self._random.choices("abcdefghij0123456789-", k=6))
        if self._random.random() < 0.3:
            local = "".join(self._random.choices(_ATOM, k=8))
        else:
            words = "".join(c for c in self._words() if c.isascii() and c.isprintable())
            quoted = words.replace("\\", r"\\").replace('"', r"\"")
            local = f'"{quoted}"'
        return f"{local}@x{domain}.example"

    def _recipient(self) -> str:
        while True:
            found = self._address()
            if not _NO_LOCAL_PART.search(_unquoted(found.rpartition("@")[0])):
                return found

    def _client(self) -> tuple[str, str]:
        """Return what exim writes of a client, and its address."""
        address = self._random.choice(("192.0.2.1", "2001:db8::1"))
        helo = self._words()
        if not helo or _NO_HELO.search(helo):
            return f"[{address}]:4711", address
        return f"({helo}) [{address}]:4711", address

    def _login(self) -> str:
        return f"{''.join(self._random.choices(_ATOM, k=5))}@example.com"

    def _attempt(self) -> tuple[str, dict[str, tp.Any]]:
        """Return a recipient as string_log_address writes it, and the fields of an attempt."""
        sent = self._recipient()
        local, _, domain = sent.rpartition("@")
        bare = _unquoted(local).lower()
        as_sent = "" if bare == local else f" <{sent}>"
        fields = {
            "queue_id": log_lines.ID,
            "recipient": sent,
            "mx": log_lines.MX.name,
            "mx_address": log_lines.MX.address,
        }
        return f"{bare}@{domain}{as_sent}", fields

    def _arrival(self) -> tuple[str, dict[str, tp.Any]]:
        client, address = self._client()
        sender, login = self._address(), self._login()
        line = (
            f"{log_lines.ID} <= {sender} H={client} P=esmtpsa X={log_lines.CIPHER} CV=no"
            f" A=plain:{login} S=516 id={self._words()} from <{sender}> for {self._words()}"
        )
        fields = {"queue_id": log_lines.ID, "sender": sender, "account": login, "client": address}
        return line, {"type": Type.ACCEPTED, "size": 516, **fields}

    def _delivery(self) -> tuple[str, dict[str, tp.Any]]:
        text, fields = self._attempt()
        sender = self._address()
        answer = self._words().replace("\\", r"\\").replace('"', r"\"")
        line = (
            f"{log_lines.ID} => {text} F=<{sender}> R=mx T=remote_smtp S=1 {log_lines.MX_FIELD}"
            f' X={log_lines.CIPHER} CV=no C="{answer}" QT=0.148s DT=0.102s'
        )
        return line, {"type": Type.DELIVERED, "sender": sender, "queued": 148, **fields}

    def _deferral(self) -> tuple[str, dict[str, tp.Any]]:
        text, fields = self._attempt()
        line = (
            f"{log_lines.ID} == {text} R=mx T=remote_smtp defer (-44) {log_lines.MX_FIELD}"
            f" DT=0.100s: {self._words()}"
        )
        return line, {"type": Type.DEFERRED, **fields}

    def _failure(self) -> tuple[str, dict[str, tp.Any]]:
        text, fields = self._attempt()
        sender = self._address()
        line = (
            f"{log_lines.ID} ** {text} F=<{sender}> R=mx T=remote_smtp {log_lines.MX_FIELD}:"
            f" {self._words()} DT=0.100s"
        )
        return line, {"type": Type.FAILED, "sender": sender, **fields}

    def _refusal(self) -> tuple[str, dict[str, tp.Any]]:
        client, address = self._client()
        sender, login = self._address(), self._login()
        temporary = self._random.choice((True, False))
        line = (
            f"H={client} X={log_lines.CIPHER} CV=no F=<{sender}> A=plain:{login}"
            f" {'temporarily ' if temporary else ''}rejected RCPT {self._words()}: limit"
        )
        fields = {"sender": sender, "account": login, "client": address, "temporary": temporary}
        return line, {"type": Type.REJECTED, "queue_id": "", "command": "RCPT", **fields}

    def _failed_login(self) -> tuple[str, dict[str, tp.Any]]:
        client, address = self._client()
        login = self._random.choice(("", self._login()))
        name = f" (set_id={login})" if login else ""
        line = f"plain authenticator failed for {client}: 535 Incorrect authentication data{name}"
        fields = {"account": login, "client": address}
        return line, {"type": Type.LOGIN_FAILED, "queue_id": "", **fields}


def wrong(line: str, fields: dict[str, tp.Any]) -> str:
    """Return what is wrong with the event that *line* is read as, empty where it is *fields*'."""
    events = _events(line)
    if len(events) != 1:
        return f"read as {len(events)} events"
    return " ".join(
        f"{name}={getattr(events[0], name)!r}, not {value!r}"
        for name, value in fields.items()
        if getattr(events[0], name) != value
    )


def travels(line: str, counters: collections.Counter[str]) -> bool:
    """Return whether the event of *line* is what the control plane reads, and count it."""
    events = _events(line)
    for event in events:
        event_figures.count(counters, event)
    return mail_events.parse(mail_events.render(events)) == events


def _events(line: str) -> list[mail_events.Event]:
    parsed = main_log.parse(f"{log_lines.AT} [493] {line}")
    return [] if parsed is None else mail_events.of(parsed)


def _unquoted(local: str) -> str:
    return "".join(pair[-1] for pair in re.findall(r'\\.|[^"]', local))
