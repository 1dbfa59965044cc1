# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the hypervisor was told to keep: machines, their ports, volumes.

One JSON file, replaced whole; simple views of the platform's own models.
"""

from __future__ import annotations

import dataclasses
import json
import typing as tp

from clients import files

if tp.TYPE_CHECKING:
    import pathlib

View = dict[str, tp.Any]


@dataclasses.dataclass
class Records:
    """Machines, ports by machine, and volumes, each by its uuid."""

    file: pathlib.Path
    machines: dict[str, View] = dataclasses.field(default_factory=dict)
    ports: dict[str, list[View]] = dataclasses.field(default_factory=dict)
    volumes: dict[str, View] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(cls, file: pathlib.Path) -> Records:
        """Return the records in *file*, none if there is no file."""
        return cls(file, **json.loads(file.read_text())) if file.exists() else cls(file)

    def write(self) -> None:
        """Put the records in their file."""
        kept = {"machines": self.machines, "ports": self.ports, "volumes": self.volumes}
        files.write_private(self.file, json.dumps(kept, indent=1))
