# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies

from exordos_paas_mail.codecs import rules, tls_policies
from exordos_paas_mail.codecs.tls_policies import Mode

DOMAIN = "example.com"
TEXT = """\
*:encrypt
.bank.example:verify
=bank.example:dane
app@example.com:required
web@example.com:required
.:5
"""
_LABEL = strategies.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_NAME = strategies.lists(_LABEL, min_size=2, max_size=5).map(".".join)
_OF = strategies.one_of(strategies.just("*"), _NAME, _NAME.map("*.{}".format))


def test_the_file_has_policies_before_accounts() -> None:
    policies = [("bank.example", "dane"), ("*", "encrypt"), ("*.bank.example", "verify")]
    assert tls_policies.render(policies, ["web", "app"], DOMAIN) == TEXT
    assert tls_policies.render([], [], DOMAIN) == ".:0\n"


@hypothesis.given(
    strategies.dictionaries(_OF, strategies.sampled_from(tls_policies.MODES), max_size=6),
    strategies.sets(_LABEL, max_size=6),
)
def test_what_is_rendered_is_parsed(policies: dict[str, str], accounts: set[str]) -> None:
    parsed = tls_policies.parse(tls_policies.render(policies.items(), accounts, DOMAIN), DOMAIN)
    assert parsed.policies == {name: Mode(mode) for name, mode in policies.items()}
    assert parsed.requiring == {f"{username}@{DOMAIN}" for username in accounts}


def test_an_image_that_knows_no_mta_sts_verifies_by_another_name() -> None:
    policies = {f"{mode}.example".replace("_", "-"): mode for mode in tls_policies.MODES}
    policies["*"] = "mta_sts"
    weaker = {name: {"mta_sts": "verify"}.get(mode, mode) for name, mode in policies.items()}
    text, expected = (
        tls_policies.render(of.items(), ["app"], "example.com") for of in (policies, weaker)
    )
    assert tls_policies.without_mta_sts(text) == expected
    assert tls_policies.parse(expected, "example.com").policies == weaker


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(TEXT[:-1], id="no end of the last line"),
        pytest.param(TEXT.rpartition(".:")[0], id="no end mark"),
        pytest.param(TEXT.replace("*:encrypt\n", ""), id="a line is missing"),
        pytest.param("*:open\n.:1\n", id="no mode"),
        pytest.param("bank.example:verify\n.:1\n", id="no kind of name"),
        pytest.param("=bank:verify\n.:1\n", id="one label"),
        pytest.param("=Bank.example:verify\n.:1\n", id="another case"),
        pytest.param("=a.example:verify\n=a.example:verify\n.:2\n", id="twice"),
        pytest.param("=a.example:dane\n=a.example:verify\n.:2\n", id="two modes"),
        pytest.param("=b.example:dane\n=a.example:verify\n.:2\n", id="out of order"),
        pytest.param("app@example.com:required\n=a.example:dane\n.:2\n", id="accounts first"),
        pytest.param("app@example.com:yes\n.:1\n", id="another word of an account"),
        pytest.param("app@example.org:required\n.:1\n", id="an account of another domain"),
        pytest.param("a p@example.com:required\n.:1\n", id="no account"),
        pytest.param("app@example.com:required\n" * 2 + ".:2\n", id="an account twice"),
    ],
)
def test_what_was_not_rendered_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|end mark"):
        tls_policies.parse(text, DOMAIN)


@pytest.mark.parametrize(
    ("domain", "mode"),
    [
        ("bank.example", Mode.DANE),
        ("www.bank.example", Mode.VERIFY),
        ("a.b.bank.example", Mode.VERIFY),
        ("a.deep.bank.example", Mode.OPPORTUNISTIC),
        ("deep.bank.example", Mode.VERIFY),
        ("notbank.example", Mode.ENCRYPT),
        ("example", Mode.ENCRYPT),
    ],
)
def test_the_longest_name_counts(domain: str, mode: Mode) -> None:
    policies = {
        "*": Mode.ENCRYPT,
        "bank.example": Mode.DANE,
        "*.bank.example": Mode.VERIFY,
        "*.deep.bank.example": Mode.OPPORTUNISTIC,
    }
    assert tls_policies.File(policies, frozenset()).mode(domain, "") is mode


@pytest.mark.parametrize("mode", Mode)
def test_a_tenant_goes_before_a_message(mode: Mode) -> None:
    file = tls_policies.File({"*": mode}, frozenset({"app@example.com"}))
    weak = mode in tls_policies.WEAK
    assert file.mode("a.example", "web@example.com") is mode
    relaxed = Mode.OPPORTUNISTIC if weak else mode
    assert file.mode("a.example", "web@example.com", optional=True) is relaxed
    raised = Mode.ENCRYPT if weak else mode
    assert file.mode("a.example", "app@example.com", optional=True) is raised


def test_without_a_policy_mail_leaves_as_the_recipient_publishes() -> None:
    assert tls_policies.NOTHING.mode("a.example", "app@example.com") is Mode.AUTO


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("*", "*"),
        ("Bank.Example", "bank.example"),
        ("*.Bank.Example", "*.bank.example"),
        ("*.m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example", "*.xn--mller-kva.example"),
    ],
)
def test_a_policy_is_of_a_domain_in_one_spelling(given: str, spelled: str) -> None:
    assert tls_policies.normalise(given) == spelled


@pytest.mark.parametrize(
    "given",
    [None, 1, "", "*.", "**", "*.*.bank.example", "bank", "a.*.example", "192.0.2.1", "*x.y"],
)
def test_what_is_no_domain_is_refused(given: object) -> None:
    with pytest.raises(rules.RuleError):
        tls_policies.normalise(given)


def test_no_two_modes_that_differ_share_the_retry_times_of_a_server() -> None:
    alike = {Mode.DANE: Mode.VERIFY, Mode.MTA_STS: Mode.ENCRYPT}
    keys = {mode: key for mode, key in tls_policies.RETRY_KEYS.items() if mode not in alike}
    assert len(set(keys.values())) == len(keys) == len(Mode) - len(alike)
    assert {mode: tls_policies.RETRY_KEYS[mode] for mode in alike} == {
        mode: keys[other] for mode, other in alike.items()
    }


def test_a_server_is_not_put_off_by_one_of_its_addresses_where_no_tenant_asked_for_more() -> None:
    for mode in (Mode.AUTO, Mode.MTA_STS):
        assert tls_policies.RETRY_KEYS[mode].has_address
