# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps what the nodes hold as an instance and its accounts say."""

from __future__ import annotations

import json
import logging
import typing as tp

from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.paas.services import builder
from restalchemy.dm import filters

from exordos_paas_mail import constants, paas_models, utils
from exordos_paas_mail.codecs import account_shards, dkim_values, tls_reports
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.control_plane.reconcile import heartbeats, instances, status
from exordos_paas_mail.control_plane.records import credential_rows, tls_facts

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)


class MailPaaSBuilder(builder.PaaSBuilder):
    """MailInstance and accounts -> one MailInstanceNode for each node; facts come back."""

    def __init__(
        self, instance_model: type[paas_models.MailInstance] = paas_models.MailInstance
    ) -> None:
        super().__init__(instance_model)
        self._models = instance_model

    def prepare_iteration(self) -> dict[str, tp.Any]:
        """Begin a pass: look at the instances whose agents fell silent, or are back.

        No resource changes when that happens, so nothing else would wake a builder.
        """
        for uuid in heartbeats.changed_instances():
            instance = self._models.objects.get_one_or_none(filters={"uuid": filters.EQ(uuid)})
            node_set = None if instance is None else instance.actual_node_set()
            if instance is not None and node_set is not None:
                nodes = instances.nodes_of(node_set)
                instance.observe(status.infra_status(node_set.status), nodes)
                instance.update()
        context: dict[str, tp.Any] = super().prepare_iteration()
        return context

    def schedule_paas_objects(
        self,
        instance: ua_models.InstanceWithDerivativesMixin,  # noqa: ARG002
        paas_objects: tp.Collection[ua_models.TargetResourceKindAwareMixin],
    ) -> dict[sys_uuid.UUID, tp.Collection[ua_models.TargetResourceKindAwareMixin]]:
        """Return the objects by their agent, whose uuid they have."""
        return {entity.uuid: [entity] for entity in paas_objects}

    def create_paas_objects(
        self, instance: paas_models.MailInstance
    ) -> tp.Collection[ua_models.TargetResourceKindAwareMixin]:
        """Return what each node should hold."""
        return self.actualize_paas_objects(instance, builder.PaaSCollection(paas_objects=()))

    def actualize_paas_objects(
        self, instance: paas_models.MailInstance, paas_collection: builder.PaaSCollection
    ) -> tp.Collection[ua_models.TargetResourceKindAwareMixin]:
        """Return what each node should hold, and take over what the nodes report.

        Also when only a report came in: the service then marks the instance
        as passed on, and an account may have been made since it looked for
        changed instances.
        """
        node_set = instance.actual_node_set()
        if node_set is None:
            return _as_they_are(instance, paas_collection)
        nodes = instances.nodes_of(node_set)
        if instances.is_incomplete(node_set):
            # Absence is no removal: what the node holds stays as it is.
            return _as_they_are(instance, paas_collection)
        heard = instances.said(map(instances.agent_uuid, nodes))
        reported = {agent: each.fields for agent, each in heard.items()}
        heartbeats.forget([a for a, fields in reported.items() if "heartbeat" not in fields])
        self._take_over(instance, nodes, paas_collection)
        instance.observe(status.infra_status(node_set.status), nodes, heard)
        target_agents = {str(target.uuid) for target in paas_collection.targets()}
        _forget(target_agents - {str(instances.agent_uuid(node)) for node in nodes})
        agents = paas_models.registered_agents(nodes)
        if not agents:
            return ()
        texts = targets.texts(None, instance, without=[targets.ACCOUNTS])
        known = {pair.target.uuid: pair for pair in paas_collection.paas_objects}
        return [
            paas_models.MailInstanceNode(
                uuid=agent,
                name=instance.name,
                domain=instance.domain,
                **targets.known(texts, reported.get(agent)),
                **_accounts(instance, reported.get(agent), known.get(agent)),
            )
            for agent in sorted(agents)
        ]

    def _actualize_derivative_target_resources(
        self,
        new_target_resources: frozenset[ua_models.TargetResource],
        current_target_resources: frozenset[ua_models.TargetResource],
    ) -> tp.Collection[ua_models.TargetResource]:
        """Write the targets that changed, by column.

        The service's own way compares hashes, which lines of shards are not in. It also
        writes all columns of a row that it has read twice: the hash of the report that
        it has just noted would be an older one again, and wake the next pass.
        """
        known = {resource: resource for resource in current_target_resources}
        for new in new_target_resources:
            current = known.get(new)
            if current is None or (new.hash, new.value) == (current.hash, current.value):
                continue
            columns = {"value": json.dumps(new.value)}
            if new.hash != current.hash:
                columns |= {"hash": new.hash, "status": new.status}
            # The kind is one of the values: what keeps hashes out of the log goes by it.
            key = {"uuid": str(new.uuid), "kind": new.kind}
            with utils.transaction() as session:
                utils.update_columns(session, new.__tablename__, key, columns)
            current.update_value(new)
        actualized: tp.Collection[ua_models.TargetResource] = (
            super()._actualize_derivative_target_resources(
                new_target_resources, current_target_resources
            )
        )
        return actualized

    def _take_over(
        self,
        instance: paas_models.MailInstance,
        nodes: tp.Collection[sys_uuid.UUID],
        paas_collection: builder.PaaSCollection,
    ) -> None:
        """Copy the facts of the nodes to the instance."""
        agents = {instances.agent_uuid(node) for node in nodes}
        for actual in paas_collection.actuals():
            if actual is not None and actual.uuid in agents:
                self._take_over_keys(instance, actual)
                if actual.tls:
                    _take_over_tls(instance.uuid, actual)
                if actual.credentials:
                    with utils.transaction() as session:
                        credential_rows.take_over(
                            session, instance.uuid, instance.domain, actual.credentials
                        )

    def _take_over_keys(
        self, instance: paas_models.MailInstance, actual: paas_models.MailInstanceNode
    ) -> None:
        if actual.dkim_keys:
            try:
                told = dkim_values.parse(actual.dkim_keys)
            except ValueError as error:
                LOG.warning("%s: the node's DKIM keys are not taken over: %s", actual.uuid, error)
                return
            instance.take_over_keys(told)
            return
        # What an image without a table of domains signs with, and one that has not made its
        # keys yet. A report that lacks the key is no reason to forget a published one.
        selector = actual.dkim_selector or constants.DKIM_SELECTOR
        if actual.dkim_public_key and (actual.domains is None or instance.signs_with(selector)):
            instance.dkim_public_key, instance.dkim_selector = actual.dkim_public_key, selector

    def post_create_instance_resource(
        self,
        instance: paas_models.MailInstance,
        resource: ua_models.TargetResource,
        derivatives: tp.Collection[ua_models.TargetResource] = (),
    ) -> None:
        """Keep the status: the service's own hook sets IN_PROGRESS, whatever it was."""
        status = instance.status
        super().post_create_instance_resource(instance, resource, derivatives)
        instance.status = status

    def can_delete_instance_resource(
        self,
        resource: ua_models.TargetResource,  # noqa: ARG002
    ) -> bool:
        """Return True: nothing on a node outlives it.

        The service's own check builds an instance from the target fields,
        and those are fewer than an instance must have.
        """
        return True

    def pre_delete_instance_resource(self, resource: ua_models.TargetResource) -> None:
        """Forget the instance's agents, what they should hold and what they reported."""
        super().pre_delete_instance_resource(resource)
        targets = ua_models.TargetResource.objects.get_all(
            filters={
                "master": filters.EQ(resource.uuid),
                "kind": filters.EQ(constants.INSTANCE_NODE_KIND),
            }
        )
        _forget({str(target.uuid) for target in targets})


def _as_they_are(
    instance: paas_models.MailInstance, paas_collection: builder.PaaSCollection
) -> tuple[ua_models.TargetResourceKindAwareMixin, ...]:
    """Return the targets that there are, with the lines that their nodes lack.

    A node that asks for lines gets them while its set is not whole, too: nothing else
    would wake a builder for it. The service marks the instance as passed on as of the
    time that it reads here; what has changed since the last one is passed on afterwards.
    """
    instance.properties["updated_at"].set_value_force(utils.EPOCH)
    for target, actual in paas_collection.paas_objects:
        digests = _reported_digests(actual)
        # An image that does not gather would have some of the accounts alone.
        has_some = digests != account_shards.NONE or (actual and actual.gathers_accounts)
        if target.passwd_shards is not None and has_some:
            told = targets.reference(instance, digests)
            target.passwd_shards, target.passwd_lines = told
    return tuple(paas_collection.targets())


def _accounts(
    instance: paas_models.MailInstance,
    reported: frozenset[str] | None,
    known: builder.PaaSResourcePair | None,
) -> dict[str, str]:
    """Return the fields that tell a node the accounts of *instance*.

    *reported* are the fields of its last report, *known* that report and its target.
    """
    told = None
    if reported is None:
        told = targets.first_reference(instance)
    elif "passwd_shards" in reported and known is not None:
        digests = _reported_digests(known.actual)
        gathers = known.actual is not None and known.actual.gathers_accounts
        # A node that was told all goes on so until it has all.
        is_ready = digests is not None or known.target.passwd_shards is not None
        if is_ready or _has_all(known):
            told = targets.worthwhile_reference(instance, digests, gathers=gathers)
    if told is not None:
        return {"passwd_shards": told.shards, "passwd_lines": told.lines}
    if reported is not None and targets.ACCOUNTS not in reported:
        return {}
    return targets.texts(None, instance, without=targets.PARTS.keys() - {targets.ACCOUNTS})


def _reported_digests(
    actual: paas_models.MailInstanceNode | None,
) -> account_shards.Digests | None:
    """Return the digests of the account file that a node has, None if it does not say."""
    try:
        return account_shards.parse((actual and actual.passwd_shards) or "")
    except ValueError:
        return None


def _has_all(known: builder.PaaSResourcePair) -> bool:
    return known.actual is not None and known.actual.passwd == known.target.passwd is not None


def _take_over_tls(instance: sys_uuid.UUID, actual: paas_models.MailInstanceNode) -> None:
    try:
        told = tls_reports.parse(actual.tls)
        with utils.transaction() as session:
            tls_facts.take_over(session, instance, told)
    except ValueError as error:
        LOG.warning("%s: the node's certificate is not taken over: %s", actual.uuid, error)


def _forget(agents: tp.Collection[str]) -> None:
    """Forget *agents*, what they should hold and what they reported: every account's hash.

    The keys of their nodes are gone, so they cannot say good-bye themselves.
    """
    if not agents:
        return
    kinds = [constants.INSTANCE_NODE_KIND, constants.HEARTBEAT_KIND]
    for model in (ua_models.Resource, ua_models.TargetResource):
        for resource in model.objects.get_all(
            filters={"uuid": filters.In(agents), "kind": filters.In(kinds)}
        ):
            resource.delete()
    for agent in ua_models.UniversalAgent.objects.get_all(filters={"uuid": filters.In(agents)}):
        agent.delete()
