# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import pathlib
import re
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies

from exordos_paas_mail.codecs import domains, exim_conf, tls_policies

GOLDEN = pathlib.Path(__file__).parent / "golden" / "exim4.conf"
LOGIN_KEY = "$acl_c_key"
NUMBERS = [
    field.name
    for field in dataclasses.fields(exim_conf.Settings)
    if field.name not in {"domain", "hostname", "allow_private_mx", "mta_sts"}
]


def test_the_default_configuration_is_the_reviewed_one() -> None:
    """To accept a change, run this file as a program."""
    assert exim_conf.render(exim_conf.Settings(domain="tenant.example")) == GOLDEN.read_text()


@pytest.mark.parametrize(
    ("domain", "spellings"),
    [
        pytest.param("tenant.example", [], id="one"),
        pytest.param("xn--a.example", [], id="no A-label, whatever it looks like"),
        pytest.param(
            "xn--bcher-kva.example",
            [
                "(?:bu\N{COMBINING DIAERESIS}cher|b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher"
                "|xn--bcher-kva)\\.(?:example)"
            ],
            id="composed, decomposed, encoded",
        ),
    ],
)
def test_a_domain_is_known_in_each_of_its_spellings(domain: str, spellings: list[str]) -> None:
    text = exim_conf.render(exim_conf.Settings(domain=domain))
    assert re.findall(r"\(\?i\)@(.*)\\z", text) == spellings


def test_exim_decodes_no_field_of_a_message() -> None:
    """It wrote out of bounds there (EXIM-Security-2026-11-19.1): fields are taken as they came."""
    decoding = re.compile(
        r"\$\{?(?:b?h(?:eader)?_|reply_address|message_headers(?!_raw))|rfc2047d|acl_smtp_mime"
    )
    for found in ("$h_Subject:", "${header_From:}", "$bh_To:", "$message_headers", "${rfc2047d:"):
        assert decoding.search(found)
    text = exim_conf.render(exim_conf.Settings(domain="tenant.example", mta_sts=True))
    assert "$rh_From:" in text
    assert not decoding.search(text)


def changed(**settings: tp.Any) -> list[str]:
    """Return the lines that *settings* put in place of the default's.

    Without what is said to people: tests/relay reads that on the wire.
    """
    before = exim_conf.render(exim_conf.Settings(domain="tenant.example")).splitlines()
    after = exim_conf.render(
        exim_conf.Settings(**{"domain": "tenant.example", **settings})
    ).splitlines()
    return [line.strip() for line in _without_answers(after) if line not in before]


def _without_answers(lines: list[str]) -> tp.Iterator[str]:
    continued = False
    for line in lines:
        if not continued:
            answer = line.strip().startswith(("message = ", "set acl_c_answer = "))
        continued = line.endswith("\\")
        if not answer:
            yield line


def test_a_name_of_its_own_is_what_the_relay_says_and_no_more() -> None:
    lines = changed(hostname="smtp.example.net")
    # Mail that has been here before is told by what this relay writes into it.
    loops = [line for line in lines if "$rh_Received:" in line]
    assert {line.count("by smtp.example.net with") for line in loops} == {2}
    # And so is what comes back in a report of it.
    returned = [line for line in lines if line.startswith("set acl_m_returned = ")]
    assert [line.count("by smtp.example.net with") for line in returned] == [1]
    others = [line for line in lines if line not in {*loops, *returned}]
    assert [line for line in others if not line.startswith("#")] == [
        "primary_hostname = smtp.example.net",
        "smtp_banner = smtp.example.net ESMTP",
        "received_header_text = Received: by smtp.example.net with ${received_protocol}"
        " id $message_exim_id\\",
        # Of each mode by MX records, and by a smarthost with TLS of either kind
        *["helo_data = smtp.example.net"] * (len(tls_policies.Mode) + 2),
        r"\N^<?(?i)(postmaster|abuse|mailer-daemon)@smtp\.example\.net>?$\N"
        '  "$1@tenant.example"  S',
    ]
    assert changed(hostname="tenant.example") == []


LIMITS: list[tuple[dict[str, int], list[str]]] = [
    ({"message_size_mb": 77}, ["message_size_limit = 77M"]),
    ({"recipients_max": 77}, ["condition = ${if >={$recipients_count}{77}}"]),
    (
        {"connections_max": 77},
        ["smtp_accept_max = 77", "((77-$smtp_count_at_connection_start)*40-1)\\", "/(77-40)}"],
    ),
    (
        {"connections_per_address_max": 77},
        ["((200-$smtp_count_at_connection_start)*77-1)\\", "/(200-77)}"],
    ),
    (
        {"recipients_per_hour": 77},
        ["ratelimit = 77 / 1h / per_rcpt / leaky / account_$authenticated_id"],
    ),
    (
        {"failed_logins_per_account": 77},
        [
            f"ratelimit = 77 / 15m / per_cmd / noupdate / login_{LOGIN_KEY}",
            f"ratelimit = 77 / 15m / per_cmd / strict / login_{LOGIN_KEY}",
        ],
    ),
    (
        {"failed_logins_per_address": 77},
        [
            "ratelimit = 77 / 15m / per_cmd / noupdate / logins_CLIENT_KEY",
            "ratelimit = 77 / 15m / per_cmd / strict / logins_CLIENT_KEY",
        ],
    ),
    (
        {"role_messages_per_hour": 77},
        ["ratelimit = 77 / 1h / per_rcpt / leaky / role_CLIENT_KEY"],
    ),
    (
        {"reports_per_hour": 77},
        ["ratelimit = 77 / 1h / per_rcpt / leaky / report_CLIENT_KEY"],
    ),
]


@pytest.mark.parametrize(
    ("settings", "lines"),
    LIMITS,
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_limit_reaches_exim(settings: dict[str, int], lines: list[str]) -> None:
    assert changed(**settings) == lines


def test_every_number_is_covered_above() -> None:
    assert sorted(next(iter(settings)) for settings, _ in LIMITS) == sorted(NUMBERS)


def test_private_addresses_are_followed_only_when_allowed() -> None:
    private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
    never = ["127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"]
    for allowed in (False, True):
        text = exim_conf.render(
            exim_conf.Settings(domain="tenant.example", allow_private_mx=allowed)
        )
        assert [network for network in private if network in text] == ([] if allowed else private)
        assert [network for network in never if network in text] == never


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "tenant",
        ".tenant.example",
        "tenant.example.",
        "tenant..example",
        "192.0.2.1",
        "Tenant.example",
        "-a.example",
        "a-.example",
        "tenant.example\n",
        "tenant.example\nnever_users =",
        "tenant.example ",
        "a b.example",
        "a_b.example",
        "${run{x}}.example",
        "a'b.example",
        "t\N{LATIN SMALL LETTER E WITH ACUTE}nant.example",
        "a" * 64 + ".example",
        ".".join(["a" * 63] * 4) + ".example",
        None,
        b"tenant.example",
    ],
    ids=repr,
)
def test_a_domain_that_is_not_a_plain_name_is_refused(domain: tp.Any) -> None:
    with pytest.raises(ValueError, match="domain is not"):
        exim_conf.Settings(domain=domain)
    if domain != "":
        with pytest.raises(ValueError, match="hostname is not"):
            exim_conf.Settings(domain="tenant.example", hostname=domain)


@hypothesis.given(strategies.text(max_size=80))
def test_no_text_but_a_domain_name_reaches_the_file(text: str) -> None:
    try:
        settings = exim_conf.Settings(domain=text)
    except ValueError:
        return
    assert re.fullmatch(r"[a-z0-9.-]+", text)
    assert domains.normalise(text) == text
    exim_conf.render(settings)


@hypothesis.given(strategies.from_regex(r"\A[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){1,3}\Z"))
def test_every_domain_an_instance_can_have_is_accepted(text: str) -> None:
    try:
        name = domains.normalise(text)
    except ValueError:
        return
    assert name in exim_conf.render(exim_conf.Settings(domain=name))


@pytest.mark.parametrize("value", [0, -1, 1_000_000_001, True, 1.5, "5", None], ids=repr)
@pytest.mark.parametrize("field", NUMBERS)
def test_a_limit_that_is_not_a_positive_number_is_refused(field: str, value: tp.Any) -> None:
    with pytest.raises(ValueError, match=f"{field} is not an integer"):
        exim_conf.Settings(domain="tenant.example", **{field: value})


def test_a_message_size_that_exim_cannot_count_is_refused() -> None:
    assert changed(message_size_mb=2047) == ["message_size_limit = 2047M"]
    with pytest.raises(ValueError, match=r"^message_size_mb is not an integer from 1 to 2047$"):
        exim_conf.Settings(domain="tenant.example", message_size_mb=2048)


def test_a_choice_that_is_not_a_boolean_is_refused() -> None:
    for name in ("allow_private_mx", "mta_sts"):
        wrong: dict[str, tp.Any] = {name: "no"}
        with pytest.raises(ValueError, match=f"{name} is not a boolean"):
            exim_conf.Settings(domain="tenant.example", **wrong)


def test_an_index_is_tied_to_the_file_it_was_made_from() -> None:
    tie = exim_conf.index_tie(inode=5, size=6, mtime=7)
    assert tie == "5:6:7"
    assert f"{{{exim_conf.INDEX_TIE_KEY}}}cdb" in GOLDEN.read_text()


if __name__ == "__main__":
    GOLDEN.write_text(exim_conf.render(exim_conf.Settings(domain="tenant.example")))
