# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The node image as a disk that boots, built without a hypervisor.

Run as ``python -m imaging.disks SOURCES DISK``: *SOURCES* is a directory with
dist/, etc/ and exordos/images/ of this project, *DISK* the raw image to write.
"""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile
import time
import typing as tp

from exordos_paas_mail import constants
from imaging import commands, images, paths

_DISK: tp.Final = pathlib.Path(__file__).with_name("disk.sh")
_BYTES: tp.Final = constants.ROOT_DISK_SIZE * 2**30
_SECONDS: tp.Final = 600


def build(sources: pathlib.Path, disk: pathlib.Path, report: images.Report = print) -> None:
    """Install *sources* on the machine layer and write it to *disk*.

    Raises CommandError when the image script or a tool fails, and leaves no
    disk then.
    """
    below = images.ensure(images.MACHINE, report)
    started = time.monotonic()
    scratch = pathlib.Path(tempfile.mkdtemp(dir=paths.CACHE, prefix="disk-"))
    try:
        upper = images.run_product_script("disk", below, scratch, sources)
        report(f"image script run in {time.monotonic() - started:.0f} s")
        write([upper, *below], disk)
    finally:
        shutil.rmtree(scratch)
    report(f"{disk.name} made in {time.monotonic() - started:.0f} s")


def write(layers: tp.Sequence[pathlib.Path], disk: pathlib.Path) -> None:
    """Write *layers*, the topmost first, to *disk*, a raw image that boots.

    Raises CommandError when a tool fails, and leaves no disk then.
    """
    partial = disk.with_suffix(".partial")
    try:
        commands.run(
            *("unshare", "--mount", "--propagation", "private"),
            *("bash", str(_DISK), ":".join(map(str, layers)), str(partial), str(_BYTES)),
            timeout=_SECONDS,
        )
        partial.rename(disk)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        build(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
    except commands.CommandError as error:
        sys.exit(str(error))
