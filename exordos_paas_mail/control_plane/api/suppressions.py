# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Suppressions: /v1/types/mail/instances/<uuid>/suppressions/."""

from __future__ import annotations

import typing as tp

from restalchemy.api import routes
from restalchemy.dm import filters as dm

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.api import logs, resources, routing
from exordos_paas_mail.control_plane.records import (
    errors,
    fields,
    instances,
    suppression_rows,
    suppressions,
)

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

_FILTERS: tp.Final = {
    "address": logs.Filter(
        fields.Recipient().check,
        suppressions.Suppressions.of_address,
        {"type": "string", "minLength": 3, "maxLength": 320},
    ),
    "domain": logs.text(suppressions.Suppressions.to_domain, 255),
    "account": logs.uuid(suppressions.Suppressions.of_account),
    "scope": logs.choice(suppressions.Suppressions.with_scope, suppression_rows.SCOPES),
    "reason": logs.choice(suppressions.Suppressions.with_reason, suppressions.REASONS),
    "origin": logs.choice(suppressions.Suppressions.with_origin, suppression_rows.ORIGINS),
}


class _Resource(resources.Resource):
    """A model without a relationship: a page of them asks for no other record."""

    def get_parent_model(self, model: suppressions.MailSuppression) -> instances.MailInstance:
        found = instances.MailInstance.objects.get_one(filters={"uuid": dm.EQ(model.instance)})
        return tp.cast("instances.MailInstance", found)


class MailSuppressionController(logs.Log):
    """Suppressions: /v1/types/mail/instances/<uuid>/suppressions/."""

    __pr_name__ = "instance"
    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.SUPPRESSION_POLICY
    __filters__ = _FILTERS

    __resource__ = _Resource(
        suppressions.MailSuppression,
        read_only=("origin", "message", "hits", "last_hit_at", "error"),
        set_once=("address", "scope", "account", "reason", "detail", "expires_at"),
        hidden=("instance", "shard", "size"),
        nullable=("account", "expires_at"),
    )

    def make_page(self, parent_resource: tp.Any, limit: int) -> suppressions.Suppressions:
        return suppressions.Suppressions(parent_resource.uuid, limit)

    @logs.described(("MailInstanceUuid",), _FILTERS)
    def filter(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        return super().filter(*args, **kwargs)

    def create(self, parent_resource: tp.Any, **kwargs: tp.Any) -> tp.Any:
        self.require("create")
        if "address" not in kwargs:
            raise errors.FieldError("address", "is required")
        scope, account = kwargs.pop("scope", None), kwargs.get("account")
        if scope is not None and (scope == suppression_rows.ACCOUNT) != (account is not None):
            raise errors.FieldError("account", suppressions.OTHER_SCOPE)
        expires_at = kwargs.get("expires_at")
        if expires_at is not None and expires_at <= utils.now():
            raise errors.FieldError("expires_at", "must be in the future")
        uuid = kwargs.pop("uuid", None)
        return suppressions.add(parent_resource.uuid, uuid, **kwargs)

    def delete(self, parent_resource: tp.Any, uuid: sys_uuid.UUID) -> None:
        self.require("delete")
        suppressions.remove(parent_resource.uuid, uuid)


class MailSuppressionRoute(routing.Route):
    """Route /v1/types/mail/instances/<uuid>/suppressions/[<uuid>]."""

    __one__, __many__ = "a suppression", "suppressions"
    __controller__ = MailSuppressionController
    __allow_methods__: tp.ClassVar[list[str]] = [
        routes.FILTER,
        routes.GET,
        routes.CREATE,
        routes.DELETE,
    ]
