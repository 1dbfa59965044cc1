# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.passwd: the account file."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import passwd
from exordos_paas_mail.tests.unit.codecs import texts

if TYPE_CHECKING:
    import random

HASH = "$6$saltsalt$" + "x" * 86

_FIRST = string.ascii_lowercase + string.digits + "!$&'*+=?^_`{|}~.-"
usernames = texts.words(_FIRST + "#", 21, first=_FIRST)
hashes = st.builds(
    "${}${}".format,
    st.sampled_from(["1", "5", "6", "y", "2b"]),
    texts.words(string.ascii_letters + string.digits + "./=,$-", 99),
)
accounts = st.dictionaries(usernames, hashes, max_size=20)


@hypothesis.given(accounts)
def test_parse_is_the_inverse_of_render(pairs: dict[str, str]) -> None:
    text = passwd.render(pairs.items(), "example.com")

    assert passwd.parse(text, "example.com") == sorted(pairs.items())


@hypothesis.given(accounts, st.randoms(use_true_random=True))
def test_the_order_of_accounts_never_shows(pairs: dict[str, str], chance: random.Random) -> None:
    shuffled = list(pairs.items())
    chance.shuffle(shuffled)

    assert passwd.render(shuffled, "a.example") == passwd.render(pairs.items(), "a.example")


@hypothesis.given(
    accounts, st.dictionaries(usernames, st.sampled_from(["{SHA512-CRYPT}", "{CRYPT}"]))
)
def test_splitting_prefixes_and_joining_them_is_the_identity(
    pairs: dict[str, str], prefixes: dict[str, str]
) -> None:
    prefixes = {f"{name}@a.example": prefixes[name] for name in prefixes if name in pairs}
    plain = passwd.render(pairs.items(), "a.example")
    prefixed = passwd.join_prefixes(plain, prefixes)

    assert passwd.split_prefixes(prefixed) == (plain, prefixes)
    assert passwd.join_prefixes(*passwd.split_prefixes(prefixed)) == prefixed


def test_accounts_are_lines_sorted_by_username() -> None:
    assert passwd.render([("bob", "$6$s$h"), ("al.ice+tag", "$y$j9T$s$h")], "example.com") == (
        "al.ice+tag@example.com:$y$j9T$s$h\nbob@example.com:$6$s$h\n"
    )


def test_no_accounts_are_no_text() -> None:
    assert passwd.render([], "example.com") == ""
    assert passwd.parse("", "example.com") == []


@pytest.mark.parametrize(
    "username",
    [
        pytest.param("", id="empty"),
        pytest.param("#bob", id="lsearch comment"),
        pytest.param(" bob", id="lsearch continuation"),
        pytest.param('"bob', id="lsearch quoted key"),
        pytest.param("bob:$6$s$h\neve", id="second line"),
        pytest.param("bob\neve", id="line feed"),
        pytest.param("bob\r", id="carriage return"),
        pytest.param("bob\x00", id="nul"),
        pytest.param("bob\x85", id="unicode line break"),
        pytest.param("bob@other.example", id="at"),
        pytest.param("bob%other.example", id="percent hack"),
        pytest.param("../bob", id="slash"),
        pytest.param("Bob", id="upper case"),
        pytest.param("bób", id="not ascii"),
        pytest.param("b" * 65, id="65 octets"),
    ],
)
def test_a_username_that_is_more_than_a_key_is_refused(username: str) -> None:
    with pytest.raises(ValueError, match="local part"):
        passwd.render([(username, HASH)], "example.com")


@pytest.mark.parametrize(
    "password_hash",
    [
        pytest.param("", id="empty"),
        pytest.param("secret", id="plaintext"),
        pytest.param("$6$salt$hash\neve@example.com:$6$s$h", id="second line"),
        pytest.param("$6$salt$hash\n", id="line feed"),
        pytest.param("$6$salt$ha sh", id="space"),
        pytest.param("$6$salt$ha:sh", id="colon"),
        pytest.param("{SHA512-CRYPT}$6$salt$hash", id="dovecot prefix"),
        pytest.param("$6$salt$" + "x" * 600, id="too long"),
    ],
)
def test_a_hash_that_is_not_crypt_is_refused_and_never_named(password_hash: str) -> None:
    with pytest.raises(ValueError, match="not a crypt") as failure:
        passwd.render([("bob", password_hash)], "example.com")

    assert not password_hash or password_hash not in str(failure.value)


def test_a_username_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        passwd.render([("bob", "$6$s$a"), ("bob", "$6$s$b")], "example.com")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("bob@example.com:$6$s$h", id="no line end"),
        pytest.param("bob@other.example:$6$s$h\n", id="other domain"),
        pytest.param("bob@sub.example.com:$6$s$h\n", id="subdomain"),
        pytest.param("\n", id="empty line"),
        pytest.param("# comment\n", id="comment"),
        pytest.param("b@example.com:$6$s$h\na@example.com:$6$s$h\n", id="unsorted"),
        pytest.param("b@example.com:$6$s$h\nb@example.com:$6$s$i\n", id="twice"),
        pytest.param("b@example.com\n", id="no hash"),
        pytest.param("b@example.com:$6$s$h\r\n", id="carriage return"),
        pytest.param("b@example.com:$6$s$h\x0bc@example.com:$6$s$h\n", id="vertical tab"),
    ],
)
def test_parse_refuses_what_render_does_not_write(text: str) -> None:
    with pytest.raises(ValueError) as failure:
        passwd.parse(text, "example.com")

    assert "$6$" not in str(failure.value)


def test_a_brace_in_a_username_is_no_prefix() -> None:
    text = "{plain}@example.com:$6$s$h\n"

    assert passwd.split_prefixes(text) == (text, {})
