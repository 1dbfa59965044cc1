# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What tests share is in modules of its own: pytest alone loads test modules and conftests."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[4]
# No hidden directory: environments are there.
MODULES = sorted(path for folder in ROOT.glob("[!.]*/") for path in folder.rglob("*.py"))


def imported(module: ast.Module) -> set[str]:
    """Return every part of the dotted names that *module* imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            names.update(f"{node.module or ''}.{alias.name}" for alias in node.names)
    return {part for name in names for part in name.split(".")}


def offences(source: str) -> set[str]:
    """Return the conftests and test modules that *source* imports."""
    return {
        name
        for name in imported(ast.parse(source))
        if name == "conftest" or name.startswith("test_")
    }


def test_no_module_imports_a_test_module_or_a_conftest() -> None:
    assert MODULES
    found = {
        str(path.relative_to(ROOT)): offences(path.read_text())
        for path in MODULES
        if offences(path.read_text())
    }

    assert found == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from a.tests import conftest", {"conftest"}),
        ("from a.tests import test_b as b", {"test_b"}),
        ("from a.tests.test_b import render", {"test_b"}),
        ("import a.tests.conftest", {"conftest"}),
        ("from . import test_b", {"test_b"}),
        ("if True:\n    from a import conftest", {"conftest"}),
        ("from a.tests import tests, testing, latest_", set()),
    ],
)
def test_such_an_import_is_seen_however_it_is_spelled(source: str, expected: set[str]) -> None:
    assert offences(source) == expected
