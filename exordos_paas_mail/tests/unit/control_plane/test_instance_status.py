# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from exordos_paas_mail.control_plane.reconcile import status

WELL = status.Report("ACTIVE")
SILENT = status.Report("IN_PROGRESS")


@pytest.mark.parametrize(
    ("node_set", "expected"),
    [
        (None, "IN_PROGRESS"),
        ("NEW", "IN_PROGRESS"),
        ("SCHEDULED", "IN_PROGRESS"),
        ("IN_PROGRESS", "IN_PROGRESS"),
        ("STARTED", "IN_PROGRESS"),
        ("ACTIVE", "ACTIVE"),
        ("ERROR", "ERROR"),
        ("OF A LATER CORE", "IN_PROGRESS"),
    ],
)
def test_a_node_set_is_active_in_error_or_on_its_way(node_set: str | None, expected: str) -> None:
    assert status.infra_status(node_set) == expected


@pytest.mark.parametrize(
    ("infra", "reports", "expected"),
    [
        pytest.param("ACTIVE", [WELL], ("ACTIVE", ""), id="all well"),
        pytest.param("ACTIVE", [WELL, WELL], ("ACTIVE", ""), id="all nodes well"),
        pytest.param("ACTIVE", [], ("IN_PROGRESS", ""), id="no node"),
        pytest.param("ACTIVE", [SILENT], ("IN_PROGRESS", ""), id="nothing reported"),
        pytest.param("ACTIVE", [WELL, SILENT], ("IN_PROGRESS", ""), id="one silent"),
        pytest.param("IN_PROGRESS", [WELL], ("IN_PROGRESS", ""), id="resized"),
        pytest.param(
            "ACTIVE", [status.Report("ERROR", "no exim4")], ("ERROR", "no exim4"), id="node failed"
        ),
        pytest.param(
            "IN_PROGRESS",
            [WELL, status.Report("ERROR", "no exim4")],
            ("ERROR", "no exim4"),
            id="one node failed during a resize",
        ),
        pytest.param(
            "ACTIVE",
            [status.Report("ERROR")],
            ("ERROR", "a node is in the ERROR status and gave no reason"),
            id="no reason",
        ),
        pytest.param(
            "ERROR",
            [WELL],
            ("ERROR", "the node set is in the ERROR status"),
            id="node set failed",
        ),
    ],
)
def test_an_instance_is_as_well_as_its_parts(
    infra: str, reports: list[status.Report], expected: tuple[str, str]
) -> None:
    assert status.instance_status(infra, reports) == expected
