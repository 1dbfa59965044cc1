# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Importing a module of the node does nothing to the machine."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
import typing as tp

from exordos_paas_mail import node

if tp.TYPE_CHECKING:
    import pathlib

    import pytest

# One interpreter, and a fork of it for each module. Python's own audit events (PEP 578): a hook
# sees each before it happens.
_PROGRAM = """
import importlib, json, os, sys
# What our dependencies do when they are imported is not ours.
import gcl_sdk.agents.universal.drivers.meta, cryptography.x509, jinja2, cdbx

EFFECTS = {
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove",
    "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink",
    "os.truncate", "os.kill", "socket.connect", "socket.bind", "shutil.rmtree",
}

def watch(event, arguments):
    if event == "open":
        _, mode, flags = arguments
        if (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            sys.exit(f"open {arguments}")
    elif event in EFFECTS:
        sys.exit(f"{event} {arguments}")

def import_watched(module):
    sys.addaudithook(watch)
    try:
        importlib.import_module(module)
    except BaseException as error:
        return repr(error)
    return "nothing"

def result_of(module):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, import_watched(module).encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    with open(reading) as pipe:
        return pipe.read()

print(json.dumps({module: result_of(module) for module in sys.argv[1:]}))
"""


_MODULES = [
    "exordos_paas_mail.driver",
    *sorted(
        found.name
        for found in pkgutil.walk_packages(node.__path__, f"{node.__name__}.")
        if not found.ispkg
    ),
]


def results(*modules: str) -> dict[str, str]:
    """Return what importing each of *modules* does to the machine."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", _PROGRAM, *modules],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return tp.cast("dict[str, str]", json.loads(done.stdout))


def test_importing_has_no_effect_on_the_machine() -> None:
    assert results(*_MODULES) == dict.fromkeys(_MODULES, "nothing")


def test_an_effect_of_importing_is_seen(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("writing.py").write_text("open('x', 'w')\n")
    tmp_path.joinpath("starting.py").write_text("import os; os.system('true')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = results("writing", "starting", "nothing_of_that_name")
    assert found["writing"].startswith("SystemExit(\"open ('x', 'w', ")
    assert found["starting"] == "SystemExit(\"os.system (b'true',)\")"
    assert found["nothing_of_that_name"].startswith("ModuleNotFoundError(")
