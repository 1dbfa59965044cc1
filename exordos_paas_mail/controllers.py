# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Controllers of /v1/types/mail/: who may do what, with which fields."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from gcl_iam import exceptions as iam_exceptions
from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import constants as api
from restalchemy.api import controllers, field_permissions, resources
from restalchemy.common import exceptions

from exordos_paas_mail import constants, errors, models, packers

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


class _Controller(controllers.Controller):
    """PATCH is the update the platform calls PUT; bodies are the plugin's packer's."""

    __packer__ = packers.JSONPacker

    def create(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        """Make a record."""
        try:
            return super().create(*args, **kwargs)
        except exceptions.PropertyRequired as error:
            raise errors.FieldError(error.name, "is required") from None

    def do_resource(self, uuid: str, parent_resource: tp.Any = None) -> tp.Any:
        """Answer a request for one record."""
        method = self.request.method
        if method != "PATCH":
            return super().do_resource(uuid, parent_resource)
        # The platform's own do_resource knows PUT, whose body may be partial.
        self.request.method = api.PUT
        try:
            return super().do_resource(uuid, parent_resource)
        finally:
            self.request.method = method


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

    __resource__ = resources.ResourceByRAModel(
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

    __resource__ = resources.ResourceByRAModel(
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

    __resource__ = resources.ResourceByModelWithCustomProps(
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
        models.refuse_both(kwargs.get("password"), kwargs.get("password_hash"))
        return super().update(parent_resource, uuid, **kwargs)
