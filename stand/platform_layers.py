# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The layers of a stand's own nodes, on top of the node layer.

node ─┬─ core       Exordos Core
      └─ metapaas   the MetaPaaS runtime
         └─ index   what the product needs beside it, as wheels
"""

from __future__ import annotations

import dataclasses
import pathlib
import types
import typing as tp

from imaging import images, project

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SCRIPTS: tp.Final = pathlib.Path(__file__).with_name("layers")

# Versions of what the layers install.
PINS: tp.Final = types.MappingProxyType(
    {**images.PINS, "EXORDOS_CORE_VERSION": "0.3.5", "EXORDOS_METAPAAS_VERSION": "1.3.0"}
)


@dataclasses.dataclass(frozen=True)
class Index(images.Script):
    """The wheels the product needs: its script is given the product's requirements."""

    def inputs(self) -> Iterable[str]:
        """Return the script and the requirements."""
        return *super().inputs(), *project.requirements()

    def build(self, below: Sequence[pathlib.Path], directory: pathlib.Path) -> None:
        """Run the script with the requirements as its file."""
        files = directory / "files"
        files.mkdir()
        (files / "requirements.txt").write_text("".join(f"{r}\n" for r in project.requirements()))
        binds = {"/run/build/files": files}
        images.run_script(self.name, below, directory, self.script, binds, self.pins)


CORE: tp.Final = images.Script("core", images.NODE, _SCRIPTS, PINS)
METAPAAS: tp.Final = images.Script("metapaas", images.NODE, _SCRIPTS, PINS)
INDEX: tp.Final = Index("index", METAPAAS, _SCRIPTS, PINS)
