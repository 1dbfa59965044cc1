# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A message's envelope in exim's spool: its -H file (exim specification, chapter 56).

Addresses, names and the values of variables are others' words. exim writes one
value a line, and those that may hold line ends with their length.
"""

from __future__ import annotations

import re
import typing as tp

from exordos_paas_mail.codecs import bounded, credentials, encoded_words

# A `-` more says that the value is a stranger's; from 4.97 on, in brackets, how it is quoted.
_VARIABLE = re.compile(rb"--?(?:\([^)]*\))?(?P<name>[a-z_]+)(?: (?P<value>.*))?", re.DOTALL)
_ACL_VARIABLES: tp.Final = frozenset({b"aclc", b"aclm"})
_HOLD: tp.Final = b"aclm _hold"
_TLS_OPTIONAL: tp.Final = b"aclm _tls_optional"
_CREDENTIAL: tp.Final = b"aclc _credential"
_RECEIVED = re.compile(rb"(?P<seconds>\d{1,12}) \d+")
_WITH_OPTIONS = re.compile(
    rb"(?P<before>.*) (?P<original_size>\d+),-?\d+ (?P<errors>.*)(?P<errors_size>\d+),-?\d+#3",
    re.DOTALL,
)
_LINES_MAX: tp.Final = 1_000_000
_CLIENT = re.compile(r"\[(?P<address>[0-9a-fA-F.:]{2,45})\]:\d{1,5}")
# A header field: its size in octets, what exim knows it as (`*`: not there any more), a space.
_FIELD = re.compile(rb"(?P<size>\d{3,10})(?P<kind>[^\n]) ")
_FROM: tp.Final = b"F"
_MESSAGE_ID: tp.Final = b"I"
_OTHER: tp.Final = b" "
_TAG: tp.Final = b"x-mail-tag"
_FIELD_SIZE_MAX: tp.Final = 2000


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


class Arrival(tp.NamedTuple):
    """What a message's envelope and header tell of how it came; what is not known is empty."""

    sender: str
    account: str
    arrived_at: int
    """Milliseconds since 1970."""
    client: str
    """The address that it was sent from."""
    recipients: int
    """How many there were, whatever has become of them."""
    header_from: str
    """The text of the field From, of several the first, as it was sent, and cut if long."""
    message_id: str
    """The same of Message-ID."""
    hold: str = ""
    """As of the envelope; a message that was taken back since has it as well."""
    tags: tuple[str, ...] = ()
    """What its fields X-Mail-Tag say, each cut if long."""
    credential: str = ""
    """The prefix of the credential that its client had logged in with (``acl_c_credential``)."""


def parse_arrival(data: bytes) -> Arrival:
    """Return how the message of a -H file came; ValueError, without a word of it, if it is none."""
    try:
        lines = _Lines(data)
        envelope, variables, count = _parse(lines)
    except IndexError as error:
        raise ValueError("the envelope ends early") from error
    fields, tags = _fields(lines)
    return Arrival(
        sender=envelope.sender,
        account=envelope.account,
        arrived_at=envelope.arrived_at * 1000,
        client=_address(variables.get(b"host_address", b"")),
        recipients=count,
        header_from=fields.get(_FROM, ""),
        message_id=fields.get(_MESSAGE_ID, ""),
        hold=envelope.hold,
        tags=tags,
        credential=_credential(variables.get(_CREDENTIAL, b"")),
    )


def parse(data: bytes) -> Envelope:
    """Return the envelope of a -H file; ValueError, without a word of it, if it is none."""
    try:
        return _parse(_Lines(data))[0]
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

    def rest(self) -> bytes:
        return self._data[self._at :]

    @property
    def left(self) -> int:
        return max(len(self._data) - self._at, 0)


def _parse(lines: _Lines) -> tuple[Envelope, dict[bytes, bytes], int]:
    """Return the envelope, its variables by their names, and how many recipients it is for."""
    lines.next()  # the name of the file
    lines.next()  # who called exim
    sender = lines.next()
    received = _RECEIVED.fullmatch(lines.next())
    if not (sender.startswith(b"<") and sender.endswith(b">")) or received is None:
        raise ValueError("the envelope has no sender or no time")
    variables, line = _variables(lines)
    done = _done(line, lines)
    count = _number(lines.next())
    recipients = [_recipient(lines.next()) for _ in range(count)]
    if lines.next():
        raise ValueError("the envelope has more recipients than it says")
    envelope = Envelope(
        sender=_text(sender[1:-1]),
        account=_text(variables.get(b"auth_id", b"")),
        arrived_at=int(received["seconds"]),
        frozen=b"frozen" in variables,
        recipients=tuple(one for one in dict.fromkeys(recipients) if key(one) not in done),
        size=lines.left,
        hold=_text(variables.get(_HOLD, b"")),
        tls_optional=bool(variables.get(_TLS_OPTIONAL)),
    )
    return envelope, variables, count


def _variables(lines: _Lines) -> tuple[dict[bytes, bytes], bytes]:
    """Return the variables by their names, and the line after them."""
    found: dict[bytes, bytes] = {}
    line = lines.next()
    while line.startswith(b"-"):
        variable = _VARIABLE.fullmatch(line)
        if variable is not None:
            name, value = variable["name"], variable["value"] or b""
            if name in _ACL_VARIABLES:
                own, _, size = value.partition(b" ")
                name, value = b"%s %s" % (name, own), lines.take(_number(size))
            found[name] = value
        line = lines.next()
    return found, line


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


def _fields(lines: _Lines) -> tuple[dict[bytes, str], tuple[str, ...]]:
    """Return the text of the fields that are told, by what exim knows them as, and the tags."""
    data, at = lines.rest(), 0
    found: dict[bytes, str] = {}
    tags: list[str] = []
    while match := _FIELD.match(data, at):
        at = match.end() + int(match["size"])
        name, _, text = data[match.end() : at].partition(b":")
        if match["kind"] in {_FROM, _MESSAGE_ID}:
            decoded = text[:_FIELD_SIZE_MAX].decode("utf-8", "replace")
            found.setdefault(match["kind"], decoded)
        elif match["kind"] == _OTHER and name.rstrip(b" \t").lower() == _TAG:
            tags.append(_decoded(text[:_FIELD_SIZE_MAX]))
        if data[at : at + 1] == b"\n":
            at += 1
    return found, tuple(tags)


def _decoded(text: bytes) -> str:
    """Return the text of a field that may have encoded-words, as exim's ``$h_`` has it."""
    try:
        return encoded_words.decode(text)
    except ValueError:
        return text.decode("utf-8", "replace")


def _credential(name: bytes) -> str:
    prefix = credentials.START + _text(name)
    return prefix if credentials.is_prefix(prefix) else ""


def _address(value: bytes) -> str:
    match = _CLIENT.fullmatch(_text(value))
    return "" if match is None else match["address"]


def _number(digits: bytes) -> int:
    number = int(digits)
    if not 0 <= number <= _LINES_MAX:
        raise ValueError("the envelope has a number that is none")
    return number


def _text(value: bytes) -> str:
    return bounded.plain(value.decode("utf-8", "replace"))
