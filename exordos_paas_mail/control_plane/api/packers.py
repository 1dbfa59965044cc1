# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How the plugin reads a body and writes an answer.

The platform's packer answers 500 to a body that is not an object or has a
value nested 500 deep, and repeats a bad or unknown value in its error: the error is logged,
and the value may be a password.
"""

from __future__ import annotations

import typing as tp

import orjson
from restalchemy.api import packers
from restalchemy.dm import types

from exordos_paas_mail.codecs import rules
from exordos_paas_mail.control_plane.api import values
from exordos_paas_mail.control_plane.records import errors, fields

# Of the names of unknown fields that an answer repeats.
_NAMES_MAX_LENGTH: tp.Final = 200


class Plain(list[tp.Any]):
    """An answer of many values that are as JSON has them."""

    __slots__ = ()


class JSONPacker(packers.JSONPackerIncludeNullFields):
    """JSON both ways; write-only fields go in and never come out."""

    # The platform leaves out the fraction of a time that has none, the one in a thousand of an
    # event's: whoever reads times by the format that the API document names fails at it.
    _native_types = (types.UUID,)

    def __init__(self, resource_type: tp.Any, request: tp.Any) -> None:
        super().__init__(resource_type, request)
        self._resource, self._request = resource_type, request

    def pack(self, obj: tp.Any) -> bytes:
        if isinstance(obj, Plain):
            return orjson.dumps(obj)
        return tp.cast("bytes", super().pack(obj))

    def pack_resource(self, obj: tp.Any) -> tp.Any:
        packed = super().pack_resource(obj)
        if not isinstance(packed, dict):
            return packed
        if packed.get("error") == "":
            packed["error"] = getattr(obj, "declaration_error", "")
        for name in self._resource.write_only:
            packed.pop(name, None)
        return packed

    def unpack(self, value: bytes) -> dict[str, tp.Any]:
        """Return the model's values for the fields of the body; FieldError names a bad one."""
        try:
            body = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise errors.ParseBodyError from None
        if not isinstance(body, dict):
            raise errors.ParseBodyError
        action_fields = getattr(self._request, "action_fields", None)
        if action_fields is not None:
            return _unpack_action(body, action_fields, self._request.action_optional)
        visibility = self._resource.resolve_visibility(self._request)
        known = {
            field.api_name: (name, field)
            for name, field in self._resource.get_fields_by_request(self._request)
            if not visibility.is_hidden(name)
        }
        refuse_fields(body.keys() - known)
        nullable = self._resource.nullable
        if empty := sorted(n for n, given in body.items() if given is None and n not in nullable):
            raise errors.FieldError(", ".join(empty), "must not be null")
        unpacked = {}
        for api_name, given in body.items():
            name, field = known[api_name]
            if visibility.is_readonly(name):
                raise errors.FieldPermissionError(field=api_name)
            try:
                unpacked[name] = values.from_body(field, self._request, given)
            except rules.RuleError as error:
                raise errors.FieldError(api_name, str(error)) from None
        return unpacked


def _unpack_action(
    body: tp.Mapping[str, tp.Any],
    taken: tp.Mapping[str, fields.Checked],
    optional: tp.Collection[str],
) -> dict[str, tp.Any]:
    refuse_fields(body.keys() - taken)
    unpacked = {}
    for name, kind in taken.items():
        if name not in body:
            if name in optional:
                continue
            raise errors.FieldError(name, "is required")
        try:
            unpacked[name] = kind.check(body[name])
        except rules.RuleError as error:
            raise errors.FieldError(name, str(error)) from None
    return unpacked


def refuse_fields(names: tp.Iterable[str]) -> None:
    """Raise FieldError if there are *names*: nothing is called so."""
    if unknown := sorted(names):
        # A name may be empty, too.
        told = ", ".join(name or '""' for name in unknown)
        raise errors.FieldError(told[:_NAMES_MAX_LENGTH], "no such field", is_repeated=True)
