# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the control plane shares: the clock, and writes by column."""

from __future__ import annotations

import datetime
import typing as tp

from psycopg import sql
from restalchemy.dm import types
from restalchemy.storage.sql import engines


def now() -> datetime.datetime:
    """Return the time, with the microseconds a column keeps."""
    return datetime.datetime.now(datetime.timezone.utc)


def timestamp(moment: datetime.datetime) -> str:
    """Return *moment* as the timestamp columns store it."""
    return str(types.UTCDateTimeZ().to_simple_type(moment))


def optional_timestamp(moment: datetime.datetime | None) -> str | None:
    """Return *moment* as the timestamp columns store it, None as it is."""
    return None if moment is None else timestamp(moment)


def moment(stored: tp.Any) -> tp.Any:
    """Return the time that a timestamp column has; what is no time as it is."""
    if isinstance(stored, datetime.datetime):
        return stored.replace(tzinfo=datetime.timezone.utc)
    return stored


EPOCH: tp.Final = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
# Of the year 9999, the last that there is a datetime of.
_MILLISECONDS_MAX: tp.Final = 253_370_764_800_000


def milliseconds(stored: tp.Any) -> int:
    """Return the milliseconds since 1970 of the time that a timestamp column has."""
    return int((moment(stored) - EPOCH) // datetime.timedelta(milliseconds=1))


def stored_milliseconds(since: int) -> str | None:
    """Return milliseconds since 1970 as the timestamp columns store them; None for 0."""
    if not since:
        return None
    return timestamp(EPOCH + datetime.timedelta(milliseconds=min(since, _MILLISECONDS_MAX)))


def transaction(session: tp.Any = None) -> tp.Any:
    """Return a context that yields *session*, or one of its own that it commits at the end."""
    return engines.engine_factory.get_engine().session_manager(session=session)


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
