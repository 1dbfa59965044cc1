# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the change of one account costs each part, by the number of accounts: make benchmark-change.

CPU of this process and of its PostgreSQL: the write and the passes of gservice, what the
APIs do of an agent's payload and report, and the agent with its driver on a fake node. Each
number of accounts is measured twice in one run: as they are told, and as a text whatever
their number. ACCOUNTS of the environment are other numbers, by spaces. It has no bound but
that the node ends with exactly the accounts that there are.

As they are told, it also measures the time from a request to the line in the node's account
file, with the pauses that gservice and the agent make between two passes, and how many times that
of the fewest accounts it is.
"""

from __future__ import annotations

import functools
import heapq
import os
import random
import statistics
import time
import typing as tp

import pytest

from benchmarks import database
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import passwd
from exordos_paas_mail.control_plane.targets import account_shards
from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core, gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

if tp.TYPE_CHECKING:
    import pathlib

COUNTS: tp.Final = [int(n) for n in os.environ.get("ACCOUNTS", "10 1000 10000 100000").split()]
DOMAIN: tp.Final = "mail.example.com"
RUNS: tp.Final = 5
# Seconds between two passes of gservice, and of an agent.
PAUSE: tp.Final = 3.0
ARRIVALS: tp.Final = 11
_Check: tp.TypeAlias = "tp.Callable[[], bool]"
PARTS: tp.Final = ("gservice", "APIs", "PostgreSQL", "agent")
_arrivals: tp.Final[list[float]] = []
"""The seconds of each number of accounts so far, the fewest first."""


def fill(instance: str, count: int) -> None:
    """Give the instance its accounts, past the API, which hashes each password."""
    database.execute(
        "INSERT INTO mail_accounts (uuid, project_id, instance, username, password_hash,"
        " created_at, updated_at) SELECT gen_random_uuid(), i.project_id, i.uuid, 'user' || n,"
        " %s, now(), now() FROM mail_instances i, generate_series(1, %s) n WHERE i.uuid = %s",
        *(api_client.HASH, count, instance),
    )


class Line:
    """The whole line from a write to the node's file, and what each part of it costs."""

    def __init__(self, services: gservice.GService, node: gservice.Node, agent: tp.Any) -> None:
        self._services, self._node, self._agent = services, node, agent
        self.spent = dict.fromkeys(PARTS, 0.0)

    def _count(self, part: str, act: tp.Callable[[], tp.Any]) -> tp.Any:
        own, server = time.thread_time(), database.cpu()
        done = act()
        self.spent[part] += time.thread_time() - own
        self.spent["PostgreSQL"] += database.cpu() - server
        return done

    def _gservice(self) -> None:
        self._services.infra_pass()
        self._services.paas_pass()

    def turn(self) -> dict[str, float]:
        """Pass on what was written, until a pass finds nothing; return the CPU ms of each part."""
        self.spent = dict.fromkeys(PARTS, 0.0)
        self._count("gservice", self._gservice)
        self._agent_pass()
        self._count("gservice", self._gservice)
        return {part: seconds * 1000 for part, seconds in self.spent.items()}

    def _agent_pass(self) -> None:
        orch, agent = self._node._orch, str(self._node.agent)  # noqa: SLF001
        payload = self._count("APIs", lambda: orch.agents_get_payload(self._node.agent, None))
        control_plane = self._agent.orchestrator
        control_plane.target = payload.caps_resources(constants.INSTANCE_NODE_KIND)
        before = dict(control_plane.facts.get(agent, {}))
        self._count("agent", self._agent.agent._iteration)  # noqa: SLF001
        fact = control_plane.facts[agent]
        if fact != before:
            report = {name: fact[name] for name in ("value", "hash", "full_hash", "status")}
            self._count(
                "APIs",
                lambda: orch.resources_update(
                    constants.INSTANCE_NODE_KIND, self._node.agent, **report
                ),
            )

    def seconds(
        self, offsets: tp.Sequence[float], write: tp.Callable[[], object], is_there: _Check
    ) -> float:
        """Return how long it takes until what *write* writes is there, and the rest told.

        *offsets* say when the request comes, and when gservice and the agent pass first.
        """
        begun, arrived = 0.0, 0.0
        now = time.monotonic()
        due = [(now + offset, number) for number, offset in enumerate(offsets)]
        heapq.heapify(due)
        while not arrived:
            at, number = heapq.heappop(due)
            time.sleep(max(0.0, at - time.monotonic()))
            if number == 0:
                begun = time.monotonic()
                write()
                continue
            (self._gservice, self._agent_pass)[number - 1]()
            heapq.heappush(due, (time.monotonic() + PAUSE, number))
            if begun and is_there():
                arrived = time.monotonic() - begun
        self.turn()
        return arrived


def _has(file: pathlib.Path, part: str) -> bool:
    return part in file.read_text()


def arrival(line: Line, api: api_client.Client, path: str, file: pathlib.Path) -> float:
    """Return the median of the seconds from a request to its line in *file*."""
    (account,) = api.get(f"{path}/accounts/?username=user9")
    # Another order each time, and the same orders for each number of accounts.
    chance = random.Random(1)  # noqa: S311
    found = []
    for number in range(ARRIVALS):
        offsets = [PAUSE * chance.random() for _ in range(3)]
        new = f"{api_client.HASH[:-4]}{number:04}"
        change = {"password_hash": new}
        write = functools.partial(api.patch, f"{path}/accounts/{account['uuid']}", change)
        line_end = f":{new}\n"
        is_there = functools.partial(_has, file, line_end)
        found.append(line.seconds(offsets, write, is_there))
    return statistics.median(found)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("told", ["as it is told", "as a text"])
def test_one_account(  # noqa: PLR0913 - fixtures
    api: api_client.Client,
    core: fake_core.FakeCore,
    services: gservice.GService,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    told: str,
) -> None:
    if told == "as a text":
        monkeypatch.setattr(account_shards, "ACCOUNTS_MIN", 10**9)
    stage = stages.Stage(api, core, services)
    fill(stage.uuid, count)
    node = stage.serving()
    fake = fake_node.FakeNode(tmp_path)
    monkeypatch.setenv("PATH", fake.search_path)
    fake.configured(DOMAIN)
    agent = agent_stage.Stage(fake)
    line = Line(services, node, agent)
    for _ in range(4):
        line.turn()

    costs = []
    for run in range(RUNS):
        database.execute(
            "UPDATE mail_accounts SET active = %s WHERE instance = %s AND username = 'user7'",
            *(bool(run % 2), stage.uuid),
        )
        database.execute(
            "UPDATE mail_instances SET updated_at = timezone('utc', clock_timestamp())"
            " WHERE uuid = %s",
            stage.uuid,
        )
        costs.append(line.turn())
    line.turn()
    rows = database.execute(
        "SELECT username, password_hash FROM mail_accounts WHERE instance = %s AND active",
        stage.uuid,
    )
    wanted = passwd.render(((row["username"], row["password_hash"]) for row in rows), DOMAIN)
    assert agent.file.read_text() == wanted
    medians = {part: statistics.median(cost[part] for cost in costs) for part in PARTS}
    time.sleep(1.1)
    agent.agent._iteration()  # noqa: SLF001
    started = time.thread_time()
    agent.agent._iteration()  # noqa: SLF001
    idle = (time.thread_time() - started) * 1000
    state = fake.path(constants.AGENT_STATE_DIR)
    written = sum((state / name).stat().st_size for name in ("payload.json",))
    shown = ", ".join(f"{part} {spent:.0f}" for part, spent in medians.items())
    print(
        f"\n{count} accounts {told}: {sum(medians.values()):.0f} ms ({shown});"
        f" idle agent pass {idle:.1f} ms, its payload.json {written / 1000:.0f} kB"
    )
    if told == "as it is told":
        seconds = arrival(line, api, stage.path, agent.file)
        _arrivals.append(seconds)
        print(
            f"from a request to the line on the node: {seconds:.2f} s,"
            f" {seconds / _arrivals[0]:.2f} times the first"
        )
