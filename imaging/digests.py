# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Content keys: equal inputs give equal keys, on any machine and at any time."""

from __future__ import annotations

import hashlib
import typing as tp

if tp.TYPE_CHECKING:
    import pathlib


def of_files(files: tp.Mapping[str, pathlib.Path]) -> str:
    """Return the key of *files* (name -> file): names, contents and executable bits."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        executable = path.stat().st_mode & 0o100
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name}\0{executable}\0{content}\n".encode())
    return digest.hexdigest()


def of_texts(*texts: str) -> str:
    """Return the key of *texts*, in their order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()


def below(directory: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the files below *directory*, named by their paths in it."""
    return {
        str(path.relative_to(directory)): path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
