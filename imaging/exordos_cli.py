# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The exordos CLI, which builds and installs elements."""

from __future__ import annotations

import pathlib
import shutil
import sys
import typing as tp

from imaging import commands, paths

if tp.TYPE_CHECKING:
    from imaging import images

VERSION: tp.Final = "3.2.29"


def ensure(report: images.Report) -> pathlib.Path:
    """Return the program, installed first where it is missing, which *report* is told.

    It has an environment of its own: it wants a cryptography that Core and the
    runtime do not. Raises CommandError when it cannot be installed.
    """
    home = paths.CACHE / f"cli-{VERSION}"
    program = home / "bin" / "exordos"
    if not program.exists():
        report(f"installing the exordos CLI {VERSION}")
        partial = home.with_suffix(".partial")
        if partial.exists():
            shutil.rmtree(partial)
        uv = str(pathlib.Path(sys.executable).with_name("uv"))
        commands.run(uv, "venv", "--quiet", "--relocatable", str(partial))
        commands.run(
            *(uv, "pip", "install", "--quiet", "--python", str(partial / "bin" / "python")),
            f"exordos=={VERSION}",
        )
        partial.rename(home)
    return program
