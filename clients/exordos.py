# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The exordos CLI, as one user of one installation."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import typing as tp

import yaml

from clients import files

if tp.TYPE_CHECKING:
    import pathlib

    from clients import iam

_SECONDS: tp.Final = 300
# How much of what a failing command said is repeated.
_LINES: tp.Final = 5


class ExordosError(RuntimeError):
    """The CLI is not there, or said no; the message holds its last words."""


@dataclasses.dataclass(frozen=True)
class Exordos:
    """The CLI behind *command*; *environment* adds to this process's own."""

    command: tuple[str, ...]
    environment: tp.Mapping[str, str] = dataclasses.field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        """Run it, return what it printed; raises ExordosError, subprocess.TimeoutExpired."""
        command = [*self.command, *arguments]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except FileNotFoundError as error:
            raise ExordosError(f"there is no {self.command[0]} here") from error
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()[-_LINES:]
            raise ExordosError(f"{' '.join(command)}: exit {done.returncode}: {' | '.join(words)}")
        return done.stdout


def logged_in(program: str, home: pathlib.Path, session: iam.Session) -> Exordos:
    """Return the CLI as the user of *session*, with *home* for its HOME.

    The password goes into its settings, since every user of the machine reads
    command lines. It caches tokens below its HOME by the names of user and
    realm alone, and would send those of another installation.
    """
    settings = home / ".exordos" / "exordosctl.yaml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    context = {"user": session.username, "password": session.password}
    if session.project:
        context["project_id"] = session.project
    realm = {
        "endpoint": session.url,
        "check_updates": False,
        "contexts": {"default": context},
        "current-context": "default",
    }
    config = {"schema_version": 1, "realms": {"default": realm}, "current-realm": "default"}
    files.write_private(settings, yaml.safe_dump(config))
    return Exordos((program, "--no-check-updates"), {"HOME": str(home)})
