# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""A collection whose documents are read as they are kept, by another daemon."""

from __future__ import annotations

import typing as tp


class Plain:
    """A ``base.Collection`` that nothing is made of."""

    def is_sound(self, shard: str, revision: int) -> bool:  # noqa: ARG002
        """Return that nothing is amiss."""
        return True

    def take(self, shard: str, content: bytes, revision: int) -> None:
        """Do nothing."""

    def finish(self, shards: tp.Collection[str]) -> None:
        """Do nothing."""
