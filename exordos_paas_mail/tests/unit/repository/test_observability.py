# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Dashboard and alert rules; what they ask is asked of a Prometheus by ``make test-metrics``."""

from __future__ import annotations

import json
import pathlib
import re
import typing as tp

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[4]
FOLDER = ROOT / "exordos/observability"
ALERTS = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
METRIC = re.compile(r"mailaas_\w+")


def anchors(document: pathlib.Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_is_wrong_and_where_to_read_on(alert: dict[str, tp.Any]) -> None:
    document, _, anchor = alert["annotations"]["section"].partition("#")
    assert anchor in anchors(ROOT / document)
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert["annotations"]["summary"]


def test_no_two_alerts_and_no_two_panels_have_one_name() -> None:
    for names in (
        [alert["alert"] for alert in ALERTS],
        [panel["title"] for panel in DASHBOARD["panels"]],
        [panel["id"] for panel in DASHBOARD["panels"]],
    ):
        assert len(set(names)) == len(names)


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def test_every_metric_that_is_asked_for_is_documented() -> None:
    asked = {
        name
        for text in (FOLDER / "alerts.yaml", FOLDER / "dashboard.json")
        for name in METRIC.findall(text.read_text())
    }
    told = set(METRIC.findall((ROOT / "docs/node.md").read_text()))
    parts = {name + part for name in told for part in ("", "_bucket", "_sum", "_count")}
    assert asked - parts == set()
