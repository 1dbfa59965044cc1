# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Files that hold secrets."""

from __future__ import annotations

import os
import typing as tp

if tp.TYPE_CHECKING:
    import pathlib


def write_private(path: pathlib.Path, text: str) -> None:
    """Replace *path* by *text*, for its owner's eyes only."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.rename(path)
