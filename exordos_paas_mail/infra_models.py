# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An instance as infrastructure: one node set, and one file on each of its nodes."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.infra import constants as sdk_constants
from gcl_sdk.infra.dm import models as sdk_models

from exordos_paas_mail import constants, utils
from exordos_paas_mail.codecs import mail_env
from exordos_paas_mail.control_plane.reconcile import instances

if tp.TYPE_CHECKING:
    import datetime


class NodeFile(sdk_models.Config):
    """A file on a node, for the machine that the node is now.

    Core takes a machine's files from it as it removes the machine, and gives them to the
    one that it makes under the same uuid only when somebody writes the config. So the
    config tells the machine in its description, which is not in the file: a node that
    has the file is not touched.
    """

    def get_resource_target_fields(self) -> tp.Collection[str]:
        """Return the fields whose change concerns Core."""
        return frozenset({*super().get_resource_target_fields(), "description"})


class MailInstance(instances.InstanceFacts, ua_models.InstanceWithDerivativesMixin):
    """An instance and the objects it needs on Core."""

    __derivative_model_map__: tp.ClassVar[dict[str, type]] = {
        "node_set": sdk_models.NodeSet,
        "config": NodeFile,
    }

    @classmethod
    def get_resource_kind(cls) -> str:
        """Return the resource kind."""
        return constants.INSTANCE_INFRA_KIND

    def get_resource_target_fields(self) -> tp.Collection[str]:
        """Return the fields whose change concerns Core; ``pass_over`` compares them all."""
        return frozenset(
            {
                *("uuid", "name", "domain", "hostname", "cpu", "ram", "disk_size", "image"),
                "project_id",
            }
        )

    @classmethod
    def pass_over(cls, since: datetime.datetime) -> None:
        """Take changes that Core need not hear of for passed on: accounts, first of all.

        Each of them marks the instance as changed, and most are of what nodes hold. The
        target fields tell what Core is told, besides the keys of nodes, whose changes
        empty the hash (``node_keys``). One that has not been passed on *since* a time is
        left to the builder: what it makes of the same fields may be another release's.
        """
        with utils.transaction() as session:
            session.execute(
                "UPDATE ua_target_resources r SET tracked_at = i.updated_at FROM mail_instances i"
                " WHERE r.uuid = i.uuid AND r.kind = %s AND r.tracked_at <> i.updated_at"
                " AND r.updated_at > %s AND r.hash <> '' AND i.image <> ''"
                " AND jsonb_strip_nulls(r.value) = jsonb_strip_nulls(jsonb_build_object("
                "'uuid', i.uuid, 'name', i.name, 'domain', i.domain, 'hostname', i.hostname,"
                " 'cpu', i.cpu, 'ram', i.ram, 'disk_size', i.disk_size, 'image', i.image,"
                " 'project_id', i.project_id))",
                (cls.get_resource_kind(), utils.timestamp(since)),
            )

    # Set by the builder in a pass that saw the node set.
    observed_nodes: tp.Sequence[sys_uuid.UUID] = ()

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write the facts; in the row, the status is that of the nodes too.

        In memory it stays that of the node set. The builder service keeps it
        in the resource that the part on the nodes waits for, which would wait
        for itself otherwise.
        """
        infra = self.status
        self.observe(infra, self.observed_nodes)
        super().update(session=session, force=force)
        self.status = infra

    def disk_spec(self) -> sdk_models.SetDisksSpec:
        """Return the disks of a node: the root made of the image, and the data disk."""
        return sdk_models.SetDisksSpec(
            disks=[
                {
                    "size": constants.ROOT_DISK_SIZE,
                    # Empty if an API of the release before wrote the row during an upgrade.
                    "image": self.image or self.version.image,
                    "label": "root",
                },
                {"size": self.disk_size, "label": "data"},
            ]
        )

    def node_set(self, project_id: sys_uuid.UUID) -> sdk_models.NodeSet:
        """Return the node set, as it is first asked for."""
        return sdk_models.NodeSet(
            uuid=self.uuid,
            name=f"{constants.NODE_SET_NAME_PREFIX}{self.uuid}",
            cores=self.cpu,
            ram=self.ram,
            disk_spec=self.disk_spec(),
            replicas=1,
            project_id=project_id,
            status=sdk_constants.NodeStatus.NEW.value,
        )

    def config(self, node: sys_uuid.UUID, key: str, project_id: sys_uuid.UUID) -> NodeFile:
        """Return the file that tells *node*, whose key has the digest *key*, domain and name."""
        return NodeFile(
            uuid=sys_uuid.uuid5(self.uuid, f"config-{node}"),
            name=str(node),
            description=f"for the machine whose key has the SHA-256 digest {key}",
            project_id=project_id,
            status=sdk_constants.InstanceStatus.NEW.value,
            target=sdk_models.NodeTarget(node=node),
            body=sdk_models.TextBodyConfig(
                content=mail_env.render(
                    self.domain, self.hostname, mail_env.Owner(self.uuid, self.project_id)
                )
            ),
            path=constants.MAIL_ENV_FILE,
            owner="root",
            group="root",
            mode="0640",
            # Not a reload: at first boot the unit has not run yet.
            on_change=sdk_models.OnChangeShell(
                command=f"systemctl restart {constants.CONFIGURE_UNIT}"
            ),
        )
