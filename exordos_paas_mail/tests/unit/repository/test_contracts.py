# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The import contracts refuse what they are there for: all are broken in a copy of the tree."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from importlinter import api

ROOT = pathlib.Path(__file__).parents[4]
MAIL = "exordos_paas_mail"
LINTER = pathlib.Path(sys.executable).with_name("lint-imports")
SETTINGS = api.read_configuration(str(ROOT / "pyproject.toml"))
CONTRACTS = SETTINGS["contracts_options"]

# A contract, and a module that breaks it: its folder and its source.
BREACHES = [
    *(
        pytest.param(contract["id"], package.replace(".", "/"), "", id=f"in no layer of {package}")
        for contract in CONTRACTS
        if contract.get("exhaustive") == "True"
        for package in contract["containers"]
    ),
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
    pytest.param("beside", "stand", "from benchmarks import cpu_groups", id="the stand measures"),
    pytest.param("product", MAIL, "from imaging import images", id="the product makes images"),
    pytest.param(
        "product", MAIL, "from benchmarks import cpu_groups", id="the product measures itself"
    ),
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
            ("node/parts", "sqlite3"),
        )
    ),
]


def roots() -> list[str]:
    """Return the packages of the repository."""
    return sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def lint(tree: pathlib.Path) -> tuple[int, str]:
    """Check every contract; return the status and what is said, its lines not folded."""
    result = subprocess.run(
        [LINTER, "--no-cache", "--no-logo"],
        cwd=tree,
        env={**os.environ, "COLUMNS": "500"},
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


def copy(tree: pathlib.Path) -> pathlib.Path:
    """Copy what the contracts speak of."""
    shutil.copy(ROOT / "pyproject.toml", tree)
    for name in roots():
        shutil.copytree(ROOT / name, tree / name, ignore=not_python)
    return tree


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what is said of each broken contract, by its id, in a tree with every breach."""
    tree = copy(tmp_path_factory.mktemp("broken"))
    for number, breach in enumerate(BREACHES):
        _, folder, source = breach.values
        (tree / f"{folder}/mailboxes_{number}.py").write_text(f"{source}\n")

    status, said = lint(tree)

    assert status == 1, said
    ids = {contract["name"]: contract["id"] for contract in CONTRACTS}
    broken = said.partition("\nBroken contracts\n")[2]
    _, *parts = re.split(r"^(.+)\n-+\n\n", broken, flags=re.MULTILINE)
    return {ids[name]: text for name, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize(
    ("contract", "module"),
    [
        pytest.param(
            breach.values[0],
            f"{breach.values[1]}/mailboxes_{number}".replace("/", "."),
            id=breach.id,
        )
        for number, breach in enumerate(BREACHES)
    ],
)
def test_a_module_that_breaks_a_contract_is_refused(
    refused: dict[str, str], contract: str, module: str
) -> None:
    assert re.search(rf"{module}\b", refused[contract]), refused[contract]


def test_every_package_is_under_the_contracts() -> None:
    assert roots() == SETTINGS["session_options"]["root_packages"]


def test_the_tree_as_it_is_keeps_every_contract(tmp_path: pathlib.Path) -> None:
    status, said = lint(copy(tmp_path))

    assert (status, " 0 broken." in said) == (0, True), said
