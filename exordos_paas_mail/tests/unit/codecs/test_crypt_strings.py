# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import ctypes
import pathlib
import resource
import typing as tp

import pytest

from exordos_paas_mail.codecs import crypt_strings, rules

# MB: an eighth of it is the most that any login may take.
PLENTY = 2048


def rounds(number: int) -> str:
    return f"$6$rounds={number}$salt$hash"


def bcrypt(cost: int, scheme: str = "2b") -> str:
    return f"${scheme}${cost:02}$" + "O" * 53


def yescrypt(parameters: str, scheme: str = "y") -> str:
    return f"${scheme}${parameters}$abcdefgh$" + "a" * 43


def scrypt(parameters: str) -> str:
    return f"$7${parameters}abcdefgh$" + "a" * 43


@pytest.mark.parametrize(
    "value",
    [
        "$6$salt$hash",
        "$1$salt$hash",
        rounds(1_000_000),
        *(bcrypt(cost, scheme) for cost in (4, 15) for scheme in ("2a", "2b", "2y")),
        *(yescrypt(p, s) for p in ("j/.", "j75", "j9T", "jDT") for s in ("y", "gy")),
        *(scrypt(p + "..../....") for p in ("0/", "BU", "C6", "EU")),
    ],
)
def test_a_cost_that_a_node_can_pay_is_taken(value: str) -> None:
    crypt_strings.check_cost(value, PLENTY)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (rounds(1_000_001), "a million rounds"),
        *((bcrypt(cost), "bcrypt cost of 4 to 15") for cost in (0, 3, 16, 31)),
        *((yescrypt(p), "yescrypt") for p in ("j..", "j.T", "jET", "jzT", "j9U", "j9z", "j9T.0")),
        (yescrypt("jET", "gy"), "yescrypt"),
        *((scrypt(p + "..../...."), "scrypt") for p in ("/U", "0.", "FU", "DV", "Dz")),
        *((scrypt("DU" + p), "scrypt") for p in ("/.../....", "....0....", "..../.../")),
        ("plaintext", "must be a crypt"),
    ],
)
def test_a_cost_that_crypt_refuses_or_a_node_cannot_pay_is_not_taken(value: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule) as refused:
        crypt_strings.check_cost(value, PLENTY)
    assert value not in str(refused.value)


def crypt(phrase: str, setting: str) -> str | None:
    """Return the hash of *phrase* by the library that exim asks; None if it refuses."""
    function = ctypes.CDLL("libcrypt.so.1").crypt
    function.argtypes, function.restype = [ctypes.c_char_p, ctypes.c_char_p], ctypes.c_char_p
    made = function(phrase.encode(), setting.encode())
    return None if made is None or made.startswith(b"*") else str(made, "ascii")


@pytest.mark.parametrize(
    "value",
    [
        *(bcrypt(cost, scheme) for cost in range(6) for scheme in ("2a", "2b", "2y")),
        *(yescrypt(f"j{n}{r}", s) for n in "./0" for r in "./0" for s in ("y", "gy")),
        *(scrypt(f"{n}{r}..../....") for n in "./01" for r in "./0"),
    ],
)
def test_the_lowest_costs_are_the_lowest_that_crypt_takes(value: str) -> None:
    verifiable = crypt("secret", value) is not None
    try:
        crypt_strings.check_cost(value, PLENTY)
    except ValueError:
        assert not verifiable
    else:
        assert verifiable


@contextlib.contextmanager
def memory_limited_to(more: int) -> tp.Iterator[None]:
    """Let this process take *more* bytes and no more."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize(
    ("dearest", "next_one"),
    [
        pytest.param(yescrypt("jDT"), yescrypt("jET"), id="yescrypt"),
        pytest.param(yescrypt("jDT", "gy"), yescrypt("jET", "gy"), id="gost-yescrypt"),
        pytest.param(scrypt("EU..../...."), scrypt("FU..../...."), id="scrypt"),
    ],
)
def test_a_login_with_the_dearest_hash_takes_256_megabytes(dearest: str, next_one: str) -> None:
    crypt_strings.check_cost(dearest, PLENTY)
    with pytest.raises(ValueError, match="256 MB"):
        crypt_strings.check_cost(next_one, PLENTY)
    with memory_limited_to((256 + 16) * 2**20):
        made = [crypt("secret", value) for value in (dearest, next_one)]
    assert [value is not None for value in made] == [True, False]


LENGTHS = {"1": 22, "5": 43, "6": 86, "2a": 53, "2b": 53, "2y": 53, "y": 43, "gy": 43, "7": 43}


def settings(scheme: str) -> str:
    """Return what crypt(3) hashes by: everything up to the hash."""
    return {
        "y": "$y$j75$abcdefgh$",
        "gy": "$gy$j75$abcdefgh$",
        "7": "$7$AU..../....abcdefgh$",
    }.get(scheme, f"${scheme}$04$" if scheme.startswith("2") else f"${scheme}$saltsalt$")


@pytest.mark.parametrize(("scheme", "length"), LENGTHS.items())
def test_a_hash_is_as_long_as_its_scheme_makes_it(scheme: str, length: int) -> None:
    whole = settings(scheme) + "h" * length
    crypt_strings.parse(whole)
    for wrong in (whole[:-1], whole + "h", whole[: len(settings(scheme)) + 17]):
        with pytest.raises(rules.RuleError, match=f"must have {length} characters after the last"):
            crypt_strings.parse(wrong)


@pytest.mark.parametrize("scheme", LENGTHS)
def test_the_lengths_are_those_of_crypt(scheme: str) -> None:
    setting = settings(scheme) + ("O" * 22 if scheme.startswith("2") else "")
    made = crypt("secret", setting.removesuffix("$"))
    assert made is not None
    crypt_strings.parse(made)
    assert len(made.rpartition("$")[2]) == LENGTHS[scheme]


def test_a_placeholder_is_at_most_16_characters_of_an_old_scheme() -> None:
    for scheme in ("1", "5", "6"):
        crypt_strings.parse(f"${scheme}$salt$hash")
        crypt_strings.parse(f"${scheme}$salt$" + "h" * 16)
        with pytest.raises(rules.RuleError):
            crypt_strings.parse(f"${scheme}$salt$" + "h" * 17)
    with pytest.raises(rules.RuleError, match="must have 43 characters"):
        crypt_strings.parse("$y$j9T$salt$hash")


@pytest.mark.parametrize(
    ("value", "megabytes"),
    [
        ("$6$salt$hash", 0),
        (bcrypt(12), 0),
        (yescrypt("j75"), 1),
        (yescrypt("j9T"), 16),
        (yescrypt("jBT", "gy"), 64),
        (yescrypt("jDT"), 256),
        (scrypt("CU..../...."), 64),
        (scrypt("EU..../...."), 256),
    ],
)
def test_the_memory_of_a_login_is_told_by_its_cost(value: str, megabytes: int) -> None:
    assert crypt_strings.memory_bytes(value) == megabytes * 2**20
    if megabytes:
        with memory_limited_to((megabytes + 16) * 2**20):
            assert crypt("secret", value) is not None


@pytest.mark.parametrize(
    ("value", "ram"),
    [(yescrypt("jBT"), 512), (scrypt("CU..../...."), 512), (yescrypt("jCT"), 1024)],
)
def test_a_login_takes_an_eighth_of_the_memory_at_most(value: str, ram: int) -> None:
    crypt_strings.check_cost(value, ram)
    with pytest.raises(rules.RuleError, match=f"at most {(ram - 8) // 8} MB per login"):
        crypt_strings.check_cost(value, ram - 8)
