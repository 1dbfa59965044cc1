# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Debian's Prometheus and node exporter, each a process of its own on a free port."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import typing as tp

import requests

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

PATIENCE: tp.Final = 30.0
# Both say so once the port is open; the port that is asked for is 0.
_LISTENS = re.compile(r'"Listening on".* address=\S*:(\d+)')


class Prometheus:
    """A Prometheus at *url*."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the series that *expression* gives now: their labels and values."""
        data = self._get("query", {"query": expression})
        assert data["resultType"] == "vector", expression
        return [(found["metric"], float(found["value"][1])) for found in data["result"]]

    def rules(self) -> dict[str, str]:
        """Return the health of each alert rule."""
        groups = self._get("rules", {})["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def wait_until_ready(self) -> None:
        """Wait until it answers queries; it listens before it has read its store."""
        deadline = time.monotonic() + PATIENCE
        while not requests.get(f"{self._url}/-/ready", timeout=PATIENCE).ok:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def wait_for(self, expression: str) -> None:
        """Wait until *expression* gives a series."""
        deadline = time.monotonic() + PATIENCE
        while not self.query(expression):
            assert time.monotonic() < deadline, f"{expression} gives nothing"
            time.sleep(0.1)

    def _get(self, what: str, parameters: Mapping[str, str]) -> tp.Any:
        answer = requests.get(f"{self._url}/api/v1/{what}", parameters, timeout=PATIENCE).json()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]


@contextlib.contextmanager
def node_exporter(directory: pathlib.Path) -> Iterator[int]:
    """Run a node exporter that reads the metrics in *directory*; yields its port."""
    with _running(
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={directory}",
        "--web.listen-address=127.0.0.1:0",
        said=directory.with_suffix(".log"),
    ) as port:
        yield port


@contextlib.contextmanager
def prometheus(
    folder: pathlib.Path, rules: pathlib.Path, targets: Mapping[str, int]
) -> Iterator[Prometheus]:
    """Run a Prometheus that asks *targets*, ports by name, each second."""
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": "node",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"], "labels": {"node": name}}
                    for name, port in targets.items()
                ],
            }
        ],
    }
    # YAML holds JSON.
    (folder / "prometheus.yml").write_text(json.dumps(configuration))
    with _running(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        said=folder / "prometheus.log",
    ) as port:
        found = Prometheus(f"http://127.0.0.1:{port}")
        found.wait_until_ready()
        yield found


@contextlib.contextmanager
def _running(*command: str, said: pathlib.Path) -> Iterator[int]:
    """Run a program that writes to *said*; yields its port once it listens."""
    with said.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not (match := _LISTENS.search(said.read_text())):
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.05)
            yield int(match[1])
        finally:
            process.kill()
