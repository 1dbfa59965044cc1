# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.domain_table: the mail domains of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import dkim, domain_table
from exordos_paas_mail.tests.unit.codecs import texts

if TYPE_CHECKING:
    import random

names = st.tuples(texts.labels(), texts.labels(), texts.top_labels(5)).map(".".join)
keys = st.dictionaries(
    texts.labels(),
    st.tuples(st.sampled_from(dkim.ALGORITHMS), st.sampled_from(domain_table.DUTIES)),
    max_size=domain_table.KEYS_MAX,
).map(lambda found: tuple(domain_table.Key(name, *found[name]) for name in sorted(found)))
tables = st.dictionaries(
    names, st.tuples(st.sampled_from(domain_table.USES), keys), max_size=6
).map(lambda found: [domain_table.Domain(name, *found[name]) for name in sorted(found)])

RSA_KEY = domain_table.Key("platform", "rsa", "sign")


@hypothesis.given(tables)
def test_parse_is_the_inverse_of_render(table: list[domain_table.Domain]) -> None:
    assert domain_table.parse(domain_table.render(table)) == table


@hypothesis.given(tables, st.randoms(use_true_random=True))
def test_the_order_of_domains_and_keys_never_shows(
    table: list[domain_table.Domain], chance: random.Random
) -> None:
    shuffled = []
    for domain in table:
        of_domain = list(domain.keys)
        chance.shuffle(of_domain)
        shuffled.append(domain._replace(keys=tuple(of_domain)))
    chance.shuffle(shuffled)

    assert domain_table.render(shuffled) == domain_table.render(table)


def test_a_domain_is_a_line_and_a_key_a_word() -> None:
    table = [
        domain_table.Domain(
            "shop.example",
            "send",
            (
                domain_table.Key("m2611r-a2b3", "rsa", "sign"),
                domain_table.Key("m2611e-a2b3", "ed25519", "hold"),
            ),
        ),
        domain_table.Domain("example.com", "send", (RSA_KEY,)),
        domain_table.Domain("new.example", "pending"),
    ]

    assert domain_table.render(table) == (
        "example.com:send:platform/rsa/sign\n"
        "new.example:pending:\n"
        "shop.example:send:m2611e-a2b3/ed25519/hold m2611r-a2b3/rsa/sign\n"
    )


def test_no_domains_are_no_text() -> None:
    assert domain_table.render([]) == ""
    assert domain_table.parse("") == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("localhost", id="one label"),
        pytest.param("Example.com", id="upper case"),
        pytest.param("example.com.", id="final dot"),
        pytest.param("пример.рф", id="U-labels"),
        pytest.param("192.0.2.1", id="address"),
        pytest.param("../etc.example", id="slash"),
        pytest.param("..", id="parent directory"),
        pytest.param("*.example.com", id="wildcard"),
        pytest.param("#a.example", id="lsearch comment"),
        pytest.param('"a.example', id="lsearch quoted key"),
        pytest.param(" a.example", id="lsearch continuation"),
        pytest.param("a.example:send", id="list separator"),
        pytest.param("${run{x}}.example", id="expansion"),
        pytest.param("$domain.example", id="variable"),
        pytest.param("a.example\nb.example", id="second line"),
        pytest.param("a.example\r", id="carriage return"),
        pytest.param("a.example\x00", id="nul"),
        pytest.param("a.example\x85", id="unicode line break"),
        pytest.param("a_b.example", id="underscore"),
        pytest.param("a" * 64 + ".example", id="label of 64"),
        pytest.param(".".join(["a" * 61] * 4) + ".example", id="too long"),
    ],
)
def test_a_name_that_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"DNS name|not DOMAIN:USE:KEYS|last line|out of order"):
        domain_table.parse(f"{name}:send:platform/rsa/sign\n")
    with pytest.raises(ValueError, match="not a lower-case DNS name"):
        domain_table.render([domain_table.Domain(name, "send", (RSA_KEY,))])


@pytest.mark.parametrize(
    "selector",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="directory"),
        pytest.param("..", id="parent directory"),
        pytest.param("a.b", id="two labels"),
        pytest.param("../platform", id="slash"),
        pytest.param("Platform", id="upper case"),
        pytest.param("-a", id="hyphen first"),
        pytest.param("a-", id="hyphen last"),
        pytest.param("a_b", id="underscore"),
        pytest.param("a:b", id="list separator"),
        pytest.param("a b", id="space"),
        pytest.param("$h_from:", id="variable"),
        pytest.param("${lc:a}", id="expansion"),
        pytest.param("a\nb", id="second line"),
        pytest.param("ä", id="not ascii"),
        pytest.param("a" * 64, id="64 characters"),
    ],
)
def test_a_selector_that_is_no_label_is_refused(selector: str) -> None:
    domain = domain_table.Domain("a.example", "send", (RSA_KEY._replace(selector=selector),))

    with pytest.raises(ValueError, match="selector"):
        domain_table.render([domain])
    with pytest.raises(ValueError, match="line"):
        domain_table.parse(f"a.example:send:{selector}/rsa/sign\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("a.example:sends:", "the use is not one of", id="use"),
        pytest.param("a.example::", "the use is not one of", id="no use"),
        pytest.param("a.example:send", "not DOMAIN:USE:KEYS", id="no keys field"),
        pytest.param("a.example:send:a/rsa/sign:", "not DOMAIN:USE:KEYS", id="fourth field"),
        pytest.param("a.example", "not DOMAIN:USE:KEYS", id="name alone"),
        pytest.param("", "not DOMAIN:USE:KEYS", id="empty"),
        pytest.param("# fault", "not DOMAIN:USE:KEYS", id="fault"),
        pytest.param("a.example:send:a/rsa", "SELECTOR/ALGORITHM/DUTY", id="no duty"),
        pytest.param("a.example:send:a/rsa/sign/x", "SELECTOR/ALGORITHM/DUTY", id="fourth part"),
        pytest.param("a.example:send:a/dsa/sign", "an algorithm is not one of", id="algorithm"),
        pytest.param("a.example:send:a/rsa/signs", "a duty is not one of", id="duty"),
        pytest.param("a.example:send: a/rsa/sign", "SELECTOR/ALGORITHM/DUTY", id="leading space"),
        pytest.param("a.example:send:a/rsa/sign ", "SELECTOR/ALGORITHM/DUTY", id="trailing space"),
        pytest.param("a.example:send:b/rsa/sign a/rsa/hold", "out of order", id="order of keys"),
        pytest.param("a.example:send:a/rsa/sign a/rsa/hold", "given twice", id="selector twice"),
        pytest.param("b.example:send:\na.example:send:", "line 2: out of order", id="order"),
        pytest.param("a.example:send:\na.example:send:", "line 2: out of order", id="twice"),
        pytest.param(
            "a.example:send:" + " ".join(f"s{n:02}/rsa/hold" for n in range(17)),
            "more than 16 keys",
            id="17 keys",
        ),
        pytest.param(
            "\n".join(f"d{n:02}.example:send:" for n in range(52)),
            "more than 51 domains",
            id="52 domains",
        ),
    ],
)
def test_any_other_text_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        domain_table.parse(f"{line}\n")


def test_a_last_line_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="the last line has no end"):
        domain_table.parse("a.example:send:platform/rsa/sign")


def test_a_domain_given_twice_and_the_52nd_are_not_rendered() -> None:
    domain = domain_table.Domain("a.example", "send", (RSA_KEY,))

    with pytest.raises(ValueError, match="given twice"):
        domain_table.render([domain, domain._replace(use="inactive")])
    with pytest.raises(ValueError, match="more than 51"):
        domain_table.render(domain_table.Domain(f"d{n}.example", "send") for n in range(52))
