# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""CPU of a settled pass of a node's agent, and the driver's own share of it.

The reference is the same agent loop above a driver that reports its accounts as
a plain dict, address to {"password_hash": ...} (1.6 MB of JSON at 10,000), in
the same process and run. Exit status 1 when a bound is broken: the whole loop
at most a fifth of the dict's, the driver's share at most a fifth of the loop,
and at most twice as much with the most accounts as with the fewest. With the
fewest accounts the loop with 50 domains, two DKIM keys each, costs at most 1.1
times the loop with the primary domain alone.

    python -m benchmarks.agent_loop [ACCOUNTS...]
"""

from __future__ import annotations

import logging
import os
import pathlib
import statistics
import sys
import tempfile
import time
import typing as tp

from gcl_sdk.agents.universal.dm import models
from gcl_sdk.agents.universal.drivers import meta
from restalchemy.dm import properties, types

from exordos_paas_mail import constants
from exordos_paas_mail.codecs import dkim, domain_table, mail_env, passwd
from exordos_paas_mail.tests.unit.node import agent_stage, fake_node

RATIO_MAX = 0.2
SHARE_MAX = 0.2
GROWTH_MAX = 2.0
DOMAINS = 50
DOMAINS_RATIO_MAX = 1.1
TURNS = 9
DOMAINS_TURNS = 200
HASH = "$6$saltsaltsaltsalt$" + "h" * 86


def parse(text: str) -> dict[str, dict[str, str]]:
    """Return the accounts of a file by address."""
    pairs = (line.split(":", 1) for line in text.splitlines())
    return {address: {"password_hash": value} for address, value in pairs}


class DictNode(meta.MetaDataPlaneModel):
    """Accounts as the keys of a dict, read from the same file."""

    name = properties.property(types.String(), default="")
    accounts = properties.property(types.Dict(), default=dict)
    file: tp.ClassVar[pathlib.Path]

    def get_meta_model_fields(self) -> set[str]:
        """Keep the accounts out of the state file."""
        return {"uuid", "name"}

    def dump_to_dp(self) -> None:
        """Write the accounts."""
        hashes = sorted((key, value["password_hash"]) for key, value in self.accounts.items())
        self.file.write_text("".join(f"{key}:{value}\n" for key, value in hashes))

    update_on_dp = dump_to_dp

    def restore_from_dp(self) -> None:
        """Read the accounts."""
        self.accounts = parse(self.file.read_text())


class DictDriver(meta.MetaFileStorageAgentDriver):
    """The SDK's driver above it."""

    __model_map__: tp.ClassVar = {constants.INSTANCE_NODE_KIND: DictNode}


def cpu_ms(call: tp.Callable[[], object]) -> float:
    """Return the CPU of *call* in milliseconds."""
    started = time.process_time()
    call()
    return (time.process_time() - started) * 1000


def target(value: dict[str, tp.Any]) -> list[models.Resource]:
    value = {"uuid": str(agent_stage.UUID), "name": "node", **value}
    return [models.Resource.from_value(value, constants.INSTANCE_NODE_KIND, value.keys())]


def settle(stage: agent_stage.Stage) -> None:
    """Let the agent apply its target, and the files grow older than a clock tick."""
    for _ in range(3):
        stage.agent._iteration()  # noqa: SLF001
    time.sleep(1.1)
    stage.agent._iteration()  # noqa: SLF001


def measure(count: int, directory: pathlib.Path) -> tuple[float, float, float]:
    """Return the loop with the dict, our loop, our driver's share, CPU ms of a settled pass."""
    text = passwd.render(((f"user{n:07}", HASH) for n in range(count)), agent_stage.DOMAIN)
    for name in ("dict", "text"):
        (directory / name).mkdir()
    path = os.environ["PATH"]

    plain = agent_stage.Stage(fake_node.FakeNode(directory / "dict"))
    DictNode.file = directory / "dict-passwd"
    DictNode.file.touch()
    plain.agent._caps_drivers = [DictDriver(meta_file=str(directory / "dict.json"))]  # noqa: SLF001
    plain.orchestrator.target = target({"accounts": parse(text)})
    settle(plain)

    fake = fake_node.FakeNode(directory / "text")
    os.environ["PATH"] = fake.search_path
    fake.configured(agent_stage.DOMAIN)
    ours = agent_stage.Stage(fake)
    ours.orchestrator.target = target({"domain": agent_stage.DOMAIN, **agent_stage.texts(text)})
    settle(ours)
    assert ours.settled
    fake.calls()

    # Alternately: whatever else this machine does falls on both.
    rounds = [
        (
            cpu_ms(plain.agent._iteration),  # noqa: SLF001
            cpu_ms(ours.agent._iteration),  # noqa: SLF001
            cpu_ms(lambda: ours.driver.list(constants.INSTANCE_NODE_KIND)),
        )
        for _ in range(TURNS)
    ]
    # Once a minute it asks systemd for exim, and that is all.
    assert fake.calls() == []
    os.environ["PATH"] = path
    by_dict, by_text, share = (statistics.median(column) for column in zip(*rounds, strict=True))
    return by_dict, by_text, share


def domains(count: int) -> str:
    """Return the table of the primary domain and so many beside it."""
    duty = domain_table.SIGN
    first = domain_table.Key(constants.DKIM_SELECTOR, dkim.RSA, duty)
    others = tuple(domain_table.Key(f"m1{name[0]}", name, duty) for name in dkim.ALGORITHMS)
    names = [f"domain{number:02}.example" for number in range(count)]
    return domain_table.render(
        [
            domain_table.Domain(agent_stage.DOMAIN, domain_table.SEND, (first,)),
            *(domain_table.Domain(name, domain_table.SEND, others) for name in names),
        ]
    )


def measure_domains(count: int, directory: pathlib.Path) -> tuple[float, float, float]:
    """Return the loop with one domain, with DOMAINS more, CPU ms, and the ratio."""
    text = passwd.render(((f"user{n:07}", HASH) for n in range(count)), agent_stage.DOMAIN)
    path = os.environ["PATH"]
    stages = []
    for more in (0, DOMAINS):
        (directory / str(more)).mkdir()
        fake = fake_node.FakeNode(directory / str(more))
        os.environ["PATH"] = fake.search_path
        fake.configured(agent_stage.DOMAIN)
        fake.write(constants.MAIL_ENV_FILE, mail_env.render(agent_stage.DOMAIN))
        stage = agent_stage.Stage(fake)
        told = agent_stage.texts(text, domains=domains(more))
        stage.orchestrator.target = target({"domain": agent_stage.DOMAIN, **told})
        settle(stage)
        assert stage.settled
        stages.append(stage)
    rounds: list[list[float]] = []
    for number in range(DOMAINS_TURNS):
        order = stages if number % 2 else stages[::-1]
        costs = [cpu_ms(stage.agent._iteration) for stage in order]  # noqa: SLF001
        rounds.append(costs if number % 2 else costs[::-1])
    os.environ["PATH"] = path
    one, many = (statistics.median(column) for column in zip(*rounds, strict=True))
    return one, many, statistics.median(above / below for below, above in rounds)


def main(arguments: tp.Sequence[str]) -> int:
    logging.disable(logging.CRITICAL)
    broken = 0
    shares = []
    counts = [int(argument) for argument in arguments] or [10_000, 100_000]
    print("accounts  dict ms  text ms  ratio  driver's share ms")
    for count in counts:
        with tempfile.TemporaryDirectory() as directory:
            by_dict, by_text, share = measure(count, pathlib.Path(directory))
        ratio = by_text / by_dict
        print(f"{count:8}  {by_dict:7.1f}  {by_text:7.1f}  {ratio:5.3f}  {share:.2f}")
        shares.append(share)
        broken += ratio > RATIO_MAX or share / by_text > SHARE_MAX
    broken += shares[-1] / shares[0] > GROWTH_MAX
    with tempfile.TemporaryDirectory() as directory:
        one, many, ratio = measure_domains(counts[0], pathlib.Path(directory))
    print(
        f"{counts[0]} accounts, one domain {one:.1f} ms, {DOMAINS} more {many:.1f} ms: {ratio:.3f}"
    )
    broken += ratio > DOMAINS_RATIO_MAX
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
