# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import zlib

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import credentials, networks, password_hashes, rules
from exordos_paas_mail.tests.unit.codecs import texts

DOMAIN = "example.com"
DIGEST = "0123456789abcdef" * 4
ONE = credentials.Credential("mlk_0a1b2c3d", "app", DIGEST)
TWO = ONE._replace(prefix="mlk_z0000000", ends=1798761600, networks=("192.0.2.0/24", "::/0"))
FILE = (
    f"0a1b2c3d/app@example.com:{DIGEST} 0 *\n"
    f"z0000000/app@example.com:{DIGEST} 1798761600 192.0.2.0/24;::/0\n"
)


def test_a_secret_is_found_by_its_pattern_and_proven_by_its_end() -> None:
    made = [credentials.make() for _ in range(50)]
    assert len({one.secret_key for one in made}) == 50
    for prefix, secret_key, digest in made:
        assert re.findall(rf"\b{credentials.PATTERN}\b", f"key={secret_key};") == [secret_key]
        assert secret_key.startswith(f"{prefix}_")
        assert credentials.is_prefix(prefix)
        assert credentials.is_secret(secret_key)
        assert credentials.digest(secret_key) == digest
        # Any character that is another one is seen.
        for at in range(13, len(secret_key)):
            other = "a" if secret_key[at] != "a" else "b"
            changed = secret_key[:at] + other + secret_key[at + 1 :]
            assert credentials.looks_like_one(changed)
            assert not credentials.is_secret(changed)


def test_the_checksum_is_the_one_that_is_documented() -> None:
    """SECURITY.md says how: CRC-32 in base 62, digits first, then capitals."""
    body = f"mlk_0a1b2c3d_{'Aa0' * 10}zz"
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number, checksum = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        checksum = digits[digit] + checksum
    assert credentials.is_secret(body + checksum)


def test_a_password_cannot_look_like_a_secret() -> None:
    """Exim would look it up, and find nothing."""
    secret = credentials.make().secret_key
    with pytest.raises(rules.RuleError):
        password_hashes.check_password(secret)
    assert password_hashes.check_password(f"{secret}!") == f"{secret}!"


def test_the_file_is_sorted() -> None:
    assert credentials.render([TWO, ONE], DOMAIN) == FILE
    assert credentials.render([], DOMAIN) == ""
    assert credentials.parse(FILE, DOMAIN) == [ONE, TWO]
    assert credentials.parse("", DOMAIN) == []


@hypothesis.given(
    st.lists(
        st.builds(
            credentials.Credential,
            st.text(texts.LETTERS + "0123456789", min_size=8, max_size=8).map("mlk_{}".format),
            texts.words(texts.LETTERS + "+=-", 10, first=texts.LETTERS),
            st.just(DIGEST),
            st.integers(0, 10**11),
            st.lists(
                st.sampled_from(["192.0.2.0/24", "::/0", "10.0.0.1/32", "2001:db8::/32"]),
                unique=True,
            ).map(tuple),
        ),
        unique_by=lambda one: (one.prefix, one.username),
        max_size=8,
    )
)
def test_a_file_is_read_as_it_was_written(known: list[credentials.Credential]) -> None:
    text = credentials.render(known, DOMAIN)
    parsed = credentials.parse(text, DOMAIN)
    assert sorted(parsed) == sorted(known)
    assert credentials.render(parsed, DOMAIN) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(FILE[:-1], id="cut"),
        pytest.param("".join(sorted(FILE.splitlines(keepends=True), reverse=True)), id="order"),
        pytest.param(FILE.splitlines(keepends=True)[0] * 2, id="twice"),
        pytest.param(FILE.replace("example.com", "example.org"), id="another domain"),
        pytest.param(FILE.replace("0a1b2c3d", "0a1b2c3D"), id="a name in capitals"),
        pytest.param(FILE.replace("0a1b2c3d", "0a1b2c3"), id="a short name"),
        pytest.param(FILE.replace("/app", "/a b"), id="no username"),
        pytest.param(FILE.replace(DIGEST, DIGEST.upper()), id="a digest in capitals"),
        pytest.param(FILE.replace(DIGEST, DIGEST[1:]), id="a short digest"),
        pytest.param(FILE.replace(" 0 *", " -1 *"), id="an end before all time"),
        pytest.param(FILE.replace(" 0 *", " 0"), id="no networks"),
        pytest.param(FILE.replace(" 0 *", " 0 * x"), id="a word more"),
        pytest.param(FILE.replace(" 0 *", " 0 192.0.2.1/24"), id="bits beyond the prefix"),
        pytest.param(FILE.replace(" 0 *", " 0 @mx_any"), id="a list of hosts of exim"),
        pytest.param(FILE.replace(" 0 *", " 0 ${run{x}}"), id="an expansion"),
        pytest.param(FILE.replace(" 0 *", " 0 net-iplsearch;/x"), id="a look-up"),
        pytest.param(
            FILE.replace(" 0 *", f" 0 {';'.join(f'10.0.0.{n}/32' for n in range(21))}"),
            id="too many networks",
        ),
    ],
)
def test_what_is_no_file_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|a digest|networks") as refused:
        credentials.parse(text, DOMAIN)
    assert DIGEST[1:] not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_has_one_spelling(given: str, stored: str) -> None:
    assert networks.normalise(given) == stored
    assert networks.normalise(stored) == stored


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("192.0.2.7/24", "has bits beyond its prefix: write 192.0.2.0/24"),
        ("2001:db8::1/64", "has bits beyond its prefix: write 2001:db8::/64"),
        ("::ffff:192.0.2.0/120", "is IPv4 in the form of IPv6: write 192.0.2.0/24"),
        ("::ffff:192.0.2.1", "is IPv4 in the form of IPv6: write 192.0.2.1/32"),
        *((text, networks.RULE) for text in ("", "/", "/24", "a", "*", "192.0.2.0/", "192.0.2")),
        *((text, networks.RULE) for text in ("192.0.2.0/33", "::/129", "192.0.2.0/+8", "1")),
        *((text, networks.RULE) for text in ("192.0.2.0/024", "192.0.2.0/255.255.255.0")),
        *((text, networks.RULE) for text in ("fe80::1%eth0", "192.0.2.0/24 ", " 192.0.2.0/24")),
        *((text, networks.RULE) for text in ("010.0.0.0/8", "192.0.2.0/24;::/0", "\u0661.0.0.0/8")),
        *((value, networks.RULE) for value in (None, 1, True, ["192.0.2.0/24"])),
    ],
)
def test_what_is_no_network_is_refused(given: object, said: str) -> None:
    with pytest.raises(rules.RuleError) as refused:
        networks.normalise(given)
    assert str(refused.value) == said
