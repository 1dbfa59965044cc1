# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The gate is spelled once, and the workflows run it by its parts."""

import os
import pathlib
import re
import subprocess

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
        "benchmark-agent",
        "benchmark-control-plane",
        "benchmark-dns",
        "benchmark-events",
    ],
    "relay": ["test-relay", "benchmark-relay"],
    "image": ["test-image", "test-vm"],
    "stand": ["functional", "stand-down"],
}
# What one machine has no time for after all that.
MORE = {"coverage": ["coverage"], "clients": ["test-clients", "stand-down"]}
EVERYTHING = [target for targets in PARTS.values() for target in targets]


def run_gate(
    directory: pathlib.Path, *parts: str, broken: str = "nothing"
) -> tuple[int, str, list[str]]:
    """Run the gate with a make that does nothing: status, what it complains of, the targets."""
    made = directory / "made"
    make = directory / "make"
    make.write_text(
        f'#!/bin/sh\nshift\necho "$@" >>{made}\n[ "$1" != {broken} ]\n', encoding="utf-8"
    )
    make.chmod(0o755)
    result = subprocess.run(
        [GATE, *parts],
        env={"PATH": f"{directory}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stderr, made.read_text().split() if made.exists() else []


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


def test_the_gate_runs_everything_in_order(tmp_path: pathlib.Path) -> None:
    assert run_gate(tmp_path) == (0, "", EVERYTHING)


def test_the_gate_ends_at_the_first_target_that_fails(tmp_path: pathlib.Path) -> None:
    status, _, made = run_gate(tmp_path, broken="test")

    assert (status, made) == (1, ["lint", "typecheck", "test"])


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
