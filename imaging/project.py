# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""This repository as an image build sees it: its sources, its wheel, its build file."""

from __future__ import annotations

import dataclasses
import fcntl
import importlib.metadata
import os
import pathlib
import shutil
import sys
import tempfile
import types
import typing as tp
import zipfile

import yaml

from imaging import commands, digests, paths

_WHEEL_SOURCES: tp.Final = ("exordos_paas_mail", "pyproject.toml", "README.md", "LICENSE")
_IMAGE_SOURCES: tp.Final = (*_WHEEL_SOURCES, "exordos", "etc")
_BUILD_EXIM: tp.Final = paths.PROJECT / "exordos/images/build_exim.sh"
_EXIM_SECONDS: tp.Final = 900
_WHEELS: tp.Final = paths.CACHE / "wheels"


@dataclasses.dataclass(frozen=True)
class ImageBuild:
    """What exordos/exordos.yaml says about the node image."""

    name: str
    destination: str
    script: pathlib.PurePosixPath


def at(commit: str) -> pathlib.Path:
    """Return the sources as they were at *commit*, in a directory that nobody changes.

    Raises CommandError when the history here does not have it: a clone may be shallow.
    """
    home = paths.CACHE / "sources" / commit
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            archive = pathlib.Path(scratch) / "sources.tar"
            tree = pathlib.Path(scratch) / "tree"
            commands.run(
                *("git", "-C", str(paths.PROJECT), "archive", f"--output={archive}", commit),
                *("--", *_IMAGE_SOURCES),
            )
            tree.mkdir()
            commands.run("tar", "--extract", f"--file={archive}", f"--directory={tree}")
            tree.rename(home)
    return home


def _files(parts: tp.Iterable[str], root: pathlib.Path) -> dict[str, pathlib.Path]:
    if root != paths.PROJECT:
        present = digests.below(root)
        return {
            name: file
            for name, file in present.items()
            if name.partition("/")[0] in set(parts) and "/tests/" not in name
        }
    listed = commands.run(
        *("git", "-C", str(paths.PROJECT), "ls-files", "-z"),
        *("--cached", "--others", "--exclude-standard", "--", *parts),
    )
    names = [name for name in listed.stdout.split("\0") if name and "/tests/" not in name]
    # A file that was removed and not yet committed is still in git's list.
    return {name: paths.PROJECT / name for name in names if (paths.PROJECT / name).is_file()}


def image_build() -> ImageBuild:
    """Return the one image that exordos/exordos.yaml builds.

    Raises ValueError when it does not build exactly one.
    """
    build = yaml.safe_load((paths.PROJECT / "exordos/exordos.yaml").read_text())["build"]
    images = [image for part in build["elements"] for image in part.get("images", [])]
    if len(images) != 1:
        raise ValueError(f"exordos.yaml is expected to build one image, not {len(images)}")
    sources = [dep["dst"] for dep in build["deps"] if not dep.get("optional")]
    if len(sources) != 1:
        raise ValueError(f"exordos.yaml is expected to bring in the project alone, not {sources}")
    script = pathlib.PurePosixPath("exordos") / images[0]["script"]
    return ImageBuild(images[0]["name"], sources[0], script)


def image_key(root: pathlib.Path = paths.PROJECT) -> str:
    """Return the content key of everything the node image of the sources in *root* is made from."""
    choice = os.environ.get("EXORDOS_MAIL_EXIM", "")
    return digests.of_texts(choice, digests.of_files(_files(_IMAGE_SOURCES, root)))


def stage_image_sources(
    directory: pathlib.Path, built: pathlib.Path, root: pathlib.Path = paths.PROJECT
) -> None:
    """Copy what an image build of the sources in *root* is given into *directory*.

    In its dist/ are the wheel *built* and the exim4 of the relay.
    """
    _copy(_files(_IMAGE_SOURCES, root), directory)
    (directory / "dist").mkdir(parents=True, exist_ok=True)
    shutil.copy2(built, directory / "dist" / built.name)
    commands.run(str(_BUILD_EXIM), str(directory / "dist"), timeout=_EXIM_SECONDS)


def requirements() -> list[str]:
    """Return what the wheel of the sources as they are now depends on."""
    inside = zipfile.Path(wheel()).iterdir()
    metadata = next(path for path in inside if path.name.endswith(".dist-info"))
    found = importlib.metadata.PathDistribution(metadata).requires or []
    return sorted(requirement for requirement in found if "extra ==" not in requirement)


def wheel(
    appended: tp.Mapping[str, str] = types.MappingProxyType({}),
    version: str | None = None,
    root: pathlib.Path = paths.PROJECT,
) -> pathlib.Path:
    """Return the wheel of the sources in *root* as they are now, built if they are new.

    Its version ends in the content key, so that two wheels are never taken for one.
    *appended* is text for the end of files, by name; *version* another release than the last.
    """
    _WHEELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_WHEELS) as scratch:
        tree = pathlib.Path(scratch) / "tree"
        # Copied before they are looked at: they may change meanwhile.
        _copy(_files(_WHEEL_SOURCES, root), tree)
        for name, text in appended.items():
            with (tree / name).open("a") as file:
                file.write(text)
        key = digests.of_files(digests.below(tree))[:12]
        home = _WHEELS / key
        with (_WHEELS / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.exists():
                built = pathlib.Path(scratch) / "built"
                full = f"{version or release()}+{key}"
                commands.run(
                    *(sys.executable, "-m", "build", "--wheel", "--installer", "uv"),
                    *("--outdir", str(built), str(tree)),
                    env={**os.environ, "SETUPTOOLS_SCM_PRETEND_VERSION": full},
                )
                built.rename(home)
    return next(home.glob("*.whl"))


def _copy(files: tp.Mapping[str, pathlib.Path], directory: pathlib.Path) -> None:
    for name, source in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def release() -> str:
    """Return the last release of the product, by its tag."""
    tags = commands.run("git", "-C", str(paths.PROJECT), "tag", "--list", "--sort=-version:refname")
    return next((tag.lstrip("v") for tag in tags.stdout.split()), "0.1.0")
