# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The constant database (cdb) format of D. J. Bernstein, which exim looks up."""

from __future__ import annotations

import os
import typing as tp

import cdbx

if tp.TYPE_CHECKING:
    from collections.abc import Iterable


def render(records: Iterable[tuple[str, str]]) -> bytes:
    """Return a cdb file that holds *records* (key, value), UTF-8, in that order.

    Equal records give equal bytes.
    """
    # The library writes to a file descriptor; this one is memory.
    with os.fdopen(os.memfd_create("cdb", os.MFD_CLOEXEC), "w+b") as file:
        maker = cdbx.CDB.make(file)
        for key, value in records:
            maker.add(key.encode(), value.encode())
        maker.commit().close()
        file.seek(0)
        return file.read()


def parse(data: bytes) -> list[tuple[str, str]]:
    """Return the records of a cdb file, the inverse of ``render``."""
    with os.fdopen(os.memfd_create("cdb", os.MFD_CLOEXEC), "w+b") as file:
        file.write(data)
        file.flush()
        database = cdbx.CDB(file)
        return [(key.decode(), value.decode()) for key, value in database.items(all=True)]
