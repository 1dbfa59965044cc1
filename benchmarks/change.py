# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the change of one account costs each part, by the number of accounts: make benchmark-change.

CPU of this process and of its PostgreSQL: the request and the passes of gservice, what the
APIs do of an agent's payload and report, and the agent with its driver on a fake node, the
pass after the change included, in which it looks once more at what it has written. Each
number of accounts is measured twice in one run: as they are told, and as a text whatever
their number. ACCOUNTS of the environment are other numbers, by spaces, TOLD the one way of
these. It has no bound but that the node ends with exactly the accounts that there are.

As they are told, it also measures the time from a request to the line in the node's account
file, where gservice and the agent begin a pass each 3 seconds, and how many times that of the
fewest accounts it is; the longest pass of gservice; and what an idle agent writes.
"""

from __future__ import annotations

import functools
import heapq
import os
import pathlib
import random
import statistics
import time
import typing as tp

import pytest

from benchmarks import database
from exordos_paas_mail import constants
from exordos_paas_mail.codecs import account_shards as codec
from exordos_paas_mail.codecs import passwd
from exordos_paas_mail.control_plane.targets import account_shards
from exordos_paas_mail.node import status_api
from exordos_paas_mail.tests.unit.control_plane import (
    api_client,
    fake_core,
    gservice,
    status_server,
)
from exordos_paas_mail.tests.unit.control_plane import stage as stages
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

COUNTS: tp.Final = [int(n) for n in os.environ.get("ACCOUNTS", "10 1000 10000 100000").split()]
DOMAIN: tp.Final = "mail.example.com"
RUNS: tp.Final = 5
# Seconds from one pass of gservice to the next, and of an agent; the least between two.
PERIOD: tp.Final = 3.0
PAUSE: tp.Final = 0.1
# Seconds after which a node knows that it would see a change of a file.
SETTLING: tp.Final = 1.1
ARRIVALS: tp.Final = 11
_Check: tp.TypeAlias = "tp.Callable[[], bool]"
PARTS: tp.Final = ("request", "gservice", "APIs", "PostgreSQL", "agent")
TOLD: tp.Final = os.environ.get("TOLD", "as it is told,as a text").split(",")
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


class Passes:
    """The passes of gservice, and the seconds of the longest."""

    def __init__(self, services: gservice.GService) -> None:
        self._services = services
        self.longest = 0.0

    def run(self) -> None:
        """Do one."""
        self.timed(self._both)

    def _both(self) -> None:
        self._services.infra_pass()
        self._services.paas_pass()

    def timed(self, act: tp.Callable[[], object]) -> None:
        """Do what may be the longest."""
        begun = time.monotonic()
        act()
        self.longest = max(self.longest, time.monotonic() - begun)


class Line:
    """The whole line from a write to the node's file, and what each part of it costs."""

    def __init__(self, passes: Passes, node: gservice.Node, agent: tp.Any) -> None:
        self._passes, self._node, self._agent = passes, node, agent
        self.spent = dict.fromkeys(PARTS, 0.0)

    def _count(self, part: str, act: tp.Callable[[], tp.Any]) -> tp.Any:
        # In this order: to look at the database's processes takes longer than some of it.
        server = database.cpu()
        own = time.thread_time()
        done = act()
        self.spent[part] += time.thread_time() - own
        self.spent["PostgreSQL"] += database.cpu() - server
        return done

    def turn(self, write: tp.Callable[[], object] | None = None) -> dict[str, float]:
        """Pass on what *write* writes, until a pass finds nothing; return the CPU ms by part."""
        self.spent = dict.fromkeys(PARTS, 0.0)
        if write is not None:
            self._count("request", write)
        self._count("gservice", self._passes.run)
        self.agent_pass()
        self._count("gservice", self._passes.run)
        # It looks at what it has just written once more, when another change would show.
        time.sleep(SETTLING)
        self.agent_pass()
        return {part: seconds * 1000 for part, seconds in self.spent.items()}

    def agent_pass(self) -> None:
        """Have the agent do a pass, and the APIs what it asks of them."""
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
            began = time.monotonic()
            if number == 0:
                begun = began
                write()
                continue
            (self._passes.run, self.agent_pass)[number - 1]()
            # As the platform's loops.
            heapq.heappush(due, (max(began + PERIOD, time.monotonic() + PAUSE), number))
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
        offsets = [PERIOD * chance.random() for _ in range(3)]
        new = f"{api_client.HASH[:-4]}{number:04}"
        change = {"password_hash": new}
        write = functools.partial(api.patch, f"{path}/accounts/{account['uuid']}", change)
        line_end = f":{new}\n"
        is_there = functools.partial(_has, file, line_end)
        found.append(line.seconds(offsets, write, is_there))
    return statistics.median(found)


def written() -> int:
    """Return how many bytes this process has had written to a disk."""
    lines = pathlib.Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("told", TOLD)
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
    # As autovacuum does in the first minute.
    database.execute("ANALYZE mail_accounts")
    telling, passes = Passes(services), Passes(services)
    with monkeypatch.context() as timing:
        timing.setattr(services, "paas_pass", functools.partial(telling.timed, services.paas_pass))
        node = stage.serving()
    fake = fake_node.FakeNode(tmp_path)
    monkeypatch.setenv("PATH", fake.search_path)
    fake.configured(DOMAIN)
    agent = agent_stage.Stage(fake)
    # It is told all, in as many pieces as that takes, and has told that it has all.
    first = Line(telling, node, agent)
    turns = 0
    while not (agent.file.exists() and agent.file.read_text().count("\n") == count):
        first.turn()
        turns += 1
    for _ in range(2):
        first.turn()

    line = Line(passes, node, agent)
    (account,) = api.get(f"{stage.path}/accounts/?username=user7")
    path = f"{stage.path}/accounts/{account['uuid']}"
    costs = [
        line.turn(functools.partial(api.patch, path, {"active": bool(run % 2)}))
        for run in range(RUNS)
    ]
    line.turn()
    rows = database.execute(
        "SELECT username, password_hash FROM mail_accounts WHERE instance = %s AND active",
        stage.uuid,
    )
    wanted = passwd.render(((row["username"], row["password_hash"]) for row in rows), DOMAIN)
    assert agent.file.read_text() == wanted
    medians = {part: statistics.median(cost[part] for cost in costs) for part in PARTS}
    # A tick of its clock is a good part of what it takes.
    medians["PostgreSQL"] = statistics.mean(cost["PostgreSQL"] for cost in costs)
    started, bytes_before = time.thread_time(), written()
    agent.agent._iteration()  # noqa: SLF001
    idle, idle_bytes = (time.thread_time() - started) * 1000, written() - bytes_before
    shown = ", ".join(f"{part} {spent:.0f}" for part, spent in medians.items())
    print(
        f"\n{count} accounts {told}: {sum(medians.values()):.0f} ms ({shown});"
        f" longest pass of gservice {passes.longest:.3f} s, {telling.longest:.3f} s to tell all"
        f" (there after {turns} reports);"
        f" idle agent pass {idle:.1f} ms, {idle_bytes / 1000 / PERIOD:.1f} kB/s written"
    )
    if told == "as it is told":
        seconds = arrival(line, api, stage.path, agent.file)
        _arrivals.append(seconds)
        print(
            f"from a request to the line on the node: {seconds:.2f} s,"
            f" {seconds / _arrivals[0]:.2f} times the first"
        )


def memory(process: int) -> tuple[float, float]:
    """Return the MB of memory that a process has, and has had at most."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    found = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(found["VmRSS"].split()[0]) / 1000, int(found["VmHWM"].split()[0]) / 1000


def test_memory_of_the_status_api(
    postgres: tp.Any, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Print it after reports of a node, by reference first: memory that was had is kept."""
    assert endpoint
    monkeypatch.setattr(status_api, "_ANSWER_SIZE_MAX", 2**26)
    monkeypatch.setattr(status_api, "TIMEOUT", 60.0)
    shards = codec.render([2**127 + n for n in range(codec.COUNT)])
    text = passwd.render(
        ((f"user{n}", api_client.HASH) for n in range(max(COUNTS))), "mail.example.com"
    )
    facts = {"domain": DOMAIN, "dkim_public_key": "k" * 400, "status": "ACTIVE"}
    with status_server.started(postgres.get_uri("mailaas")) as (address, process):
        api = status_api.StatusApi(address, status_server.NODE, status_server.KEY)
        uuid = agent_stage.UUID
        api.replace(constants.INSTANCE_NODE_KIND, uuid, facts)
        told = {
            "before": {**facts},
            "by reference": {**facts, "passwd_shards": shards},
            "as a text": {**facts, "passwd": text},
        }
        print()
        for way, value in told.items():
            for number in range(10):
                report = {**value, "error": str(number)}
                api.replace(constants.INSTANCE_NODE_KIND, uuid, report)
            now, peak = memory(process)
            print(f"memory of the Status API after reports {way}: {now:.1f} MB, peak {peak:.1f} MB")
