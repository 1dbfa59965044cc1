# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Build the element into output/, with the wheel that is in dist/.

Without a repository and an index, the manifest names image and wheel by the
URNs of the element's own repository.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing as tp

from imaging import commands, exordos_cli, paths, project

_OUTPUT: tp.Final = "output"
_BUILDER: tp.Final = pathlib.Path(__file__).with_name("build_element.py")
_BASES: tp.Final = "MAILAAS_BASE_REPOSITORY"
# What the profiles of the exordos CLI are written for.
_PACKER: tp.Final = (1, 7)
_KVM: tp.Final = pathlib.Path("/dev/kvm")
_MANIFEST: tp.Final = "mailaas.yaml"


class BuildError(RuntimeError):
    """Something the person who builds has to see to; the message says what."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser(prog="python -m imaging.element", description=__doc__)
    result.add_argument(
        "builder",
        choices=sorted(_BUILDERS),
        help="packer: by `exordos build`, needs packer and KVM; disk: without either, as root",
    )
    result.add_argument("--repository", default="", help="URL, where elements are published")
    result.add_argument("--index-url", default="", help="a simple index that will hold the wheel")
    return result


def variables(repository: str, index_url: str, dist: pathlib.Path) -> list[str]:
    """Return the variables of the manifest, as KEY=VALUE; an empty URL is none.

    Raises BuildError where *dist* does not hold exactly one wheel.
    """
    wheels = sorted(dist.glob("exordos_paas_mail-*.whl"))
    if len(wheels) != 1:
        raise BuildError(f"{dist} must hold one wheel, not {len(wheels)}: make wheel")
    (wheel,) = wheels
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return [
        *([f"repository={repository}"] if repository else []),
        *(
            [f"index_url={index_url}", f"wheel={wheel.name}", f"wheel_sha256={digest}"]
            if index_url
            else []
        ),
    ]


def by_packer(cli: pathlib.Path, given: tp.Sequence[str]) -> list[str]:
    """Return the command that builds with the variables *given*; raises BuildError."""
    other = "'make image' builds the same files without it."
    if shutil.which("packer") is None:
        raise BuildError(f"There is no packer here: {other}")
    # imaging.older_packer does without
    if _BASES not in os.environ:
        said = commands.run("packer", "--version").stdout
        found = re.search(r"(?<![\d.])(\d+)\.(\d+)", said)
        if found is None or (int(found[1]), int(found[2])) < _PACKER:
            needed = ".".join(map(str, _PACKER))
            has = f"is {found[0]}" if found else "says no version"
            raise BuildError(f"The packer here {has}, and {needed} or later is needed: {other}")
        if not os.access(_KVM, os.W_OK):
            raise BuildError(f"KVM is not usable here: {other}")
    options = [word for variable in given for word in ("--manifest-var", variable)]
    return [
        *(str(cli), "--no-check-updates", "build", "--force", "--output-dir", _OUTPUT),
        # Whole: the CLI copies a project under the last name in its path, and "." has none.
        *(*options, str(paths.PROJECT)),
    ]


def _by_disk(cli: pathlib.Path, given: tp.Sequence[str]) -> list[str]:
    if os.geteuid() != 0:
        raise BuildError("Making a disk takes loop devices and mounts: run this as root.")
    python = str(cli.with_name("python"))
    return [python, str(_BUILDER), _OUTPUT, sys.executable, "-m", "imaging.disks", "--", *given]


_BUILDERS: tp.Final = {"packer": by_packer, "disk": _by_disk}


def build(builder: str, given: tp.Sequence[str]) -> list[pathlib.Path]:
    """Build the element; return the image and the manifest, under names that do not change.

    The CLI keeps a repository of elements beside them. Raises BuildError.
    """
    command = _BUILDERS[builder](exordos_cli.ensure(print), given)
    if done := subprocess.run(command, check=False, cwd=paths.PROJECT).returncode:
        raise BuildError(f"the build ended with status {done}")
    output = paths.PROJECT / _OUTPUT
    image = f"{project.image_build().name}.raw.zst"
    return [_link(output, "images", image), _link(output, "manifests", _MANIFEST)]


def _link(output: pathlib.Path, kind: str, name: str) -> pathlib.Path:
    (file,) = output.rglob(f"mailaas/*/{kind}/{name}")
    link = output / kind / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.hardlink_to(file)
    return link


def main() -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args()
    try:
        given = variables(options.repository, options.index_url, paths.PROJECT / "dist")
        for file in build(options.builder, given):
            print(file.relative_to(paths.PROJECT))
    except (BuildError, commands.CommandError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
