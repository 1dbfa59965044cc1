# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How many rows the database looks at for an answer."""

from __future__ import annotations

import typing as tp

if tp.TYPE_CHECKING:
    from collections.abc import Iterator


class Session:
    """A session that counts the rows of *tables*, by the begin of a name, that are read."""

    def __init__(self, session: tp.Any, *tables: str) -> None:
        self._session, self._tables = session, tables
        self.read: list[int] = []
        """Of each scan of each statement."""

    def execute(self, statement: str, values: tp.Any) -> tp.Any:
        """Do what a session does."""
        explained = self._session.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
        (top,) = explained.fetchone()["QUERY PLAN"]
        self.read += self._rows(top["Plan"])
        return self._session.execute(statement, values)

    def _rows(self, node: dict[str, tp.Any]) -> Iterator[int]:
        for child in node.get("Plans", []):
            yield from self._rows(child)
        if str(node.get("Relation Name")).startswith(self._tables):
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            yield int(rows * node["Actual Loops"])
