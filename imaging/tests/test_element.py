# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the build of the element is given."""

from __future__ import annotations

import hashlib
import typing as tp

import pytest
import yaml

from imaging import commands, element, paths

if tp.TYPE_CHECKING:
    import pathlib

WHEEL: tp.Final = "exordos_paas_mail-1.0-py3-none-any.whl"


@pytest.fixture
def dist(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / WHEEL).write_bytes(b"wheel")
    return tmp_path


def test_a_manifest_without_urls_takes_no_variable(dist: pathlib.Path) -> None:
    assert element.variables("", "", dist) == []


def test_a_manifest_with_urls_names_the_wheel_by_its_digest(dist: pathlib.Path) -> None:
    assert element.variables("https://r.example", "https://i.example/simple/", dist) == [
        "repository=https://r.example",
        "index_url=https://i.example/simple/",
        f"wheel={WHEEL}",
        f"wheel_sha256={hashlib.sha256(b'wheel').hexdigest()}",
    ]


@pytest.mark.parametrize("count", [0, 2])
def test_more_or_less_than_one_wheel_is_refused(tmp_path: pathlib.Path, count: int) -> None:
    for number in range(count):
        (tmp_path / f"exordos_paas_mail-{number}-py3-none-any.whl").touch()
    with pytest.raises(element.BuildError, match=f"must hold one wheel, not {count}: make wheel"):
        element.variables("", "", tmp_path)


def test_an_image_is_built_from_what_its_script_needs_and_nothing_else() -> None:
    listed = commands.run("git", "-C", str(paths.PROJECT), "ls-files").stdout.splitlines()
    directories = {name.partition("/")[0] for name in listed if "/" in name}
    build = yaml.safe_load((paths.PROJECT / "exordos/exordos.yaml").read_text())["build"]
    excluded = set(build["deps"][0]["exclude"])
    kept = {name for name in directories - excluded if not name.startswith(".")}
    assert kept == {"etc", "exordos"}


@pytest.fixture
def packer(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> tp.Callable[[str], None]:
    """Return what puts a packer that says a version on PATH, of a machine with KVM."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(element, "_KVM", tmp_path)

    def put(said: str) -> None:
        program = tmp_path / "packer"
        program.write_text(f"#!/bin/sh\necho '{said}'\n")
        program.chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("said", "has"),
    [
        pytest.param("1.6.6", "is 1.6", id="too old"),
        pytest.param("Packer v0.12.3", "is 0.12", id="very old"),
        pytest.param("usage: packer FILE", "says no version", id="another program"),
    ],
)
def test_a_packer_that_is_too_old_is_told_in_a_line(
    tmp_path: pathlib.Path, packer: tp.Callable[[str], None], said: str, has: str
) -> None:
    packer(said)
    with pytest.raises(element.BuildError) as raised:
        element.by_packer(tmp_path / "exordos", [])
    assert str(raised.value) == (
        f"The packer here {has}, and 1.7 or later is needed:"
        " 'make image' builds the same files without it."
    )


@pytest.mark.parametrize("said", ["1.7.0", "Packer v1.11.2", "Packer v2.0.0"])
def test_the_cli_is_given_the_project_by_its_whole_path(
    tmp_path: pathlib.Path, packer: tp.Callable[[str], None], said: str
) -> None:
    packer(said)
    assert element.by_packer(tmp_path / "exordos", ["repository=https://r.example"]) == [
        *(str(tmp_path / "exordos"), "--no-check-updates", "build", "--force"),
        *("--output-dir", "output", "--manifest-var", "repository=https://r.example"),
        str(paths.PROJECT),
    ]
