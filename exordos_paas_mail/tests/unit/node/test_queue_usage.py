# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How much was sent, as it is told beside the queue."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.codecs import queue_reports
from exordos_paas_mail.node.policy import counts as counts_
from exordos_paas_mail.node.queue import usage as usage_

if tp.TYPE_CHECKING:
    import pathlib

    import pytest


def test_all_together_are_told_and_those_that_sent_last(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_reports, "USAGE_MAX", 3)
    usage = usage_.Usage(tmp_path)
    assert usage.read() == ()
    counts = counts_.Counts(tmp_path)
    assert usage.read() == ()
    used = (1, 2, 3, 4)
    counts.write((f"user{n}@example.com", counts_.Count(n, used)) for n in range(5))
    counts.write([(counts_.INSTANCE, counts_.Count(0, used))])
    told = (
        queue_reports.Usage("*", 0, *used),
        queue_reports.Usage("user4@example.com", 4, *used),
        queue_reports.Usage("user3@example.com", 3, *used),
    )
    assert usage.read() == told
    counts.close()
    # What cannot be read now is what it was.
    for path in tmp_path.iterdir():
        path.write_bytes(b"damaged" * 1000)
    assert usage.read() == told


def test_usage_travels_with_the_state() -> None:
    state = queue_reports.State(
        at=7, usage=(queue_reports.Usage("*", 5, 1, 2, 3, 4), queue_reports.Usage("a@b"))
    )
    assert queue_reports.parse_state(queue_reports.render_state(state)) == state
