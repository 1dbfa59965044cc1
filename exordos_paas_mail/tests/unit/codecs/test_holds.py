# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from exordos_paas_mail.codecs import holds
from exordos_paas_mail.codecs.holds import Hold, State
from exordos_paas_mail.tests.unit.codecs import texts

DOMAIN = "example.com"
FILE = "app@example.com:hold 1764200000000\nweb@example.com:delete 1764200000001\n.:2\n"
HOLDS = [
    ("web", Hold(State.DELETE, 1_764_200_000_001)),
    ("app", Hold(State.HOLD, 1_764_200_000_000)),
]


def test_the_file_is_sorted_and_ends_with_a_mark() -> None:
    assert holds.render(HOLDS, DOMAIN) == FILE
    assert holds.render(reversed(HOLDS), DOMAIN) == FILE
    assert holds.render([], DOMAIN) == ".:0\n"
    assert holds.by_login(FILE) == {f"{name}@{DOMAIN}": hold for name, hold in HOLDS}


def test_who_is_held() -> None:
    assert [state for state in State if state.is_held] == [State.HOLD, State.DEFER, State.REJECT]


@hypothesis.given(
    st.dictionaries(
        texts.words(texts.LETTERS + "0123456789_+=-", 10, first=texts.LETTERS),
        st.builds(Hold, st.sampled_from(State), st.integers(1, 2**53)),
    )
)
def test_parse_is_the_inverse(accounts: dict[str, Hold]) -> None:
    text = holds.render(accounts.items(), DOMAIN)
    assert holds.parse(text, DOMAIN) == sorted(accounts.items())


@pytest.mark.parametrize("count", range(FILE.count("\n")))
def test_a_file_that_was_cut_at_the_end_of_a_line_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="end"):
        holds.parse("".join(FILE.splitlines(keepends=True)[:count]), DOMAIN)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(FILE[:-1], id="no end of the last line"),
        pytest.param(FILE.replace(".:2", ".:1"), id="another count"),
        pytest.param(FILE.replace("web@example.com", "web@other.example"), id="another domain"),
        pytest.param(FILE.replace("web@", "aaa@"), id="out of order"),
        pytest.param(FILE.replace("web@", "app@"), id="twice"),
        pytest.param(FILE.replace(":hold ", ":held "), id="no state"),
        pytest.param(FILE.replace(":hold 1764200000000", ":hold"), id="no time"),
        pytest.param(FILE.replace(":hold 1", ":hold 01"), id="another spelling of the time"),
        pytest.param(FILE.replace(":hold 1764200000000", ":hold 9999999999999999"), id="too late"),
        pytest.param(FILE.replace(":hold ", ":${run{x}} "), id="an expansion"),
        pytest.param("# comment\n", id="a comment"),
        pytest.param("", id="empty"),
    ],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|end"):
        holds.parse(text, DOMAIN)
