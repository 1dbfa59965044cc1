# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The SDK's own agent with our driver, between a control plane and a fake node."""

from __future__ import annotations

import pathlib
import typing as tp
import uuid as sys_uuid

from gcl_sdk.agents.universal.clients.orch import base as orch_base
from gcl_sdk.agents.universal.dm import models
from gcl_sdk.agents.universal.services import agent

from exordos_paas_mail import constants, driver
from exordos_paas_mail.codecs import account_shards
from exordos_paas_mail.node import account_references, health, kept, parts, served_pair

if tp.TYPE_CHECKING:
    from exordos_paas_mail.tests.unit.node import fake_node

UUID = sys_uuid.UUID("5f3b0f4e-7c1d-5f0a-9c53-0a6c7f1f1a11")
DOMAIN = "example.com"
ALICE = "alice@example.com:$6$salt$alice\n"
BOB = "bob@example.com:$6$salt$bob\n"

RELOAD = "systemctl reload exim4"
REPAIR = "systemctl --no-block start exordos-metapaas-mail-configure"
START = "systemctl --no-block start exim4"
SHOW = (
    "systemctl show --property=ActiveState,Result,AssertResult,AssertTimestamp "
    "exordos-metapaas-mail-configure"
)


class Orchestrator(orch_base.AbstractOrchClient):
    """The control plane's end: hands out a target, keeps what comes back."""

    def __init__(self) -> None:
        self.target: list[models.Resource] = []
        self.facts: dict[str, dict[str, tp.Any]] = {}

    def agents_create(self, agent: models.UniversalAgent, **_: tp.Any) -> models.UniversalAgent:
        return agent

    def agents_update(self, agent: models.UniversalAgent, **_: tp.Any) -> models.UniversalAgent:
        return agent

    def agents_get_payload(
        self,
        uuid: sys_uuid.UUID,
        payload: models.Payload | None,
        **_: tp.Any,
    ) -> models.Payload:
        answer = models.Payload.empty()
        answer.capabilities = {constants.INSTANCE_NODE_KIND: {"resources": []}}
        answer.add_caps_resources(self.target)
        if self.facts:
            answer.facts = {constants.INSTANCE_NODE_KIND: {"resources": list(self.facts.values())}}
        answer.calculate_hash()
        # As HttpOrchClient: an agent that is up to date goes on with what it has.
        return payload if payload is not None and payload.hash == answer.hash else answer

    def resources_get(self, kind: str, uuid: sys_uuid.UUID, **_: tp.Any) -> models.Resource:
        raise NotImplementedError(kind, uuid)

    def resources_create(self, resource: models.Resource, **_: tp.Any) -> models.Resource:
        self.facts[str(resource.uuid)] = resource.dump_to_simple_view()
        return resource

    def resources_update(
        self,
        kind: str,
        uuid: sys_uuid.UUID,
        **fields: tp.Any,
    ) -> models.Resource:
        self.facts[str(uuid)].update(fields)
        return models.Resource.restore_from_simple_view(**self.facts[str(uuid)])

    def resources_delete(self, resource: models.Resource, **_: tp.Any) -> None:
        del self.facts[str(resource.uuid)]


def texts(passwd: str, **others: str) -> dict[str, str]:
    """Return the text of each part that a target tells: the accounts and *others*."""
    return {"passwd": passwd, **others}


class Stage:
    """One node with its agent; ``boot`` is the agent's restart."""

    def __init__(self, fake: fake_node.FakeNode) -> None:
        self.fake = fake
        self.orchestrator = Orchestrator()
        self._boots = 0
        self.boot()

    def boot(self) -> None:
        machine = self.fake.machine
        state = pathlib.Path(self.fake.directory, "state")
        # The SDK keeps one storage a path and process: a link is another path.
        self._boots += 1
        link = state.with_name(f"state-{self._boots}")
        link.symlink_to(state)

        class Model(driver.MailInstanceNode):
            _machine = machine
            _parts = parts.of(machine)
            _served_pair = served_pair.ServedPair(machine)
            _kept = kept.Kept(machine)
            _references = account_references.References(_parts[account_references.FIELD], _kept)
            _health = health.Health(machine)

        class Driver(driver.MailCapabilityDriver):
            __model_map__: tp.ClassVar = {constants.INSTANCE_NODE_KIND: Model}

        self.driver = Driver(meta_file=str(link / constants.AGENT_STATE_FILE))
        self.agent = agent.UniversalAgentService(
            agent_uuid=UUID,
            system_uuid=UUID,
            orch_client=self.orchestrator,
            caps_drivers=[self.driver],
            facts_drivers=[],
            payload_path=str(link / "payload.json"),
        )

    def want(self, text: str | None, domain: str = DOMAIN, **others: str) -> None:
        if text is None:
            self.orchestrator.target = []
            return
        self.tell(texts(text, **others), domain)

    def tell(self, told: dict[str, str], domain: str = DOMAIN) -> None:
        """Make the parts *told*, and no others, the node's target."""
        value = {"uuid": str(UUID), "name": "node", "domain": domain, **told}
        self.orchestrator.target = [
            models.Resource.from_value(value, constants.INSTANCE_NODE_KIND, value.keys())
        ]

    def turn(self) -> list[str]:
        """Have the agent do one pass; returns the commands it ran, see ``FakeNode.calls``."""
        self.agent._iteration()
        return self.fake.calls()

    @property
    def fact(self) -> dict[str, tp.Any]:
        return self.orchestrator.facts[str(UUID)]

    @property
    def value(self) -> dict[str, tp.Any]:
        return tp.cast("dict[str, tp.Any]", self.fact["value"])

    @property
    def settled(self) -> bool:
        (target,) = self.orchestrator.target
        return bool(target.hash == self.fact["hash"])

    @property
    def file(self) -> pathlib.Path:
        return self.fake.path(constants.PASSWD_FILE)


def refer(stage: Stage, accounts: dict[str, str], *lines_of: str, **others: str) -> None:
    """Tell *accounts* by reference, with the lines of the shards that some names are in."""
    shards: dict[int, list[account_shards.Pair]] = {n: [] for n in range(account_shards.COUNT)}
    for pair in accounts.items():
        shards[account_shards.shard_of(pair[0])].append(pair)
    digests = [account_shards.digest(pairs) for _, pairs in sorted(shards.items())]
    lines = {n: shards[n] for n in map(account_shards.shard_of, lines_of)}
    value = {
        "uuid": str(UUID),
        "name": "node",
        "domain": DOMAIN,
        "passwd_shards": account_shards.render(digests),
        **others,
    }
    target = models.Resource.from_value(value, constants.INSTANCE_NODE_KIND, value.keys())
    # As the control plane: no hash has the lines.
    target.value = {**value, "passwd_lines": account_shards.render_lines(lines)}
    stage.orchestrator.target = [target]
