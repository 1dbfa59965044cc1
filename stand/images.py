# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Root file systems as layers, each built once and kept under its content key.

    base ── node ─┬─ mail       the product's own image script
                  ├─ core       Exordos Core
                  └─ metapaas   the MetaPaaS runtime

A layer is what its script changed on top of the one below it: the upper
directory of an overlay. A changed input gives another key, and so another
layer, for it and those above it alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import pathlib
import shutil
import subprocess
import time
import typing as tp

from stand import commands, digests, host, project, sites

_SCRIPTS: tp.Final = pathlib.Path(__file__).with_name("layers")
_LAYERS: tp.Final = sites.CACHE / "layers"
_LOGS: tp.Final = sites.CACHE / "logs"
_BUILD_SECONDS: tp.Final = 900
_BASE_PACKAGES: tp.Final = "systemd,systemd-sysv,dbus,ca-certificates"

# Versions of what the layers install.
PINS: tp.Final = {
    "EXORDOS_CORE_VERSION": "0.3.5",
    "EXORDOS_METAPAAS_VERSION": "1.3.0",
    "GCL_SDK_VERSION": "3.7.3",
    "UV_VERSION": "0.13.9",
}

Report = tp.Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer: its name is that of its script and of the directory of its files."""

    name: str
    below: str | None

    @property
    def script(self) -> pathlib.Path:
        """What makes it, run inside it."""
        return _SCRIPTS / f"{self.name}.sh"

    @property
    def files(self) -> pathlib.Path:
        """What the script finds at /run/build/files."""
        return _SCRIPTS / self.name


LAYERS: tp.Final = {
    layer.name: layer
    for layer in (
        Layer("base", None),
        Layer("node", "base"),
        Layer("mail", "node"),
        Layer("core", "node"),
        Layer("metapaas", "node"),
    )
}


def key(name: str) -> str:
    """Return the content key of layer *name*: of its own inputs and of all below."""
    layer = LAYERS[name]
    if layer.below is None:
        return digests.of_texts(host.codename(), _BASE_PACKAGES, *host.apt_sources())
    inputs = [key(layer.below), *(f"{pin}={version}" for pin, version in sorted(PINS.items()))]
    if name == "mail":
        return digests.of_texts(*inputs, project.image_key())
    return digests.of_texts(
        *inputs, layer.script.read_text(), digests.of_files(digests.below(layer.files))
    )


def ensure(name: str, report: Report = print) -> list[pathlib.Path]:
    """Build what is missing of layer *name*; return its directories, the topmost first.

    They are what overlayfs takes as lower directories. Raises CommandError when
    a build fails: the message names the log.
    """
    layer = LAYERS[name]
    below = ensure(layer.below, report) if layer.below else []
    home = _LAYERS / f"{name}-{key(name)[:12]}"
    _LAYERS.mkdir(parents=True, exist_ok=True)
    with _locked(name):
        if not home.exists():
            started = time.monotonic()
            report(f"building image layer {name}")
            partial = home.with_suffix(".partial")
            if partial.exists():  # a build that died half-way
                shutil.rmtree(partial)
            (partial / "root").mkdir(parents=True)
            _build(layer, below, partial)
            partial.rename(home)
            report(f"image layer {name} built in {time.monotonic() - started:.0f} s")
    return [home / "root", *below]


@contextlib.contextmanager
def _locked(name: str) -> tp.Iterator[None]:
    with (_LAYERS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(layer: Layer, below: list[pathlib.Path], partial: pathlib.Path) -> None:
    _LOGS.mkdir(parents=True, exist_ok=True)
    if layer.below is None:
        _run(
            layer.name,
            [
                "mmdebstrap",
                "--variant=minbase",
                f"--include={_BASE_PACKAGES}",
                *(f"--aptopt={option}" for option in host.apt_options()),
                host.codename(),
                str(partial / "root"),
                *host.apt_sources(),
            ],
            None,
        )
        return
    script, files = layer.script, layer.files
    environment = {**host.environment(), **PINS}
    if layer.name == "mail":
        build = project.image_build()
        destination = build.destination.lstrip("/")
        project.stage_image_sources(partial / "root" / destination)
        script, files = partial / "root" / destination / build.script, partial
    caches = {host.CACHE: sites.CACHE / "downloads", "/var/cache/apt/archives": sites.CACHE / "apt"}
    for cache in caches.values():
        (cache / "partial").mkdir(parents=True, exist_ok=True)
    binds = [f"{source}:{target}" for target, source in {**host.binds(), **caches}.items()]
    _run(
        layer.name,
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"),
            *("bash", str(_SCRIPTS / "enter.sh"), ":".join(map(str, below))),
            *(str(partial / "root"), str(partial / "work"), str(script), str(files), *binds),
        ],
        environment,
    )
    shutil.rmtree(partial / "work")


def _run(name: str, command: list[str], environment: dict[str, str] | None) -> None:
    log = _LOGS / f"{name}.log"
    with log.open("w") as out:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=_BUILD_SECONDS,
        )
    if done.returncode:
        words = " | ".join(log.read_text(errors="replace").strip().splitlines()[-4:])
        raise commands.CommandError(f"image layer {name} failed, see {log}: {words}")
