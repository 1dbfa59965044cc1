# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An instance as its nodes hold it."""

from __future__ import annotations

import typing as tp

from gcl_sdk.agents.universal.dm import models as ua_models
from restalchemy.dm import models, properties, types

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.control_plane.reconcile import instances
from exordos_paas_mail.control_plane.records import statuses


class MailInstanceNode(
    models.ModelWithUUID,
    ua_models.TargetResourceKindAwareMixin,
    ua_models.SchedulableToAgentMixin,
):
    """What one node should hold, and what it says of itself. Its uuid is its agent's.

    A part that is None is not told: it does not travel, and the node leaves it alone.
    """

    name = properties.property(types.String(max_length=255), required=True)
    domain = properties.property(types.String(), required=True)
    # The whole file: one long leaf costs less than ten thousand keys, and
    # is compared whole, so a line added by hand on the node is a difference.
    passwd = properties.property(types.AllowNone(types.String()), default=None)
    credentials = properties.property(types.AllowNone(types.String()), default=None)
    domains = properties.property(types.AllowNone(types.String()), default=None)
    senders = properties.property(types.AllowNone(types.String()), default=None)
    limits = properties.property(types.AllowNone(types.String()), default=None)
    holds = properties.property(types.AllowNone(types.String()), default=None)
    return_paths = properties.property(types.AllowNone(types.String()), default=None)
    tls_policies = properties.property(types.AllowNone(types.String()), default=None)
    # ``passwd`` by reference, in its place: the digests of its shards, and the lines of some,
    # see ``codecs.account_shards``.
    passwd_shards = properties.property(types.AllowNone(types.String()), default=None)
    passwd_lines = properties.property(types.AllowNone(types.String()), default=None)

    status = properties.property(types.String(), default=statuses.NEW)
    error = properties.property(types.String(), default="")
    # What its relay calls itself now; a node of an earlier release does not say.
    hostname = properties.property(types.String(), default="")
    dkim_public_key = properties.property(types.String(), default="")
    dkim_selector = properties.property(types.String(), default="")
    # See ``codecs.tls_reports``.
    tls = properties.property(types.String(), default="")
    # Whether its image sends by a smarthost.
    smarthost = properties.property(types.Boolean(), default=False)
    # Whether it takes all names below a domain for one.
    smarthost_below = properties.property(types.Boolean(), default=False)
    # Whether its image keeps to what recipients' domains publish by MTA-STS.
    mta_sts = properties.property(types.Boolean(), default=False)
    # Whether its image can be told its first accounts in pieces.
    gathers_accounts = properties.property(types.Boolean(), default=False)
    # See ``codecs.dkim_values``.
    dkim_keys = properties.property(types.String(), default="")

    @classmethod
    def get_resource_kind(cls) -> str:
        """Return the resource kind."""
        return constants.INSTANCE_NODE_KIND

    def get_resource_target_fields(self) -> tp.Collection[str]:
        """Return the fields that travel to the node."""
        parts = (*targets.PARTS, "passwd_shards")
        told = (field for field in parts if getattr(self, field) is not None)
        return frozenset({"uuid", "name", "domain", *told})

    def to_ua_resource(self, *args: tp.Any, **kwargs: tp.Any) -> ua_models.TargetResource:
        """Return the resource.

        The lines of shards travel and are in no hash: a node has what it should when it
        has the digests, and is given the lines for as long as it has not.
        """
        resource = super().to_ua_resource(*args, **kwargs)
        if self.passwd_lines:
            resource.value = {**resource.value, "passwd_lines": self.passwd_lines}
        return resource


class MailInstance(
    instances.InstanceFacts,
    ua_models.DependenciesActiveReadinessMixin,
    ua_models.InstanceWithDerivativesMixin,
):
    """An instance and what its nodes should hold."""

    __derivative_model_map__: tp.ClassVar[dict[str, type]] = {
        constants.INSTANCE_NODE_KIND: MailInstanceNode
    }

    @classmethod
    def get_resource_kind(cls) -> str:
        """Return the resource kind."""
        return constants.INSTANCE_KIND

    def get_resource_target_fields(self) -> tp.Collection[str]:
        """Return the fields whose change concerns the nodes."""
        return frozenset({"uuid", "name", "domain"})

    def get_readiness_dependencies(self) -> tp.Collection[ua_models.ResourceIdentifier]:
        """Return the infrastructure, which must be ACTIVE before there is a first target."""
        return (ua_models.RI(constants.INSTANCE_INFRA_KIND, self.uuid),)

    def is_ready_to_create(self) -> bool:
        """Return whether the infrastructure is ACTIVE and the agents can be given work."""
        return bool(super().is_ready_to_actualize()) and self._has_all_agents()

    def is_ready_to_update(self) -> bool:
        """Return whether each node has an agent to give the change to.

        The infrastructure need not be ACTIVE: an account changes during a
        resize, and while the set is in ERROR and its node still serves.
        """
        return self._has_all_agents()

    def is_ready_to_actualize(self) -> bool:
        """Return True: what a node reports is always taken over."""
        return True

    def _has_all_agents(self) -> bool:
        node_set = self.actual_node_set()
        nodes = [] if node_set is None else instances.nodes_of(node_set)
        return bool(nodes) and len(registered_agents(nodes)) == len(nodes)


def registered_agents(nodes: tp.Iterable[tp.Any]) -> set[tp.Any]:
    """Return the uuids of the mail agents of *nodes* that have registered.

    A resource of an agent that has not is refused by a foreign key.
    """
    with utils.transaction() as session:
        rows = session.execute(
            "SELECT uuid FROM ua_agents WHERE uuid = ANY(%s::uuid[])",
            ([str(instances.agent_uuid(node)) for node in nodes],),
        ).fetchall()
    return {row["uuid"] for row in rows}
