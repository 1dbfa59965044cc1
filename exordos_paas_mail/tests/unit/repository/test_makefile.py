# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What make does with its variables."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[4]


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make with the environment that there is, taken for up to date."""
    # Not the variables that the make around this test was given.
    outside = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.run(
        ["make", "--no-print-directory", "--old-file=.venv/.ready", *arguments],
        cwd=ROOT,
        env={**outside, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("target", "options"),
    [("test", ""), ("coverage", " --cov --cov-report term --cov-report xml")],
    ids=["quick", "counted"],
)
def test_coverage_is_counted_where_it_is_asked_for(target: str, options: str) -> None:
    printed = make("--dry-run", target).stdout.splitlines()
    workers = 2 * len(os.sched_getaffinity(0))
    assert printed[-1].rstrip() == (
        f".venv/bin/pytest --numprocesses {workers} --dist loadfile --no-loadscope-reorder{options}"
    )


@pytest.mark.parametrize(
    ("target", "packages"),
    [
        pytest.param("test", {"bind9-utils", "openssl", "patch"}, id="test"),
        pytest.param("functional", {"bind9-utils"}, id="functional"),
        pytest.param("test-image", {"openssh-client", "qemu-utils"}, id="test-image"),
        pytest.param("test-machine", {"openssh-client", "qemu-utils", "zstd"}, id="test-machine"),
        pytest.param("test-build", {"packer", "qemu-utils", "fdisk"}, id="test-build"),
    ],
)
def test_a_target_installs_what_its_tests_call(target: str, packages: set[str]) -> None:
    printed = make("--dry-run", target).stdout.splitlines()
    calls = [line.split() for line in printed if line.startswith("tools/system-packages.sh ")]
    assert packages <= {package for call in calls for package in call[1:]}


def test_building_and_booting_the_image_are_two_targets() -> None:
    boots = ".venv/bin/pytest exordos_paas_mail/tests/image/test_machine.py"
    built, booted = (make("--dry-run", name).stdout for name in ("test-build", "test-machine"))
    assert (boots in built, "-m imaging.rehearsal" in built) == (False, True)
    assert (boots in booted, "-m imaging.rehearsal" in booted) == (True, False)


@pytest.mark.parametrize("verb", ["shell", "power-cut", "re-image", "cut", "mend"])
def test_a_target_that_needs_a_node_says_so(verb: str) -> None:
    done = make(f"stand-{verb}", NODE="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == (
        "NODE is not set: name a node that make stand-status lists"
    )
