# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""MTA-STS (RFC 8461): records, policies, and what exim is told of them."""

from __future__ import annotations

import re

import pytest

from exordos_paas_mail.codecs import mta_sts

Mode = mta_sts.Mode
POLICY = (
    b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n"
    b"max_age: 604800\r\n"
)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1; more=x; id=a1; "], "a1"),
        (["v=spf1 -all", "v=STSv1; id=1;"], "1"),
        ([], None),
        (["v=STSv1; id=1;", "v=STSv1; id=2;"], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id=;"], None),
        (["v=STSv1; id=1; id=2;"], None),
        (["v=STSv1; id=has space;"], None),
        (["v=STSv11; id=1;"], None),
        (["V=stsv1; id=1;"], None),
    ],
)
def test_the_id_is_that_of_the_one_record(texts: list[str], found: str | None) -> None:
    assert mta_sts.record_id(texts) == found


@pytest.mark.parametrize(
    ("data", "policy"),
    [
        (POLICY, (Mode.ENFORCE, 604800, ("mail.example.com", "*.example.net"))),
        (
            POLICY.replace(b"\r\n", b"\n"),
            (Mode.ENFORCE, 604800, ("mail.example.com", "*.example.net")),
        ),
        (POLICY.strip(), (Mode.ENFORCE, 604800, ("mail.example.com", "*.example.net"))),
        (
            POLICY.replace(b"mail.", b"MAIL."),
            (Mode.ENFORCE, 604800, ("mail.example.com", "*.example.net")),
        ),
        (b"version: STSv1\nmode: none\nmax_age: 86400\n", (Mode.NONE, 86400, ())),
        (
            b"version:STSv1\nmode:testing\nmx:a.example\nmax_age:0\nnew: x: y\n",
            (Mode.TESTING, 0, ("a.example",)),
        ),
        (b"version: STSv1\nmode: none\nmode: enforce\nmax_age: 1\nmax_age: 2", (Mode.NONE, 1, ())),
        (b"version: STSv1\nmode: none\nmax_age: 9999999999", (Mode.NONE, 31_557_600, ())),
    ],
)
def test_a_policy_is_read(data: bytes, policy: tuple[Mode, int, tuple[str, ...]]) -> None:
    assert mta_sts.parse(data) == policy


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"\xff",
        POLICY.replace(b"STSv1", b"STSv2"),
        POLICY.replace(b"enforce", b"strict"),
        POLICY.replace(b"604800", b"-1"),
        POLICY.replace(b"604800", b"12345678901"),
        POLICY.replace(b"mail.example.com", b"*"),
        POLICY.replace(b"mail.example.com", b"a.*.example"),
        POLICY.replace(b"mail.example.com", b"a)|(.example"),
        POLICY.replace(b"mail.example.com", b"192.0.2.1"),
        b"version: STSv1\nmode: enforce\nmax_age: 1\n",
        POLICY + b"mx: a.example\r\n" * 6000,
        POLICY + b"".join(b"mx: a%d.example.com\r\n" % number for number in range(500)),
    ],
)
def test_what_is_no_policy_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="the policy"):
        mta_sts.parse(data)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("mail.example.com", True),
        ("MAIL.Example.com", True),
        ("a.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
        (".example.net", False),
        ("mail.example.com.evil.example", False),
        ("amail.example.com", False),
        ("mailxexample.com", False),
    ],
)
def test_a_wildcard_stands_for_one_label(name: str, *, allowed: bool) -> None:
    assert mta_sts.allows(mta_sts.parse(POLICY).mx, name) == allowed


def test_exim_is_told_in_words_that_it_takes_for_nothing_else() -> None:
    policy = mta_sts.parse(POLICY)
    said = mta_sts.words(Mode.ENFORCE, until=20, ask=10, mx=policy.mx)
    assert mta_sts.line("example.com", said) == (
        "example.com: mode=enforce ask=10 until=20"
        " mx=^(?i:mail[.]example[.]com|[^.]+[.]example[.]net)$\n"
    )
    failed = mta_sts.words(Mode.FAILED, ask=1, why='no "\\${x}"\nb\xfct')
    assert failed.startswith("mode=failed ask=1 why=\"no '/${x}'")
    assert re.fullmatch(r'[^"\n]*"[^"\n\\]*"', failed)
    assert failed.isascii()
    assert mta_sts.words(Mode.ABSENT, ask=1) == "mode=absent ask=1"
    content = mta_sts.line("example.com", said) + mta_sts.line("a.example", failed)
    mx = r"^(?i:mail[.]example[.]com|[^.]+[.]example[.]net)$"
    assert mta_sts.enforced(content) == {"example.com": mta_sts.Enforced(20, mx)}


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("know a.example 0", ("a.example", 0)),
        ("know a.example 9999", ("a.example", mta_sts.WAIT_MAX)),
    ],
)
def test_a_request_is_read(text: str, request_: tuple[str, int]) -> None:
    assert mta_sts.parse_request(text) == request_


@pytest.mark.parametrize(
    "text", ["", "know", "know A.example 1", "know a b 1", "know a.example -1"]
)
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="request"):
        mta_sts.parse_request(text)


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("private", [True, False])
def test_the_settings_are_read_from_the_configuration(*, on: bool, private: bool) -> None:
    settings = mta_sts.Settings(on=on, private=private)
    text = f"# exim4.conf\n{mta_sts.render_settings(settings)}\nprimary_hostname = a\n"
    assert mta_sts.parse_settings(text) == settings
    assert mta_sts.parse_settings("primary_hostname = a\n") == mta_sts.Settings()


def test_figures_travel() -> None:
    figures = mta_sts.Figures(3)
    assert mta_sts.parse_figures(mta_sts.render_figures(figures)) == figures
    with pytest.raises(ValueError, match="figures"):
        mta_sts.parse_figures(b"{")
