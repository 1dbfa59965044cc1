# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Repairs a message's header: what has one reading is written as it should be.

RFC 6409 8 lets a submission server do so. Every field that needs no repair stays
byte for byte; one that has no single reading is refused by name.
"""

from __future__ import annotations

import dataclasses
import re
import typing as tp

from exordos_paas_mail.codecs import address_fields, encoded_words, header_folding

if tp.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SENDERS: tp.Final = frozenset({"from", "sender", "resent-from", "resent-sender"})
"""The fields that say who sends (RFC 5322 3.6.2, 3.6.6)."""
ADDRESSES: tp.Final = SENDERS | {
    *("reply-to", "to", "cc", "bcc", "resent-reply-to", "resent-to", "resent-cc", "resent-bcc"),
    "disposition-notification-to",
}
"""The fields that are lists of addresses."""

# exim adds no longer one (4.96: the buffer of its string_sprintf)
_FIELD_MAX = 32_000
# Addresses in no standard's fields, and lists of <URL>s (RFC 2369): read by nobody on the way,
# and as they were written but for a line that is too long.
_LISTS = frozenset(
    {
        *("apparently-to", "errors-to", "mail-followup-to", "mail-reply-to", "return-receipt-to"),
        *("x-confirm-reading-to", "list-archive", "list-help", "list-owner", "list-post"),
        *("list-subscribe", "list-unsubscribe"),
    }
)
_IDS = frozenset({"references", "in-reply-to", "message-id"})
_TEXTS = frozenset({"subject", "comments"})
_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
# Others could mean something to exim, which is told by name what to replace
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")


class RefusedError(ValueError):
    """The message cannot be repaired: the text is the answer to the client."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One field: its name as it is written, and all of it."""

    name: str
    text: bytes

    @property
    def key(self) -> str:
        """The name in lower case."""
        return self.name.lower()

    @property
    def value(self) -> bytes:
        """What follows the colon, without the last line end."""
        return self.text[self.text.index(b":") + 1 : -1]

    def with_value(self, value: bytes) -> Field:
        """Return the field with another value."""
        return Field(self.name, b"%s:%s\n" % (self.name.encode(), value))


def split(block: bytes) -> list[Field]:
    """Return the fields of a header whose lines end with LF, without the empty line.

    Raises RefusedError for a line that is no field.
    """
    found = []
    for text in _FIELD.findall(block):
        match = _NAME.match(text)
        if match is None:
            raise RefusedError("554 5.6.0 Malformed header field name")
        found.append(Field(match[1].decode(), text))
    return found


def repair(
    fields: Sequence[Field], reading: address_fields.Reading, *, account: str | None = None
) -> list[Field]:
    """Return *fields* repaired, in the same order; raises RefusedError.

    With *account*, what names a user of a machine in a field that says who sends
    becomes that address, with what was there as its name. An empty one of these
    fields but From is no address and goes. Repairing the result changes nothing.
    """

    def value_of(field: Field) -> bytes:
        if account is not None and field.key in SENDERS:
            replaced = address_fields.as_account(field.value, reading, account)
            if replaced is not None:
                return replaced
        return address_fields.repair(field.value, reading)

    return [
        _repair_one(field, value_of)
        for field in fields
        if field.value.strip() or field.key not in SENDERS - {"from"}
    ]


def _repair_one(field: Field, value_of: Callable[[Field], bytes]) -> Field:
    if field.key in ADDRESSES:
        try:
            value = value_of(field)
        except address_fields.UnreadableError as error:
            code = "553 5.7.1" if error.group and field.key in SENDERS else "554 5.6.0"
            raise RefusedError(f"{code} {field.name}: {error}") from None
        if value != field.value:
            field = field.with_value(value)
        if len(field.text) > _FIELD_MAX:
            raise RefusedError(
                f"554 5.6.0 {field.name}: longer than {_FIELD_MAX} octets once it is"
                " repaired: write names in encoded-words, or fewer addresses"
            )
    if not header_folding.is_too_long(field.text):
        return field
    kind: tp.Literal["addresses", "ids", "text"] = (
        "addresses" if field.key in ADDRESSES | _LISTS else "ids" if field.key in _IDS else "text"
    )
    try:
        if _PLAIN_NAME.fullmatch(field.name):
            return Field(field.name, header_folding.fold(field.text, kind))
        return _encode(field)
    except header_folding.UnfoldableError:
        return _encode(field)


def _encode(field: Field) -> Field:
    """Return a field of text beyond ASCII as encoded-words; raises RefusedError."""
    refused = RefusedError(
        f"554 5.6.0 {field.name}: a line is longer than {header_folding.LINE_MAX}"
        " octets and has no space to fold it at (RFC 5322 2.1.1): fold it"
    )
    if field.key not in _TEXTS or field.value.isascii():
        raise refused
    try:
        text = encoded_words.decode(b" ".join(field.value.split()))
    except ValueError:
        raise refused from None
    return field.with_value(b" " + encoded_words.encode(text).replace(b" ", b"\n "))


def declare_quoted_printable(fields: Sequence[Field]) -> list[Field]:
    """Return *fields* of a message whose whole body is quoted-printable (RFC 2045 6)."""
    found = [field for field in fields if field.key != "content-transfer-encoding"]
    if not any(field.key == "mime-version" for field in found):
        found.append(Field("MIME-Version", b"MIME-Version: 1.0\n"))
    text = b"Content-Transfer-Encoding: quoted-printable\n"
    return [*found, Field("Content-Transfer-Encoding", text)]


def changed(before: Sequence[Field], after: Sequence[Field]) -> tuple[list[str], list[Field]]:
    """Return the names of the fields to remove from *before*, and those to add, for *after*.

    A name whose fields differ is replaced whole, in order. When one of the fields of
    a message that was sent again is replaced, all of them are: their order tells which
    belong together (RFC 5322 3.6.6).
    """
    names = dict.fromkeys(field.key for field in [*before, *after])
    differ = [
        name
        for name in names
        if [f.text for f in before if f.key == name] != [f.text for f in after if f.key == name]
    ]
    if any(name.startswith("resent-") for name in differ):
        differ += [name for name in names if name.startswith("resent-") and name not in differ]
    return differ, [field for field in after if field.key in differ]
