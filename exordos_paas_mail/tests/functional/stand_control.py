# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The stand's own command, for tests that break a machine."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shlex
import subprocess
import typing as tp

from clients import exordos, waiting

_ROOT: tp.Final = pathlib.Path(__file__).resolve().parents[3]
_SECONDS: tp.Final = 120
# An image is built, where the sources are new to the stand.
_BUILD_SECONDS: tp.Final = 600


@dataclasses.dataclass(frozen=True)
class Stand:
    """The stand behind *command*; a node is named by its name or its address."""

    command: tuple[str, ...]

    def power_cut(self, node: str) -> None:
        """Take the power from a node; its hypervisor boots it again."""
        self._run("power-cut", node)

    def reimage(self, node: str) -> None:
        """Give a node a new root file system and the same data disk."""
        self._run("re-image", node)

    def cut(self, node: str) -> None:
        """Pull the network cable of a node."""
        self._run("cut", node)

    def mend(self, node: str) -> None:
        """Put the cable back."""
        self._run("mend", node)

    def shell(self, node: str, command: str) -> str:
        """Return what a shell command prints on a node, as root there; it must succeed."""
        return self._run("shell", node, "sh", "-c", command)

    def shell_when_up(self, node: str, command: str) -> str:
        """Do as ``shell`` does, once the node is up: its power may just have been cut."""
        waiting.until(
            f"{node} is up",
            lambda: self._ran("shell", node, "true", timeout=_SECONDS).returncode == 0,
            _SECONDS,
        )
        return self.shell(node, command)

    @property
    def exordos(self) -> exordos.Exordos:
        """The exordos CLI as the administrator of the stand."""
        return exordos.Exordos((*self.command, "exordos"))

    def next_release(self) -> dict[str, str]:
        """Return where the release to upgrade to is, built if the sources are new."""
        found: dict[str, str] = json.loads(self._run("next-release", timeout=_BUILD_SECONDS))
        return found

    def previous_release(self) -> dict[str, str]:
        """Return where the release before the sources is, built once."""
        found: dict[str, str] = json.loads(self._run("previous-release", timeout=_BUILD_SECONDS))
        return found

    def query(self, node: str, database: str, statement: str) -> list[str]:
        """Return the rows of a statement on a node's PostgreSQL, columns parted by |."""
        psql = f"psql --no-psqlrc -At -v ON_ERROR_STOP=1 -d {database} -c {shlex.quote(statement)}"
        return self.shell(node, f"cd / && runuser -u postgres -- {psql}").splitlines()

    def _run(self, *arguments: str, timeout: float = _SECONDS) -> str:
        ran = self._ran(*arguments, timeout=timeout)
        assert ran.returncode == 0, f"{arguments}: {ran.returncode} {ran.stdout}{ran.stderr}"
        return ran.stdout

    def _ran(self, *arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=_ROOT,
            timeout=timeout,
        )
