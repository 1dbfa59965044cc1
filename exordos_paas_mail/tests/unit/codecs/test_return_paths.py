# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.return_paths: return paths, the file of domains that have some, and the keys."""

from __future__ import annotations

import pytest

from exordos_paas_mail.codecs import return_paths

FILE = "example.com:forward\nexample.net:keep\n.:2\n"
USES = [("example.com", "forward"), ("example.net", "keep")]
KEY = "0123456789abcdef" * 4
# exim 4.96 has made it of the message 1xWwW4-00000z-1O.
PATH = "b-bvqtdj4-b5-cw-41a22fbee87b40-alice+news@bounces.tenant.example"


def test_the_file_is_sorted_and_parse_is_the_inverse_of_render() -> None:
    assert return_paths.render(reversed(USES)) == FILE
    assert return_paths.parse(FILE) == USES
    assert return_paths.parse(return_paths.render([])) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the last line has no end"),
        (FILE[:-1], "the last line has no end"),
        ("example.com:forward\n.:2\n", "the end mark"),
        ("example.com:forward\n", "the end mark"),
        ("example.com:bounce\n.:1\n", "line 1: the use"),
        ("example.com\n.:1\n", "line 1: the use"),
        ("Example.com:keep\n.:1\n", "line 1: not a domain"),
        ("*:keep\n.:1\n", "line 1: not a domain"),
        (f"{'a.' * 122}example:keep\n.:1\n", "line 1: not a domain"),
        ("b.example:keep\na.example:keep\n.:2\n", "line 2: out of order"),
        ("b.example:keep\nb.example:keep\n.:2\n", "line 2: out of order"),
        ("".join(f"d{n:02}.example:keep\n" for n in range(52)) + ".:52\n", "more than 51 domains"),
    ],
)
def test_what_is_no_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        return_paths.parse(text)


@pytest.mark.parametrize("spelled", [PATH, PATH.upper(), PATH.replace("b-", "B-", 1)])
def test_a_path_says_of_which_message_it_is_and_who_sent_it(spelled: str) -> None:
    found = return_paths.parse_path(spelled)
    assert found is not None
    assert found.queue_id == "1xWwW4-00000z-1O"
    assert found.sender.lower() == "alice+news@tenant.example"


@pytest.mark.parametrize(
    ("message", "queue_id"),
    [("aaaaaaa-a-", "000000-000000-00"), ("b-b-b", "000001-000001-01")],
)
def test_small_numbers_have_their_zeros(message: str, queue_id: str) -> None:
    path = f"b-{message}-{'0' * 14}-a@bounces.example.com"
    assert return_paths.parse_path(path) == (queue_id, "a@example.com")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice@tenant.example",
        PATH.replace("@bounces.", "@"),
        PATH.replace("bounces.tenant.example", "bounces."),
        PATH.replace("41a22fbee87b40", "41a22fbee87b4"),
        PATH.replace("41a22fbee87b40", "41a22fbee87b4g"),
        PATH.replace("alice+news", ""),
        PATH.replace("alice+news", "a" * 30),
        PATH.replace("alice+news", "a%b"),
        PATH.replace("alice+news", "a b"),
        PATH.replace("bvqtdj4", "bvqtdj41"),
        PATH.replace("-cw-", "-777-"),
        PATH.replace("bvqtdj4", "bvqtdj\u017f"),
        PATH.replace("bvqtdj4", "bvqtdj\u0131"),
        PATH + "\n",
        f"<{PATH}>",
    ],
)
def test_what_is_no_path_says_nothing(address: str) -> None:
    assert return_paths.parse_path(address) is None


def test_a_name_has_253_characters_with_the_label_before_it() -> None:
    longest = ".".join(["a" * 61] * 3 + ["a" * 59])
    assert len(return_paths.host(longest)) == 253
    assert return_paths.has_room(longest)
    assert not return_paths.has_room("a" + longest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{KEY}\n", True),
        (f"{KEY}\n{KEY[::-1]}\n", True),
        (f"{KEY}\n" * 3, False),
        (KEY, False),
        ("", False),
        ("\n", False),
        (f"\n{KEY}\n", False),
        (f"{KEY[:-1]}\n", False),
        (f"{KEY.upper()}\n", False),
    ],
)
def test_keys_are_one_or_two(text: str, expected: bool) -> None:  # noqa: FBT001
    assert return_paths.are_keys(text) is expected
