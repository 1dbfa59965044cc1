# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Build the element without a hypervisor: `exordos build`, with another builder of disks.

Run by the exordos CLI's own Python, in the root of the project:
build_element.py OUTPUT DISK_COMMAND... [-- KEY=VALUE...]

DISK_COMMAND is called with the directory of the sources and the raw image to
write. KEY=VALUE are variables of the manifest. The CLI does the rest: version,
artifacts, URNs, manifest, compression, inventory.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing as tp

import yaml
from exordos.builder import base, builder
from exordos.common import version
from exordos.spec import schema

from exordos import logger as exordos_logger  # type: ignore[attr-defined]
from exordos import utils  # type: ignore[attr-defined]

if tp.TYPE_CHECKING:
    from collections.abc import Sequence


class DiskBuilder(base.DummyImageBuilder):
    """Makes the raw image of *image* by a command of ours instead of packer."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__()
        self._command = command

    def run(
        self,
        image_dir: str,  # noqa: ARG002
        image: base.Image,
        deps: list[base.AbstractDependency],
        developer_keys: str | None = None,  # noqa: ARG002
        output_dir: str = "output",
    ) -> None:
        """Write *output_dir*/<image name>.raw, as the builder expects."""
        (sources,) = (dependency.local_path for dependency in deps)
        target = pathlib.Path(output_dir).resolve()
        target.mkdir(parents=True, exist_ok=True)
        disk = target / f"{image.name}.raw"
        subprocess.run([*self._command, str(sources), str(disk)], check=True)


def main(arguments: Sequence[str]) -> None:
    """Build every element of exordos.yaml into the output directory, emptied before."""
    separator = arguments.index("--") if "--" in arguments else len(arguments)
    output = pathlib.Path(arguments[0])
    variables = utils.convert_input_multiply(tuple(arguments[separator + 1 :]))
    config, path = utils.get_exordos_config(".")
    schema.validate_yaml(config, utils.load_spec())
    if output.exists():
        shutil.rmtree(output)
    made = builder.SimpleBuilder.from_config(
        pathlib.Path(path).resolve().parent,
        config["build"],
        DiskBuilder(arguments[1:separator]),
        output,
        version.get_project_version("."),
        exordos_logger.ClickLogger(),
    )
    with tempfile.TemporaryDirectory() as sources:
        made.fetch_dependency(sources)
        made.build("", variables)
    for manifest in output.rglob("manifests/*.yaml"):
        # Only the form: what it requires is published elsewhere.
        schema.validate_yaml(
            yaml.safe_load(manifest.read_text()), schema.load_base_manifest_schema()
        )


main(sys.argv[1:])
