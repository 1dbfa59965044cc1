# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""node.events.figures: what was counted is told every few seconds."""

from __future__ import annotations

import time
import typing as tp
from unittest import mock

import pytest

from exordos_paas_mail.codecs import event_figures, mail_events
from exordos_paas_mail.node.events import figures, recorder

if tp.TYPE_CHECKING:
    import pathlib


def test_the_file_says_what_the_store_has(tmp_path: pathlib.Path) -> None:
    reader = recorder.Recorder(tmp_path / "mainlog", tmp_path, lambda: 2**40)
    reader.store.keep([mail_events.Event(7_000, mail_events.Type.GAP)], None, [], {"gaps": 1})
    path = tmp_path / "figures.json"
    teller = figures.Teller(path)
    before = time.time_ns() // 1_000_000
    teller.turn(reader)
    told = event_figures.parse(path.read_bytes())
    assert before <= told.at <= time.time_ns() // 1_000_000
    assert told == event_figures.Figures(
        at=told.at,
        read_at=reader.read_at,
        waiting=1,
        waiting_bytes=reader.store.waiting()[1],
        oldest_at=7_000,
        counters={**dict.fromkeys(event_figures.NAMES, 0), "gaps": 1},
    )
    assert path.stat().st_mode & 0o777 == 0o640


def test_it_is_written_when_it_is_time_and_tried_again_then(tmp_path: pathlib.Path) -> None:
    reader = recorder.Recorder(tmp_path / "mainlog", tmp_path, lambda: 2**40)
    path = tmp_path / "run" / "figures.json"
    with mock.patch("time.monotonic", return_value=100.0) as clock:
        teller = figures.Teller(path)
        with pytest.raises(FileNotFoundError):
            teller.turn(reader)
        path.parent.mkdir()
        teller.turn(reader)
        assert not path.exists()
        clock.return_value += figures.PERIOD
        teller.turn(reader)
        assert path.exists()
