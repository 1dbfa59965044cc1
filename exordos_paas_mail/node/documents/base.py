# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What every collection of documents has: the holder knows collections by this alone."""

from __future__ import annotations

import typing as tp


class Collection(tp.Protocol):
    """What is made of the documents of one collection, beside keeping them.

    Every method raises OSError when the machine refuses; a later call does what
    was left undone.
    """

    def is_sound(self, shard: str, revision: int) -> bool:
        """Return whether what is made of *shard* is that of *revision*, and undamaged."""

    def take(self, shard: str, content: bytes, revision: int) -> None:
        """Make it of *content*; raises ValueError, without a word of it, if it is none."""

    def finish(self, shards: tp.Collection[str]) -> None:
        """Have what was taken count; *shards* are all that there are, of others nothing is left."""
