# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Types of the models' fields: the rules a value obeys, wherever it comes from.

``from_simple_type`` raises ValueError with the rule that was broken; the API
puts the field's name before it. restalchemy's own types accept a string for
a boolean and a boolean for an integer, and PostgreSQL refuses a NUL that they
let through: a value that is not of its type is an error here.
"""

from __future__ import annotations

import re
import typing as tp

from restalchemy.dm import types

from exordos_paas_mail.codecs import domains, password_hashes, usernames

# PostgreSQL cannot store a NUL in a text; the others have no place in a name.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CONTROL_OR_BREAK = re.compile(r"[\x00-\x1f\x7f]")


class Integer(types.Integer):
    """An integer of a range; not a boolean."""

    def from_simple_type(self, value: tp.Any) -> int:
        """Return *value*; ValueError names the range."""
        if isinstance(value, bool) or not self.validate(value):
            raise ValueError(f"must be an integer from {self.min_value} to {self.max_value}")
        return int(value)


class Boolean(types.Boolean):
    """true or false, and nothing that merely looks like it."""

    def from_simple_type(self, value: tp.Any) -> bool:
        """Return *value*; ValueError if it is not a boolean."""
        if not isinstance(value, bool):
            raise ValueError("must be true or false")  # noqa: TRY004 - see the module
        return value

    def from_unicode(self, value: str) -> bool:
        """Return what *value*, a filter of a query, says; ValueError if it says neither."""
        if value.lower() in ("false", "no", "0"):
            return False
        if not super().from_unicode(value):
            raise ValueError("must be true or false")
        return True


class Text(types.String):
    """A text of a limited length without control characters."""

    def __init__(self, min_length: int, max_length: int, *, multiline: bool = False) -> None:
        super().__init__(min_length=min_length, max_length=max_length)
        self._control = _CONTROL if multiline else _CONTROL_OR_BREAK

    def validate(self, value: tp.Any) -> bool:
        """Return whether *value* is such a text."""
        return bool(super().validate(value)) and not self._control.search(value)

    def from_simple_type(self, value: tp.Any) -> str:
        """Return *value*; ValueError names the length."""
        if not self.validate(value):
            raise ValueError(
                f"must be a text of {self.min_length} to {self.max_length} characters"
                " without control characters"
            )
        return str(value)


class _Normalised(types.String):
    """A text that has one spelling; *normalise* finds it or raises ValueError."""

    def __init__(self, normalise: tp.Callable[[str], str], max_length: int, example: str) -> None:
        super().__init__(min_length=1, max_length=max_length)
        self._normalise = normalise
        self._example = example

    def validate(self, value: tp.Any) -> bool:
        """Return whether *value* is spelled the one way."""
        try:
            return bool(self._normalise(value) == value)
        except ValueError:
            return False

    def from_simple_type(self, value: tp.Any) -> str:
        """Return *value* in its one spelling."""
        return self._normalise(value)

    def from_unicode(self, value: str) -> str:
        """Return *value*, a filter of a query, in its one spelling."""
        return self._normalise(value)

    @property
    def example(self) -> str:
        """Return what the API document shows."""
        return self._example


class Domain(_Normalised):
    """A mail domain: lower-cased A-labels."""

    def __init__(self) -> None:
        super().__init__(domains.normalise, domains.MAX_LENGTH, "mail.example.com")


class Username(_Normalised):
    """The local part of an account's address, lower-cased."""

    def __init__(self) -> None:
        super().__init__(usernames.normalise, usernames.MAX_LENGTH, "noreply")


class _WriteOnlySpec(types.String):
    """Marks the field as one the API takes and never gives."""

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        """Return the schema; nothing in it came out of a record."""
        spec: dict[str, tp.Any] = super().to_openapi_spec(prop_kwargs)
        return {**spec, "writeOnly": True}


class PasswordHash(_WriteOnlySpec, _Normalised):
    """A crypt(3) string without a Dovecot prefix."""

    def __init__(self) -> None:
        super().__init__(password_hashes.normalise, password_hashes.MAX_LENGTH, "$6$salt$hash")

    def __repr__(self) -> str:
        return "PasswordHash"


class Plaintext(_WriteOnlySpec, _Normalised):
    """A password as its user types it."""

    def __init__(self) -> None:
        super().__init__(
            password_hashes.check_plaintext,
            password_hashes.PLAINTEXT_MAX_LENGTH,
            "correct horse battery staple",
        )

    def to_openapi_spec(self, prop_kwargs: tp.Any) -> dict[str, tp.Any]:
        """Return the schema, with the rule that a length in characters does not tell."""
        spec: dict[str, tp.Any] = super().to_openapi_spec(prop_kwargs)
        return {
            **spec,
            "description": f"{password_hashes.PLAINTEXT_MAX_BYTES} bytes in UTF-8 at most",
        }
