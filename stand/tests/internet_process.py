# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The stand's internet as a process of its own."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
import typing as tp

import requests

from clients import internet as internet_client

if tp.TYPE_CHECKING:
    import pathlib


_START_SECONDS: tp.Final = 180


@dataclasses.dataclass(frozen=True)
class Internet:
    address: str
    state: pathlib.Path
    process: subprocess.Popen[bytes]
    client: internet_client.Client

    dns_port = 5300
    smtp_port = 2500
    http_port = 8000
    web_port = 4430


# The cloud's own name server is the test's.
SERVERS: tp.Final = ("root", "world", "primary", "secondary", "cloud")
WEB: tp.Final = 6


def neighbour(address: str, number: int) -> str:
    """Return another loopback address of the same run."""
    first, second, rest = address.split(".", 2)
    return f"{first}.{int(second) + number}.{rest}"


def command(address: str, state: pathlib.Path) -> list[str]:
    return [
        *(sys.executable, "-m", "stand.internet", "--state", str(state)),
        *("--dns", f"{address}:{Internet.dns_port}"),
        *(
            word
            for number, role in enumerate(SERVERS, 1)
            for word in (f"--{role}", f"{neighbour(address, number)}:{Internet.dns_port}")
        ),
        *("--smtp", f"{address}:{Internet.smtp_port}"),
        *("--http", f"{address}:{Internet.http_port}"),
        *("--web", f"{neighbour(address, WEB)}:{Internet.web_port}"),
    ]


def start(address: str, state: pathlib.Path) -> Internet:
    process = subprocess.Popen(command(address, state))
    url = f"http://{address}:{Internet.http_port}"
    deadline = time.monotonic() + _START_SECONDS
    while True:
        assert process.poll() is None, "the internet ended before it answered"
        try:
            requests.get(url, timeout=60).raise_for_status()
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the internet does not answer"
            time.sleep(0.05)
        else:
            return Internet(address, state, process, internet_client.Client(url))
