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

ROOT = pathlib.Path(__file__).parents[4]
MAIL = "exordos_paas_mail"
LINTER = pathlib.Path(sys.executable).with_name("lint-imports")

# A contract, and a module that breaks it: its folder and its source.
BREACHES = [
    pytest.param("package", MAIL, "", id="in no layer of the package"),
    pytest.param("control-plane", f"{MAIL}/control_plane", "", id="in none of the control plane"),
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
]


def roots() -> list[str]:
    """Return the packages that the contracts speak of."""
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
    ids = {name: id_ for id_, name in re.findall(r'id = "(.*)"\nname = "(.*)"', contracts())}
    broken = said.partition("\nBroken contracts\n")[2]
    _, *parts = re.split(r"^(.+)\n-+\n\n", broken, flags=re.MULTILINE)
    return {ids[name]: text for name, text in zip(parts[::2], parts[1::2], strict=True)}


def contracts() -> str:
    return (ROOT / "pyproject.toml").read_text().partition("[tool.importlinter]")[2]


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


def test_the_tree_as_it_is_keeps_every_contract(tmp_path: pathlib.Path) -> None:
    status, said = lint(copy(tmp_path))

    assert (status, " 0 broken." in said) == (0, True), said
