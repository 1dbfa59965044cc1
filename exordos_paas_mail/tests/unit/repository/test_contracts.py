# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The import contracts refuse what they are there for: each is broken in a copy of the tree."""

import pathlib
import shutil
import subprocess
import sys
import typing as tp

import pytest

ROOT = pathlib.Path(__file__).parents[4]
MAIL = "exordos_paas_mail"
LINTER = pathlib.Path(sys.executable).with_name("lint-imports")


def roots() -> list[str]:
    """Return the packages that the contracts speak of."""
    return sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def lint(tree: pathlib.Path, contract: str) -> tuple[int, str]:
    """Check one contract; return the status and what is said of it."""
    result = subprocess.run(
        [LINTER, "--no-cache", "--no-logo", "--contract", contract],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout


def not_python(folder: str, names: list[str]) -> set[str]:
    return {
        name
        for name in names
        if not name.endswith(".py") and not pathlib.Path(folder, name).is_dir()
    }


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    tree = tmp_path_factory.mktemp("contracts")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for name in roots():
        shutil.copytree(ROOT / name, tree / name, ignore=not_python)
    return tree


@pytest.fixture
def put(copy: pathlib.Path) -> tp.Iterator[tp.Callable[[str, str], pathlib.Path]]:
    """Put a module into the copy, until the test is over."""
    added = []

    def write(path: str, source: str) -> pathlib.Path:
        module = copy / path
        assert not module.exists()
        module.write_text(source)
        added.append(module)
        return copy

    yield write
    for module in added:
        module.unlink()


@pytest.mark.parametrize(
    ("contract", "folder", "source"),
    [
        pytest.param("package", MAIL, "", id="in no layer of the package"),
        pytest.param(
            "control-plane", f"{MAIL}/control_plane", "", id="in none of the control plane"
        ),
        pytest.param("node", f"{MAIL}/node", "", id="in none of the node"),
        pytest.param("parts", f"{MAIL}/node/parts", "", id="in none of the parts"),
        pytest.param("api", f"{MAIL}/control_plane/api", "", id="in none of the API"),
        pytest.param(
            "sides",
            f"{MAIL}/node/machine",
            "from exordos_paas_mail.control_plane.records import accounts",
            id="node imports control_plane",
        ),
        pytest.param(
            "sides",
            f"{MAIL}/control_plane/records",
            "from exordos_paas_mail.node.machine import files",
            id="control_plane imports node",
        ),
        pytest.param(
            "targets",
            f"{MAIL}/control_plane/targets",
            "from exordos_paas_mail.control_plane.targets import accounts",
            id="a target imports its sibling",
        ),
        pytest.param(
            "codecs", f"{MAIL}/codecs", "import restalchemy", id="a codec imports restalchemy"
        ),
        pytest.param("beside", "tools", "from stand import demo", id="tools import the stand"),
        pytest.param("beside", "imaging", "from stand import demo", id="imaging imports the stand"),
        pytest.param("product", MAIL, "from imaging import images", id="the product makes images"),
        pytest.param(
            "clients", "clients", f"from {MAIL} import constants", id="a client imports the product"
        ),
        *(
            pytest.param(
                "effects", f"{MAIL}/{folder}", f"import {module}", id=f"{folder} imports {module}"
            )
            for folder, module in (
                ("codecs", "socket"),
                ("control_plane/records", "subprocess"),
                ("node/parts", "shutil"),
            )
        ),
    ],
)
def test_a_module_that_breaks_a_contract_is_refused(
    put: tp.Callable[[str, str], pathlib.Path], contract: str, folder: str, source: str
) -> None:
    tree = put(f"{folder}/mailboxes.py", f"{source}\n")

    status, said = lint(tree, contract)

    assert status == 1, said
    assert "Contracts: 0 kept, 1 broken." in said
    assert "mailboxes" in said


def test_the_tree_as_it_is_keeps_every_contract(copy: pathlib.Path) -> None:
    result = subprocess.run(
        [LINTER, "--no-cache", "--no-logo"], cwd=copy, capture_output=True, text=True, check=False
    )

    assert (result.returncode, " 0 broken." in result.stdout) == (0, True), result.stdout
