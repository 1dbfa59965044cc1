# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Nobody who writes into exim's log passes for another; ``make fuzz-log`` reads a million lines."""

from __future__ import annotations

import collections
import itertools
import random
from typing import TYPE_CHECKING

from exordos_paas_mail.codecs import event_figures, main_log
from exordos_paas_mail.tests.unit.codecs import hostile_lines

if TYPE_CHECKING:
    import pytest

COUNT = 3000


def test_a_hostile_line_is_read_as_what_it_is() -> None:
    lines = itertools.islice(hostile_lines.Lines(random.Random(1)), COUNT)  # noqa: S311
    assert [
        (line, why) for line, fields in lines if (why := hostile_lines.wrong(line, fields))
    ] == []


def test_what_is_read_of_a_hostile_line_travels_and_counts_by_a_known_name() -> None:
    lines = itertools.islice(hostile_lines.Lines(random.Random(2)), COUNT)  # noqa: S311
    counters: collections.Counter[str] = collections.Counter()
    assert [line for line, _ in lines if not hostile_lines.travels(line, counters)] == []
    assert counters.keys() - event_figures.NAMES == set()


def test_a_parser_that_looks_for_fields_anywhere_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lines are hostile enough: the plain way to read an address fails on them."""

    def naive(text: str) -> tuple[str, str]:
        recipient, _, rest = text.partition(" ")
        return recipient, f" {rest}"

    monkeypatch.setattr(main_log, "_recipient", naive)
    lines = itertools.islice(hostile_lines.Lines(random.Random(1)), COUNT)  # noqa: S311
    wrong = [line for line, fields in lines if hostile_lines.wrong(line, fields)]
    assert len(wrong) > COUNT // 10
