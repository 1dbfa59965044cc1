# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Files of KEY=value lines. They look like a shell's and are data: parsed, never sourced."""

from __future__ import annotations

import re
import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

_KEY = re.compile(r"[A-Z][A-Z0-9_]*")


def parse(text: str) -> dict[str, str]:
    """Return the values in *text* by key.

    Empty lines and ``#`` comments are skipped. A value is everything after the
    first ``=``, exactly as written: no quotes, no escapes, no expansion. Raises
    ValueError for any other line, and for a key that is given twice.
    """
    values: dict[str, str] = {}
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or _KEY.fullmatch(key) is None:
            raise ValueError("a line is not KEY=value")
        if key in values:
            raise ValueError(f"{key} is given twice")
        values[key] = value
    return values


def render(values: Mapping[str, str]) -> str:
    """Return the file for *values*, one line a key, sorted; ``parse`` is the inverse."""
    return "".join(f"{key}={value}\n" for key, value in sorted(values.items()))
