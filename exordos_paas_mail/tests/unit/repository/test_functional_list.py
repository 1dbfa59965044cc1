# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The table in docs/functional-tests.md is the end-to-end suite's own."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[4]


def test_the_list_of_the_end_to_end_suite_names_each_file_once() -> None:
    document = (ROOT / "docs" / "functional-tests.md").read_text()
    section = document.partition("## What is tested\n")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `(test_\w+\.py)` \|", section, re.MULTILINE)
    suite = ROOT / "exordos_paas_mail" / "tests" / "functional"
    assert sorted(named) == sorted(path.name for path in suite.glob("test_*.py"))
