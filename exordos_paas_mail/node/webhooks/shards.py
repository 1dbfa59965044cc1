# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The files that the documents of one collection are kept in."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import node_documents

if tp.TYPE_CHECKING:
    import pathlib

Stamp: tp.TypeAlias = "tuple[int, int, int]"


def present(directory: pathlib.Path) -> dict[str, Stamp]:
    """Return the shards in *directory*, each with what changes with its file; raises OSError."""
    try:
        return {
            path.name: _stamp(path)
            for path in directory.iterdir()
            if node_documents.is_name(path.name)
        }
    except FileNotFoundError:
        return {}


def _stamp(path: pathlib.Path) -> Stamp:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
