# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Controllers of /v1/types/mail/: who may do what, with which fields."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

import psycopg
from gcl_iam import exceptions as iam_exceptions
from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import constants as api
from restalchemy.api import controllers, field_permissions
from restalchemy.common import exceptions
from restalchemy.storage import exceptions as storage_exceptions

from exordos_paas_mail import api_resources, constants, errors, models, packers

_RO: tp.Final = {api.ALL: field_permissions.Permissions.RO}
_RO_ONCE_CREATED: tp.Final = {
    api.ALL: field_permissions.Permissions.RO,
    api.CREATE: field_permissions.Permissions.RW,
}
_WRITE_ONLY: tp.Final = {
    api.ALL: field_permissions.Permissions.HIDDEN,
    api.CREATE: field_permissions.Permissions.RW,
    api.UPDATE: field_permissions.Permissions.RW,
}
_TIMESTAMPS: tp.Final = {"created_at": _RO, "updated_at": _RO}
_PAGE_LIMIT_DIGITS: tp.Final = 9
_PAGE_LIMIT_RULE: tp.Final = f"must be an integer of {_PAGE_LIMIT_DIGITS} digits at most"
# What restalchemy and PostgreSQL raise over a filter's value or its number.
_SENSELESS: tp.Final = (psycopg.DataError, psycopg.ProgrammingError, TypeError, AttributeError)


class _Controller(controllers.Controller):
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


class MailController(controllers.RoutesListController):
    """The routes under /v1/types/mail/."""

    __TARGET_PATH__ = f"/v1/types/{constants.SLUG}/"


class MailVersionController(
    _Controller,
    iam_controllers.PolicyBasedWithoutProjectController,
    controllers.BaseResourceControllerPaginated,
):
    """The catalogue of images: /v1/types/mail/versions/.

    Everybody with the permission reads it. It is one for all projects, so
    only the project of the platform, or a token without a project, writes it.
    """

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.VERSION_POLICY

    __resource__ = api_resources.Resource(
        model_class=models.MailVersion,
        convert_underscore=False,
        process_filters=True,
        fields_permissions=field_permissions.FieldsPermissions(
            default=field_permissions.Permissions.RW, fields=dict(_TIMESTAMPS)
        ),
    )

    def _enforce(self, action: str) -> tp.Any:
        granted = super()._enforce(action)
        platform = sys_uuid.UUID(constants.METAPAAS_PROJECT_ID)
        if action != "read" and self._ctx_project_id not in (None, platform):
            raise iam_exceptions.Forbidden
        return granted


class MailInstanceController(
    _Controller,
    iam_controllers.PolicyBasedController,
    controllers.BaseResourceControllerPaginated,
):
    """Instances: /v1/types/mail/instances/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.INSTANCE_POLICY

    __resource__ = api_resources.Resource(
        model_class=models.MailInstance,
        convert_underscore=False,
        process_filters=True,
        fields_permissions=field_permissions.FieldsPermissions(
            default=field_permissions.Permissions.RW,
            fields={
                **_TIMESTAMPS,
                "domain": _RO_ONCE_CREATED,
                "image": _RO,
                "status": _RO,
                "error": _RO,
                "ipsv4": _RO,
                "dkim_public_key": _RO,
                "dkim_selector": _RO,
            },
        ),
    )

    def update(self, uuid: tp.Any, **kwargs: tp.Any) -> tp.Any:
        """Change the instance.

        Who names the version, and be it the same, asks for the image it has now.
        """
        if (version := kwargs.get("version")) is not None:
            kwargs["image"] = version.image
        return super().update(uuid, **kwargs)


class MailAccountController(
    _Controller,
    iam_controllers.NestedPolicyBasedController,
    controllers.BaseNestedResourceControllerPaginated,
):
    """Accounts: /v1/types/mail/instances/<uuid>/accounts/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.ACCOUNT_POLICY
    __pr_name__ = "instance"

    __resource__ = api_resources.ResourceWithCustomProps(
        model_class=models.MailAccount,
        convert_underscore=False,
        process_filters=True,
        fields_permissions=field_permissions.FieldsPermissions(
            default=field_permissions.Permissions.RW,
            fields={
                **_TIMESTAMPS,
                # The path says which instance; clients of the platform repeat it.
                "instance": _RO_ONCE_CREATED,
                "username": _RO_ONCE_CREATED,
                "password_hash": _WRITE_ONLY,
                "password": _WRITE_ONLY,
            },
        ),
    )

    def create(self, parent_resource: tp.Any, **kwargs: tp.Any) -> tp.Any:
        """Make an account of the instance in the path."""
        if kwargs.pop("instance", parent_resource).uuid != parent_resource.uuid:
            raise errors.FieldError("instance", "must be the instance of the path")
        return super().create(parent_resource=parent_resource, **kwargs)

    def update(self, parent_resource: tp.Any, uuid: tp.Any, **kwargs: tp.Any) -> tp.Any:
        """Change the account."""
        # The platform checks this of its own only where there is no parent.
        if "project_id" in kwargs and self._ctx_project_id:
            self._force_project_id(kwargs["project_id"])
        models.refuse_both(kwargs.get("password"), kwargs.get("password_hash"))
        return super().update(parent_resource, uuid, **kwargs)
