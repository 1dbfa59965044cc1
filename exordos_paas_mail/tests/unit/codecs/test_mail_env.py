# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""codecs.mail_env and codecs.relay_env: what a node is told, as data."""

from __future__ import annotations

import uuid

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import env_files, mail_env, relay_env
from exordos_paas_mail.tests.unit.codecs import texts

KINDS = {"allow_private_mx": bool, "connections_max": int, "message_size_max": str}


NAMES = st.builds(
    "{}.{}".format,
    st.lists(texts.labels(10), min_size=1, max_size=5).map(".".join),
    texts.top_labels(9),
)


@hypothesis.given(NAMES, NAMES)
def test_parse_is_the_inverse_of_render(domain: str, hostname: str) -> None:
    assert mail_env.parse(mail_env.render(domain)) == (domain, domain)
    assert mail_env.parse(mail_env.render(domain, hostname)) == (domain, hostname)


@pytest.mark.parametrize("hostname", [None, "example.com"])
def test_a_relay_that_goes_by_its_domain_is_told_no_name(
    hostname: str | None,
) -> None:
    assert mail_env.render("example.com", hostname) == "MAIL_DOMAIN=example.com\n"


def test_the_domain_of_a_relay_with_a_name_stands_where_the_release_before_finds_it() -> None:
    text = mail_env.render("example.com", "smtp.example.com")

    assert text == "MAIL_DOMAIN=example.com\nMAIL_HOSTNAME=smtp.example.com\n"
    # What the release before asks of the file, and where it looks.
    assert env_files.parse(text)["MAIL_DOMAIN"] == "example.com"


def test_a_node_is_told_whose_it_is_where_the_release_before_looks_for_nothing() -> None:
    owner = mail_env.Owner(uuid.UUID(int=1), uuid.UUID(int=2))
    text = mail_env.render("example.com", None, owner)

    assert text == (
        "MAIL_DOMAIN=example.com\n"
        "MAIL_INSTANCE=00000000-0000-0000-0000-000000000001\n"
        "MAIL_PROJECT=00000000-0000-0000-0000-000000000002\n"
    )
    assert mail_env.parse_owner(text) == owner
    assert mail_env.parse(text) == ("example.com", "example.com")
    assert mail_env.parse_owner("MAIL_DOMAIN=example.com\n") is None
    with pytest.raises(ValueError, match="hexadecimal"):
        mail_env.parse_owner('MAIL_INSTANCE=a"} 1\nMAIL_PROJECT=b')


@hypothesis.given(st.text(max_size=40))
def test_whatever_is_parsed_renders_to_itself(value: str) -> None:
    try:
        domain, hostname = mail_env.parse(f"MAIL_DOMAIN=a.example\nMAIL_HOSTNAME={value}")
    except ValueError:
        return
    assert mail_env.parse(mail_env.render(domain, hostname)) == (domain, hostname)


def test_comments_empty_lines_and_later_keys_are_skipped() -> None:
    text = "# mail\n\nMAIL_LATER=1\nMAIL_DOMAIN=mail.example.com"
    assert mail_env.parse(text) == ("mail.example.com", "mail.example.com")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("example", id="one label"),
        pytest.param("example.com.", id="final dot"),
        pytest.param(".example.com", id="first dot"),
        pytest.param("exa..mple.com", id="empty label"),
        pytest.param("Example.com", id="upper case"),
        pytest.param(" example.com", id="leading space"),
        pytest.param("example.com ", id="trailing space"),
        pytest.param("example.com\r", id="carriage return"),
        pytest.param('"example.com"', id="quoted"),
        pytest.param("$(reboot).com", id="command substitution"),
        pytest.param("`reboot`.com", id="backticks"),
        pytest.param("a;reboot.com", id="semicolon"),
        pytest.param("${run{/bin/sh}}.com", id="exim expansion"),
        pytest.param("-a.example.com", id="leading hyphen"),
        pytest.param("a-.example.com", id="trailing hyphen"),
        pytest.param("exa_mple.com", id="underscore"),
        pytest.param("192.0.2.1", id="address"),
        pytest.param("bücher.example", id="not ascii"),
        pytest.param("a" * 64 + ".example", id="label of 64"),
        pytest.param(".".join(["a" * 61] * 4) + ".abcdef", id="254 octets"),
        pytest.param("../../etc.passwd", id="path"),
    ],
)
def test_what_is_not_a_name_is_refused_both_ways(value: str) -> None:
    with pytest.raises(ValueError, match="MAIL_DOMAIN"):
        mail_env.render(value)
    with pytest.raises(ValueError, match="MAIL_DOMAIN"):
        mail_env.parse(f"MAIL_DOMAIN={value}\n")
    with pytest.raises(ValueError, match="MAIL_HOSTNAME"):
        mail_env.render("example.com", value)
    with pytest.raises(ValueError, match="MAIL_HOSTNAME"):
        mail_env.parse(f"MAIL_DOMAIN=example.com\nMAIL_HOSTNAME={value}\n")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param("", "missing", id="empty"),
        pytest.param("MAIL_HOST=example.com\n", "missing", id="other key"),
        pytest.param("MAIL_DOMAIN=a.example\nMAIL_DOMAIN=b.example\n", "twice", id="twice"),
        pytest.param("export MAIL_DOMAIN=a.example\n", "KEY=value", id="export"),
        pytest.param("MAIL_DOMAIN\n", "KEY=value", id="no value"),
        pytest.param("reboot\nMAIL_DOMAIN=a.example\n", "KEY=value", id="command"),
    ],
)
def test_a_file_without_exactly_one_domain_is_refused(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        mail_env.parse(text)


@hypothesis.given(
    st.fixed_dictionaries(
        {},
        optional={
            "allow_private_mx": st.booleans(),
            "connections_max": st.integers(0, 999_999_999),
            "message_size_max": st.from_regex(r"\A[0-9]{1,3}[KMG]\Z"),
        },
    )
)
def test_relay_overrides_survive_render_and_parse(values: dict[str, relay_env.Value]) -> None:
    assert relay_env.parse(relay_env.render(values), KINDS) == values


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param("RELAY_ALLOW_PRIVATE_MX=true", "yes nor no", id="not yes or no"),
        pytest.param("RELAY_ALLOW_PRIVATE_MX", "KEY=value", id="no value"),
        pytest.param("RELAY_CONNECTIONS_MAX=-1", "not a number", id="negative"),
        pytest.param("RELAY_CONNECTIONS_MAX=1e9", "not a number", id="float"),
        pytest.param("RELAY_CONNECTIONS_MAX=٣", "not a number", id="other digits"),
        pytest.param("RELAY_CONNECTIONS_MAX=1\nRELAY_CONNECTIONS_MAX=1", "twice", id="twice"),
        pytest.param("RELAY_MESSAGE_SIZE_MAX=${run{/bin/sh}}", "characters", id="expansion"),
        pytest.param("RELAY_MESSAGE_SIZE_MAX=1M\r", "characters", id="carriage return"),
        pytest.param("PATH=/tmp", "RELAY_NAME", id="foreign key"),
    ],
)
def test_a_wrong_override_is_refused_by_name(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        relay_env.parse(text, KINDS)


def test_a_setting_of_another_release_is_passed_over_and_named() -> None:
    text = "RELAY_LATER=${x}\nRELAY_CONNECTIONS_MAX=1\nRELAY_TYPO=yes\n"

    assert relay_env.parse(text, KINDS) == relay_env.parse("RELAY_CONNECTIONS_MAX=1\n", KINDS)
    assert relay_env.unknown(text, KINDS) == ["RELAY_LATER", "RELAY_TYPO"]


def test_no_overrides_are_no_settings() -> None:
    assert relay_env.parse("", KINDS) == {}
    assert relay_env.parse("# nothing\n\n", KINDS) == {}
