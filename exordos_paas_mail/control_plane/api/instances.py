# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Instances: /v1/types/mail/instances/."""

from __future__ import annotations

import typing as tp

from gcl_iam.api import controllers as iam_controllers
from restalchemy.api import actions, controllers, routes
from restalchemy.dm import filters

from exordos_paas_mail import constants, utils
from exordos_paas_mail.codecs import domains
from exordos_paas_mail.control_plane.api import (
    base,
    certificate_owners,
    queries,
    resources,
    routing,
)
from exordos_paas_mail.control_plane.records import (
    erasures,
    errors,
    fields,
    instances,
    queues,
    stats,
    tls_facts,
    tls_kinds,
)


class MailInstanceController(
    base.Controller,
    iam_controllers.PolicyBasedController,
    controllers.BaseResourceControllerPaginated,
):
    """Instances: /v1/types/mail/instances/."""

    __policy_service_name__ = constants.POLICY_SERVICE
    __policy_name__ = constants.INSTANCE_POLICY
    # Each has three times as many fields as most records (docs/measurements.md).
    __bounds__ = queries.Bounds(page_limit=500)

    __resource__ = resources.Resource(
        instances.MailInstance,
        read_only=(
            "image",
            "status",
            "error",
            "ipsv4",
            "dns_status",
            "dkim_public_key",
            "dkim_selector",
            *tls_facts.FACTS,
            *stats.LAST_DAY,
            *queues.SUMMARY,
            *queues.OUTBOUND,
        ),
        set_once=("domain",),
        nullable=("hostname",),
        hidden=("declaration_error",),
    )

    def create(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Any:
        project, of_token = kwargs.get("project_id"), base.project_of_token()
        # Nobody makes anything in another project than the token's.
        if project is None or of_token in {None, project}:
            self._check_owner(kwargs.get("tls"), project or of_token)
        return super().create(*args, **kwargs)

    def update(self, uuid: tp.Any, **kwargs: tp.Any) -> tp.Any:
        if kwargs.get("tls"):
            project = base.project_of_token()
            of_project = {} if project is None else {"project_id": filters.EQ(project)}
            stored = instances.MailInstance.objects.get_one_or_none(
                filters={"uuid": filters.EQ(uuid), **of_project}
            )
            # What it serves already may be sent back, whatever has become of it at Core.
            if stored is not None and stored.tls != kwargs["tls"]:
                self._check_owner(kwargs["tls"], stored.project_id)
        # Naming the version, even the same one, asks for the image it has now.
        if (version := kwargs.get("version")) is not None:
            kwargs["image"] = version.image
        return super().update(uuid, **kwargs)

    @staticmethod
    def _check_owner(tls: tp.Any, project: tp.Any) -> None:
        """Refuse a certificate of another project's, where Core says at once that it is one."""
        if tls is None or tls["kind"] != tls_kinds.CORE or project is None:
            return
        if certificate_owners.is_strangers(tls["certificate"], project):
            raise errors.Forbidden(
                "tls", f"Core has no certificate {tls['certificate']} in this project"
            )

    @actions.post
    def erase(self, resource: instances.MailInstance, recipient: str = "") -> tp.Any:
        self.require("delete", constants.MESSAGE_POLICY)
        if not recipient:
            raise errors.FieldError("recipient", "is required")
        with utils.transaction() as session:
            # The ingester carries it out within seconds: this process serves everybody.
            for spelled in {domains.with_a_labels(recipient), domains.with_u_labels(recipient)}:
                erasures.ask(session, resource.uuid, recipient=spelled)
        return resource


class EraseAction(routing.Action):
    """Action /v1/types/mail/instances/<uuid>/actions/erase/invoke."""

    __controller__ = MailInstanceController
    __allow_methods__: tp.ClassVar[list[str]] = [routes.POST]
    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {"recipient": fields.Mentioned()}


class MailInstanceRoute(routing.Route):
    """Route /v1/types/mail/instances/[<uuid>]."""

    __one__, __many__ = "an instance", "instances"
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {
        "erase": "Erase what is known of a recipient from the log",
    }
    __controller__ = MailInstanceController

    erase = routes.action(EraseAction, invoke=True)
