# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies

from exordos_paas_mail.codecs import passwd, usernames


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("noreply", "noreply"),
        ("NoReply", "noreply"),
        ("first.last+tag", "first.last+tag"),
        ("_dmarc", "_dmarc"),
        ("a", "a"),
        ("0", "0"),
        ("a-b_c=d", "a-b_c=d"),
        ("a" * 64, "a" * 64),
    ],
)
def test_a_user_name_is_lower_cased(value: str, expected: str) -> None:
    assert usernames.normalise(value) == expected


@pytest.mark.parametrize("value", [None, 5, b"a", ["a"]], ids=ascii)
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be 1 to 64"):
        usernames.normalise(value)  # type: ignore[arg-type]


@hypothesis.given(strategies.text(max_size=70))
def test_whatever_is_accepted_is_one_key_of_the_passwd_file(value: str) -> None:
    try:
        name = usernames.normalise(value)
    except ValueError:
        return
    assert not set(name) & set(":@%/\\'\"! \t\r\n#*$")
    assert name == name.lower()
    assert usernames.normalise(name) == name
    pairs = [(name, "$6$salt$hash")]
    assert passwd.parse(passwd.render(pairs, "a.example"), "a.example") == pairs
