# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from clients import waiting


def test_waiting_ends_with_the_first_answer_accepted() -> None:
    answers = iter([1, 2, 3, 4])
    assert waiting.until("three", lambda: next(answers), 5, lambda it: it > 2, pause=0) == 3
    assert next(answers) == 4


def test_by_default_a_true_answer_is_accepted() -> None:
    answers = iter([None, 0, "", "yes"])
    assert waiting.Poll(5, pause=0).until("yes", lambda: next(answers)) == "yes"


def test_waiting_in_vain_tells_the_last_answer() -> None:
    with pytest.raises(TimeoutError, match=r"^the end: not within 0 s; the last answer was 'no'$"):
        waiting.until("the end", lambda: "no", 0, lambda _: False)


def test_the_last_look_is_after_the_time_is_over() -> None:
    looks = []
    with pytest.raises(TimeoutError):
        waiting.until("the end", lambda: looks.append(1), 0.05, pause=0.1)
    assert len(looks) == 2
