# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The stand's internet as a process of its own, on loopback addresses of this run's own."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
import typing as tp

import pytest
import requests

from stand.internet import client as client_lib

if tp.TYPE_CHECKING:
    import pathlib

_START_SECONDS: tp.Final = 20


@dataclasses.dataclass(frozen=True)
class Internet:
    address: str
    state: pathlib.Path
    process: subprocess.Popen[bytes]
    client: client_lib.Client

    dns_port = 5300
    smtp_port = 2500
    http_port = 8000


def command(address: str, state: pathlib.Path) -> list[str]:
    return [
        *(sys.executable, "-m", "stand.internet", "--state", str(state)),
        *("--dns", f"{address}:{Internet.dns_port}"),
        *("--smtp", f"{address}:{Internet.smtp_port}"),
        *("--http", f"{address}:{Internet.http_port}"),
    ]


def start(address: str, state: pathlib.Path) -> Internet:
    process = subprocess.Popen(command(address, state))
    url = f"http://{address}:{Internet.http_port}"
    deadline = time.monotonic() + _START_SECONDS
    while True:
        assert process.poll() is None, "the internet ended before it answered"
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the internet does not answer"
            time.sleep(0.05)
        else:
            return Internet(address, state, process, client_lib.Client(url))


@pytest.fixture(scope="session")
def loopback() -> str:
    """Return an address of 127/8 no other run on this machine has: it holds the process id."""
    pid = os.getpid()
    return f"127.{77 + (pid >> 16 & 0x3F)}.{pid >> 8 & 0xFF}.{pid & 0xFF}"


@pytest.fixture(scope="session")
def _process(loopback: str, tmp_path_factory: pytest.TempPathFactory) -> tp.Iterator[Internet]:
    running = start(loopback, tmp_path_factory.mktemp("internet"))
    yield running
    running.process.terminate()
    assert running.process.wait(timeout=10) == 0


@pytest.fixture
def internet(_process: Internet) -> tp.Iterator[Internet]:
    before = _process.client.records()
    yield _process
    for name in _process.client.records():
        if name not in before:
            _process.client.withdraw(name)
    _process.client.clear()
