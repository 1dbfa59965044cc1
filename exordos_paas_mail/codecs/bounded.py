# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What one side tells the other as JSON, in bounds: nothing of it is taken for granted."""

from __future__ import annotations

import dataclasses
import json
import typing as tp

NUMBER_MAX: tp.Final = 2**53
"""Of all numbers: JSON has no larger ones that everybody reads as they are."""

# An address of RFC 5321 4.5.3.1 fits in; so does what acl_helo and DNS let through.
FIELD_SIZE_MAX: tp.Final = 1024
"""Characters of a field that has no bound of its own."""


def plain(text: str, size: int = FIELD_SIZE_MAX) -> str:
    """Return *text* without what has no place in a line of text, and not too long of it."""
    cut = text[:size]
    return cut if cut.isprintable() else "".join(_printable(character) for character in cut)


def is_plain(text: object, size: int = FIELD_SIZE_MAX) -> tp.TypeGuard[str]:
    """Return whether *text* is one that ``plain`` leaves alone."""
    return isinstance(text, str) and len(text) <= size and text.isprintable()


def is_number(value: object) -> tp.TypeGuard[int]:
    """Return whether *value* is a number of 0 or more that may be told."""
    return type(value) is int and 0 <= value <= NUMBER_MAX


def dump(value: tp.Any) -> bytes:
    """Return *value* as JSON; ``load`` is the inverse."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def load(data: bytes, what: str) -> tp.Any:
    """Return the value of *data*; ValueError, without a word of it, if it is no JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is no JSON") from error


def told(record: tp.Any) -> dict[str, tp.Any]:
    """Return the fields of *record*, a dataclass, that are not their default."""
    return {
        field.name: value
        for field in dataclasses.fields(record)
        if (value := getattr(record, field.name)) != field.default
    }


class Fields:
    """The fields of an object of JSON; those that are not there have their default.

    Every method raises ValueError, without a word of the value, where a field is
    out of its bounds. Fields of a later release are passed over.
    """

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{what} is no object")  # noqa: TRY004 - codecs raise ValueError
        self._value = value
        self._what = what

    def number(self, name: str) -> int:
        """Return a number of 0 or more."""
        value = self._value.get(name, 0)
        if not is_number(value):
            raise self.error(name)
        return value

    def flag(self, name: str) -> bool:
        """Return whether something is so."""
        value = self._value.get(name, False)
        if not isinstance(value, bool):
            raise self.error(name)
        return value

    def text(self, name: str, size: int = FIELD_SIZE_MAX) -> str:
        """Return a line of text."""
        value = self._value.get(name, "")
        if not is_plain(value, size):
            raise self.error(name)
        return value

    def texts(self, name: str, count: int) -> tuple[str, ...]:
        """Return lines of text, at most *count*, none of them empty."""
        values = self.list(name, count)
        if not all(value and is_plain(value) for value in values):
            raise self.error(name)
        return tuple(values)

    def pairs(self, name: str, count: int, size: int) -> dict[str, str]:
        """Return lines of text by name, at most *count*."""
        values = self._value.get(name, {})
        if not isinstance(values, dict) or len(values) > count:
            raise self.error(name)
        if not all(is_plain(key) and is_plain(value, size) for key, value in values.items()):
            raise self.error(name)
        return values

    def numbers(self, name: str, count: int) -> dict[str, int]:
        """Return numbers of 0 or more by name, at most *count*."""
        values = self._value.get(name, {})
        if not isinstance(values, dict) or len(values) > count:
            raise self.error(name)
        if not all(is_plain(key) and is_number(value) for key, value in values.items()):
            raise self.error(name)
        return values

    def list(self, name: str, count: int) -> list[tp.Any]:
        """Return a list of at most *count* values."""
        values = self._value.get(name, [])
        if not isinstance(values, list) or len(values) > count:
            raise self.error(name)
        return values

    def object(self, name: str) -> object:
        """Return the object that a field is, to be read by ``Fields``."""
        return self._value.get(name, {})

    def error(self, name: str) -> ValueError:
        """Return the error of that field."""
        return ValueError(f"{name} of {self._what} is out of its bounds")


def _printable(character: str) -> str:
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
