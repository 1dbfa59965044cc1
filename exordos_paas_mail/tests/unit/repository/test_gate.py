# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The gate is spelled once, and the workflows run it by its parts."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[4]
GATE = ROOT / ".ci/run"
WORKFLOWS = ROOT / ".github/workflows"

PARTS = {
    "static": ["lint", "typecheck"],
    "unit": ["test"],
    "workflows": ["test-workflows"],
    "agent": [
        "test-metrics",
        "test-webhooks",
        "benchmark-agent",
        "benchmark-control-plane",
        "benchmark-dns",
        "benchmark-events",
        "benchmark-webhooks",
    ],
    "relay": ["test-relay", "benchmark-relay"],
    "image": ["test-image", "image", "test-machine"],
    "stand": ["functional", "stand-down"],
}
# What one machine has no time for after all that.
MORE = {"coverage": ["coverage"], "clients": ["test-clients", "test-peers", "stand-down"]}
EVERYTHING = [target for targets in PARTS.values() for target in targets]


# In the order in which they begin; those of a lane by themselves.
FIRST = ["lint", "typecheck"]
STAND = ["functional", "stand-down"]
OTHERS = [
    "test",
    "test-workflows",
    "test-metrics",
    "test-webhooks",
    "test-relay",
    "test-image",
    "image",
    "test-machine",
]
ALONE = [
    "benchmark-agent",
    "benchmark-control-plane",
    "benchmark-dns",
    "benchmark-events",
    "benchmark-webhooks",
    "benchmark-relay",
]


_UNTIL_INTERRUPTED = (
    "trap 'echo ended >>made; exit 1' INT; touch ready; while :; do sleep 0.01; done"
)


def _once(name: str) -> str:
    """Return the commands that wait for the file *name* of another target."""
    return f"while ! [ -e {name} ]; do sleep 0.01; done"


def start_gate(directory: pathlib.Path, *parts: str, **targets: str) -> subprocess.Popen[str]:
    """Start the gate with a make that does nothing, or what *targets* has for a target."""
    cases = "".join(f"{name}) {script};;\n" for name, script in targets.items())
    make = directory / "make"
    make.write_text(
        f'#!/bin/sh\nshift\ncd {directory}\necho "$1" >>made\ncase $1 in\n{cases}esac\n',
        encoding="utf-8",
    )
    make.chmod(0o755)
    return subprocess.Popen(
        # As a shell starts what is to run in the background.
        ["env", "--ignore-signal=INT", GATE, *parts],
        env={"PATH": f"{directory}:{os.environ['PATH']}", "TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def made(directory: pathlib.Path) -> list[str]:
    """Return the targets that a gate has made, in the order of their beginning."""
    names = directory / "made"
    return names.read_text().split() if names.exists() else []


def run_gate(directory: pathlib.Path, *parts: str, **targets: str) -> tuple[int, str, list[str]]:
    """Run the gate: its status, what it complains of, the targets."""
    with start_gate(directory, *parts, **targets) as gate:
        _, complaints = gate.communicate()
    return gate.returncode, complaints, made(directory)


def workflow_steps(*names: str) -> list[str]:
    """Return the commands that the workflows called *names* run."""
    workflows = [yaml.safe_load((WORKFLOWS / name).read_text()) for name in names]
    return [
        step["run"]
        for workflow in workflows
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]


@pytest.mark.parametrize(("part", "targets"), [*PARTS.items(), *MORE.items()], ids=[*PARTS, *MORE])
def test_a_part_runs_its_targets(tmp_path: pathlib.Path, part: str, targets: list[str]) -> None:
    assert run_gate(tmp_path, part) == (0, "", targets)


def test_the_gate_runs_everything_and_alone_what_measures(tmp_path: pathlib.Path) -> None:
    status, complaints, targets = run_gate(tmp_path)

    assert (status, complaints) == (0, "")
    assert sorted(targets) == sorted(["venv", *EVERYTHING])
    lanes = targets[len(FIRST) + 1 : -len(ALONE)]
    assert targets == [*FIRST, "venv", *lanes, *ALONE]
    assert [target for target in lanes if target in STAND] == STAND
    assert [target for target in lanes if target in OTHERS] == OTHERS


def test_a_gate_that_ends_leaves_no_file_and_tells_the_time_of_each_target(
    tmp_path: pathlib.Path,
) -> None:
    with start_gate(tmp_path, "static", "unit", "stand") as gate:
        output, _ = gate.communicate()

    rows = output.partition("\n=== times\n")[2].splitlines()
    told = [re.fullmatch(r" +\d+ s  (.*)", row) for row in rows]
    names = [row[1] for row in told if row]
    assert len(names) == len(rows)
    assert sorted(names) == sorted([*FIRST, "test", *STAND, "in all"])
    assert names[-1] == "in all"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "make"]


def test_what_a_test_beside_the_stand_says_is_shown_in_one_piece(tmp_path: pathlib.Path) -> None:
    says = f"echo one; touch one; {_once('two')}; echo three; touch three"
    stand = f"{_once('one')}; echo two; touch two; {_once('three')}"

    with start_gate(tmp_path, "unit", "stand", test=says, functional=stand) as gate:
        output, _ = gate.communicate()

    assert gate.returncode == 0, output
    assert "\n=== make test\none\nthree\n=== make test: " in output


def test_the_gate_ends_at_the_first_target_that_fails(tmp_path: pathlib.Path) -> None:
    status, _, targets = run_gate(tmp_path, typecheck="exit 1")

    assert (status, targets) == (1, FIRST)


@pytest.mark.parametrize(("fails", "other"), [("test", "functional"), ("functional", "test")])
def test_a_failure_in_one_lane_ends_the_other(
    tmp_path: pathlib.Path, fails: str, other: str
) -> None:
    targets = {other: _UNTIL_INTERRUPTED, fails: f"{_once('ready')}; echo reason; exit 1"}

    with start_gate(tmp_path, "unit", "relay", "stand", **targets) as gate:
        output, _ = gate.communicate()

    assert gate.returncode != 0
    assert "reason\n" in output
    assert f" s  {fails}, failed\n" in output.partition("\n=== times\n")[2]
    assert sorted(made(tmp_path)) == sorted(["venv", fails, other, "ended"])


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_both_lanes(tmp_path: pathlib.Path, by: signal.Signals) -> None:
    targets = {
        "test": _UNTIL_INTERRUPTED.replace("ready", "ready-too"),
        "functional": _UNTIL_INTERRUPTED,
    }

    with start_gate(tmp_path, "unit", "stand", **targets) as gate:
        while not all((tmp_path / name).exists() for name in ("ready", "ready-too")):
            time.sleep(0.01)
        gate.send_signal(by)
        gate.communicate()

    assert gate.returncode == 128 + by
    assert sorted(made(tmp_path)) == ["ended", "ended", "functional", "test", "venv"]


def test_an_unknown_part_is_refused_before_anything_runs(tmp_path: pathlib.Path) -> None:
    message = f"units is not a part of the gate; the parts are: {' '.join([*PARTS, *MORE])}\n"

    assert run_gate(tmp_path, "static", "units") == (2, message, [])


def test_every_target_of_the_gate_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    more = {target for made in MORE.values() for target in made}
    assert {*EVERYTHING, *more} - targets == set()


def test_a_push_runs_every_part_once() -> None:
    steps = workflow_steps("tests.yaml", "func_tests.yaml")
    parts = [part for step in steps for part in re.findall(r"\.ci/run (.*)", step)]

    assert sorted(parts) == sorted([*PARTS, *MORE])


def test_no_workflow_names_a_target_of_the_gate() -> None:
    steps = workflow_steps(*(path.name for path in WORKFLOWS.glob("*.yaml")))
    calls = [call for step in steps for call in re.findall(r"make ([a-z -]+)", step)]
    targets = {target for call in calls for target in call.split()}

    assert targets & {*EVERYTHING, *MORE["clients"]} == set()
