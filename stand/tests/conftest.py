# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The stand's internet as a process of its own, on loopback addresses of this run's own."""

from __future__ import annotations

import os
import typing as tp

import pytest

from stand.tests import internet_process


@pytest.fixture(scope="session")
def loopback() -> str:
    """Return an address of 127/8 no other run on this machine has: it holds the process id.

    The seven in the networks above it are this run's too.
    """
    pid = os.getpid()
    return f"127.{1 + 8 * (pid >> 16 & 0x1F)}.{pid >> 8 & 0xFF}.{pid & 0xFF}"


@pytest.fixture(scope="session")
def _process(
    loopback: str, tmp_path_factory: pytest.TempPathFactory
) -> tp.Iterator[internet_process.Internet]:
    running = internet_process.start(loopback, tmp_path_factory.mktemp("internet"))
    yield running
    running.process.terminate()
    assert running.process.wait(timeout=60) == 0


@pytest.fixture
def internet(_process: internet_process.Internet) -> tp.Iterator[internet_process.Internet]:
    before = _process.client.records()
    yield _process
    for name in _process.client.records():
        if name not in before:
            _process.client.withdraw(name)
    _process.client.clear()
