# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""One value of a request, read as its field's type."""

from __future__ import annotations

import typing as tp

from restalchemy.common import exceptions
from restalchemy.dm import types
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail.codecs import rules
from exordos_paas_mail.control_plane.records import fields

_RECORD_RULE: tp.Final = "must be the URI of an existing record"
# The platform's types say nothing, or repeat the value.
_RULES: tp.Final = {
    types.UUID: "must be a UUID",
    types.UTCDateTimeZ: "must be a time such as 2026-01-31T12:00:00.000000Z",
}


def from_body(field: tp.Any, request: tp.Any, value: tp.Any) -> tp.Any:
    """Return *value*, of a JSON body, as the model keeps it; RuleError if it breaks a rule."""
    checked = fields.check(field.get_type(), value)
    return _parsed(field, request, checked, field.parse_value)


def from_query(field: tp.Any, request: tp.Any, value: str) -> tp.Any:
    """Return *value*, of a query, as the model keeps it; RuleError if it breaks a rule."""
    return _parsed(field, request, value, field.parse_value_from_unicode)


def _parsed(
    field: tp.Any, request: tp.Any, value: tp.Any, parse: tp.Callable[[tp.Any, tp.Any], tp.Any]
) -> tp.Any:
    field_type = field.get_type()
    # A relationship's type is the model's class.
    if isinstance(field_type, type):
        return _record(field_type, request, value, parse)
    try:
        parsed = parse(request, value)
    except rules.RuleError:
        raise
    except (ValueError, TypeError, AttributeError):
        raise rules.RuleError(_rule_of(field_type)) from None
    if not field_type.validate(parsed):
        raise rules.RuleError(_rule_of(field_type))
    return parsed


def _rule_of(field_type: tp.Any) -> str:
    if isinstance(field_type, types.Enum):
        return f"must be one of {', '.join(map(str, field_type.values))}"
    return _RULES.get(type(field_type), "does not match the field's type")


def _record(
    model: type, request: tp.Any, value: tp.Any, parse: tp.Callable[[tp.Any, tp.Any], tp.Any]
) -> tp.Any:
    if not isinstance(value, str):
        raise rules.RuleError(_RECORD_RULE)
    try:
        record = parse(request, value)
    except (
        ValueError,
        exceptions.NotFoundError,
        exceptions.ParseError,
        exceptions.ValidationErrorException,
        storage_exceptions.RecordNotFound,
    ):
        raise rules.RuleError(_RECORD_RULE) from None
    if not isinstance(record, model):
        raise rules.RuleError(_RECORD_RULE)
    return record
