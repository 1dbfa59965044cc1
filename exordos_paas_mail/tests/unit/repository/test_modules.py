# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The table of modules in docs/architecture.md is the tree's own."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[4]
PACKAGE = ROOT / "exordos_paas_mail"


def _named() -> list[str]:
    """Return the first cell of each row of the table."""
    section = (ROOT / "docs" / "architecture.md").read_text().partition("### Where a thing is\n")[2]
    rows = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `([^`]+)` \|", rows, re.MULTILINE)


def _modules() -> list[str]:
    """Return the modules of the product; the migrations count as one."""
    modules = {
        "migrations/*" if path.parent.name == "migrations" else str(path.with_suffix(""))
        for path in (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
        if path.parts[0] != "tests" and path.name != "__init__.py"
    }
    return sorted(modules)


def test_the_architecture_names_each_module_once() -> None:
    named, modules = _named(), _modules()
    assert [module for module in modules if module not in named] == []
    assert [name for name in named if name not in modules] == []
    assert len(named) == len(modules)
