# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What all controllers have: PATCH, this plugin's bodies, errors that name the field."""

from __future__ import annotations

import typing as tp

import psycopg
from restalchemy.api import constants as api
from restalchemy.api import controllers
from restalchemy.common import exceptions
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail.control_plane.api import packers
from exordos_paas_mail.control_plane.records import errors

_PAGE_LIMIT_DIGITS: tp.Final = 9
_PAGE_LIMIT_RULE: tp.Final = f"must be an integer of {_PAGE_LIMIT_DIGITS} digits at most"
# What restalchemy and PostgreSQL raise over a filter's value or its number.
_SENSELESS: tp.Final = (psycopg.DataError, psycopg.ProgrammingError, TypeError, AttributeError)


class Controller(controllers.Controller):
    """PATCH is the update the platform calls PUT; bodies are the plugin's packer's."""

    __packer__ = packers.JSONPacker

    def create(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        """Make a record."""
        try:
            return super().create(*args, **kwargs)
        except exceptions.PropertyRequired as error:
            raise errors.FieldError(error.name, "is required") from None

    def update(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        """Change a record."""
        try:
            return super().update(*args, **kwargs)
        except exceptions.ReadOnlyProperty:
            # The one field that a body may repeat and not change.
            raise errors.FieldError("project_id", "cannot be changed") from None

    def do_collection(self, parent_resource: tp.Any = None) -> tp.Any:
        """Answer a request for the collection; FieldError names a bad part of the query."""
        # The platform's own params have what a form in the body says, too.
        query = self.request.GET
        for name, value in query.items():
            # PostgreSQL refuses one, whatever the column.
            if "\x00" in value:
                raise errors.FieldError(name, "must not have a NUL")
        if len(query.getall("project_id")) > 1:
            raise errors.FieldError("project_id", "may be given once")
        limit = query.get("page_limit", "0")
        # The length first: Python refuses to read an integer of thousands of digits.
        if not limit.isdecimal() or len(limit) > _PAGE_LIMIT_DIGITS:
            raise errors.FieldError("page_limit", _PAGE_LIMIT_RULE)
        try:
            return super().do_collection(parent_resource)
        except storage_exceptions.RecordNotFound:
            # A page's marker, or the parent of a record that is being made.
            gone = query.get("page_marker") or getattr(parent_resource, "uuid", None)
            raise errors.RecordNotFound(gone) from None
        except storage_exceptions.UnknownStorageException as error:
            if self.request.method == "GET" and isinstance(error.caused, _SENSELESS):
                raise errors.FieldError("query", "a field is compared with no such value") from None
            raise

    def do_resource(self, uuid: str, parent_resource: tp.Any = None) -> tp.Any:
        """Answer a request for one record."""
        method = self.request.method
        # The platform's own do_resource knows PUT, whose body may be partial.
        if method == "PATCH":
            self.request.method = api.PUT
        try:
            return super().do_resource(uuid, parent_resource)
        except storage_exceptions.RecordNotFound:
            raise errors.RecordNotFound(uuid) from None
        finally:
            self.request.method = method

    def get_resource_by_uuid(self, uuid: str, parent_resource: tp.Any = None) -> tp.Any:
        """Return the record that a longer path or the body of another one names."""
        try:
            return super().get_resource_by_uuid(uuid, parent_resource)
        except storage_exceptions.RecordNotFound:
            raise errors.RecordNotFound(uuid) from None
