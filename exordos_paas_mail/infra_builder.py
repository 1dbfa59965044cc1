# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the node set, the files on its nodes and the nodes' keys as an instance wishes them."""

from __future__ import annotations

import logging
import typing as tp
import uuid as sys_uuid

import bazooka
import requests
from bazooka import client as bazooka_client
from bazooka import exceptions as bazooka_exceptions
from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.clients.http import base as core_http
from gcl_sdk.infra.dm import models as sdk_models
from gcl_sdk.infra.services import builder
from restalchemy.dm import filters

from exordos_paas_mail import infra_models
from exordos_paas_mail.control_plane.reconcile import instances, status
from exordos_paas_mail.control_plane.records import statuses

LOG = logging.getLogger(__name__)

_SETS: tp.Final = "/v1/compute/sets/"
# gservice is one thread for all plugins: Core must not hold it for ever.
_CORE_TIMEOUT: tp.Final = 10


class _QuietSession(bazooka_client.SensitiveMicroserviceSession):
    """A session that logs no body: a password goes out in one, keys come in in others.

    Nor does it ask three times, with pauses: the next pass asks again.
    """

    request = bazooka_client.SensitiveMicroserviceSession.request.__wrapped__

    @staticmethod
    def _response_body_for_log(_response: tp.Any) -> str:
        return "<not logged>"


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
        http = bazooka.Client(default_timeout=_CORE_TIMEOUT, session=_QuietSession)
        self._core = core_http.CollectionBaseClient(
            base_url=core_api_base_url,
            http_client=http,
            auth=core_http.CoreIamAuthenticator(
                core_api_base_url,
                core_username,
                core_password,
                http_client=http,
                scope=core_http.CoreIamAuthenticator.project_scope(project_id),
            ),
        )

    def prepare_iteration(self) -> dict[str, tp.Any]:
        """Begin a pass.

        It is one transaction, and a row it wrote is locked until its end. So
        Core is asked now, before any is: no worker of the API waits for Core.
        """
        self._fetch_missing_keys()
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
        wished = actual = None
        configured = set()
        for pair in infra.infra_objects:
            if isinstance(pair.target, sdk_models.NodeSet):
                wished, actual = pair
            else:
                configured.add(pair.target.target.node)

        if wished is None:
            instance.status = statuses.IN_PROGRESS
            return (instance.node_set(self._project_id),)

        wished.cores = instance.cpu
        wished.ram = instance.ram
        # Core re-images the root disk of a node whose image changed, and
        # keeps the data disk (exordos_core.compute.builders.pool).
        wished.disk_spec = instance.disk_spec()

        if actual is None:
            instance.status = status.infra_status(None)
            return (wished,)

        instance.status = status.infra_status(actual.status)
        instance.ipsv4 = _addresses(actual)
        nodes = instances.nodes_of(actual)
        instance.observed_nodes = nodes
        _check_keys(nodes, actual)
        if gone := configured - set(nodes):
            _delete_keys(gone)
            # The nodes' own part is another builder's, which nothing else wakes.
            type(instance).touch(instance.uuid)
        return (wished, *(instance.config(node, self._project_id) for node in nodes))

    def _fetch_missing_keys(self) -> None:
        """Fetch the keys the nodes' agents encrypt with, of nodes whose key is not here.

        A key is made with its node and lives as long, so it is fetched once.
        """
        for node_set, nodes in self._nodes_without_key().items():
            try:
                keys = self._core.do_action(_SETS, "get_private_keys", node_set) or {}
            except bazooka_exceptions.BaseHTTPException as error:
                LOG.warning("Core has no keys of the node set %s: %d", node_set, error.code)
                continue
            except requests.RequestException as error:
                # One wait is enough: the next pass asks again.
                LOG.warning("Core does not answer, keys of nodes are missing: %s", error)
                return
            for node in nodes & keys.keys():
                ua_models.NodeEncryptionKey.get_or_create(
                    sys_uuid.UUID(node), private_key=keys[node]
                )

    def _nodes_without_key(self) -> dict[sys_uuid.UUID, set[str]]:
        """Return the nodes whose key is not here, by their set, for sets of an instance."""
        with self._instance_model._get_engine().session_manager() as session:  # noqa: SLF001
            rows = session.execute(
                "SELECT s.uuid, n.node FROM ua_actual_resources s"
                " JOIN mail_instances i ON i.uuid = s.uuid"
                " CROSS JOIN jsonb_object_keys(CASE jsonb_typeof(s.value->'nodes')"
                " WHEN 'object' THEN s.value->'nodes' END) n (node)"
                " WHERE s.kind = %s AND NOT EXISTS"
                " (SELECT FROM ua_node_encryption_keys k WHERE k.uuid::text = n.node)"
                " ORDER BY random()",
                (sdk_models.NodeSet.get_resource_kind(),),
            ).fetchall()
        found: dict[sys_uuid.UUID, set[str]] = {}
        for row in rows:
            found.setdefault(row["uuid"], set()).add(row["node"])
        return found

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
        _delete_keys(nodes)


def _addresses(node_set: sdk_models.NodeSet) -> list[str]:
    """Return the addresses of the nodes that have one: a node joins its set before its port."""
    found = (node_set.nodes[str(node)].get("ipv4") for node in instances.nodes_of(node_set))
    return [address for address in found if address]


def _check_keys(nodes: tp.Collection[sys_uuid.UUID], node_set: sdk_models.NodeSet) -> None:
    """Raise LookupError if Core made the nodes and has no key of one, which cannot talk to us then.

    It is logged at each pass, and the instance waits: the next pass asks Core again.
    """
    if node_set.status != statuses.ACTIVE:
        return
    if missing := set(nodes) - {key.uuid for key in _keys(nodes)}:
        raise LookupError(f"Core has no key of the nodes {sorted(map(str, missing))}")


def _keys(nodes: tp.Collection[tp.Any]) -> list[ua_models.NodeEncryptionKey]:
    found: list[ua_models.NodeEncryptionKey] = ua_models.NodeEncryptionKey.objects.get_all(
        filters={"uuid": filters.In([str(node) for node in nodes])}
    )
    return found


def _delete_keys(nodes: tp.Collection[tp.Any]) -> None:
    for key in _keys(nodes) if nodes else ():
        key.delete()
