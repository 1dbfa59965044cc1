# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Many rows of two texts, as a file that a node holds is made of."""

from __future__ import annotations

import typing as tp


def select(session: tp.Any, query: str, parameters: tuple[tp.Any, ...]) -> list[tuple[str, str]]:
    """Return the rows of *query*, which has the columns ``key`` and ``value``.

    Both are texts without line breaks, and never null. They come as two values:
    ten thousand rows of the driver's cost five times as much as all of them so.
    """
    columns = "string_agg(key, E'\\n') AS keys, string_agg(value, E'\\n') AS values"
    # The words are the callers' own.
    statement = f"SELECT {columns} FROM ({query}) AS rows"  # noqa: S608
    (found,) = session.execute(statement, parameters).fetchall()
    if found["keys"] is None:
        return []
    return list(zip(found["keys"].split("\n"), found["values"].split("\n"), strict=True))
