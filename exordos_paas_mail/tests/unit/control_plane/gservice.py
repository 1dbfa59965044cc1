# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The services of gservice, one pass at a time, and the agents of nodes."""

from __future__ import annotations

import typing as tp
import uuid as sys_uuid

from exordos_metapaas.services import gservice as runtime
from gcl_sdk.agents.universal.clients.orch import db as orch_db
from gcl_sdk.agents.universal.dm import models as ua_models
from gcl_sdk.agents.universal.drivers import core as core_drivers
from gcl_sdk.agents.universal.services import agent as agent_service
from gcl_sdk.agents.universal.status_api.dm import models as status_models
from restalchemy.dm import filters
from restalchemy.storage.sql import engines

from exordos_paas_mail import constants, definition, paas_models
from exordos_paas_mail.control_plane import targets
from exordos_paas_mail.control_plane.reconcile import instances
from exordos_paas_mail.tests.unit.control_plane import fake_core

if tp.TYPE_CHECKING:
    import pathlib

PROJECT = sys_uuid.UUID(constants.METAPAAS_PROJECT_ID)
# As a machine's, it is the same after a start.
_SYSTEM = sys_uuid.UUID("1f0c1b1e-2d7a-4f57-9d1b-7a3c7c1c5a01")
_RUNTIME_TABLES = (
    "ua_target_resources",
    "ua_actual_resources",
    "ua_tracked_resources",
    "ua_node_encryption_keys",
    "ua_agents",
)


class GService:
    """What exordos_metapaas.cmd.gservice runs, minus the reconciler of plugins."""

    def __init__(self, core: fake_core.FakeCore, work_dir: pathlib.Path) -> None:
        account: dict[str, tp.Any] = {
            "core_username": fake_core.USERNAME,
            "core_password": fake_core.PASSWORD,
            "core_api_base_url": core.url,
            "project_id": PROJECT,
        }
        # As runtime.UAgent, which takes the system's uuid for its own.
        self.agent = agent_service.UniversalAgentService(
            agent_uuid=_SYSTEM,
            system_uuid=_SYSTEM,
            orch_client=orch_db.DatabaseOrchClient(),
            caps_drivers=[
                core_drivers.RestCoreCapabilityDriver(
                    username=fake_core.USERNAME,
                    password=fake_core.PASSWORD,
                    user_api_base_url=core.url,
                    project_id=PROJECT,
                    use_project_scope=True,
                    agent_work_dir=str(work_dir),
                    node_set="/v1/compute/sets/",
                    config="/v1/config/configs/",
                )
            ],
            facts_drivers=[],
            payload_path=str(work_dir / "payload.json"),
            verify_node_on_register=False,
        )
        self.scheduler = runtime.InfraScheduler()
        self._account = account
        self.start()
        self.agent._register_agent()

    def start(self) -> None:
        """Make what the plugin runs there, anew where gservice is started again."""
        builders = definition.MailDefinition().get_builders(**self._account)
        self.infra, self.paas, self.dns, self.publisher, self.events, *threads = builders
        self.queue, self.documents, *_ = self.threads = threads

    def infra_pass(self) -> None:
        self.infra._iteration()

    def paas_pass(self) -> None:
        self.paas._iteration()

    def core_pass(self) -> None:
        self.scheduler._iteration()
        self.agent._iteration()

    def tick(self, times: int = 1) -> None:
        """Do what gservice does in as many rounds of its loop."""
        for _ in range(times):
            self.core_pass()
            self.infra_pass()
            self.paas_pass()


class Node:
    """The mail agent of a node, as far as the control plane sees it."""

    def __init__(self, uuid: sys_uuid.UUID) -> None:
        self.uuid = uuid
        self.agent = instances.agent_uuid(uuid)
        self._orch = orch_db.DatabaseOrchClient()

    def is_known(self) -> bool:
        """Tell whether the node's key is there, without which its agent cannot register."""
        known = {"uuid": filters.EQ(str(self.uuid))}
        return bool(status_models.NodeVerifier.objects.get_all(filters=known, limit=1))

    def register(self) -> None:
        agent = ua_models.UniversalAgent.from_system_uuid(
            capabilities=[constants.INSTANCE_NODE_KIND],
            facts=[],
            agent_uuid=self.agent,
            system_uuid=self.uuid,
        )
        self._orch.agents_create(agent, check_node_exists=True)

    def target(self) -> dict[str, tp.Any]:
        """Return what the agent is told to hold; LookupError if it is told nothing."""
        payload = self._orch.agents_get_payload(self.agent, None)
        resources = payload.caps_resources(constants.INSTANCE_NODE_KIND)
        assert len(resources) <= 1
        if not resources:
            raise LookupError("the node is told nothing")
        value: dict[str, tp.Any] = resources[0].value
        return value

    def is_told(self) -> bool:
        """Tell whether the agent is told to hold anything."""
        try:
            self.target()
        except LookupError:
            return False
        return True

    def report(self, lacking: tp.Collection[str] = (), **facts_: tp.Any) -> None:
        """Apply the target and report it, with *facts_*, as the agent does.

        *lacking* are the parts and facts that its image does not have.
        """
        known_facts = {
            "status": "ACTIVE",
            "error": "",
            "hostname": self.target()["domain"],
            "heartbeat": constants.HEARTBEAT_PERIOD,
            "mta_sts": True,
            "gathers_accounts": True,
            "smarthost_below": True,
        }
        facts = {name: fact for name, fact in known_facts.items() if name not in lacking}
        unsaid = {"passwd_lines", *lacking}
        told = {name: value for name, value in self.target().items() if name not in unsaid}
        fields = (*targets.PARTS, "passwd_shards")
        parts = dict.fromkeys(part for part in fields if part not in lacking)
        value = {**facts, **parts, **told, **facts_}
        resource = ua_models.Resource.from_value(value, constants.INSTANCE_NODE_KIND, tuple(told))
        resource.node = self.uuid
        known = ua_models.Resource.objects.get_one_or_none(
            filters={
                "uuid": filters.EQ(self.agent),
                "kind": filters.EQ(constants.INSTANCE_NODE_KIND),
            }
        )
        if known is None:
            self._orch.resources_create(resource)
            return
        self._orch.resources_update(
            constants.INSTANCE_NODE_KIND,
            self.agent,
            value=resource.value,
            hash=resource.hash,
            full_hash=resource.full_hash,
            status=resource.status,
        )

    def beat(self, seconds_ago: float = 0) -> None:
        """Write the node's heartbeat, as it was so many seconds ago."""
        resource = ua_models.Resource.from_value(
            {"uuid": str(self.agent)}, constants.HEARTBEAT_KIND, ("uuid",)
        )
        resource.node = self.uuid
        with engines.engine_factory.get_engine().session_manager() as session:
            session.execute(
                "DELETE FROM ua_actual_resources WHERE uuid = %s AND kind = %s",
                (str(self.agent), constants.HEARTBEAT_KIND),
            )
            resource.insert(session=session)
            session.execute(
                "UPDATE ua_actual_resources SET updated_at = updated_at - make_interval(secs => %s)"
                " WHERE uuid = %s AND kind = %s",
                (seconds_ago, str(self.agent), constants.HEARTBEAT_KIND),
            )


def plugin_tables(session: tp.Any) -> list[str]:
    """Return the names of the plugin's tables."""
    rows = session.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^mail_'"
        " ORDER BY 1"
    ).fetchall()
    return [row["tablename"] for row in rows]


def tables(session: tp.Any) -> list[str]:
    """Return the names of the tables that a test may have written to, all but the catalogues."""
    return [*plugin_tables(session), *_RUNTIME_TABLES]


def row_versions() -> dict[str, set[tuple[tp.Any, ...]]]:
    """Return which transaction wrote each row: equal before and after is nothing written."""
    with engines.engine_factory.get_engine().session_manager() as session:
        tables = (*plugin_tables(session), "ua_target_resources", "ua_node_encryption_keys")
        versions: dict[str, set[tuple[tp.Any, ...]]] = {table: set() for table in tables}
        # One statement for all: hundreds of tests ask twice each.
        rows = session.execute(
            " UNION ALL ".join(
                f"SELECT '{table}' AS name, ctid::text, xmin::text, xmax::text FROM {table}"  # noqa: S608
                for table in tables
            )
        ).fetchall()
        for row in rows:
            versions[row.pop("name")].add(tuple(row.values()))
        return versions


def target_kinds() -> list[str]:
    return sorted(resource.kind for resource in ua_models.TargetResource.objects.get_all())


def instance(path: str) -> paas_models.MailInstance:
    """Return the row behind an instance's path."""
    uuid = sys_uuid.UUID(path.rpartition("/")[2])
    found = paas_models.MailInstance.objects.get_one(filters={"uuid": filters.EQ(uuid)})
    assert isinstance(found, paas_models.MailInstance)
    return found
