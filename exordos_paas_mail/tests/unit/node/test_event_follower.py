# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import itertools
import os
import shutil
import time
import typing as tp
from unittest import mock

import pytest

from exordos_paas_mail.node.events import follower as follower_

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator


class Log:
    """A log as exim and logrotate keep it: a line is its number, behind its time."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.count = 0

    def write(self, lines: int = 1) -> None:
        with self.path.open("a") as file:
            for _ in range(lines):
                self.count += 1
                file.write(f"2026-11-26 11:{self.count:04} {self.count}\n")

    def rotated(self, number: int) -> pathlib.Path:
        return self.path.with_name(f"mainlog.{number}")

    def rename(self) -> None:
        """Rotate as /etc/logrotate.d/exim4-base of a node has it: delaycompress, nocreate."""
        for number in range(9, 1, -1):
            packed = self.rotated(number).with_suffix(f".{number}.gz")
            if packed.exists():
                packed.rename(self.rotated(number + 1).with_suffix(f".{number + 1}.gz"))
        if self.rotated(1).exists():
            with gzip.open(self.path.with_name("mainlog.2.gz"), "wb") as file:
                file.write(self.rotated(1).read_bytes())
            self.rotated(1).unlink()
        self.path.rename(self.rotated(1))

    def copy(self) -> None:
        """Rotate by copytruncate."""
        shutil.copy(self.path, self.rotated(1))
        os.truncate(self.path, 0)


@pytest.fixture
def log(tmp_path: pathlib.Path) -> Log:
    return Log(tmp_path / "mainlog")


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    """Have each look at the clock be seconds later."""
    seconds = itertools.count(0.0, 3.0)
    with mock.patch.object(time, "monotonic", side_effect=seconds):
        yield


def numbers(follower: follower_.Follower, reads: int = 12) -> list[int]:
    return [int(line.split()[-1]) for _ in range(reads) for line in follower.read()]


def test_each_line_is_read_once(log: Log) -> None:
    follower = follower_.Follower(log.path)
    assert numbers(follower) == []
    log.write(3)
    assert numbers(follower) == [1, 2, 3]
    log.write(10_000)
    assert numbers(follower) == list(range(4, 10_004))
    assert numbers(follower) == []


def test_a_line_is_read_when_it_is_whole(log: Log) -> None:
    follower = follower_.Follower(log.path)
    log.path.write_text("2026 1")
    assert numbers(follower) == []
    with log.path.open("a") as file:
        file.write("\n2026 2\n2026 3")
    assert numbers(follower) == [1, 2]
    with log.path.open("a") as file:
        file.write("4\n")
    assert numbers(follower) == [34]


@pytest.mark.parametrize("how", ["rename", "copy"])
def test_a_rotation_loses_and_repeats_nothing(log: Log, how: str) -> None:
    follower = follower_.Follower(log.path)
    for _ in range(5):
        log.write(2)
        if log.count % 4:
            numbers(follower)
        before = log.count
        getattr(log, how)()
        with log.rotated(1).open("a") as late:
            late.write("2026 0\n")
        log.write(1)
        read = numbers(follower)
        assert read[-2:] == ([0, log.count] if how == "rename" or before else [log.count])
        assert follower.gaps == []
    assert numbers(follower) == []


@pytest.mark.parametrize("stop_at", range(13))
def test_who_was_away_for_some_rotations_goes_on_where_it_was(log: Log, stop_at: int) -> None:
    position = None
    read: list[int] = []
    for step in range(12):
        log.write(3)
        if step < stop_at:
            follower = follower_.Follower(log.path, position)
            read += numbers(follower)
            position = follower.position
            follower.close()
        log.write(1)
        if step % 2 and step < 11:
            log.rename()
    follower = follower_.Follower(log.path, position)
    read += numbers(follower, 40)
    assert read == list(range(log.count - len(read) + 1, log.count + 1))
    assert len(read) == log.count or not stop_at
    assert follower.gaps == []


def test_a_rotated_file_is_read_before_there_is_another(log: Log) -> None:
    follower = follower_.Follower(log.path)
    log.write(2)
    assert numbers(follower) == [1, 2]
    log.rename()
    log.write(2)
    log.rename()
    assert numbers(follower) == [3, 4]
    assert numbers(follower) == []
    log.write(1)
    assert numbers(follower) == [5]


def test_a_file_that_is_gone_is_a_gap(log: Log) -> None:
    follower = follower_.Follower(log.path)
    log.write(2)
    assert numbers(follower) == [1, 2]
    log.path.unlink()
    # What is read of an open file is not lost by that.
    assert numbers(follower) == []
    other = follower_.Follower(log.path, follower.position)
    log.write(3)
    gaps, read = [], []
    for _ in range(12):
        read += [int(line.split()[-1]) for line in other.read()]
        gaps += other.gaps
    assert (read, gaps) == ([3, 4, 5], ["the file of the log that was being read is gone"])


def test_a_packed_file_that_is_damaged_is_a_gap(log: Log) -> None:
    log.write(4000)
    position = follower_.Position(log.path.read_bytes().partition(b"\n")[0], 40)
    log.rename()
    log.write(1)
    log.rename()
    log.write(1)
    packed = log.path.with_name("mainlog.2.gz")
    packed.write_bytes(packed.read_bytes()[:-2000])
    follower = follower_.Follower(log.path, position)
    gaps: list[str] = []
    read: list[int] = []
    for _ in range(20):
        read += [int(line.split()[-1]) for line in follower.read()]
        gaps += follower.gaps
    assert (read[-2:], len(gaps)) == ([4001, 4002], 1)


def test_zeros_that_a_power_cut_leaves_are_no_line(log: Log) -> None:
    follower = follower_.Follower(log.path)
    log.path.write_bytes(b"\0" * 4000 + b"2026 1\n")
    assert numbers(follower) == [1]
    other = follower_.Follower(log.path, follower.position)
    with log.path.open("ab") as file:
        file.write(b"\0" * 100 + b"2026 2\n")
    assert numbers(other) == [2]


def test_what_has_no_end_is_passed_over(log: Log) -> None:
    log.write(1)
    follower = follower_.Follower(log.path)
    with log.path.open("ab") as file:
        file.write(b"x" * (2 * follower_.CHUNK_SIZE) + b"\n")
    log.write(1)
    read = [line for _ in range(6) for line in follower.read()]
    assert read[0].endswith(b" 1")
    assert read[-1].endswith(b" 2")


def test_a_clock_that_was_set_back_stops_nobody(log: Log) -> None:
    follower = follower_.Follower(log.path)
    log.write(1)
    numbers(follower)
    log.rename()
    log.path.write_text("2025-01-01 7\n")
    assert numbers(follower) == [7]
