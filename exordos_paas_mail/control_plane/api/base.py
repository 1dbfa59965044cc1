# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What all controllers have: PATCH, pages, this plugin's bodies, errors that name the field."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

import psycopg
from gcl_iam import exceptions as iam_exceptions
from gcl_iam import rules as iam_rules
from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import constants as api
from restalchemy.api import controllers
from restalchemy.common import contexts, exceptions
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail.control_plane.api import decoding, packers, pages, queries
from exordos_paas_mail.control_plane.records import base as records
from exordos_paas_mail.control_plane.records import errors

decoding.install()

# What restalchemy and PostgreSQL raise over a comparison that makes no sense.
_SENSELESS: tp.Final = (psycopg.DataError, psycopg.ProgrammingError, TypeError, AttributeError)


def project_of_token() -> sys_uuid.UUID | None:
    """Return the project that the request's token is for; None if it is for all of them."""
    project = contexts.get_context().iam_context.introspection_info().get("project_id")
    return sys_uuid.UUID(str(project)) if project else None


class PlainText(str):
    """An answer that is a text and no JSON."""

    __slots__ = ()


class Controller(pages.Pages):
    """PATCH is the update the platform calls PUT; bodies are the plugin's packer's."""

    __packer__ = packers.JSONPacker
    __bounds__ = queries.Bounds()

    # Controllers of gcl_iam have both.
    __policy_service_name__: str
    __policy_name__: str

    def require(self, action: str, policy: str | None = None) -> None:
        """Go on if the request's token may do *action*; else raise what becomes a 403.

        The rule is of *policy*, the controller's own without one. The platform asks for the
        right to read alone before an action, and for none before methods that are replaced.
        """
        contexts.get_context().iam_context.enforcer.enforce(
            iam_rules.Rule(self.__policy_service_name__, policy or self.__policy_name__, action),
            do_raise=True,
        )

    def process_result(self, result: tp.Any, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        if isinstance(result, PlainText):
            return self.request.ResponseClass(
                text=result, content_type="text/plain", charset="utf-8"
            )
        return super().process_result(result, *args, **kwargs)

    def create(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        try:
            return super().create(*args, **kwargs)
        except exceptions.PropertyRequired as error:
            raise errors.FieldError(error.name, "is required") from None

    def update(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        try:
            return super().update(*args, **kwargs)
        except exceptions.ReadOnlyProperty:
            # The one field that a body may repeat and not change.
            raise errors.FieldError("project_id", "cannot be changed") from None

    def do_collection(self, parent_resource: tp.Any = None) -> tp.Any:
        """Answer a request for the collection; FieldError names a bad part of the query."""
        if self.request.method == api.GET:
            return self._list(parent_resource)
        try:
            return super().do_collection(parent_resource)
        except storage_exceptions.RecordNotFound:
            # The parent was there when its path was read.
            raise errors.RecordNotFound(getattr(parent_resource, "uuid", None)) from None

    def _list(self, parent_resource: tp.Any) -> tp.Any:
        queries.check(self.get_resource(), self.request, self.__bounds__)
        query = self.request.GET
        # The request is one object for everybody who reads it, its log line too.
        asked_for = self.request.query_string
        if query.get("page_limit", "0") == "0":
            query["page_limit"] = str(self.__bounds__.page_limit)
        try:
            return super().do_collection(parent_resource)
        except storage_exceptions.RecordNotFound:
            raise errors.FieldError(
                "page_marker", "must be the UUID of a record of the list"
            ) from None
        except storage_exceptions.UnknownStorageException as error:
            if isinstance(error.caused, _SENSELESS):
                raise errors.FieldError(
                    "query", "a filter's value does not match the field's type"
                ) from None
            raise
        finally:
            self.request.query_string = asked_for

    def do_resource(self, uuid: str, parent_resource: tp.Any = None) -> tp.Any:
        """Answer a request for one record."""
        self._check_uuid(uuid)
        method = self.request.method
        # The platform's own do_resource knows PUT, whose body may be partial.
        if method == "PATCH":
            self.request.method = api.PUT
        try:
            return super().do_resource(uuid, parent_resource)
        except storage_exceptions.RecordNotFound:
            raise errors.RecordNotFound(uuid) from None
        except exceptions.NotEqualUuidException:
            raise errors.FieldError("uuid", "must be the UUID in the path") from None
        finally:
            self.request.method = method

    def get_resource_by_uuid(self, uuid: str, parent_resource: tp.Any = None) -> tp.Any:
        """Return the record that a longer path or the body of another one names."""
        self._check_uuid(uuid)
        try:
            return super().get_resource_by_uuid(uuid, parent_resource)
        except storage_exceptions.RecordNotFound:
            raise errors.RecordNotFound(uuid) from None

    def _check_uuid(self, uuid: str) -> None:
        try:
            self.get_resource().get_id_type().from_unicode(uuid)
        except (ValueError, TypeError):
            raise errors.FieldError("uuid", "must be a UUID") from None


class OfParent(
    Controller,
    iam_controllers.NestedPolicyBasedController,
    controllers.BaseNestedResourceControllerPaginated,
):
    """A collection of another record: a query or a body that names that names the path's."""

    def filter(self, parent_resource: tp.Any, filters: tp.Any, order_by: tp.Any = None) -> tp.Any:
        # The platform puts the parent of the path in the place of this one.
        if self.__pr_name__ in filters:
            given = filters[self.__pr_name__].value
            if any(
                i.uuid != parent_resource.uuid
                for i in (given if isinstance(given, list) else [given])
            ):
                self._refuse_another_parent()
        with records.children_of(self.__pr_name__, parent_resource):
            return super().filter(parent_resource, filters, order_by=order_by)

    def create(self, parent_resource: tp.Any, **kwargs: tp.Any) -> tp.Any:
        if kwargs.pop(self.__pr_name__, parent_resource).uuid != parent_resource.uuid:
            self._refuse_another_parent()
        return super().create(parent_resource=parent_resource, **kwargs)

    def update(self, parent_resource: tp.Any, uuid: tp.Any, **kwargs: tp.Any) -> tp.Any:
        # The platform asks this only where there is no parent.
        if kwargs.get("project_id", project := project_of_token()) != project and project:
            raise iam_exceptions.Forbidden
        return super().update(parent_resource, uuid, **kwargs)

    def _refuse_another_parent(self) -> tp.NoReturn:
        raise errors.FieldError(self.__pr_name__, f"must be the {self.__pr_name__} in the path")


class OfInstance(OfParent):
    """A collection of an instance."""

    __pr_name__ = "instance"
