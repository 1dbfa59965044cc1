# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Importing a module of the node does nothing to the machine."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from exordos_paas_mail import node

# Python's own audit events (PEP 578): a hook sees each before it happens.
_WATCHED = """
import os, sys

def watch(event, arguments):
    if event == "open":
        _, mode, flags = arguments
        if (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            sys.exit(f"open {arguments}")
    elif event in EFFECTS:
        sys.exit(f"{event} {arguments}")

EFFECTS = {
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove",
    "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink",
    "os.truncate", "os.kill", "socket.connect", "socket.bind", "shutil.rmtree",
}
sys.addaudithook(watch)
"""


_MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(node.__path__, f"{node.__name__}.")
    if not found.ispkg
)


@pytest.mark.parametrize("module", ["exordos_paas_mail.driver", *_MODULES])
def test_importing_has_no_effect_on_the_machine(module: str) -> None:
    # What our dependencies do when they are imported is not ours.
    program = "import gcl_sdk.agents.universal.drivers.meta, cryptography.x509, jinja2, cdbx\n"
    program += f"{_WATCHED}import {module}\n"

    done = subprocess.run(
        [sys.executable, "-B", "-c", program], check=False, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")
