# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the node set, the files on its nodes and the nodes' keys that an instance asks for."""

from __future__ import annotations

import typing as tp

from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.infra.dm import models as sdk_models
from gcl_sdk.infra.services import builder
from restalchemy.dm import filters

from exordos_paas_mail import infra_models, utils
from exordos_paas_mail.control_plane.reconcile import core, instances, node_keys, status
from exordos_paas_mail.control_plane.records import statuses

if tp.TYPE_CHECKING:
    import uuid as sys_uuid


class MailInfraBuilder(builder.CoreInfraBuilder):
    """MailInstance -> one NodeSet, and one Config for each node it has."""

    def __init__(
        self,
        core_username: str,
        core_password: str,
        core_api_base_url: str,
        project_id: sys_uuid.UUID,
        instance_model: type[infra_models.MailInstance] = infra_models.MailInstance,
    ) -> None:
        super().__init__(instance_model)
        self._project_id = project_id
        client = core.client(core_username, core_password, core_api_base_url, project_id)
        self._node_keys = node_keys.NodeKeys(client)
        self._started = utils.now()

    def prepare_iteration(self) -> dict[str, tp.Any]:
        """Begin a pass.

        It is one transaction, and a row it wrote is locked until its end. So
        Core is asked now, before any is: no worker of the API waits for Core.
        """
        self._node_keys.fetch()
        self._instance_model.pass_over(self._started)
        context: dict[str, tp.Any] = super().prepare_iteration()
        return context

    def create_infra(
        self, instance: infra_models.MailInstance
    ) -> tp.Collection[ua_models.TargetResourceKindAwareMixin]:
        """Return the node set to ask Core for."""
        return self.actualize_infra(instance, builder.InfraCollection(infra_objects=()))

    def actualize_infra(
        self, instance: infra_models.MailInstance, infra: builder.InfraCollection
    ) -> tp.Collection[ua_models.TargetResourceKindAwareMixin]:
        """Return what Core should hold for *instance*, and take over what it holds."""
        target = actual = None
        configured = set()
        for pair in infra.infra_objects:
            if isinstance(pair.target, sdk_models.NodeSet):
                target, actual = pair
            else:
                configured.add(pair.target.target.node)

        if target is None:
            instance.status = statuses.IN_PROGRESS
            return (instance.node_set(self._project_id),)

        target.cores = instance.cpu
        target.ram = instance.ram
        # Core re-images the root disk of a node whose image changed, and
        # keeps the data disk (exordos_core.compute.builders.pool).
        target.disk_spec = instance.disk_spec()

        if actual is None:
            instance.status = status.infra_status(None)
            return (target,)

        instance.status = status.infra_status(actual.status)
        nodes = instances.nodes_of(actual)
        if instances.is_incomplete(actual):
            nodes = sorted({*nodes, *configured})
        else:
            instance.ipsv4 = _addresses(actual)
        instance.observed_nodes = nodes
        node_keys.check(nodes, actual)
        if gone := configured - set(nodes):
            node_keys.delete(gone)
            # The nodes' own part is another builder's, which nothing else wakes.
            type(instance).touch(instance.uuid)
        keys = node_keys.digests(nodes)
        configs = (instance.config(n, keys.get(n, ""), self._project_id) for n in nodes)
        return (target, *configs)

    def pre_delete_instance_resource(self, resource: ua_models.TargetResource) -> None:
        """Delete the keys of the instance's nodes."""
        super().pre_delete_instance_resource(resource)
        node_sets = ua_models.Resource.objects.get_all(
            filters={
                "uuid": filters.EQ(resource.uuid),
                "kind": filters.EQ(sdk_models.NodeSet.get_resource_kind()),
            }
        )
        configs = ua_models.TargetResource.objects.get_all(
            filters={
                "master": filters.EQ(resource.uuid),
                "kind": filters.EQ(sdk_models.Config.get_resource_kind()),
            }
        )
        nodes = {node for found in node_sets for node in found.value.get("nodes", {})}
        nodes |= {config.value["target"]["node"] for config in configs}
        node_keys.delete(nodes)


def _addresses(node_set: sdk_models.NodeSet) -> list[str]:
    """Return the addresses of the nodes that have one: a node joins its set before its port."""
    found = (node_set.nodes[str(node)].get("ipv4") for node in instances.nodes_of(node_set))
    return [address for address in found if address]
