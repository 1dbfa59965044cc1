# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The machine's own side of a site: a few processes beside the nodes.

Each has a control group and a log; who runs is read from the group.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import typing as tp

from clients import waiting
from imaging import digests, paths
from imaging.containers import cgroups, nodes

if tp.TYPE_CHECKING:
    import pathlib

    from imaging.containers import sites

_START_SECONDS: tp.Final = 120
_SOURCES: tp.Final = tuple(paths.PROJECT / package for package in ("clients", "imaging", "stand"))


@dataclasses.dataclass(frozen=True)
class Process:
    """One process of *site*, by its name; *environment* adds to this one's.

    One that *restart* names a pause for, in seconds, is started again when it
    ends, as its systemd unit would.
    """

    site: sites.Site
    name: str
    command: tuple[str, ...]
    environment: tp.Mapping[str, str] = dataclasses.field(default_factory=dict)
    restart: int | None = None

    @property
    def group(self) -> str:
        """The process's control group."""
        return f"{nodes.group(self.site)}/{self.name}"

    def is_up(self) -> bool:
        """Return whether the process, or a child of it, runs."""
        return bool(cgroups.processes(self.group))

    def ensure(self) -> bool:
        """Have the process run the sources as they are; return whether it was started.

        One that runs older sources, or another command, is ended first.
        """
        key = self._key()
        noted = self._key_file.read_text() if self._key_file.exists() else ""
        if self.is_up() and noted == key:
            return False
        self.stop()
        groups = cgroups.ensure(self.group)
        self.site.logs.mkdir(parents=True, exist_ok=True)
        enter = "".join(f'echo $$ >"{group}/cgroup.procs"; ' for group in groups)
        run = f'while :; do "$@"; sleep {self.restart}; done' if self.restart else 'exec "$@"'
        with (self.site.logs / f"{self.name}.log").open("ab") as log:
            started = subprocess.Popen(
                ["sh", "-c", enter + run, "sh", *self.command],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # It enters the group itself; until then nobody sees that it runs.
        waiting.until(
            f"the start of {self.name}",
            lambda: self.is_up() or started.poll() is not None,
            _START_SECONDS,
        )
        self._key_file.parent.mkdir(parents=True, exist_ok=True)
        self._key_file.write_text(key)
        return True

    def stop(self) -> None:
        """End the process and its children."""
        cgroups.remove(self.group)
        self._key_file.unlink(missing_ok=True)

    @property
    def _key_file(self) -> pathlib.Path:
        return self.site.directory / "processes" / self.name

    def _key(self) -> str:
        sources = {
            f"{package.name}/{name}": path
            for package in _SOURCES
            for name, path in digests.below(package).items()
            if path.suffix == ".py" and not name.startswith("tests/")
        }
        settings = (f"{name}={value}" for name, value in sorted(self.environment.items()))
        return digests.of_texts(digests.of_files(sources), *self.command, *settings)
