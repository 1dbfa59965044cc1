# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What many small instances cost gservice, and when changes of them arrive: make benchmark-fleet.

INSTANCES of the environment, 1,000, each with a node that works and 10 accounts. One is made
by the services; the others are its rows under other uuids, in the database and in the Core of
the benchmark. It measures a pass of gservice with nothing to do, by its parts, and how long
100 accounts of as many instances that change at once take to their nodes at most: with the
periods that gservice and the agents may have to wait for.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import time
import typing as tp
import uuid as sys_uuid

from benchmarks import change, database
from exordos_paas_mail import constants
from exordos_paas_mail.control_plane.reconcile import instances as reconciled
from exordos_paas_mail.control_plane.records import primary_domains
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

if tp.TYPE_CHECKING:
    import pathlib

    import pytest

INSTANCES: tp.Final = int(os.environ.get("INSTANCES", "1000"))
ACCOUNTS: tp.Final = 10
CHANGED: tp.Final = 100
TURNS: tp.Final = 5
# Passes with nothing to do, after which there is nothing to come.
QUIET: tp.Final = 3
# Seconds of CPU, and of the clock: the bounds of the product.
IDLE_BOUND: tp.Final = 0.05
ARRIVAL_BOUND: tp.Final = 10.0
NEW_HASH: tp.Final = api_client.HASH_2

_UUID: tp.Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# The rows of an instance.
_TABLES: tp.Final = {
    "mail_instances": "uuid = '{instance}'",
    "mail_domains": "instance = '{instance}'",
    "mail_dkim_keys": "instance = '{instance}'",
    "mail_accounts": "instance = '{instance}'",
    "ua_agents": "uuid = '{agent}'",
    "ua_node_encryption_keys": "uuid = '{node}'",
    "ua_target_resources": "'{instance}' IN (uuid, master)",
    "ua_actual_resources": "uuid IN ('{instance}', '{config}', '{agent}')",
}


def names(instance: sys_uuid.UUID, node: sys_uuid.UUID) -> dict[str, sys_uuid.UUID]:
    """Return the uuids that follow from those of an instance and its node, by what they are of."""
    agent = reconciled.agent_uuid(node)
    config = sys_uuid.uuid5(instance, f"config-{node}")
    return {
        "instance": instance,
        "node": node,
        "agent": agent,
        "config": config,
        "domain": primary_domains.primary_uuid(instance),
        **{
            f"row of {kind}": sys_uuid.uuid5(of, kind)
            for of, kind in (
                (instance, constants.INSTANCE_KIND),
                (instance, constants.INSTANCE_INFRA_KIND),
                (instance, "node_set"),
                (config, "config"),
                (agent, constants.INSTANCE_NODE_KIND),
                (agent, constants.HEARTBEAT_KIND),
            )
        },
    }


class Model:
    """An instance that works, to be copied."""

    def __init__(self, core: fake_core.FakeCore, instance: str, node: gservice.Node) -> None:
        self._names = names(sys_uuid.UUID(instance), node.uuid)
        self._rows = {
            table: json.dumps(
                [
                    row["row"]
                    for row in database.execute(
                        f"SELECT to_jsonb(t) AS row FROM {table} t"  # noqa: S608
                        f" WHERE {condition.format(**self._names)}"
                    )
                ]
            )
            for table, condition in _TABLES.items()
        }
        own = [
            row["uuid"]
            for table in ("mail_accounts", "mail_dkim_keys")
            for row in json.loads(self._rows[table])
        ]
        self._own = set(own)
        self._core = core
        self._set = json.dumps(core.sets[instance])
        self._config = json.dumps(core.configs[str(self._names["config"])])
        self._key = core.node_keys[str(node.uuid)]

    def copy(self) -> gservice.Node:
        """Make another instance like it; return its node."""
        node = sys_uuid.uuid4()
        new = names(sys_uuid.uuid4(), node)
        known = {str(self._names[name]): str(uuid) for name, uuid in new.items()}

        def other(found: re.Match[str]) -> str:
            uuid = found[0]
            if uuid in self._own:
                return str(sys_uuid.uuid5(node, uuid))
            return known.get(uuid, uuid)

        for table, rows in self._rows.items():
            database.execute(
                f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(null::{table}, %s)",  # noqa: S608
                _UUID.sub(other, rows),
            )
        self._core.sets[str(new["instance"])] = json.loads(_UUID.sub(other, self._set))
        self._core.configs[str(new["config"])] = json.loads(_UUID.sub(other, self._config))
        self._core.node_keys[str(node)] = self._key
        return gservice.Node(node)


def cost(act: tp.Callable[[], object]) -> tuple[float, float]:
    """Return the CPU seconds of *act*, of this thread and of the database."""
    server = database.cpu()
    own = time.thread_time()
    act()
    return time.thread_time() - own, database.cpu() - server


def beat() -> None:
    """Have each node give its sign of life now: one that is silent costs, and none is."""
    database.execute(
        "UPDATE ua_actual_resources SET updated_at = timezone('utc', clock_timestamp())"
        " WHERE kind = %s",
        constants.HEARTBEAT_KIND,
    )


def written() -> list[tp.Any]:
    """Return what differs after any write of what gservice keeps of instances."""
    return [
        database.execute(f"SELECT md5(string_agg(xmin::text, ',' ORDER BY uuid)) FROM {table}")  # noqa: S608
        for table in ("mail_instances", "ua_target_resources")
    ]


def settle(core: fake_core.FakeCore, services: gservice.GService) -> None:
    """Let passes go by until three in a row find nothing to do.

    A copy has the hashes of the first: Core is asked to take it once more, some dozens a pass,
    and what it then says of it has another one, of which some dozens are looked at a pass.
    """
    quiet = 0
    for _ in range(INSTANCES):
        core.requests.clear()
        before = written()
        beat()
        services.core_pass()
        services.infra_pass()
        services.paas_pass()
        is_asked = any(method != "GET" for method, _ in core.requests)
        quiet = 0 if is_asked or written() != before else quiet + 1
        if quiet == QUIET:
            return
    raise AssertionError(f"something is still to do: {core.requests[:5]}")


def test_many_instances(
    api: api_client.Client,
    core: fake_core.FakeCore,
    services: gservice.GService,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = stages.Stage(api, core, services)
    change.fill(stage.uuid, ACCOUNTS)
    first = stage.serving()
    first.beat()
    services.tick(3)
    fake = fake_node.FakeNode(tmp_path)
    monkeypatch.setenv("PATH", fake.search_path)
    fake.configured(change.DOMAIN)
    agent = agent_stage.Stage(fake)
    line = change.Line(change.Passes(services), first, agent)
    for _ in range(4):
        line.turn()
    model = Model(core, stage.uuid, first)
    nodes = [first, *(model.copy() for _ in range(INSTANCES - 1))]
    database.execute("ANALYZE")
    settle(core, services)

    parts = {
        "the infra builder": services.infra_pass,
        "the builder of what nodes hold": services.paas_pass,
        "the platform's scheduler and agent of Core": services.core_pass,
    }
    spent: dict[str, list[tuple[float, float]]] = {part: [] for part in parts}
    for _ in range(TURNS):
        for part, act in parts.items():
            beat()
            spent[part].append(cost(act))
        assert not database.execute("SELECT FROM ua_outdated_resources_view LIMIT 1")
    print(f"\n{INSTANCES} instances of {ACCOUNTS} accounts, a pass with nothing to do, CPU:")
    ours = 0.0
    for part, costs in spent.items():
        own = statistics.median(found[0] for found in costs)
        # A tick of its clock is longer than most statements.
        server = statistics.mean(found[1] for found in costs)
        ours += 0.0 if part.startswith("the platform") else own + server
        print(f"  {part}: {own * 1000:.1f} ms, PostgreSQL {server * 1000:.1f} ms")

    changing = nodes[:CHANGED]
    database.execute(
        "UPDATE mail_accounts SET password_hash = %s WHERE username = 'user7' AND instance IN"
        " (SELECT master FROM ua_target_resources WHERE uuid = ANY(%s::uuid[]))",
        *(NEW_HASH, [str(node.agent) for node in changing]),
    )
    database.execute(
        "UPDATE mail_instances SET updated_at = timezone('utc', clock_timestamp()) WHERE uuid IN"
        " (SELECT master FROM ua_target_resources WHERE uuid = ANY(%s::uuid[]))",
        [str(node.agent) for node in changing],
    )
    beat()
    passing = sum(cost(services.tick))
    # All of the fleet ask within a period, and those that are told something last.
    asking = sum(cost(lambda: [node.target() for node in reversed(nodes)]))
    assert all(f":{NEW_HASH}\n" in node.target()["passwd"] for node in changing)
    applying, _ = cost(line.agent_pass)
    assert f":{NEW_HASH}\n" in agent.file.read_text()
    # gservice may have begun a pass just before, and each agent has asked just before. Seconds
    # of CPU for what is done: those of the clock are as many more as others have to do.
    seconds = change.PERIOD + passing + change.PERIOD + asking + applying
    print(
        f"{CHANGED} changes at once: CPU of a pass of gservice that tells them {passing:.2f} s,"
        f" of the payloads of all agents {asking:.2f} s;"
        f" they are on their nodes after {seconds:.1f} s at the latest"
    )
    assert ours <= IDLE_BOUND
    assert seconds <= ARRIVAL_BOUND
