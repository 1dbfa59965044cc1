# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Who was erased, and until when: what a control plane has a node send nothing of any more.

It is the collection ``COLLECTION`` of documents (``node_documents``), in ``SHARDS`` shards by
name. A name is an address, or the queue id of a message that nobody else received. A node
keeps events of some days, and no longer is a name told.
"""

from __future__ import annotations

import datetime
import hashlib
import typing as tp

from exordos_paas_mail.codecs import bounded

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

COLLECTION: tp.Final = "erased"
SHARDS: tp.Final = 256
NAMES_MAX: tp.Final = 250
"""Names of a shard: so many of the longest are a document."""
KEPT: tp.Final = datetime.timedelta(days=8)
"""How long a name is told: a node keeps what it has told for seven days."""

_VERSION: tp.Final = 1


def name_of(address: str) -> str:
    """Return the name of an address, as an event has it, whose case says nothing."""
    return bounded.plain(address.lower())


def shard_of(name: str) -> str:
    """Return the shard of a name."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:2]


def render(names: Mapping[str, int]) -> bytes:
    """Return the document of *names*; ``parse`` is the inverse, and equal ones give equal octets.

    With each is the time, in milliseconds since 1970, before which nothing of it is sent.
    """
    return bounded.dump({"version": _VERSION, "names": dict(sorted(names.items()))})


def parse(data: bytes) -> dict[str, int]:
    """Return the names of a document; raises ValueError, without a word of it."""
    fields = bounded.Fields(bounded.load(data, "who was erased"), "who was erased")
    if fields.number("version") != _VERSION:
        raise fields.error("version")
    return fields.numbers("names", NAMES_MAX)
