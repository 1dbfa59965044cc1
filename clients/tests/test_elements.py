# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import stat
import sys
import typing as tp

import pytest
import yaml

from clients import elements, exordos, waiting

if tp.TYPE_CHECKING:
    import pathlib

    from clients import iam
    from clients.tests import fake_core

NAME: tp.Final = "mailaas"
INSTALLED: tp.Final = "/v1/em/elements/"
PUBLISHED: tp.Final = "/v1/repo/elements/"


@pytest.fixture
def said(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "said"


@pytest.fixture
def known(
    core: fake_core.Core, admin: iam.Session, tmp_path: pathlib.Path, said: pathlib.Path
) -> elements.Elements:
    """Return elements behind a CLI that notes its arguments and succeeds."""
    program = tmp_path / "exordos"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(said)!r}, 'a').write(' '.join(sys.argv[1:]))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return elements.Elements(
        admin.api(), exordos.Exordos((str(program),)), waiting.Poll(0.2, pause=0.01)
    )


@pytest.fixture
def manifest(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "mailaas.yaml"
    file.write_text(yaml.safe_dump({"name": NAME, "version": "2"}))
    return file


def install(core: fake_core.Core, version: str, status: str = "ACTIVE") -> None:
    core.put(f"{INSTALLED}one", name=NAME, version=version, status=status)


def test_an_element_that_is_there_in_that_version_costs_no_command(
    core: fake_core.Core, known: elements.Elements, manifest: pathlib.Path, said: pathlib.Path
) -> None:
    install(core, "2")
    assert known.ensure(manifest) is None
    assert not said.exists()


@pytest.mark.parametrize(
    ("present", "published", "command"),
    [
        pytest.param(None, False, "em elements install {}", id="new"),
        pytest.param(None, True, f"em elements install {NAME} --version 2", id="published"),
        pytest.param("1", False, "em elements update --yes {}", id="older"),
        pytest.param("3", True, f"em elements update --yes {NAME} --version 2", id="back"),
    ],
)
def test_an_element_is_installed_or_updated_and_named_where_it_is_published(
    core: fake_core.Core,
    known: elements.Elements,
    manifest: pathlib.Path,
    said: pathlib.Path,
    present: str | None,
    published: bool,  # noqa: FBT001
    command: str,
) -> None:
    if present:
        install(core, present)
    if published:
        core.put(f"{PUBLISHED}two", name=NAME, version="2")
    # The CLI of the test changes nothing: the wait for the new version ends in vain.
    with pytest.raises(TimeoutError, match="element mailaas 2 ACTIVE"):
        known.ensure(manifest)
    assert said.read_text() == command.format(manifest)


def test_only_the_target_version_in_state_active_ends_the_wait(
    core: fake_core.Core, known: elements.Elements
) -> None:
    install(core, "2", "IN_PROGRESS")
    with pytest.raises(TimeoutError):
        known.wait_active(NAME)
    install(core, "2")
    known.wait_active(NAME)
    known.wait_active(NAME, "2")
    with pytest.raises(TimeoutError):
        known.wait_active(NAME, "1")


def test_an_element_that_is_not_there_is_not_uninstalled(
    known: elements.Elements, said: pathlib.Path
) -> None:
    known.uninstall(NAME)
    assert not said.exists()
