# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Address fields of a message (RFC 5322 3.4): read, and repaired where one reading is left.

A value is what follows the field's name and colon, lines ended by LF, without the
last one. Well-formed here is what RFC 5322 has readers take, without white space
inside an address and without address literals, which the relay does not route.
"""

from __future__ import annotations

import bisect
import dataclasses
import re
import typing as tp

from exordos_paas_mail.codecs import address_tokens as tokens
from exordos_paas_mail.codecs import domains, encoded_words

if tp.TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from exordos_paas_mail.codecs.address_tokens import Token

_ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = rb"(?:(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-])+|\"(?:[^\"\\\n\x80-\xff]|\\[^\n\x80-\xff])*\")"
_DOMAIN = rb"%s(?:\.%s)*" % (_ATOM, _ATOM)
_ADDRESS = re.compile(rb"(?:@%s(?:,@%s)*:)?%s@%s" % (_DOMAIN, _DOMAIN, _LOCAL, _DOMAIN))
_UNQUALIFIED = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_WITH_HOST = re.compile(rb"(%s)@([^@\s]+)" % _LOCAL)
_ATOMS = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\xff-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# Who a bounce of dma is from: MAILER-DAEMON <>
_MAILER = b"mailer-daemon"
_EXAMPLE_MAX = 60


class UnreadableError(ValueError):
    """A field that has no reading, or more than one: says what is wrong and what to write."""

    def __init__(self, reason: str, *, group: bool = False) -> None:
        super().__init__(reason)
        self.group = group
        """Whether there are signs of a group, which names no sender."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """What decides how an address without a domain is read."""

    domain: str
    """Completes it."""
    recipients: Collection[str] = ()
    """The envelope's, in lower case: a word before a comma that is one of them is no name."""


class Address(tp.NamedTuple):
    """An address without anything around it."""

    octets: bytes
    is_as_written: bool = True
    has_own_domain: bool = True
    """Whether its domain was there, and not added."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mailbox:
    """One address, with the tokens around it."""

    phrase: Sequence[Token] | None
    """Its name; None where the address is not in angle brackets."""
    address: Address
    comments: Sequence[Token]
    text: bytes
    """As it was written, unfolded."""
    is_well_formed: bool
    """Whether that needs no repair, but for octets beyond ASCII."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """A named list (RFC 5322 3.4)."""

    name: Sequence[Token]
    members: Sequence[Mailbox]
    comments: Sequence[Token]
    text: bytes
    is_well_formed: bool


Entry: tp.TypeAlias = "Mailbox | Group"


def parse(value: bytes, reading: Reading) -> list[Entry]:
    """Return the entries of a list of addresses; raises UnreadableError when it is none."""
    return _Parser(value, reading).entries()


def repair(value: bytes, reading: Reading) -> bytes:
    """Return *value* well-formed, with all that a reader sees in it; raises UnreadableError.

    A well-formed value is returned as it is. Otherwise names with special
    characters are quoted, UTF-8 in names and comments becomes encoded-words, UTF-8
    in a domain its A-labels, and an address without a domain gets *reading*'s.
    Repairing the result changes nothing.
    """
    entries = parse(value, reading)
    if all(entry.is_well_formed and entry.text.isascii() for entry in entries):
        return value
    rendered = b",\n ".join(_render(entry) for entry in entries)
    return value if rendered == value.strip() else b" " + rendered


def as_account(value: bytes, reading: Reading, account: str) -> bytes | None:
    """Return *account* with what *value* says as its name, or None.

    None unless *value* is one mailbox of a user of a machine: one without a domain,
    or at a host below the domain, or at a host that has no place in DNS.
    """
    match parse(value, reading):
        case [Mailbox() as mailbox]:
            pass
        case _:
            return None
    host = mailbox.address.octets.rpartition(b"@")[2].decode().lower()
    if mailbox.address.has_own_domain and not (
        host.endswith(f".{reading.domain}") or "." not in host or host == "localhost.localdomain"
    ):
        return None
    name = _name([("text", mailbox.text)])
    return b" %s <%s>" % (name, account.encode())


class _Parser:
    def __init__(self, value: bytes, reading: Reading) -> None:
        self._tokens = tokens.split(value)
        self._reading = reading
        self._brackets = [
            index
            for index, (kind, octets) in enumerate(self._tokens)
            if kind == "angle" or octets in {b"<", b">"}
        ]

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        start = 0
        while (start := self._skip(start)) < len(self._tokens):
            group = self._group(start)
            if group is not None:
                entry, start = group
                found.append(entry)
                continue
            end = self._strict_end(start)
            if end is not None:
                found.append(self._mailbox(self._tokens[start:end]))
                start = end
                continue
            mailboxes, start = self._tolerant(start)
            found.extend(mailboxes)
        return found

    def _skip(self, start: int) -> int:
        """Return the first index from *start* on that is not a comma, space or comment.

        An entry may be empty; its comment belongs to nothing (RFC 5322 4.4).
        """
        index = start
        while index < len(self._tokens) and self._tokens[index][0] in {"space", ",", "comment"}:
            if self._tokens[index][0] == ",":
                start = index + 1
            index += 1
        return index if index == len(self._tokens) else start

    def _strict_end(self, start: int, stops: str = ",") -> int | None:
        """Return where the well-formed mailbox that starts at *start* ends, if there is one."""
        end = start
        while end < len(self._tokens) and self._tokens[end][0] not in stops:
            if self._tokens[end][0] in {":", ";", ","}:
                return None
            end += 1
        return end if _is_mailbox(self._tokens[start:end]) else None

    def _group(self, start: int) -> tuple[Group, int] | None:
        """Return the well-formed group at *start*, and where it ends."""
        index = start
        while index < len(self._tokens) and self._tokens[index][0] in {
            *tokens.WORDS,
            "space",
            "comment",
        }:
            index += 1
        name = self._tokens[start:index]
        if index == len(self._tokens) or self._tokens[index][0] != ":" or not _is_phrase(name):
            return None
        members = []
        index += 1
        while True:
            index = self._skip(index)
            if index == len(self._tokens):
                return None
            if all(kind in {"space", "comment"} for kind, _ in self._until(index, ";")):
                index += len(self._until(index, ";"))
            if index < len(self._tokens) and self._tokens[index][0] == ";":
                break
            end = self._strict_end(index, ",;")
            if end is None:
                return None
            members.append(self._mailbox(self._tokens[index:end]))
            index = end
        end = index + 1
        while end < len(self._tokens) and self._tokens[end][0] in {"space", "comment"}:
            end += 1
        if end < len(self._tokens) and self._tokens[end][0] != ",":
            return None
        text = tokens.join(self._tokens[start:end])
        comments = [token for token in self._tokens[index + 1 : end] if token[0] == "comment"]
        group = Group(
            name=name,
            members=members,
            comments=comments,
            text=text,
            is_well_formed=all(member.is_well_formed for member in members),
        )
        return group, end

    def _until(self, start: int, stops: str) -> list[Token]:
        end = start
        while end < len(self._tokens) and self._tokens[end][0] not in stops:
            end += 1
        return self._tokens[start:end]

    def _mailbox(self, part: list[Token]) -> Mailbox:
        """Return the mailbox that the well-formed *part* is."""
        kinds = [kind for kind, _ in part]
        if "angle" in kinds:
            return self._named(part, kinds.index("angle"), is_well_formed=True)
        octets = b"".join(octets for kind, octets in part if kind not in {"space", "comment"})
        return self._plain(part, octets, is_well_formed=True)

    def _named(self, part: list[Token], angle: int, *, is_well_formed: bool) -> Mailbox:
        inside = part[angle][1][1:-1]
        name = tokens.join(part[:angle])
        if not inside.strip() and name.lower() == _MAILER:
            inside = name
        address = self._address(inside)
        return Mailbox(
            phrase=part[:angle],
            address=address,
            comments=[token for token in part[angle + 1 :] if token[0] == "comment"],
            text=tokens.join(part),
            is_well_formed=is_well_formed and address.is_as_written,
        )

    def _plain(self, part: list[Token], octets: bytes, *, is_well_formed: bool) -> Mailbox:
        address = self._address(octets)
        return Mailbox(
            phrase=None,
            address=address,
            comments=[token for token in part if token[0] == "comment"],
            text=tokens.join(part),
            is_well_formed=is_well_formed and address.is_as_written,
        )

    def _address(self, octets: bytes) -> Address:
        address = octets.strip(b" \t\n")
        if _ADDRESS.fullmatch(address):
            return Address(address)
        if _UNQUALIFIED.fullmatch(address):
            completed = b"%s@%s" % (address, self._reading.domain.encode())
            return Address(completed, is_as_written=False, has_own_domain=False)
        if not address:
            raise UnreadableError("there is no address: write user@domain")
        match = _WITH_HOST.fullmatch(address)
        try:
            local, host = match.groups() if match else (b"", b"")
            domain = domains.normalise(host.removesuffix(b".").decode())
        except ValueError:
            raise UnreadableError(
                f"{_quote(address)} is not an address: write user@domain"
                + ("" if address.isascii() else ", in ASCII")
            ) from None
        return Address(b"%s@%s" % (local, domain.encode()), is_as_written=False)

    def _tolerant(self, start: int) -> tuple[list[Mailbox], int]:
        """Return what is read from *start* on where it is not well-formed, and where it ends."""
        angle = self._angle(start)
        if angle is None:
            end = start + len(self._until(start, ","))
            return [self._bare(self._tokens[start:end])], end
        end = angle + 1
        while end < len(self._tokens) and self._tokens[end][0] in {"space", "comment"}:
            end += 1
        found = []
        # What stands before a comma is part of the name, or an address of its own
        while (first := self._until(start, ","))[-1:] and start + len(first) < angle:
            octets = tokens.join(first)
            name = f"{octets.decode(errors='replace')}@{self._reading.domain}".lower()
            if not (_UNQUALIFIED.fullmatch(octets) and name in self._reading.recipients):
                break
            found.append(self._bare(first))
            start = start + len(first) + 1
        part = self._tokens[start:end]
        if _is_mailbox(part):
            return [*found, self._mailbox(part)], end
        return [*found, self._named(part, angle - start, is_well_formed=False)], end

    def _angle(self, start: int) -> int | None:
        """Return the index of the first address in angle brackets, if it ends its entry."""
        number = bisect.bisect_left(self._brackets, start)
        if number == len(self._brackets):
            return None
        index = self._brackets[number]
        if self._tokens[index][0] != "angle":
            raise UnreadableError("an angle bracket has no other one: write Name <user@domain>")
        rest = index + 1
        while rest < len(self._tokens) and self._tokens[rest][0] in {"space", "comment"}:
            rest += 1
        if rest < len(self._tokens) and self._tokens[rest][0] != ",":
            raise UnreadableError(
                f"something follows {_quote(self._tokens[index][1])}: separate addresses by commas"
            )
        return index

    def _bare(self, part: list[Token]) -> Mailbox:
        """Return the address that *part* is, without angle brackets."""
        text = tokens.join(part)
        kinds = {kind for kind, _ in part}
        words = [octets for kind, octets in part if kind not in {"space", "comment"}]
        if ";" in kinds and ":" not in kinds:
            raise UnreadableError(
                f'{_quote(text)}: separate addresses by commas, not ";": '
                "a@domain.example, b@domain.example"
            )
        if kinds & {":", ";", "other"}:
            raise UnreadableError(
                f"{_quote(text)} is not an address: write Name <user@domain>", group=":" in kinds
            )
        if len(words) != 1:
            raise UnreadableError(
                f"{_quote(text)} is not an address: write Name <user@domain>"
                if words
                else "there is no address: write user@domain"
            )
        return self._plain(part, words[0], is_well_formed=False)


def _is_mailbox(part: list[Token]) -> bool:
    """Return whether *part* is a well-formed mailbox, but for octets beyond ASCII."""
    angles = [index for index, (kind, _) in enumerate(part) if kind == "angle"]
    if angles:
        index = angles[0]
        after = part[index + 1 :]
        before = part[:index]
        return (
            len(angles) == 1
            and _ADDRESS.fullmatch(part[index][1][1:-1].strip(b" \t\n")) is not None
            and all(kind in {"space", "comment"} for kind, _ in after)
            and (all(kind in {"space", "comment"} for kind, _ in before) or _is_phrase(before))
        )
    words = [octets for kind, octets in part if kind not in {"space", "comment"}]
    kinds = [kind for kind, _ in part if kind not in {"space", "comment"}]
    if kinds == ["quoted", "text"]:
        # "local part"@domain, with nothing in between
        first = next(index for index, (kind, _) in enumerate(part) if kind == "quoted")
        if part[first + 1][0] != "text":
            return False
        words = [b"".join(words)]
    return len(words) == 1 and _ADDRESS.fullmatch(words[0]) is not None


def _is_phrase(part: Sequence[Token]) -> bool:
    """Return whether *part* is a name (RFC 5322 4.1, with the dots of its obs-phrase)."""
    words = [(kind, octets) for kind, octets in part if kind not in {"space", "comment"}]
    return bool(words) and all(
        kind == "quoted" or (kind == "text" and _ATOMS.fullmatch(octets)) for kind, octets in words
    )


def _render(entry: Entry) -> bytes:
    if entry.is_well_formed and entry.text.isascii():
        return entry.text
    comments = b"".join(b" " + _comment(octets) for _, octets in entry.comments)
    if isinstance(entry, Group):
        members = b", ".join(_render(member) for member in entry.members)
        return b"%s:%s;%s" % (_name(entry.name), b" " + members if members else b"", comments)
    if entry.phrase is None:
        return entry.address.octets + comments
    name = _name(entry.phrase)
    return b"%s%s<%s>%s" % (name, b" " if name else b"", entry.address.octets, comments)


def _name(part: Sequence[Token]) -> bytes:
    """Return the phrase that reads as *part* does."""
    written = tokens.join(part)
    if written.isascii() and _is_phrase(part):
        return written
    content = tokens.content(part)
    if not content:
        return b""
    if _CONTROL.search(content):
        raise UnreadableError("there is a control character in a name: leave it out")
    if not content.isascii() or encoded_words.PATTERN.search(content):
        try:
            return encoded_words.encode(encoded_words.decode(content))
        except ValueError:
            # In a charset that nobody knows: as it is
            if encoded_words.PATTERN.search(content):
                raise UnreadableError(
                    f"the name {_quote(content)} cannot be read: write it in UTF-8"
                ) from None
            if _is_phrase(part):
                return written
    return tokens.quote(content)


def _comment(octets: bytes) -> bytes:
    """Return a comment in ASCII, where its charset is known."""
    if octets.isascii():
        return octets
    try:
        inner = octets[1:-1].decode()
    except ValueError:
        return octets
    return b"(" + encoded_words.encode(re.sub(r"\\(.)", r"\1", inner)) + b")"


def _quote(octets: bytes) -> str:
    """Return *octets* to show in an answer: printable ASCII, not too many."""
    text = " ".join(octets.decode("ascii", errors="replace").split())
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return shown if len(shown) <= _EXAMPLE_MAX else f"{shown[: _EXAMPLE_MAX - 3]}..."
