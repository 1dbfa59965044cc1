# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An instance as the builders see it: its nodes, what they report, facts written by column."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from gcl_sdk.common import constants as sdk_constants
from gcl_sdk.infra.dm import models as sdk_models
from restalchemy.dm import filters

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.reconcile import heartbeats, losses, status
from exordos_paas_mail.control_plane.records import (
    dkim_keys,
    instances,
    key_rows,
    primary_domains,
    statuses,
    tls_facts,
    tls_pairs,
)

if tp.TYPE_CHECKING:
    from exordos_paas_mail.codecs import dkim_values

_FACTS: tp.Final = ("status", "error", "ipsv4", *primary_domains.FACTS)


def agent_uuid(node: sys_uuid.UUID) -> sys_uuid.UUID:
    """Return the uuid of the mail agent of *node*."""
    return sys_uuid.uuid5(node, constants.ELEMENT_NAME)


def nodes_of(node_set: sdk_models.NodeSet) -> list[sys_uuid.UUID]:
    """Return the nodes of *node_set*, in an order that does not change."""
    return sorted(sys_uuid.UUID(node) for node in node_set.nodes)


def is_incomplete(node_set: sdk_models.NodeSet) -> bool:
    """Return whether *node_set* shows fewer nodes than it has.

    A node that is absent may come back, and its machine serves meanwhile. It is gone
    when another has taken its place.
    """
    return bool(len(node_set.nodes) < node_set.replicas)


class Said(tp.NamedTuple):
    """What the last report of an agent says, but for what its node holds."""

    fields: frozenset[str]
    """A node reports each part that its image has, also one that it was not told."""
    status: str
    error: str


def said(agents: tp.Iterable[sys_uuid.UUID]) -> dict[sys_uuid.UUID, Said]:
    """Return what each of *agents* that has reported said last."""
    with utils.transaction() as session:
        # The value beside these keys may be as long as all accounts.
        rows = session.execute(
            "SELECT uuid, ARRAY(SELECT jsonb_object_keys(value)) AS fields,"
            " value->>'status' AS status, value->>'error' AS error"
            " FROM ua_actual_resources WHERE kind = %s AND uuid = ANY(%s::uuid[])",
            (constants.INSTANCE_NODE_KIND, [str(agent) for agent in agents]),
        ).fetchall()
    return {
        row["uuid"]: Said(
            frozenset(row["fields"]), row["status"] or statuses.IN_PROGRESS, row["error"] or ""
        )
        for row in rows
    }


class InstanceFacts(instances.MailInstance):
    """The instance of a builder.

    A builder reads a row, may wait for Core, and saves. What a user wrote
    meanwhile stays, because only facts are written; and it is not taken for
    something the builder has seen, because ``updated_at`` stays what was read.
    """

    def update(self, session: tp.Any = None, force: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Write the facts that changed, if the row is still there."""
        changed = {n: self.properties[n] for n in _FACTS if self.properties[n].is_dirty()}
        if not changed:
            return
        with utils.transaction(session) as active:
            # No row is no error: its deletion is the builder's next step.
            utils.update_columns(
                active,
                self.__tablename__,
                {"uuid": str(self.uuid)},
                self._get_prepared_data(changed),
            )
            if not changed.keys().isdisjoint(primary_domains.FACTS):
                primary_domains.write_primary(active, self.uuid)
            if "ipsv4" in changed:
                # The relay's own certificate names them.
                tls_pairs.mark(active, self.uuid)
                tls_facts.settle(active, self.uuid, utils.now())

    @classmethod
    def get_new_instances(
        cls,
        clause: tp.Any = None,  # noqa: ARG003 - of services that share a table; these do not
        limit: int = sdk_constants.DEF_SQL_LIMIT,
    ) -> list[tp.Any]:
        """Return *limit* of the instances that the builder has not passed on yet."""
        return cls._some_of(
            "NOT EXISTS (SELECT FROM ua_target_resources r WHERE r.uuid = i.uuid AND r.kind = %s)",
            limit,
        )

    @classmethod
    def get_updated_instances(
        cls,
        clause: tp.Any = None,  # noqa: ARG003
        limit: int = sdk_constants.DEF_SQL_LIMIT,
    ) -> list[tp.Any]:
        """Return *limit* of the instances that changed since the builder passed them on."""
        return cls._some_of(
            "EXISTS (SELECT FROM ua_target_resources r WHERE r.uuid = i.uuid AND r.kind = %s"
            " AND r.tracked_at <> i.updated_at)",
            limit,
        )

    @classmethod
    def _some_of(cls, condition: str, limit: int) -> list[tp.Any]:
        """Return *limit* of the instances that *condition* is true of, any of them.

        The platform's own query has no order, so it returns the same ones
        again: as many as its limit that wait (for a node, an agent) would
        keep all others from being looked at.
        """
        with utils.transaction() as session:
            rows = session.execute(
                f"SELECT i.uuid FROM {cls.__tablename__} i WHERE {condition}"  # noqa: S608
                " ORDER BY random() LIMIT %s",
                (cls.get_resource_kind(), limit),
            ).fetchall()
        if not rows:
            return []
        found: list[tp.Any] = cls.objects.get_all(
            filters={"uuid": filters.In([str(row["uuid"]) for row in rows])}
        )
        return found

    @classmethod
    def get_resource_kind(cls) -> str:
        """Return the resource kind; each builder has its own."""
        raise NotImplementedError

    def actual_node_set(self) -> sdk_models.NodeSet | None:
        """Return the node set as Core last reported it, None before it has."""
        with utils.transaction() as session:
            rows = session.execute(
                "SELECT value FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
                (str(self.uuid), sdk_models.NodeSet.get_resource_kind()),
            ).fetchall()
        if not rows:
            return None
        # As ``NodeSet.from_ua_resource``, and no more of the row than it takes.
        found: sdk_models.NodeSet = sdk_models.NodeSet.restore_from_simple_view(
            skip_unknown_fields=True, **rows[0]["value"]
        )
        return found

    def observe(
        self,
        infra: str,
        nodes: tp.Iterable[sys_uuid.UUID],
        heard: tp.Mapping[sys_uuid.UUID, Said] | None = None,
    ) -> None:
        """Set status and error by *infra*, see ``status``, and what *nodes* last said.

        *heard* is that, where it is known already.
        """
        agents = [agent_uuid(node) for node in nodes]
        if heard is None:
            heard = said(agents)
        fields = [heard[agent].fields for agent in agents if agent in heard]
        known = frozenset.intersection(*fields) if fields else None
        told = filter(None, [losses.told(self.uuid, known), self._remade_key()])
        self.status, self.error = status.instance_status(
            infra, _reports(agents, heard), "; ".join(told)
        )

    def _remade_key(self) -> str:
        """Return that the primary domain's key is not the one in DNS, if it was made anew."""
        with utils.transaction() as session:
            selector = dkim_keys.remade(session, self.uuid)
        if not selector:
            return ""
        return (
            f"the DKIM key {selector} of {self.domain} was lost and made anew: publish its record,"
            " until then receivers cannot verify what is sent"
        )

    def take_over_keys(self, told: tp.Iterable[dkim_values.Value]) -> None:
        """Take over the public keys that a node holds, and the one that signs as facts."""
        with utils.transaction() as session:
            dkim_keys.report(session, self.uuid, told)
            facts = key_rows.facts(session, primary_domains.primary_uuid(self.uuid))
        if facts.get("dkim_public_key"):
            self.dkim_public_key, self.dkim_selector = (
                facts[name] for name in primary_domains.FACTS
            )

    def signs_with(self, selector: str) -> bool:
        """Return whether the key *selector* of the primary domain is the one that is to sign."""
        with utils.transaction() as session:
            facts = key_rows.facts(session, primary_domains.primary_uuid(self.uuid))
        return facts.get("dkim_selector", selector) == selector


def _reports(
    agents: tp.Collection[sys_uuid.UUID], heard: tp.Mapping[sys_uuid.UUID, Said]
) -> list[status.Report]:
    silent = heartbeats.silent_agents([str(agent) for agent in agents])
    nothing = Said(frozenset(), statuses.IN_PROGRESS, "")
    last = [(str(agent), heard.get(agent, nothing)) for agent in agents]
    return [status.Report(each.status, each.error, agent in silent) for agent, each in last]
