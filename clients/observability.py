# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the dashboard and the alert rules of this repository ask a Prometheus."""

from __future__ import annotations

import json
import pathlib
import typing as tp

import yaml

_FOLDER: tp.Final = pathlib.Path(__file__).parents[1] / "exordos/observability"
RULES: tp.Final = _FOLDER / "alerts.yaml"
DASHBOARD: tp.Final = json.loads((_FOLDER / "dashboard.json").read_text())
ALERTS: tp.Final[dict[str, dict[str, tp.Any]]] = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
}
QUERIES: tp.Final[list[tuple[str, str]]] = [
    (panel["title"], target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
]
"""The title of a panel and what it asks, for each question of each panel."""


def filled_in(query: str) -> str:
    """Return a query of the dashboard for all instances and the hour before now."""
    for name, value in {
        "$__rate_interval": "1h",
        "$__range": "1h",
        "$project": ".*",
        "$instance": ".*",
    }.items():
        query = query.replace(name, value)
    return query
