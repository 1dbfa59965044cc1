# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Lists of what the ingester wrote: filters of their own, and pages that are bounded.

They are too long for the platform's lists, which sort by any field and can be asked
for whole: each filter here is one that an index answers, but for the statuses and types that
most rows have.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as tp
import uuid as sys_uuid

from restalchemy.api import constants
from restalchemy.openapi import constants as openapi_constants
from restalchemy.openapi import utils as openapi
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids, rules
from exordos_paas_mail.control_plane.api import base
from exordos_paas_mail.control_plane.records import errors, fields, log_pages

if tp.TYPE_CHECKING:
    import datetime

PAGE_LIMIT_DEFAULT: tp.Final = 100
PAGE_LIMIT_MAX: tp.Final = 500


@dataclasses.dataclass(frozen=True)
class Filter:
    """A parameter of a query: how it is read, and what it asks of a page."""

    parse: tp.Callable[[str], tp.Any]
    ask: tp.Callable[[tp.Any, tp.Any], None]
    schema: tp.Mapping[str, tp.Any]


def text(ask: tp.Callable[[tp.Any, str], None], max_length: int) -> Filter:
    """Return a filter by a text."""
    schema = {"type": "string", "minLength": 1, "maxLength": max_length}
    return Filter(fields.Text(1, max_length).check, ask, schema)


def uuid(ask: tp.Callable[[tp.Any, sys_uuid.UUID], None]) -> Filter:
    """Return a filter by a uuid."""
    return Filter(_uuid, ask, {"type": "string", "format": "uuid"})


def choice(ask: tp.Callable[[tp.Any, str], None], values: tp.Collection[str]) -> Filter:
    """Return a filter by one of *values*."""

    def parse(value: str) -> str:
        if value not in values:
            raise rules.RuleError(f"must be one of {', '.join(values)}")
        return value

    return Filter(parse, ask, {"type": "string", "enum": list(values)})


def moment(ask: tp.Callable[[tp.Any, datetime.datetime], None]) -> Filter:
    """Return a filter by a time; one without a zone is UTC's."""
    return Filter(fields.Time().check, ask, {"type": "string", "format": "date-time"})


def queue_id(ask: tp.Callable[[tp.Any, str], None]) -> Filter:
    """Return a filter by a queue id."""

    def parse(value: str) -> str:
        if not log_ids.is_queue_id(value):
            raise rules.RuleError("must be a queue id such as 1vNvOk-0000Ab-0A")
        return value

    return Filter(parse, ask, {"type": "string", "minLength": 16, "maxLength": 23})


def _uuid(value: str) -> sys_uuid.UUID:
    try:
        return sys_uuid.UUID(value)
    except ValueError:
        raise rules.RuleError("must be a UUID") from None


def _limit(most: int, value: str) -> int:
    rule = f"must be an integer from 1 to {most}"
    # The length first: Python refuses to read an integer of thousands of digits.
    if not (value.isascii() and value.isdecimal()) or len(value) > len(str(most)):
        raise rules.RuleError(rule)
    if not 1 <= int(value) <= most:
        raise rules.RuleError(rule)
    return int(value)


def asked(query: tp.Any, parsers: tp.Mapping[str, tp.Callable[[str], tp.Any]]) -> dict[str, tp.Any]:
    """Return the values of the parameters of *query*; FieldError names a bad one."""
    values = {}
    for name, value in query.items():
        parse = parsers.get(name)
        if parse is None:
            raise errors.FieldError(name or "query", "no such field", is_repeated=True)
        if len(query.getall(name)) > 1:
            raise errors.FieldError(name, "must be given once")
        try:
            values[name] = parse(value)
        except rules.RuleError as error:
            raise errors.FieldError(name, str(error)) from None
    return values


def described(
    path: tp.Iterable[str], filters: tp.Mapping[str, Filter], page_limit: int = PAGE_LIMIT_MAX
) -> tp.Callable[[tp.Any], tp.Any]:
    """Return what puts the parameters of a list under *path* into the API document.

    *page_limit* is the longest page.
    """
    limits: dict[str, tp.Mapping[str, tp.Any]] = {
        "page_limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": page_limit,
            "default": PAGE_LIMIT_DEFAULT,
        },
        "page_marker": {"type": "string", "format": "uuid"},
    }
    return with_parameters(path, {**{n: each.schema for n, each in filters.items()}, **limits})


def with_parameters(
    path: tp.Iterable[str], schemas: tp.Mapping[str, tp.Mapping[str, tp.Any]]
) -> tp.Callable[[tp.Any], tp.Any]:
    """Return what puts parameters of the query under *path* into the API document."""
    return tp.cast(
        "tp.Callable[[tp.Any], tp.Any]",
        openapi.extend_schema(
            parameters=[
                *({"$ref": openapi_constants.build_parameter_ref(name)} for name in path),
                *(
                    {"name": name, "in": "query", "schema": dict(schema)}
                    for name, schema in schemas.items()
                ),
            ]
        ),
    )


class Log(base.OfParent):
    """A list of facts, by its own filters."""

    __filters__: tp.ClassVar[tp.Mapping[str, Filter]] = {}
    __page_limit__ = PAGE_LIMIT_MAX

    def make_page(self, parent_resource: tp.Any, limit: int) -> log_pages.Page:
        """Return the page without filters."""
        raise NotImplementedError

    def instance_of(self, parent_resource: tp.Any) -> sys_uuid.UUID:
        """Return the instance that everything listed is of."""
        return tp.cast("sys_uuid.UUID", parent_resource.uuid)

    def _list(self, parent_resource: tp.Any) -> tp.Any:
        self.request.api_context.set_active_method(constants.FILTER)
        filters = {name: each.parse for name, each in self.__filters__.items()}
        page: dict[str, tp.Callable[[str], tp.Any]] = {
            "page_limit": functools.partial(_limit, self.__page_limit__),
            "page_marker": _uuid,
        }
        values = asked(self.request.GET, {**page, **filters})
        return self.process_result(self.filter(parent_resource, values))

    def filter(self, parent_resource: tp.Any, filters: tp.Any, order_by: tp.Any = None) -> tp.Any:  # noqa: ARG002
        self.require("read")
        limit = filters.pop("page_limit", PAGE_LIMIT_DEFAULT)
        marker = filters.pop("page_marker", None)
        page = self.make_page(parent_resource, limit)
        for name, value in filters.items():
            self.__filters__[name].ask(page, value)
        with utils.transaction() as session:
            if marker is not None:
                instance = self.instance_of(parent_resource)
                if log_pages.is_of_another(session, page.table, marker, instance):
                    raise errors.FieldError(
                        "page_marker", "must be the UUID of a record of the list"
                    )
                page.after(marker)
            rows = page.select(session)
        self._pagination_limit = limit
        return [self.model.restore_from_storage(**row) for row in rows]

    def get(self, parent_resource: tp.Any, uuid: sys_uuid.UUID) -> tp.Any:
        self.require("read")
        page = self.make_page(parent_resource, 1)
        page.where("uuid = %s", str(uuid))
        with utils.transaction() as session:
            rows = page.select(session)
        if not rows:
            raise storage_exceptions.RecordNotFound(
                model=self.model.__name__, filters={"uuid": str(uuid)}
            )
        return self.model.restore_from_storage(**rows[0])
