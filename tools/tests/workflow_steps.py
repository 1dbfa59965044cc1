# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The jobs of .github/workflows, step by step, here: `make test-workflows` runs this file.

A job gets a clone of HEAD for its checkout, and its `run` steps are run in it
as the runner runs them. Stand-ins take the place of what is GitHub's: the
actions, below, and the variables of a run. `.ci/run` runs with a make that
takes a target for made when the Makefile has it, since the gate runs the
targets themselves; every other step is run as it is written.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
import subprocess
import typing as tp

import pytest
import yaml

_ROOT: tp.Final = pathlib.Path(__file__).parents[2]
_WORKFLOWS: tp.Final = sorted((_ROOT / ".github/workflows").glob("*.yaml"))
_TAG: tp.Final = "999.0.0"
_SECONDS: tp.Final = 900
# The gate calls make with an option and then the target.
_MAKE: tp.Final = """#!/bin/sh
shift
for target in "$@"; do
  grep -q "^$target:" Makefile || { echo "no target $target" >&2; exit 2; }
done
"""
# The user of a runner is let in without a password; who runs this is root.
_SUDO: tp.Final = '#!/bin/sh\nexec "$@"\n'
Step = dict[str, tp.Any]


class Job(tp.NamedTuple):
    """A job of a workflow; *tagged* when a tag starts it."""

    name: str
    tagged: bool
    steps: list[Step]


def jobs() -> list[Job]:
    """Return the jobs of all workflows, in their order."""
    found = []
    for path in _WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        # YAML 1.1 reads the key `on` as true.
        tagged = "tags" in (workflow[True].get("push") or {})
        found += [
            Job(f"{path.stem}-{name}", tagged, job["steps"])
            for name, job in workflow["jobs"].items()
        ]
    return found


class Runner:
    """What a job sees: a workspace, a home for artifacts, programs, an environment."""

    def __init__(self, home: pathlib.Path, job: Job) -> None:
        self.workspace = home / "workspace"
        self.artifacts = home / "artifacts"
        self._job = job
        self._programs = home / "programs"
        self._programs.mkdir(parents=True)
        self.workspace.mkdir()
        if shutil.which("sudo") is None:
            self._program("sudo", _SUDO)
        self._script = home / "step.sh"

    def _program(self, name: str, text: str) -> None:
        program = self._programs / name
        program.write_text(text)
        program.chmod(0o755)

    def run(self, step: Step) -> None:
        """Do one step."""
        if "run" in step:
            self._shell(step["run"])
        else:
            action, _, _ = step["uses"].partition("@")
            getattr(self, _ACTIONS[action])(step.get("with", {}))

    def _shell(self, text: str) -> None:
        assert "${{" not in text, "an expression in a script is text for the shell"
        gate = ".ci/run" in text
        if gate:
            self._program("make", _MAKE)
        # The file and the options are those of a step without `shell`.
        self._script.write_text(text)
        ran = subprocess.run(
            ["bash", "-e", str(self._script)],
            cwd=self.workspace,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if gate:
            (self._programs / "make").unlink()
        assert ran.returncode == 0, f"{text}\n{ran.stdout}"

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        ref = ("tags", _TAG) if self._job.tagged else ("heads", "main")
        return {
            **kept,
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_REF": f"refs/{ref[0]}/{ref[1]}",
            "GITHUB_REF_NAME": ref[1],
        }

    def check_out(self, options: Step) -> None:
        """Clone HEAD; a release is the tag of the run."""
        assert options == {"fetch-depth": 0, "persist-credentials": False}
        git = ("git", "-C", str(self.workspace))
        subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(self.workspace)], check=True)
        if self._job.tagged:
            subprocess.run([*git, "tag", _TAG], check=True)

    def choose_python(self, options: Step) -> None:
        """Take the Python of this machine, whichever it is."""
        assert options.keys() == {"python-version"}

    def upload(self, options: Step) -> None:
        """Keep the files of an artifact; one without files is a failure."""
        files = sorted(self.workspace.glob(options["path"]))
        assert files, f"{options['path']} is nothing"
        target = self.artifacts / options["name"]
        target.mkdir(parents=True)
        for file in files:
            copy = shutil.copytree if file.is_dir() else shutil.copy2
            copy(file, target / file.name)

    def download(self, options: Step) -> None:
        """Put the files of an artifact where the job wants them."""
        shutil.copytree(self.artifacts / options["name"], self.workspace / options["path"])

    def publish(self, options: Step) -> None:
        """Look at what would be uploaded: the wheel of the tag, alone, from dist/."""
        assert options == {}
        (wheel,) = (self.workspace / "dist").iterdir()
        assert wheel.name == f"exordos_paas_mail-{_TAG}-py3-none-any.whl"


_ACTIONS: tp.Final = {
    "actions/checkout": "check_out",
    "actions/setup-python": "choose_python",
    "actions/upload-artifact": "upload",
    "actions/download-artifact": "download",
    "pypa/gh-action-pypi-publish": "publish",
}


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return where the jobs of a run hand files on to each other."""
    return tmp_path_factory.mktemp("artifacts")


@pytest.mark.timeout(_SECONDS)
@pytest.mark.parametrize("job", jobs(), ids=lambda job: job.name)
def test_every_step_of_a_job_does_what_it_is_there_for(
    job: Job, tmp_path: pathlib.Path, artifacts: pathlib.Path
) -> None:
    runner = Runner(tmp_path / "home", job)
    runner.artifacts = artifacts
    logs = runner.workspace / ".stand/logs/core.log"
    for step in job.steps:
        if step.get("if") == "failure()" and not logs.exists():
            # What a failed run of the stand leaves, as root.
            logs.parent.mkdir(parents=True)
            logs.touch()
            logs.parent.chmod(0o700)
            logs.chmod(0o600)
        runner.run(step)
    if logs.exists():
        assert stat.S_IMODE(logs.stat().st_mode) == 0o644
        assert (artifacts / "stand-logs/logs/core.log").exists()
