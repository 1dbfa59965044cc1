# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the layers of the control plane share: writes by column, and the status of an instance."""

from __future__ import annotations

import datetime
import typing as tp

from gcl_sdk.infra import constants as platform
from psycopg import sql
from restalchemy.dm import types

NEW: tp.Final[str] = platform.InstanceStatus.NEW.value
IN_PROGRESS: tp.Final[str] = platform.InstanceStatus.IN_PROGRESS.value
ACTIVE: tp.Final[str] = platform.InstanceStatus.ACTIVE.value
ERROR: tp.Final[str] = platform.InstanceStatus.ERROR.value


class Report(tp.NamedTuple):
    """What a node says about itself."""

    status: str
    error: str = ""


def now() -> datetime.datetime:
    """Return the time, with the microseconds a column keeps."""
    return datetime.datetime.now(datetime.timezone.utc)


def timestamp(moment: datetime.datetime) -> str:
    """Return *moment* as the timestamp columns store it."""
    return str(types.UTCDateTimeZ().to_simple_type(moment))


def update_columns(
    session: tp.Any,
    table: str,
    key: tp.Mapping[str, tp.Any],
    columns: tp.Mapping[str, tp.Any],
    at_most: tp.Mapping[str, tp.Any] | None = None,
) -> int:
    """Write *columns*, and no other, of the row of *table* that *key* names.

    *at_most*: the columns that must not be above a value for the row to be
    written. Returns how many rows were written.

    restalchemy's own update writes every column: a writer that read a row,
    waited for something and saved would put back what another wrote meanwhile.
    """
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns
    )
    conditions = sql.SQL(" AND ").join(
        [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in key]
        + [sql.SQL("{} <= %s").format(sql.Identifier(name)) for name in at_most or {}]
    )
    statement = sql.SQL("UPDATE {} SET {} WHERE {}").format(
        sql.Identifier(table), assignments, conditions
    )
    values = (*columns.values(), *key.values(), *(at_most or {}).values())
    return int(session.execute(statement, values).rowcount)


def infra_status(node_set_status: str | None) -> str:
    """Return the status of an instance's infrastructure; None is a node set not there yet."""
    if node_set_status in (ACTIVE, ERROR):
        return str(node_set_status)
    return IN_PROGRESS


def instance_status(infra: str, reports: tp.Collection[Report]) -> tuple[str, str]:
    """Return the status an instance shows, and the reason when it is ERROR.

    *infra* is ``infra_status`` of its node set, *reports* what its nodes last
    said. ACTIVE means that the node set is, and that every node has applied
    the instance at least once and is well: an account that travels to a
    healthy node does not make the instance IN_PROGRESS again.
    """
    if infra == ERROR:
        return ERROR, "the node set is in the ERROR status"
    failed = sorted(report.error for report in reports if report.status == ERROR)
    if failed:
        return ERROR, failed[0] or "a node is in the ERROR status and gave no reason"
    if infra != ACTIVE or not reports:
        return IN_PROGRESS, ""
    if any(report.status != ACTIVE for report in reports):
        return IN_PROGRESS, ""
    return ACTIVE, ""
