# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What an instance's status means: of its node set, and of what its nodes report."""

from __future__ import annotations

import typing as tp

from exordos_paas_mail.control_plane.records import statuses

# Seconds after which a user is told that a node's agent is silent.
PATIENCE: tp.Final = 60
SILENT: tp.Final = (
    f"the node's agent has been silent for more than {PATIENCE} seconds:"
    " mail is relayed as before, changes wait"
)


class Report(tp.NamedTuple):
    """What a node says about itself, and whether it still says anything."""

    status: str
    error: str = ""
    silent: bool = False


def infra_status(node_set_status: str | None) -> str:
    """Return the status of an instance's infrastructure; None is a node set not there yet."""
    if node_set_status in (statuses.ACTIVE, statuses.ERROR):
        return str(node_set_status)
    return statuses.IN_PROGRESS


def instance_status(
    infra: str, reports: tp.Collection[Report], losses: str = ""
) -> tuple[str, str]:
    """Return the status an instance shows, and what is wrong.

    *infra* is ``infra_status`` of its node set, *reports* what its nodes last
    said. ACTIVE means that the node set is, and that every node has applied
    the instance at least once and is well: an account that travels to a
    healthy node does not make the instance IN_PROGRESS again. An agent that has
    fallen silent is told and changes no status: the relay goes on without it. So
    are *losses*, what the image of a node cannot do.
    """
    status, error = _status(infra, reports)
    silent = SILENT if any(report.silent for report in reports) else ""
    return status, "; ".join(filter(None, [error, losses, silent]))


def _status(infra: str, reports: tp.Collection[Report]) -> tuple[str, str]:
    if infra == statuses.ERROR:
        return statuses.ERROR, "the node set is in the ERROR status"
    failed = sorted(report.error for report in reports if report.status == statuses.ERROR)
    if failed:
        return statuses.ERROR, failed[0] or "a node is in the ERROR status and gave no reason"
    if infra != statuses.ACTIVE or not reports:
        return statuses.IN_PROGRESS, ""
    if any(report.status != statuses.ACTIVE for report in reports):
        return statuses.IN_PROGRESS, ""
    return statuses.ACTIVE, ""
