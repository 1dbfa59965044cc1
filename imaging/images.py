# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Root file systems as layers, each built once and kept under its content key.

    base ── node ─┬─ mail       the product's own image script
                  └─ machine    a kernel and what else a disk needs to boot
                        └─ cloud    what `exordos build` needs of its base image

A layer is what its script changed on top of the one below it: the upper
directory of an overlay. A changed input gives another key, and so another
layer, for it and those above it alone.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import shutil
import subprocess
import time
import types
import typing as tp

from imaging import commands, digests, host, paths, project

if tp.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SCRIPTS: tp.Final = pathlib.Path(__file__).with_name("layers")
_LAYERS: tp.Final = paths.CACHE / "layers"
_LOGS: tp.Final = paths.CACHE / "logs"
# One file for each directory of nodes, whose layers are kept for the next boot.
_HOLDERS: tp.Final = paths.CACHE / "holders"
_BUILD_SECONDS: tp.Final = 900
_KEEP_SECONDS: tp.Final = 86_400
_BASE_PACKAGES: tp.Final = "systemd,systemd-sysv,dbus,ca-certificates"

# Versions of what the layers install.
PINS: tp.Final = types.MappingProxyType({"GCL_SDK_VERSION": "3.7.3", "UV_VERSION": "0.13.9"})

Report = tp.Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Layer(abc.ABC):
    """A layer, by its name, and the one it is built on."""

    name: str
    below: Layer | None

    @abc.abstractmethod
    def inputs(self) -> Iterable[str]:
        """Return the texts that its content follows from, beside the layer below."""

    @abc.abstractmethod
    def build(self, below: Sequence[pathlib.Path], directory: pathlib.Path) -> None:
        """Make it in *directory*/root, on the directories of the layers *below*."""


@dataclasses.dataclass(frozen=True)
class Base(Layer):
    """The distribution of this machine, as small as it gets."""

    def inputs(self) -> Iterable[str]:
        """Return the release, the packages and where they come from."""
        return host.codename(), _BASE_PACKAGES, *host.apt_sources()

    def build(self, below: Sequence[pathlib.Path], directory: pathlib.Path) -> None:  # noqa: ARG002
        """Install the packages into an empty directory."""
        _run(
            self.name,
            [
                "mmdebstrap",
                "--variant=minbase",
                f"--include={_BASE_PACKAGES}",
                *(f"--aptopt={option}" for option in host.apt_options()),
                host.codename(),
                str(directory / "root"),
                *host.apt_sources(),
            ],
            None,
        )


@dataclasses.dataclass(frozen=True)
class Script(Layer):
    """What the script of that name in *home* changes.

    The script finds the directory of its name at /run/build/files, and *pins*
    in its environment.
    """

    home: pathlib.Path
    pins: Mapping[str, str]

    @property
    def script(self) -> pathlib.Path:
        """What makes it, run inside it."""
        return self.home / f"{self.name}.sh"

    @property
    def files(self) -> pathlib.Path:
        """The script's own files; an absent directory is one without files."""
        return self.home / self.name

    def inputs(self) -> Iterable[str]:
        """Return the script, its files, and the versions it names."""
        script = self.script.read_text()
        return (
            script,
            *(f"{pin}={version}" for pin, version in self.pins.items() if pin in script),
            digests.of_files(digests.below(self.files)),
        )

    def build(self, below: Sequence[pathlib.Path], directory: pathlib.Path) -> None:
        """Run the script."""
        files = {"/run/build/files": self.files} if self.files.exists() else {}
        run_script(self.name, below, directory, self.script, files, self.pins)


@dataclasses.dataclass(frozen=True)
class Product(Layer):
    """What the image script of the sources in *root* installs: *wheel*, or that of the sources."""

    wheel: pathlib.Path | None = None
    root: pathlib.Path = paths.PROJECT

    def inputs(self) -> Iterable[str]:
        """Return the key of the sources, and of the wheel that is not theirs."""
        wheel = {self.wheel.name: self.wheel} if self.wheel else {}
        return project.image_key(self.root), digests.of_files(wheel)

    def build(self, below: Sequence[pathlib.Path], directory: pathlib.Path) -> None:
        """Run the image script as ``exordos build`` does."""
        sources = directory / "sources"
        wheel = self.wheel or project.wheel(root=self.root)
        project.stage_image_sources(sources, wheel, self.root)
        run_product_script(self.name, below, directory, sources)


BASE: tp.Final = Base("base", None)
NODE: tp.Final = Script("node", BASE, _SCRIPTS, PINS)
MAIL: tp.Final = Product("mail", NODE)
MACHINE: tp.Final = Script("machine", NODE, _SCRIPTS, PINS)
CLOUD: tp.Final = Script("cloud", MACHINE, _SCRIPTS, PINS)


def key(layer: Layer) -> str:
    """Return the content key of *layer*: of its own inputs and of all below."""
    below = (key(layer.below),) if layer.below else ()
    return digests.of_texts(*below, *layer.inputs())


def ensure(layer: Layer, report: Report = print) -> list[pathlib.Path]:
    """Build what is missing of *layer*; return its directories, the topmost first.

    They are what overlayfs takes as lower directories. Raises CommandError when
    a build fails: the message names the log.
    """
    below = ensure(layer.below, report) if layer.below else []
    home = _LAYERS / f"{layer.name}-{key(layer)[:12]}"
    _LAYERS.mkdir(parents=True, exist_ok=True)
    with _locked(layer.name):
        if not _ask(home):
            started = time.monotonic()
            report(f"building image layer {layer.name}")
            partial = home.with_suffix(".partial")
            if partial.exists():  # a build that died half-way
                shutil.rmtree(partial)
            (partial / "root").mkdir(parents=True)
            layer.build(below, partial)
            with _locked("prune"):
                partial.rename(home)
                _prune()
            report(f"image layer {layer.name} built in {time.monotonic() - started:.0f} s")
    return [home / "root", *below]


def _ask(home: pathlib.Path) -> bool:
    """Note that a layer is asked for; return whether it is there."""
    with _locked("prune"):  # of another build
        there = home.exists()
        if there:
            os.utime(home)
        return there


def hold(directory: pathlib.Path) -> None:
    """Keep the layers that the nodes in *directory* were made of, as long as they are there.

    A node is a directory in it, with JSON files that name its layers.
    """
    _HOLDERS.mkdir(parents=True, exist_ok=True)
    (_HOLDERS / digests.of_texts(str(directory))[:12]).write_text(str(directory))


def _prune() -> None:
    """Remove layers nobody asked for lately, unless something is built on them."""
    oldest = time.time() - _KEEP_SECONDS
    used = pathlib.Path("/proc/self/mountinfo").read_text()
    # A node that is off is mounted nowhere.
    for holder in sorted(_HOLDERS.iterdir()) if _HOLDERS.exists() else ():
        directory = pathlib.Path(holder.read_text())
        if directory.exists():
            used += "".join(file.read_text() for file in directory.glob("*/*.json"))
        else:
            holder.unlink()
    for home in _LAYERS.iterdir():
        if home.is_dir() and home.stat().st_mtime < oldest and str(home) not in used:
            shutil.rmtree(home)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    with (_LAYERS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_product_script(
    name: str, below: Sequence[pathlib.Path], directory: pathlib.Path, sources: pathlib.Path
) -> pathlib.Path:
    """Run the image script of *sources* on the layers *below*; see run_script."""
    build = project.image_build()
    return run_script(name, below, directory, sources / build.script, {build.destination: sources})


def run_script(  # noqa: PLR0913 - a build has that many inputs
    name: str,
    below: Sequence[pathlib.Path],
    directory: pathlib.Path,
    script: pathlib.Path,
    binds: Mapping[str, pathlib.Path],
    pins: Mapping[str, str] = PINS,
) -> pathlib.Path:
    """Run *script* as root in the system made of the layers *below*.

    Returns what it changed, a new layer: the directory ``root`` in *directory*.
    The script sees *binds*, path inside -> path here, and *pins* in its
    environment. Raises CommandError when it fails.
    """
    caches = {
        host.CACHE: paths.CACHE / "downloads",
        "/var/cache/apt/archives": paths.CACHE / "apt" / name,
    }
    for cache in caches.values():
        (cache / "partial").mkdir(parents=True, exist_ok=True)
    seen = {**host.binds(), **caches, **binds}
    upper, work = directory / "root", directory / "work"
    upper.mkdir(parents=True, exist_ok=True)
    _run(
        name,
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"),
            *("bash", str(_SCRIPTS / "enter.sh"), ":".join(map(str, below))),
            *(str(upper), str(work), str(script)),
            *(f"{source}:{target}" for target, source in seen.items()),
        ],
        {**host.environment(), **pins},
    )
    shutil.rmtree(work)
    return upper


def _run(name: str, command: Sequence[str], environment: Mapping[str, str] | None) -> None:
    _LOGS.mkdir(parents=True, exist_ok=True)
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
