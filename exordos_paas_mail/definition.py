# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The plugin as the MetaPaaS runtime sees it (entry point exordos_metapaas_paas)."""

from __future__ import annotations

import pathlib
import typing as tp

from exordos_metapaas import registry

from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.runtime import upgrades

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


class MailDefinition(registry.PaaSDefinition):
    """Mail: routes, migrations, builders and declarable resources."""

    slug = constants.SLUG
    element_name = constants.ELEMENT_NAME

    def get_type_route(self) -> type:
        """Return the route of /v1/types/mail/, of the wheel that is installed now."""
        if upgrades.is_pending():
            return tp.cast("type", upgrades.load_definition().get_type_route())
        from exordos_paas_mail import routes  # noqa: PLC0415 - see get_builders

        return routes.MailRoute

    def get_migrations_path(self) -> str:
        """Return the directory of the migrations."""
        return str(pathlib.Path(__file__).parent / "migrations")

    def get_builders(
        self,
        core_username: str,
        core_password: str,
        core_api_base_url: str,
        project_id: sys_uuid.UUID,
    ) -> list[tp.Any]:
        """Return the services that gservice runs."""
        # Each process of the runtime loads the definition and needs a part
        # of it: the builders' models in the API would be two of a kind.
        from exordos_paas_mail import infra_builder, paas_builder  # noqa: PLC0415
        from exordos_paas_mail.control_plane.certificates import (  # noqa: PLC0415
            keeper as certificates,
        )
        from exordos_paas_mail.control_plane.dns import publisher, rounds  # noqa: PLC0415
        from exordos_paas_mail.control_plane.documents import writer  # noqa: PLC0415
        from exordos_paas_mail.control_plane.events import ingester  # noqa: PLC0415
        from exordos_paas_mail.control_plane.imports import importer  # noqa: PLC0415
        from exordos_paas_mail.control_plane.queue import follower  # noqa: PLC0415
        from exordos_paas_mail.control_plane.reconcile import shard_keeper  # noqa: PLC0415
        from exordos_paas_mail.control_plane.runtime import threads  # noqa: PLC0415
        from exordos_paas_mail.control_plane.webhooks import (  # noqa: PLC0415
            follower as webhook_follower,
        )

        return [
            infra_builder.MailInfraBuilder(
                core_username=core_username,
                core_password=core_password,
                core_api_base_url=core_api_base_url,
                project_id=project_id,
            ),
            paas_builder.MailPaaSBuilder(),
            threads.ThreadKeeper("mailaas-dns", rounds.Rounds().run),
            publisher.service(core_username, core_password, core_api_base_url),
            threads.ThreadKeeper("mailaas-events", ingester.Ingester().run),
            threads.ThreadKeeper("mailaas-queue", follower.Follower().run),
            threads.ThreadKeeper("mailaas-documents", writer.Writer().run),
            threads.ThreadKeeper("mailaas-webhooks", webhook_follower.Follower().run),
            threads.ThreadKeeper(
                "mailaas-certificates",
                certificates.service(core_username, core_password, core_api_base_url).run,
            ),
            threads.ThreadKeeper("mailaas-imports", importer.Importer().run),
            threads.ThreadKeeper("mailaas-shards", shard_keeper.Keeper().run),
        ]

    def get_agent_models(self) -> dict[str, str]:
        """Return the models that manifests declare, by their path under types.mail."""
        declared = "exordos_paas_mail.control_plane.declared"
        return {
            "versions": f"{declared}.versions:DeclaredVersion",
            "instances": f"{declared}.instances:DeclaredInstance",
            "instances.accounts": f"{declared}.accounts:DeclaredAccount",
            "instances.domains": f"{declared}.domains:DeclaredDomain",
            "instances.suppressions": f"{declared}.suppressions:DeclaredSuppression",
            "instances.tls_policies": f"{declared}.tls_policies:DeclaredTlsPolicy",
            "instances.webhooks": f"{declared}.webhooks:DeclaredWebhook",
        }

    def get_agent_filters(self) -> dict[str, str]:
        """Return the column that holds the element manager's project, by path."""
        return {
            "versions": "manager",
            "instances": "project_id",
            "instances.accounts": "project_id",
            "instances.domains": "project_id",
            "instances.suppressions": "project_id",
            "instances.tls_policies": "project_id",
            "instances.webhooks": "project_id",
        }
