# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Documents: what the control plane has a node hold that is large, or secret.

They are kept in collections of shards. A shard is a row of the Status API, replaced
when it has changed, sealed (``sealing``) and bound to its node, its place and its
revision. The index, which names the shards that there are and their revisions, is
sealed too and rides in the node's box of commands (``node_commands``), bound to the
revision of that.

The revisions of a node's shards and of its box are of one counter, which only grows:
an older row or index, which another node may have put back, is known by it. Shards
are written before the index that names them, so a shard may be newer than the index
says, and is taken all the same.
"""

from __future__ import annotations

import re
import typing as tp
import uuid as sys_uuid

from exordos_paas_mail.codecs import bounded, sealing

if tp.TYPE_CHECKING:
    from collections.abc import Mapping

KIND: tp.Final = "mail_node_document"
RAW_SIZE_MAX: tp.Final = 1024 * 1024
"""Octets of the content of a shard."""
SHARDS_MAX: tp.Final = 1024
"""Of a collection."""
COLLECTIONS_MAX: tp.Final = 16

Index: tp.TypeAlias = "Mapping[str, Mapping[str, int]]"
"""The revision of each shard, by collection and shard."""

_VERSION: tp.Final = 1
_NAME: tp.Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_SEAL: tp.Final = sealing.Seal("the document", b"mailaas-documents", RAW_SIZE_MAX)
_INDEX_SEAL: tp.Final = sealing.Seal(
    "the index of documents", b"mailaas-documents-index", RAW_SIZE_MAX
)
INDEX_SEALED_SIZE_MAX: tp.Final = _INDEX_SEAL.sealed_size_max


class Row(tp.NamedTuple):
    """The value of a row; collections and shards have names of ``is_name``."""

    collection: str
    shard: str
    revision: int
    content: str
    """Sealed, in base64."""


def is_name(text: object) -> tp.TypeGuard[str]:
    """Return whether a collection or a shard may be called so; it may be a file's name too."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def row_uuid(node: sys_uuid.UUID, collection: str, shard: str) -> sys_uuid.UUID:
    """Return the uuid of a shard's row, which is the same for ever."""
    return sys_uuid.uuid5(node, f"{KIND}:{collection}:{shard}")


def seal(  # noqa: PLR0913 - what it is bound to
    key: bytes, node: sys_uuid.UUID, collection: str, shard: str, revision: int, content: bytes
) -> Row:
    """Return *content* as a row; ValueError if it has more than ``RAW_SIZE_MAX`` octets.

    *key* is the node's own; each call gives another text.
    """
    if len(content) > RAW_SIZE_MAX:
        raise ValueError("the document is too large")
    bound_to = _bound_to(node, collection, shard, revision)
    return Row(collection, shard, revision, _SEAL.seal(key, bound_to, content))


def unseal(key: bytes, node: sys_uuid.UUID, row: Row) -> bytes:
    """Return the content of *row*; raises ValueError, without a word of it, if it cannot.

    It cannot where *row* was sealed with another key, for another node, place or
    revision, or is larger than it may be.
    """
    bound_to = _bound_to(node, row.collection, row.shard, row.revision)
    return _SEAL.unseal(key, bound_to, row.content)


def render(row: Row) -> dict[str, tp.Any]:
    """Return *row* as the value of a row; ``parse`` is the inverse."""
    return {"version": _VERSION, **row._asdict()}


def parse(value: Mapping[str, tp.Any]) -> Row:
    """Return the row that *value* is; raises ValueError, without a word of it."""
    version, collection, shard, revision, content = (
        value.get(name) for name in ("version", *Row._fields)
    )
    if type(version) is not int or version != _VERSION:
        raise ValueError("the document is of no version that is known")
    if not is_name(collection) or not is_name(shard):
        raise ValueError("the document has no place")
    if not _is_revision(revision):
        raise ValueError("the document has no revision")
    if not isinstance(content, str) or len(content) > _SEAL.sealed_size_max:
        raise ValueError("the document has no content, or too much")
    return Row(collection, shard, revision, content)


def seal_index(key: bytes, node: sys_uuid.UUID, revision: int, index: Index) -> str:
    """Return *index* sealed, for the box of commands of that *revision*."""
    return _INDEX_SEAL.seal(key, _index_bound_to(node, revision), render_index(index))


def unseal_index(
    key: bytes, node: sys_uuid.UUID, revision: int, text: str
) -> dict[str, dict[str, int]]:
    """Return the index that *text*, of the box of that *revision*, is.

    Raises ValueError, without a word of it, if it does not open or is no index.
    """
    return parse_index(_INDEX_SEAL.unseal(key, _index_bound_to(node, revision), text))


def render_index(index: Index) -> bytes:
    """Return *index* as JSON, the same for equal ones; ``parse_index`` is the inverse."""
    return bounded.dump({name: dict(sorted(index[name].items())) for name in sorted(index)})


def parse_index(data: bytes) -> dict[str, dict[str, int]]:
    """Return the index of *data*; raises ValueError, without a word of it."""
    value = bounded.load(data, "the index of documents")
    if not isinstance(value, dict) or len(value) > COLLECTIONS_MAX:
        raise ValueError("the index of documents is no object, or too long")
    for name, shards in value.items():
        if not is_name(name) or not isinstance(shards, dict) or len(shards) > SHARDS_MAX:
            raise ValueError("a collection of the index of documents is out of its bounds")
        if not all(is_name(shard) and _is_revision(number) for shard, number in shards.items()):
            raise ValueError("a shard of the index of documents is out of its bounds")
    return value


def _is_revision(value: object) -> tp.TypeGuard[int]:
    return type(value) is int and 0 < value <= bounded.NUMBER_MAX


def _bound_to(node: sys_uuid.UUID, collection: str, shard: str, revision: int) -> str:
    return f"{node}:{KIND}:{collection}:{shard}:{revision}"


def _index_bound_to(node: sys_uuid.UUID, revision: int) -> str:
    return f"{node}:{KIND}:{revision}"
