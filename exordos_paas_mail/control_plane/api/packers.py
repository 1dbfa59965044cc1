# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How the plugin reads a body and writes an answer.

The platform's packer answers 500 to a body that is not an object, and
repeats a bad or unknown value in its error: the error is logged, and the
value may be a password.
"""

from __future__ import annotations

import typing as tp

import orjson
from restalchemy.api import packers
from restalchemy.common import exceptions
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail.control_plane.records import errors

WRITE_ONLY: tp.Final = frozenset({"password", "password_hash"})


class JSONPacker(packers.JSONPacker):
    """JSON both ways; write-only fields go in and never come out."""

    def pack_resource(self, obj: tp.Any) -> tp.Any:
        """Return *obj* as the API shows it."""
        packed = super().pack_resource(obj)
        if isinstance(packed, dict):
            return {name: value for name, value in packed.items() if name not in WRITE_ONLY}
        return packed

    def unpack(self, value: bytes) -> dict[str, tp.Any]:
        """Return the model's values for the fields of the body; FieldError names a bad one."""
        try:
            body = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise exceptions.ParseBodyError from None
        if not isinstance(body, dict):
            raise exceptions.ParseBodyError
        known = {field.api_name for _, field in self._rt.get_fields_by_request(self._req)}
        if unknown := sorted(body.keys() - known):
            raise errors.FieldError(", ".join(unknown)[:200], "no such field")
        if empty := sorted(name for name, given in body.items() if given is None):
            raise errors.FieldError(", ".join(empty), "must not be null")
        unpacked: dict[str, tp.Any] = super().unpack(value)
        return unpacked

    def _parse_value(self, name: str, value: tp.Any, prop: tp.Any) -> tp.Any:
        field_type = prop.get_type()
        if isinstance(field_type, type):
            return self._parse_relationship(name, value, prop)
        try:
            parsed = prop.parse_value(self._req, value)
        except (ValueError, TypeError, AttributeError) as error:
            reason = str(error) if str(error).startswith(("must", "has")) else "is not valid"
            raise errors.FieldError(name, reason) from None
        if not field_type.validate(parsed):
            raise errors.FieldError(name, "is not valid")
        return parsed

    def _parse_relationship(self, name: str, value: tp.Any, prop: tp.Any) -> tp.Any:
        reason = "must be the URI of a record that exists"
        if not isinstance(value, str):
            raise errors.FieldError(name, reason)
        try:
            found = prop.parse_value(self._req, value)
        except (
            ValueError,
            exceptions.NotFoundError,
            exceptions.ParseError,
            storage_exceptions.RecordNotFound,
        ):
            raise errors.FieldError(name, reason) from None
        if not isinstance(found, prop.get_type()):
            raise errors.FieldError(name, reason)
        return found
