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

from stand import cgroups, nodes

if tp.TYPE_CHECKING:
    from stand import sites


@dataclasses.dataclass(frozen=True)
class Process:
    """One process of *site*, by its name; *environment* adds to this one's."""

    site: sites.Site
    name: str
    command: tuple[str, ...]
    environment: tp.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def group(self) -> str:
        """The process's control group."""
        return f"{nodes.group(self.site)}/{self.name}"

    def is_up(self) -> bool:
        """Return whether the process, or a child of it, runs."""
        return bool(cgroups.processes(self.group))

    def ensure(self) -> bool:
        """Start the process if it does not run; return whether it was started."""
        if self.is_up():
            return False
        groups = cgroups.ensure(self.group)
        self.site.logs.mkdir(parents=True, exist_ok=True)
        enter = "".join(f'echo $$ >"{group}/cgroup.procs"; ' for group in groups)
        with (self.site.logs / f"{self.name}.log").open("ab") as log:
            subprocess.Popen(
                ["sh", "-c", f'{enter}exec "$@"', "sh", *self.command],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return True

    def stop(self) -> None:
        """End the process and its children."""
        cgroups.remove(self.group)
