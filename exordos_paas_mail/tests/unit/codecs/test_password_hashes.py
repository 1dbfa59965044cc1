# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import subprocess
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies
from passlib import hash as schemes

from exordos_paas_mail.codecs import passwd, password_hashes

SHA512 = "$6$salt$hash"
BCRYPT = "$2b$12$" + "a" * 53
YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
SCRYPT = "$7$DU..../....2Q9obwLhin8qvQl6sisAO/$" + "s" * 43


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SHA512, SHA512),
        ("$6$rounds=656000$salt$hash", "$6$rounds=656000$salt$hash"),
        ("$5$salt$hash", "$5$salt$hash"),
        ("$1$salt$hash", "$1$salt$hash"),
        (BCRYPT, BCRYPT),
        (YESCRYPT, YESCRYPT),
        (SCRYPT, SCRYPT),
        ("{SHA512-CRYPT}" + SHA512, SHA512),
        ("{sha512-crypt}" + SHA512, SHA512),
        ("{CRYPT}" + SHA512, SHA512),
        ("{CRYPT}" + YESCRYPT, YESCRYPT),
        ("{BLF-CRYPT}" + BCRYPT, BCRYPT),
        ("{SHA256-CRYPT}$5$salt$hash", "$5$salt$hash"),
        ("{MD5-CRYPT}$1$salt$hash", "$1$salt$hash"),
    ],
)
def test_a_hash_is_taken_without_its_prefix(value: str, expected: str) -> None:
    assert password_hashes.normalise(value) == expected


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("{PLAIN}secret", "prefix"),
        ("{SHA512-CRYPT.b64}" + SHA512, "prefix"),
        ("{SHA256-CRYPT}" + SHA512, "does not match"),
        ("{SHA512-CRYPT}secret", "must be a crypt"),
        ("{SHA512-CRYPT}{SHA512-CRYPT}" + SHA512, "must be a crypt"),
        ("$6$rounds=\u0661\u0660\u0660\u0660$salt$hash", "must be a crypt"),
        ("$6$" + "s" * 17 + "$hash", "must be a crypt"),
        (" " + SHA512, "must be a crypt"),
        (SHA512 + "\n", "must be a crypt"),
        (None, "must be a crypt"),
    ],
    ids=ascii,
)
def test_what_no_login_could_use_is_refused_without_being_repeated(value: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule) as refused:
        password_hashes.normalise(value)
    assert "secret" not in str(refused.value)


def crypt(phrase: str, setting: str) -> str | None:
    """Return the hash of *phrase* by the library that exim asks; None if it refuses."""
    function = ctypes.CDLL("libcrypt.so.1").crypt
    function.argtypes, function.restype = [ctypes.c_char_p, ctypes.c_char_p], ctypes.c_char_p
    made = function(phrase.encode(), setting.encode())
    return None if made is None or made.startswith(b"*") else str(made, "ascii")


@hypothesis.given(strategies.text(max_size=300))
def test_whatever_is_accepted_is_one_value_of_the_passwd_file(value: str) -> None:
    for given in (value, SHA512 + value, "$6$" + value, "{CRYPT}" + SHA512 + value):
        try:
            found = password_hashes.normalise(given)
        except ValueError:
            continue
        assert password_hashes.normalise(found) == found
        pairs = [("a", found)]
        assert passwd.parse(passwd.render(pairs, "a.example"), "a.example") == pairs


@hypothesis.given(strategies.text(min_size=1, max_size=40))
@hypothesis.settings(max_examples=25)
def test_a_password_verifies_against_its_hash_and_no_other(plaintext: str) -> None:
    try:
        password_hashes.check_plaintext(plaintext)
    except ValueError:
        return
    found = password_hashes.hash_plaintext(plaintext)
    assert password_hashes.normalise(found) == found
    assert password_hashes.verify(plaintext, found)
    assert not password_hashes.verify(plaintext + "x", found)


def test_equal_passwords_get_hashes_of_their_own() -> None:
    hashes = {password_hashes.hash_plaintext("same") for _ in range(5)}
    assert len(hashes) == 5


def test_a_hash_of_openssl_is_taken_and_verified() -> None:
    made = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input="secret\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert password_hashes.verify("secret", password_hashes.normalise(made))


@pytest.mark.parametrize("scheme", [schemes.sha256_crypt, schemes.sha512_crypt])
def test_a_hash_is_verified_here_if_that_is_cheap(scheme: tp.Any) -> None:
    dearest, next_one = (
        password_hashes.normalise(scheme.using(rounds=rounds).hash("secret"))
        for rounds in (20_000, 20_001)
    )
    assert password_hashes.verify("secret", dearest)
    assert crypt("secret", next_one) == next_one
    assert not password_hashes.verify("secret", next_one)


@pytest.mark.parametrize("found", [BCRYPT, YESCRYPT, SHA512, "$6$salt$" + "x" * 86, ""])
def test_a_hash_that_is_not_of_the_password_does_not_verify(found: str) -> None:
    assert not password_hashes.verify("secret", found)


@pytest.mark.parametrize(
    "plaintext",
    [
        "",
        "a\x00b",
        "a\nb",
        "a" * 256,
        "\u20ac" * 170 + "ab",
        "\U0001f511" * 128,
        "a\ud800b",
        None,
        5,
    ],
    ids=ascii,
)
def test_a_password_no_client_can_send_is_refused(plaintext: str) -> None:
    with pytest.raises(ValueError, match="must be 1 to 255") as refused:
        password_hashes.hash_plaintext(plaintext)
    assert str(refused.value) == password_hashes.PLAINTEXT_RULE


@pytest.mark.parametrize("longest", ["a" * 255, "\u20ac" * 170 + "a", "\U0001f511" * 127 + "abc"])
def test_crypt_verifies_the_longest_password_and_no_longer_one(longest: str) -> None:
    found = password_hashes.hash_plaintext(longest)
    assert crypt(longest, found) == found
    assert crypt("a" * password_hashes.PLAINTEXT_MAX_BYTES, found)
    assert crypt("a" * (password_hashes.PLAINTEXT_MAX_BYTES + 1), found) is None
