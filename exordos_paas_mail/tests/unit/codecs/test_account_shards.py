# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.account_shards: digests of shards, lines of shards, and the file they make."""

from __future__ import annotations

import typing as tp
from unittest import mock

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import account_shards, passwd

DOMAIN = "example.com"
# Of names that begin alike the end is compared with what follows a name in a line.
NAMES = ["a", "a-b", "a.b", "a0", "ab", *(f"user{number}" for number in range(8))]
HASHES = ["$6$salt$one", "$6$salt$two"]
ACCOUNTS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(HASHES))


def file(accounts: dict[str, str]) -> str:
    return passwd.render(accounts.items(), DOMAIN)


def by_shard(accounts: dict[str, str]) -> dict[int, list[account_shards.Pair]]:
    shards: dict[int, list[account_shards.Pair]] = {n: [] for n in range(account_shards.COUNT)}
    for pair in sorted(accounts.items()):
        shards[account_shards.shard_of(pair[0])].append(pair)
    return shards


def digests(accounts: dict[str, str]) -> account_shards.Digests:
    return tuple(account_shards.digest(pairs) for _, pairs in sorted(by_shard(accounts).items()))


@hypothesis.given(ACCOUNTS)
def test_the_digests_of_a_file_are_those_of_its_accounts(accounts: dict[str, str]) -> None:
    reading = account_shards.read(file(accounts), DOMAIN)
    assert (reading.digests, reading.is_sound) == (digests(accounts), True)
    assert account_shards.parse(account_shards.render(reading.digests)) == reading.digests
    assert account_shards.parse(account_shards.render(reading.digests, ["a"])) == reading.digests


@hypothesis.given(ACCOUNTS)
def test_lines_of_shards_come_back(accounts: dict[str, str]) -> None:
    shards = by_shard(accounts)
    assert account_shards.parse_lines(account_shards.render_lines(shards)) == shards


@pytest.mark.parametrize("searches", [0, 500], ids=["line by line", "searched"])
@hypothesis.given(
    *(ACCOUNTS, ACCOUNTS, st.sets(st.sampled_from(NAMES)), ACCOUNTS, st.sampled_from([0, 1, 256]))
)
def test_each_shard_of_a_merged_file_is_what_is_wanted_or_what_it_was(
    searches: int,
    before: dict[str, str],
    wanted: dict[str, str],
    told: set[str],
    other: dict[str, str],
    known: int,
) -> None:
    numbers = {account_shards.shard_of(name) for name in told}
    lines = {n: pairs for n, pairs in by_shard(wanted).items() if n in numbers}
    base = account_shards.read(file(before), DOMAIN)
    beside = account_shards.read(file(other), DOMAIN)

    def find(numbers: tp.Collection[int]) -> dict[int, list[account_shards.Pair]]:
        return {n: by_shard(before)[n] for n in sorted(numbers)[:known]}

    with mock.patch.object(account_shards, "_SEARCHES_MAX", searches):
        merged = account_shards.merge(base, DOMAIN, digests(wanted), lines, beside, find)
    expected: dict[str, str] = {}
    wanted_digests, wanted_shards, shards_before = (
        digests(wanted),
        by_shard(wanted),
        by_shard(before),
    )
    for number in range(account_shards.COUNT):
        has_it = number in numbers or beside.digests[number] == wanted_digests[number]
        expected |= dict((wanted_shards if has_it else shards_before)[number])
    assert merged == account_shards.read(file(expected), DOMAIN)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("alice@example.com:$6$salt$one", id="no end"),
        pytest.param("bob@example.com:$6$s$o\nalice@example.com:$6$s$o\n", id="order"),
        pytest.param("bob@example.com:$6$s$o\nbob@example.com:$6$s$o\n", id="twice"),
        pytest.param("bob@example.org:$6$s$o\n", id="another domain"),
        pytest.param("# a remark\n", id="no account"),
        pytest.param("alice@example.com:$6$s$o\rbob@example.com:$6$s$o\n", id="carriage return"),
        pytest.param("alice@example.com:x\n", id="no hash"),
    ],
)
def test_what_is_no_account_file_is_not_sound_and_is_made_one(text: str) -> None:
    reading = account_shards.read(text, DOMAIN)
    assert not reading.is_sound
    merged = account_shards.merge(reading, DOMAIN, account_shards.NONE, {})
    assert merged.is_sound
    assert passwd.render(passwd.parse(merged.text, DOMAIN), DOMAIN) == merged.text


def test_lines_that_have_another_digest_are_not_taken() -> None:
    wanted = {"alice": HASHES[0]}
    base = account_shards.read(file({"alice": HASHES[1]}), DOMAIN)
    lines = by_shard({"alice": HASHES[1], "bob": HASHES[0]})
    assert account_shards.merge(base, DOMAIN, digests(wanted), lines) == base


@pytest.mark.parametrize("text", ["", "0\n", "x" * 32 + "\n", account_shards.render([0] * 257)])
def test_what_are_no_digests_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the digests of 256 shards"):
        account_shards.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("alice:$6$salt$secret\n", id="of no shard"),
        pytest.param(":256\n", id="no such shard"),
        pytest.param(":\u0661\n", id="another digit"),
        pytest.param(":0\nalice:$6$salt$secret\n", id="of another shard"),
        pytest.param(f":{account_shards.shard_of('alice')}\nalice:secret word\n", id="no hash"),
        pytest.param(f":{account_shards.shard_of('A')}\nA:$6$salt$secret\n", id="no name"),
        pytest.param(
            f":{account_shards.shard_of('alice')}\n" + 2 * "alice:$6$salt$secret\n", id="twice"
        ),
    ],
)
def test_what_are_no_lines_of_shards_is_refused_without_a_secret(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        account_shards.parse_lines(text)
    assert "secret" not in str(caught.value)
