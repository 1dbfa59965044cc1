# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.dkim_values: the public keys a node tells."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import dkim, dkim_values
from exordos_paas_mail.tests.unit.codecs import texts

if TYPE_CHECKING:
    import random

ED25519_KEY = base64.b64encode(bytes(32)).decode()

public_keys = st.one_of(
    st.tuples(st.just("ed25519"), st.binary(min_size=32, max_size=32)),
    st.tuples(st.just("rsa"), st.binary(min_size=1, max_size=600)),
).map(lambda key: (key[0], base64.b64encode(key[1]).decode()))
lists = st.dictionaries(
    st.tuples(
        st.tuples(texts.labels(), texts.top_labels(5)).map(".".join),
        texts.labels(),
    ),
    public_keys,
    max_size=8,
).map(lambda found: [dkim_values.Value(*name, *found[name]) for name in sorted(found)])


@hypothesis.given(lists)
def test_parse_is_the_inverse_of_render(values: list[dkim_values.Value]) -> None:
    assert dkim_values.parse(dkim_values.render(values)) == values


@hypothesis.given(lists, st.randoms(use_true_random=True))
def test_the_order_never_shows(values: list[dkim_values.Value], chance: random.Random) -> None:
    shuffled = list(values)
    chance.shuffle(shuffled)

    assert dkim_values.render(shuffled) == dkim_values.render(values)


def test_a_key_of_the_node_is_a_line() -> None:
    rsa = dkim.public_key_of(dkim.generate())

    assert dkim_values.render(
        [
            dkim_values.Value("b.example", "platform", "rsa", rsa),
            dkim_values.Value("a.example", "m2611e", "ed25519", ED25519_KEY),
        ]
    ) == (f"a.example m2611e ed25519 {ED25519_KEY}\nb.example platform rsa {rsa}\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("", "not DOMAIN SELECTOR", id="empty"),
        pytest.param("a.example s rsa", "not DOMAIN SELECTOR", id="no key"),
        pytest.param("a.example s rsa AAAA x", "not DOMAIN SELECTOR", id="fifth word"),
        pytest.param("a.example  s rsa AAAA", "not DOMAIN SELECTOR", id="two spaces"),
        pytest.param("A.example s rsa AAAA", "DNS name", id="upper case"),
        pytest.param("localhost s rsa AAAA", "DNS name", id="one label"),
        pytest.param("a.example a.b rsa AAAA", "selector", id="selector"),
        pytest.param("a.example s dsa AAAA", "the algorithm is not one of", id="algorithm"),
        pytest.param("a.example s rsa AAA", "not base64", id="padding"),
        pytest.param("a.example s rsa AA;A", "not base64", id="semicolon"),
        pytest.param('a.example s rsa AA"A', "not base64", id="quote"),
        pytest.param("a.example s rsa AAB=", "not base64", id="another spelling"),
        pytest.param("a.example s ed25519 AAAA", "32 octets", id="ed25519 size"),
        pytest.param(
            f"a.example s rsa {base64.b64encode(bytes(2049)).decode()}", "2048 octets", id="size"
        ),
        pytest.param("a.example s rsa AAAA\na.example s rsa AAAA", "given twice", id="twice"),
        pytest.param("b.example s rsa AAAA\na.example s rsa AAAA", "out of order", id="order"),
    ],
)
def test_any_other_text_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dkim_values.parse(f"{line}\n")


def test_a_last_line_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="the last line has no end"):
        dkim_values.parse("a.example s rsa AAAA")


def test_a_selector_given_twice_is_not_rendered() -> None:
    value = dkim_values.Value("a.example", "s", "rsa", "AAAA")

    with pytest.raises(ValueError, match="given twice"):
        dkim_values.render([value, value._replace(public_key="BBBB")])
