# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Root file systems as layers, each built once and kept under its content key.

    base ── node ─┬─ mail       the product's own image script
                  ├─ machine    a kernel and what else a disk needs to boot
                  ├─ core       Exordos Core
                  └─ metapaas   the MetaPaaS runtime
                     └─ index   what the product needs beside it, as wheels

A layer is what its script changed on top of the one below it: the upper
directory of an overlay. A changed input gives another key, and so another
layer, for it and those above it alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
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
_KEEP_SECONDS: tp.Final = 86_400
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
        Layer("machine", "node"),
        Layer("core", "node"),
        Layer("metapaas", "node"),
        Layer("index", "metapaas"),
    )
}


def key(name: str) -> str:
    """Return the content key of layer *name*: of its own inputs and of all below."""
    layer = LAYERS[name]
    if layer.below is None:
        return digests.of_texts(host.codename(), _BASE_PACKAGES, *host.apt_sources())
    if name == "mail":
        return digests.of_texts(key(layer.below), project.image_key())
    script = layer.script.read_text()
    return digests.of_texts(
        key(layer.below),
        script,
        *(f"{pin}={version}" for pin, version in PINS.items() if pin in script),
        digests.of_files(digests.below(layer.files)),
        *(project.requirements() if name == "index" else ()),
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
            _prune()
            report(f"image layer {name} built in {time.monotonic() - started:.0f} s")
    os.utime(home)  # when it was last asked for
    return [home / "root", *below]


def _prune() -> None:
    """Remove layers nobody asked for lately, unless something is built on them."""
    oldest = time.time() - _KEEP_SECONDS
    used = pathlib.Path("/proc/self/mountinfo").read_text()
    # A node that is off is mounted nowhere.
    for file in sites.STAND.nodes.glob("*/*.json"):
        used += file.read_text()
    for home in _LAYERS.iterdir():
        if home.is_dir() and home.stat().st_mtime < oldest and str(home) not in used:
            shutil.rmtree(home)


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
    if layer.name == "mail":
        build = project.image_build()
        sources = partial / "root" / build.destination.lstrip("/")
        project.stage_image_sources(sources)
        run_script(layer.name, below, partial, sources / build.script)
        return
    files = layer.files
    if layer.name == "index":
        files = partial / "files"
        files.mkdir()
        (files / "requirements.txt").write_text("".join(f"{r}\n" for r in project.requirements()))
    run_script(layer.name, below, partial, layer.script, {"/run/build/files": files})


def run_script(
    name: str,
    below: list[pathlib.Path],
    directory: pathlib.Path,
    script: pathlib.Path,
    binds: tp.Mapping[str, pathlib.Path] | None = None,
) -> pathlib.Path:
    """Run *script* as root in the system made of the layers *below*.

    Returns what it changed, a new layer: the directory ``root`` in *directory*.
    The script sees *binds*, path inside -> path here. Raises CommandError when
    it fails.
    """
    caches = {
        host.CACHE: sites.CACHE / "downloads",
        "/var/cache/apt/archives": sites.CACHE / "apt" / name,
    }
    for cache in caches.values():
        (cache / "partial").mkdir(parents=True, exist_ok=True)
    seen = {**host.binds(), **caches, **(binds or {})}
    upper, work = directory / "root", directory / "work"
    upper.mkdir(parents=True, exist_ok=True)
    _run(
        name,
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"),
            *("bash", str(_SCRIPTS / "enter.sh"), ":".join(map(str, below))),
            *(str(upper), str(work), str(script), str(directory)),
            *(f"{source}:{target}" for target, source in seen.items()),
        ],
        {**host.environment(), **PINS},
    )
    shutil.rmtree(work)
    return upper


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
