# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""`make build` on a machine with a distribution's packer and without KVM.

Run as ``python -m imaging.rehearsal``, as root. The base image is one of ours in
place of the platform's, served on loopback as the platform serves its own.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import pathlib
import shlex
import shutil
import sys
import tempfile
import threading
import time
import typing as tp

import yaml

from imaging import commands, disks, element, images, paths

_BASES: tp.Final = paths.CACHE / "bases"
_PACKER: tp.Final = """#!/bin/sh
exec env PYTHONPATH={project} {python} -m imaging.older_packer {packer} "$@"
"""


def base_version() -> tuple[str, str]:
    """Return profile and version of the base image that exordos.yaml names."""
    build = yaml.safe_load((paths.PROJECT / "exordos/exordos.yaml").read_text())["build"]
    (image,) = [image for part in build["elements"] for image in part.get("images", [])]
    return image["profile"].replace("_", "-"), image["profile_version"]


def ensure_base(report: images.Report = print) -> pathlib.Path:
    """Return a directory that serves the base image, which is made where it is missing.

    Raises CommandError when a tool fails.
    """
    name, version = base_version()
    layers = images.ensure(images.CLOUD, report)
    home = _BASES / images.key(images.CLOUD)[:12]
    directory = home / name / version
    started = time.monotonic()
    if not directory.exists():
        if _BASES.exists():  # one of other layers
            shutil.rmtree(_BASES)
        _BASES.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=_BASES) as scratch:
            raw = pathlib.Path(scratch) / "base.raw"
            disks.write(layers, raw)
            made = pathlib.Path(scratch) / "made"
            made.mkdir()
            image = made / f"{name}.qcow2"
            commands.run("qemu-img", "convert", "-O", "qcow2", str(raw), str(image))
            sums = commands.run("sha256sum", image.name, cwd=str(made)).stdout
            (made / "SHA256SUMS").write_text(sums)
            directory.parent.mkdir(parents=True, exist_ok=True)
            made.rename(directory)
        report(f"base image {name} {version} made in {time.monotonic() - started:.0f} s")
    return home


@contextlib.contextmanager
def served(directory: pathlib.Path) -> tp.Iterator[str]:
    """Serve *directory* on loopback; yield its URL."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def main() -> int:
    """Build the element into output/; return the exit status."""
    packer = shutil.which("packer")
    if packer is None:
        print("There is no packer here.", file=sys.stderr)
        return 1
    try:
        base = ensure_base()
        given = element.variables("", "", paths.PROJECT / "dist")
        with served(base) as url, tempfile.TemporaryDirectory() as programs:
            program = pathlib.Path(programs) / "packer"
            program.write_text(
                _PACKER.format(
                    project=shlex.quote(str(paths.PROJECT)),
                    python=shlex.quote(sys.executable),
                    packer=shlex.quote(packer),
                )
            )
            program.chmod(0o755)
            os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
            os.environ["MAILAAS_BASE_REPOSITORY"] = url
            os.environ.setdefault("PACKER_CACHE_DIR", f"{programs}/cache")
            # The authorities of this machine, which the base image has taken over.
            os.environ["UV_SYSTEM_CERTS"] = "1"
            os.environ["UV_HTTP_TIMEOUT"] = "300"
            for file in element.build("packer", given):
                print(file.relative_to(paths.PROJECT))
    except (element.BuildError, commands.CommandError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
