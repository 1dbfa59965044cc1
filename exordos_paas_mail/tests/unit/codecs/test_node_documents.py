# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import typing as tp
import uuid

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import node_documents

KEY = bytes(range(32))
NODE = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0001")
OTHER = uuid.UUID("6b5d7a3e-3a0e-4a53-8a3e-0d6b1c8a0002")
INDEX = {"suppressions": {"00": 7, "ff": 2**53}, "webhooks": {"0": 1}, "empty": {}}

_names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True)


def _sealed(content: bytes = b"text", revision: int = 7) -> node_documents.Row:
    return node_documents.seal(KEY, NODE, "suppressions", "a0", revision, content)


def test_the_largest_document_travels() -> None:
    content = os.urandom(node_documents.RAW_SIZE_MAX)
    row = node_documents.parse(node_documents.render(_sealed(content)))
    assert row[:3] == ("suppressions", "a0", 7)
    assert node_documents.unseal(KEY, NODE, row) == content
    with pytest.raises(ValueError, match="too large"):
        _sealed(content + b"x")


def test_a_document_opens_as_what_it_was_sealed_as_and_as_nothing_else() -> None:
    row = _sealed()
    for key, node, moved in (
        (KEY[::-1], NODE, row),
        (KEY, OTHER, row),
        (KEY, NODE, row._replace(collection="webhooks")),
        (KEY, NODE, row._replace(shard="a1")),
        (KEY, NODE, row._replace(revision=8)),
        (KEY, NODE, row._replace(content="")),
    ):
        with pytest.raises(ValueError, match="the document"):
            node_documents.unseal(key, node, moved)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"collection": ""},
        {"collection": "../etc"},
        {"collection": "a:b"},
        {"shard": 7},
        {"shard": "A0"},
        {"shard": "a" * 33},
        {"shard": "a\n"},
        {"revision": 0},
        {"revision": True},
        {"revision": 2**60},
        {"content": None},
        {"content": "x" * 1_500_000},
    ],
)
def test_what_is_no_document_is_refused(changes: dict[str, tp.Any]) -> None:
    with pytest.raises(ValueError, match="the document"):
        node_documents.parse({**node_documents.render(_sealed()), **changes})


def test_each_shard_of_a_node_has_a_row_and_keeps_it() -> None:
    uuids = {
        node_documents.row_uuid(node, collection, shard)
        for node in (NODE, OTHER)
        for collection in ("suppressions", "webhooks")
        for shard in ("0", "00")
    }
    assert len(uuids) == 8
    expected = uuid.uuid5(NODE, "mail_node_document:webhooks:0")
    assert node_documents.row_uuid(NODE, "webhooks", "0") == expected


def test_an_index_opens_for_its_node_and_revision_alone() -> None:
    sealed = node_documents.seal_index(KEY, NODE, 9, INDEX)
    assert node_documents.unseal_index(KEY, NODE, 9, sealed) == INDEX
    for key, node, revision in ((KEY[::-1], NODE, 9), (KEY, OTHER, 9), (KEY, NODE, 8)):
        with pytest.raises(ValueError, match="the index of documents"):
            node_documents.unseal_index(key, node, revision, sealed)


@hypothesis.given(
    st.dictionaries(_names, st.dictionaries(_names, st.integers(1, 2**53), max_size=9), max_size=9)
)
def test_an_index_that_is_told_is_read(index: dict[str, dict[str, int]]) -> None:
    data = node_documents.render_index(index)
    assert node_documents.parse_index(data) == index
    backwards = {name: dict(reversed(shards.items())) for name, shards in reversed(index.items())}
    assert node_documents.render_index(backwards) == data


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"A": {}},
        {"a": []},
        {"a": {"../b": 1}},
        {"a": {"b": 0}},
        {"a": {"b": "1"}},
        {"a": {"b": True}},
        {"a": {"b": 2**60}},
        {"a": {f"{number}": 1 for number in range(1025)}},
        {f"{number}": {} for number in range(17)},
    ],
)
def test_what_is_no_index_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="index of documents"):
        node_documents.parse_index(json.dumps(value).encode())
