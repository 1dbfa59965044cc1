# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What a query may say: every parameter is checked, and an error names it.

The platform's own look at a query names a value instead, looks for a record in
the wrong place, or leaves the question to PostgreSQL and answers 500.
"""

from __future__ import annotations

import typing as tp

from restalchemy.api import constants, filter_lang
from restalchemy.common import exceptions
from restalchemy.dm import types

from exordos_paas_mail.codecs import rules
from exordos_paas_mail.control_plane.api import values
from exordos_paas_mail.control_plane.records import errors

# One process answers everybody, and no request may hold it for a tenth of a second: 1,000
# accounts take half of that, and each further one as much more (docs/measurements.md).
PAGE_LIMIT: tp.Final = 1_000
RECORDS_MAX: tp.Final = 10
"""Other records that a query may name, by their URIs."""
_FILTER: tp.Final = "q"
_NO_FIELD: tp.Final = "no such field"
_DIRECTIONS: tp.Final = frozenset({"asc", "desc"})


class Bounds(tp.NamedTuple):
    """What lists of a resource are asked for at most."""

    page_limit: int = PAGE_LIMIT
    """Records of a page, at most and where nothing is said."""
    sort_keys: tp.Collection[str] | None = None
    """Those that an index answers, where there are too many records to sort; None is any field."""


class _Fields:
    """The fields of a resource that a query may name."""

    def __init__(self, resource: tp.Any, request: tp.Any, bounds: Bounds) -> None:
        self._resource, self._request = resource, request
        self.bounds = bounds
        self._records = 0
        self._visibility = resource.resolve_visibility(request)

    def find(self, api_name: str) -> tp.Any:
        """Return the field; RuleError if there is none that may be asked about."""
        try:
            field = self._resource.get_field(self._resource.get_model_field_name(api_name))
        except ValueError:
            raise rules.RuleError(_NO_FIELD) from None
        # The model may call it otherwise.
        if field.api_name != api_name or not self._visibility.is_queryable(field.name):
            raise rules.RuleError(_NO_FIELD)
        return field

    def is_stored(self, field: tp.Any) -> bool:
        """Return whether the database can sort by *field*; others are told of each record."""
        return field.name not in getattr(self._resource.get_model(), "__custom_properties__", {})

    def value(self, api_name: str, text: str) -> tp.Any:
        """Return *text* as the field's type; RuleError if it is no value of the field."""
        field = self.find(api_name)
        # A relationship's type is the model's class, and its value is read from the database.
        self._records += isinstance(field.get_type(), type)
        if self._records > RECORDS_MAX:
            raise rules.RuleError(f"a query names {RECORDS_MAX} other records at most")
        return values.from_query(field, self._request, text)


class _Resolver(filter_lang.FieldResolver):
    """The fields as the filter language asks for them."""

    def __init__(self, fields: _Fields) -> None:
        super().__init__()
        self._fields = fields

    def resolve(self, name: str) -> tuple[str, tp.Any]:
        try:
            field = self._fields.find(name)
        except rules.RuleError as error:
            raise errors.FieldError(_FILTER, f"{name}: {error}", is_repeated=True) from None
        return field.name, field.get_type()

    def parse_value(self, name: str, field_type: tp.Any, text: str) -> tp.Any:  # noqa: ARG002
        try:
            return self._fields.value(name, text)
        except rules.RuleError as error:
            raise errors.FieldError(_FILTER, f"{name}: {error}", is_repeated=True) from None


def check(resource: tp.Any, request: tp.Any, bounds: Bounds) -> None:
    """Raise FieldError, which names the parameter, if *request* asks for a list in a bad way."""
    request.api_context.set_active_method(constants.FILTER)
    fields = _Fields(resource, request, bounds)
    query = request.GET
    name = ""
    try:
        for name, value in query.items():
            _check_parameter(fields, name, value, len(query.getall(name)))
    except rules.RuleError as error:
        is_repeated = name == _FILTER or str(error) == _NO_FIELD
        raise errors.FieldError(name or "query", str(error), is_repeated=is_repeated) from None
    keys, directions = query.getall("sort_key"), query.getall("sort_dir")
    if directions and len(directions) != len(keys):
        raise errors.FieldError("sort_dir", "must be given once, together with sort_key")


def _check_parameter(fields: _Fields, name: str, value: str, count: int) -> None:
    # PostgreSQL refuses one, whatever the column.
    if "\x00" in value:
        raise rules.RuleError("must not contain a NUL character")
    check_special = _SPECIAL.get(name)
    if check_special is None:
        _check_filter(fields, name, value, count)
        return
    if count > 1 and name != "fields":
        raise rules.RuleError("must be given once")
    check_special(fields, value)


def _check_filter(fields: _Fields, name: str, value: str, count: int) -> None:
    # The token's project is put in the place of a list of them, and a list is equal to one list.
    field_type = fields.find(name).get_type()
    if isinstance(field_type, types.AllowNone):
        field_type = field_type.nested_type
    is_list = isinstance(field_type, types.TypedList)
    if count > 1 and (is_list or name == "project_id"):
        raise rules.RuleError("must be given once")
    if fields.value(name, value) is None:
        # The platform compares it by =, which is true of nothing.
        raise rules.RuleError(f"ask for null by q={name}=null")


def _check_fields(fields: _Fields, value: str) -> None:
    try:
        fields.find(value)
    except rules.RuleError:
        raise rules.RuleError("must be the name of a field") from None


def _check_sort_key(fields: _Fields, value: str) -> None:
    try:
        field = fields.find(value)
    except rules.RuleError:
        raise rules.RuleError("must be the name of a field") from None
    keys = fields.bounds.sort_keys
    if keys is not None and value not in keys:
        raise rules.RuleError(f"must be one of {', '.join(keys)}")
    # A page goes on after the last value of the one before, so values are compared:
    # nothing comes after a null.
    is_compared = not isinstance(field.get_type(), (type, types.TypedList, types.AllowNone))
    if not is_compared or not fields.is_stored(field):
        raise rules.RuleError(f"cannot be {value}")


def _check_sort_dir(fields: _Fields, value: str) -> None:  # noqa: ARG001
    if value.lower() not in _DIRECTIONS:
        raise rules.RuleError("must be asc or desc")


def _check_page_limit(fields: _Fields, value: str) -> None:
    # The length first: Python refuses to read an integer of thousands of digits.
    if (
        not (value.isascii() and value.isdecimal())
        or len(value) > len(str(fields.bounds.page_limit))
        or int(value) > fields.bounds.page_limit
    ):
        raise rules.RuleError(
            f"must be an integer from 0 (the default) to {fields.bounds.page_limit}"
        )


def _check_page_marker(fields: _Fields, value: str) -> None:
    fields.value("uuid", value)


def _check_expression(fields: _Fields, value: str) -> None:
    if not value.strip():
        return
    try:
        filter_lang.compile_filter(
            value,
            _Resolver(fields),
            filter_lang.MAX_NODES,
            filter_lang.MAX_DEPTH,
            filter_lang.MAX_LENGTH,
        )
    except errors.FieldError:
        raise
    except exceptions.ValidationErrorException as error:
        raise rules.RuleError(str(error.msg)) from None


_SPECIAL: tp.Final = {
    "fields": _check_fields,
    "sort_key": _check_sort_key,
    "sort_dir": _check_sort_dir,
    "page_limit": _check_page_limit,
    "page_marker": _check_page_marker,
    _FILTER: _check_expression,
}
