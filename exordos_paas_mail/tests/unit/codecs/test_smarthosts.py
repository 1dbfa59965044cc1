# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The smarthost as a node is told it, and as exim looks it up."""

from __future__ import annotations

import base64
import json
import typing as tp

import hypothesis
import pytest
from hypothesis import strategies

from exordos_paas_mail.codecs import rules, smarthosts

GIVEN = smarthosts.Smarthost("smart.example", 587, "starttls", "tenant", "secret")
PRINTABLE = strategies.text(min_size=1, max_size=40).filter(str.isprintable)
SMARTHOSTS = strategies.builds(
    smarthosts.Smarthost,
    host=strategies.sampled_from(["smart.example", "xn--mller-kva.example"]),
    port=strategies.sampled_from(smarthosts.PORTS),
    tls=strategies.sampled_from(smarthosts.TLS),
    username=PRINTABLE,
    password=PRINTABLE,
    domains=strategies.lists(
        strategies.sampled_from(["a.example", "b.example", "*.b.example", "*.c.b.example"])
    ).map(tuple),
)


def looked_up(smarthost: smarthosts.Smarthost | None) -> dict[str, str]:
    lines = smarthosts.table(smarthost).decode("ascii").splitlines()
    return dict(line.split(": ", 1) for line in lines)


def decoded(value: str) -> str:
    return base64.b64decode(value).decode()


def sent(item: str) -> str:
    """Return what exim sends where it has *item* (auth_client_item in 4.96)."""
    out, at = "", 0
    while at < len(item):
        is_two = item[at : at + 2] == "^^"
        out += "^" if is_two else "\0" if item[at] == "^" else item[at]
        at += 2 if is_two else 1
    return out


@hypothesis.given(strategies.none() | SMARTHOSTS)
def test_a_document_is_read_as_it_was_written(told: smarthosts.Smarthost | None) -> None:
    assert smarthosts.parse(smarthosts.render(told)) == told


@hypothesis.given(SMARTHOSTS)
def test_name_and_password_are_sent_as_they_are(told: smarthosts.Smarthost) -> None:
    found = looked_up(told)
    assert sent(decoded(found["username"])) == told.username
    assert sent(decoded(found["password"])) == told.password
    is_ambiguous = told.username.startswith("^") or told.password.startswith("^")
    assert ("plain" in found) is not is_ambiguous
    if "plain" in found:
        assert sent(decoded(found["plain"])) == f"\0{told.username}\0{told.password}"


def test_a_table_has_the_server_and_whose_mail_goes_there() -> None:
    found = looked_up(GIVEN)
    shown = {key: found[key] for key in ("host", "port", "tls", "all")}
    assert shown == {"host": "smart.example", "port": "587", "tls": "starttls", "all": "yes"}
    named = looked_up(GIVEN._replace(domains=("a.example", "b.example")))
    assert "all" not in named
    assert {key for key in named if key.startswith("@")} == {"@a.example", "@b.example"}
    assert smarthosts.table(None) == b""


@hypothesis.given(SMARTHOSTS)
def test_a_table_says_which_mail_goes_there(told: smarthosts.Smarthost) -> None:
    route = smarthosts.route(smarthosts.table(told))
    assert route is not None
    assert route.port == told.port
    for domain in ("a.example", "b.example", "sub.a.example"):
        assert route.takes(domain) is (not told.domains or domain in told.domains)
    by_star = bool({"*.b.example", "*.c.b.example"} & {*told.domains})
    assert route.takes("x.c.b.example") is (not told.domains or by_star)
    assert route.takes("c.b.example") is (not told.domains or "*.b.example" in told.domains)


def test_the_release_before_is_told_the_domains_that_it_knows_and_never_all_for_others() -> None:
    def known(*names: str) -> list[str]:
        document = json.loads(smarthosts.render(GIVEN._replace(domains=names)))
        return tp.cast("list[str]", document["smarthost"]["domains"])

    assert known() == []
    assert known("a.example", "*.b.example") == ["a.example"]
    assert known("*.b.example") == ["smarthost.invalid"]
    # What a control plane of that release says.
    document = json.loads(smarthosts.render(GIVEN._replace(domains=("a.example",))))
    del document["smarthost"]["names"]
    told = smarthosts.parse(json.dumps(document).encode())
    assert told is not None
    assert told.domains == ("a.example",)


@hypothesis.given(SMARTHOSTS)
def test_the_release_before_has_a_table_take_what_it_knows_and_never_all_for_others(
    told: smarthosts.Smarthost,
) -> None:
    # A node that is given its image back keeps the table: no "all", and no domain, were all.
    found = looked_up(told)
    exact = {key.removeprefix("@") for key in found if key.startswith("@")}
    known = {name for name in told.domains if not name.startswith("*.")}
    assert exact == (known or ({"smarthost.invalid"} if told.domains else set()))
    assert ("all" in found) is (not told.domains)


@pytest.mark.parametrize("table", [b"", b"port", b"port: 2525\nall: yes\n", b"\xff: \n"])
def test_what_names_no_server_is_no_route(table: bytes) -> None:
    assert smarthosts.route(table) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("host", ""), ("host", "192.0.2.1"), ("host", "UP.example"), ("host", "a b.example")),
        *(("port", 2525), ("port", "587"), ("tls", "none"), ("username", ""), ("password", "")),
        *(("password", "a\nb"), ("password", "x" * 1025), ("names", ["*"]), ("names", "a.b")),
        *(("names", ["a.example"] * 201), ("names", ["*.*.example"]), ("names", ["*."])),
    ],
)
def test_what_is_no_smarthost_is_refused_without_a_word_of_it(field: str, value: tp.Any) -> None:
    document = json.loads(smarthosts.render(GIVEN))
    document["smarthost"][field] = value
    with pytest.raises(ValueError, match="smarthost") as refused:
        smarthosts.parse(json.dumps(document).encode())
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 2, "smarthost": null}'])
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="document"):
        smarthosts.parse(content)


@pytest.mark.parametrize("value", [None, 1, "", "a\nb", "a\0b", "\t", "x" * 256])
def test_a_name_that_cannot_be_sent_breaks_the_rule(value: object) -> None:
    with pytest.raises(rules.RuleError, match=r"username must be a text of 1 to 255 printable"):
        smarthosts.check_secret("username", value, smarthosts.USERNAME_SIZE_MAX)


def test_a_login_is_no_longer_than_exim_sends() -> None:
    name, password = "\N{PILE OF POO}" * 127 + "é", "\N{PILE OF POO}" * 512
    for secret, size in ((name, 255), (password, 1024)):
        assert smarthosts.check_secret("password", secret, size) == secret
        with pytest.raises(rules.RuleError, match=f"password must have {2 * size} octets at most"):
            smarthosts.check_secret("password", f"{secret}é", size)
    command = f"AUTH PLAIN {base64.b64encode(f'.{name}.{password}'.encode()).decode()}\r\n"
    assert len(command) < 4096


def test_tls_is_begun_by_the_port() -> None:
    found = {port: smarthosts.default_tls(port) for port in smarthosts.PORTS}
    assert found == {587: "starttls", 465: "implicit", 25: "starttls"}
