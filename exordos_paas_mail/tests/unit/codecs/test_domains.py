# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import hypothesis
import pytest
from hypothesis import strategies

from exordos_paas_mail.codecs import domains, mail_env


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mail.example.com", "mail.example.com"),
        ("Mail.EXAMPLE.Com", "mail.example.com"),
        ("a.b", "a.b"),
        ("1.2.3.com", "1.2.3.com"),
        ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        ("\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444", "xn--e1afmkfd.xn--p1ai"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("stra\u00dfe.example", "xn--strae-oqa.example"),
        ("mail\u3002example.com", "mail.example.com"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        (".".join(["a" * 62] * 4), None),
        (".".join(["a" * 62] * 3 + ["a" * 61, "b"])[:253].rstrip("."), None),
    ],
    ids=ascii,
)
def test_a_domain_has_one_spelling(value: str, expected: str | None) -> None:
    assert domains.normalise(value) == (value if expected is None else expected)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "localhost",
        "a" * 64 + ".example",
        ".".join(["a" * 63] * 4),
        "\u212aelvin.example\n",
        "\u00adexample",
        "\U0001f4a9.example.com",
        "\u00fc" * 1_013,
        None,
        5,
        b"mail.example.com",
    ],
    ids=ascii,
)
def test_what_is_no_domain_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"must be|has an xn--"):
        domains.normalise(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "a_labels", "u_labels"),
    [
        ("A@M\u00fcller.Example", "A@xn--mller-kva.example", "A@M\u00fcller.Example"),
        ("a@XN--mller-kva.example", "a@XN--mller-kva.example", "a@m\u00fcller.example"),
        ("m\u00fcller.example", "xn--mller-kva.example", "m\u00fcller.example"),
        ("B\u00f6b@Example.org", "B\u00f6b@Example.org", "B\u00f6b@Example.org"),
        ("a@xn--\u00fc.example", "a@xn--\u00fc.example", "a@xn--\u00fc.example"),
        ("a@xn--a.example", "a@xn--a.example", "a@xn--a.example"),
        ("", "", ""),
        ("@", "@", "@"),
    ],
    ids=ascii,
)
def test_an_address_has_its_domain_in_either_spelling(
    address: str, a_labels: str, u_labels: str
) -> None:
    assert domains.with_a_labels(address) == a_labels
    assert domains.with_u_labels(address) == u_labels


@hypothesis.given(strategies.text(max_size=300))
def test_whatever_an_address_is_it_has_a_spelling(address: str) -> None:
    found = domains.with_a_labels(address)
    assert domains.with_a_labels(found) == found
    domains.with_u_labels(address)


@hypothesis.given(strategies.text(max_size=300))
def test_whatever_is_accepted_is_safe_everywhere(value: str) -> None:
    try:
        name = domains.normalise(value)
    except ValueError:
        return
    assert re.fullmatch(r"[a-z0-9.-]{3,253}", name)
    assert domains.normalise(name) == name
    # The file that carries it to the node says the same of it.
    assert mail_env.parse(mail_env.render(name)) == (name, name)


@hypothesis.given(
    strategies.lists(
        strategies.from_regex(r"[A-Za-z][A-Za-z0-9]{0,10}", fullmatch=True), min_size=2, max_size=5
    )
)
def test_plain_names_are_lower_cased(labels: list[str]) -> None:
    assert domains.normalise(".".join(labels)) == ".".join(labels).lower()
