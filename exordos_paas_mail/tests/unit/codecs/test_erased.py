# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from exordos_paas_mail.codecs import erased, node_documents

NAMES = {"bob@example.org": 5, "1xWfZB-000000a-2E": 7}


def test_what_is_told_is_read() -> None:
    assert erased.parse(erased.render(NAMES)) == NAMES
    assert erased.render(NAMES) == erased.render(dict(reversed(NAMES.items())))
    assert erased.parse(erased.render({})) == {}


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"{}", b'{"version":2}', b'{"version":1,"names":[]}'),
        *(b'{"version":1,"names":{"a@b":-1}}', b'{"version":1,"names":{"a\\u0000b":1}}'),
        erased.render({f"{number}@b": 1 for number in range(erased.NAMES_MAX + 1)}),
    ],
    ids=lambda data: data[:40],
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="who was erased"):
        erased.parse(data)


def test_the_longest_names_of_a_shard_are_a_document() -> None:
    address = "\N{GRINNING FACE}" * 310 + "@b.example"
    longest = {f"{number:03}{address[3:]}": 2**53 for number in range(erased.NAMES_MAX)}
    assert {len(name) for name in longest} == {320}
    assert len(erased.render(longest)) <= node_documents.RAW_SIZE_MAX


def test_an_address_is_a_name_in_whatever_case_and_every_shard_has_some() -> None:
    assert erased.name_of("Bob@Example.ORG") == "bob@example.org"
    assert erased.name_of("a\u200b@b.example") == "a\N{REPLACEMENT CHARACTER}@b.example"
    assert {erased.shard_of(name) for name in map(str, range(5000))} == {
        f"{number:02x}" for number in range(erased.SHARDS)
    }
