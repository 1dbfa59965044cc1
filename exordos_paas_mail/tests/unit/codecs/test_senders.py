# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import rules, senders
from exordos_paas_mail.tests.unit.codecs import texts

DOMAIN = "example.com"
FILE = "*:domain\napp@example.com:*@*.example.com;noreply@example.com\nweb@example.com:own\n.:3\n"
LINES = [("web", "own"), ("app", "*@*.example.com;noreply@example.com")]


@pytest.mark.parametrize(
    ("entry", "stored"),
    [
        ("own", "own"),
        ("NoReply@Example.COM", "noreply@example.com"),
        ("*@example.com", "*@example.com"),
        ("*@*.Example.com", "*@*.example.com"),
        ("info@m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example", "info@xn--mller-kva.example"),
        (
            "*@*.M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example",
            "*@*.xn--mller-kva.example",
        ),
        ("info@xn--mller-kva.example", "info@xn--mller-kva.example"),
    ],
)
def test_an_entry_has_one_spelling(entry: str, stored: str) -> None:
    assert senders.normalise(entry) == stored
    assert senders.normalise(stored) == stored


@pytest.mark.parametrize(
    "entry",
    [
        *("", "Own", "domain", "*", "@", "@example.com", "a@", "example.com", ".", "*@", "*@*"),
        *("*@*.", "*a@example.com", "a*@example.com", "a@*.example.com", "*@*.*.example.com"),
        *("*@**.example.com", "*@a*.example.com", "**@example.com", "a@b@example.com"),
        *("a;b@example.com", "a:b@example.com", "a,b@example.com", "a b@example.com"),
        *("$x@example.com", "${run{x}}@example.com", "^a.*@example.com", "!a@example.com"),
        *("a@example.com\n", "a@example.com;own", "a@exam ple.com", '"a"@example.com'),
        *("a@[127.0.0.1]", "a@127.0.0.1", "a@localhost", "\xfc@example.com", "a@-x.example"),
        f"{'a' * 65}@example.com",
        f"a@{'b' * 64}.example",
        *(None, 1, True, ["own"], {"own": 1}),
    ],
)
def test_what_is_no_entry_is_refused(entry: object) -> None:
    with pytest.raises(rules.RuleError):
        senders.normalise(entry)


def test_the_domain_of_an_entry() -> None:
    entries = ["own", "a@example.com", "*@example.com", "*@*.example.com"]
    assert [senders.domain_of(entry) for entry in entries] == [None, *[DOMAIN] * 3]


def test_the_file_is_sorted_and_ends_with_a_mark() -> None:
    assert senders.render(senders.POLICY_DOMAIN, LINES, DOMAIN) == FILE
    assert senders.render(senders.POLICY_DOMAIN, reversed(LINES), DOMAIN) == FILE
    assert senders.render(senders.POLICY_ACCOUNT, [], DOMAIN) == "*:own\n.:1\n"
    assert senders.line(["own", "b@example.com", "own"]) == "b@example.com;own"


_FIRST = texts.LETTERS + "0123456789_"
_LOCAL = _FIRST + "+=-"


@hypothesis.given(
    st.sampled_from(sorted(senders.DEFAULTS)),
    st.dictionaries(
        texts.words(_LOCAL, 10, first=_FIRST),
        st.lists(
            st.one_of(
                st.just("own"),
                st.builds(
                    "{}@{}.example".format,
                    st.just("*") | texts.words(_LOCAL, 9),
                    texts.words(texts.LETTERS, 9),
                ),
                st.builds("*@*.{}.example".format, texts.words(texts.LETTERS, 9)),
            ),
            min_size=1,
            max_size=5,
        ),
        max_size=5,
    ),
)
def test_parse_is_the_inverse_of_render(policy: str, accounts: dict[str, list[str]]) -> None:
    lines = [(username, senders.line(entries)) for username, entries in accounts.items()]
    text = senders.render(policy, lines, DOMAIN)
    parsed = senders.parse(text, DOMAIN)
    assert parsed == (policy, sorted((name, line.split(";")) for name, line in lines))


@pytest.mark.parametrize("count", range(FILE.count("\n")))
def test_a_file_that_was_cut_at_the_end_of_a_line_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=r"default|end"):
        senders.parse("".join(FILE.splitlines(keepends=True)[:count]), DOMAIN)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(FILE[:-1], id="no end of the last line"),
        pytest.param(FILE.replace(".:3", ".:2"), id="another count"),
        pytest.param(FILE.replace("*:domain", "*:all"), id="another default"),
        pytest.param(FILE.replace("web@example.com", "web@other.example"), id="another domain"),
        pytest.param(FILE.replace("web@", "aaa@"), id="out of order"),
        pytest.param(FILE.replace("web@", "app@"), id="twice"),
        pytest.param(FILE.replace(":own", ":domain"), id="the default's word"),
        pytest.param(FILE.replace(":own", ":"), id="nothing"),
        pytest.param(FILE.replace(":own", ":own;a@example.com"), id="entries out of order"),
        pytest.param(FILE.replace(":own", ":own;own"), id="an entry twice"),
        pytest.param(FILE.replace(":own", ":*@*.*.example.com"), id="no entry"),
        pytest.param(FILE.replace(":own", ":${run{x}}@example.com"), id="an expansion"),
        pytest.param(
            FILE.replace(":own", ":" + ";".join(f"a{n:03}@example.com" for n in range(101))),
            id="too many",
        ),
        pytest.param("# comment\n", id="a comment"),
        pytest.param("", id="empty"),
    ],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|end|default"):
        senders.parse(text, DOMAIN)
