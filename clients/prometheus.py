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

from clients import waiting

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

_SECONDS: tp.Final = 60
# Both say so once the port is open; the port that is asked for is 0.
_LISTENS = re.compile(r'"Listening on".* address=\S*:(\d+)')


class PrometheusError(RuntimeError):
    """A program has ended, or a question is none; the message says what it said."""


class Prometheus:
    """A Prometheus; every method raises PrometheusError and requests.RequestException."""

    def __init__(self, url: str) -> None:
        """*url* is the root of its interface, http://host:port."""
        self._url = url
        self._session = requests.Session()
        # It is on this machine: no proxy of the network it sits in is asked.
        self._session.trust_env = False

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the series that *expression* gives now: their labels and values.

        Raises TimeoutError when some target does not answer for a minute: all that it told
        is gone as soon as it is late once, and back with its next answer.
        """

        def look() -> tp.Any:
            now = str(time.time())
            data = self._get("query", {"query": expression, "time": now})
            # Asked after it, of the same moment: no series had gone by then.
            late = self._get("query", {"query": "up == 0", "time": now})["result"]
            return None if late else data

        data = waiting.until(expression, look, _SECONDS)
        if data["resultType"] != "vector":
            raise PrometheusError(f"{expression} gives a {data['resultType']}")
        return [(found["metric"], float(found["value"][1])) for found in data["result"]]

    def rules(self) -> dict[str, str]:
        """Return the health of each alert rule."""
        groups = self._get("rules", {})["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def wait_until_ready(self) -> None:
        """Wait until it answers queries; it listens before it has read its store."""
        ready = f"{self._url}/-/ready"
        waiting.until("Prometheus", lambda: self._session.get(ready, timeout=_SECONDS).ok, _SECONDS)

    def wait_for(self, expression: str) -> None:
        """Wait until *expression* gives a series; raises TimeoutError."""
        waiting.until(expression, lambda: self.query(expression), _SECONDS)

    def _get(self, what: str, parameters: Mapping[str, str]) -> tp.Any:
        url = f"{self._url}/api/v1/{what}"
        answer = self._session.get(url, params=parameters, timeout=_SECONDS).json()
        if answer["status"] != "success":
            raise PrometheusError(f"{parameters}: {answer['error']}")
        return answer["data"]


@contextlib.contextmanager
def node_exporter(directory: pathlib.Path) -> Iterator[int]:
    """Run a node exporter that reads the metrics in *directory*; yields its port.

    Its log is beside the directory. Raises PrometheusError and TimeoutError.
    """
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
    """Run a Prometheus that asks *targets*, ports by name, each second, and has *rules*.

    What it has and says is in *folder*. Raises PrometheusError and TimeoutError.
    """
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

        def listens() -> re.Match[str] | None:
            found = _LISTENS.search(said.read_text())
            if found is None and process.poll() is not None:
                raise PrometheusError(f"{command[0]} has ended: {said.read_text()}")
            return found

        try:
            yield int(waiting.until(command[0], listens, _SECONDS, pause=0.05)[1])
        finally:
            process.kill()
