# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of messages and events: conditions that indexes answer, and where a page begins."""

from __future__ import annotations

import dataclasses
import datetime
import typing as tp

from exordos_paas_mail import utils
from exordos_paas_mail.codecs import log_ids

if tp.TYPE_CHECKING:
    import uuid as sys_uuid

# Of the clock of a node, and of the minutes that a message takes to arrive.
SLACK: tp.Final = datetime.timedelta(days=1)


@dataclasses.dataclass
class Page:
    """What a page is of; conditions are added one by one."""

    table: str
    limit: int
    is_newest_first: bool = False
    columns: str = "*"
    conditions: list[str] = dataclasses.field(default_factory=list)
    values: list[tp.Any] = dataclasses.field(default_factory=list)

    def where(self, condition: str, *values: tp.Any) -> None:
        """Add a condition, of SQL that is no client's, with its values."""
        self.conditions.append(condition)
        self.values.extend(values)

    def within(self, operator: str, uuid: str) -> None:
        """Have rows whose uuid is, by *operator*, on one side of *uuid*."""
        self.where(f"uuid {operator} %s", uuid)

    def after(self, marker: sys_uuid.UUID) -> None:
        """Have the page begin after the row *marker*, whether it is still there or not."""
        self.within("<" if self.is_newest_first else ">", str(marker))

    def select(self, session: tp.Any) -> list[dict[str, tp.Any]]:
        """Return the rows of the page."""
        direction = "DESC" if self.is_newest_first else "ASC"
        rows = session.execute(
            f"SELECT {self.columns} FROM {self.table} WHERE {self.condition}"  # noqa: S608
            f" ORDER BY uuid {direction} LIMIT %s",
            (*self.values, self.limit),
        ).fetchall()
        return [dict(row) for row in rows]

    @property
    def condition(self) -> str:
        """All conditions in one, for the values."""
        return " AND ".join(f"({condition})" for condition in self.conditions)


def is_of_another(
    session: tp.Any, table: str, marker: sys_uuid.UUID, instance: sys_uuid.UUID
) -> bool:
    """Return whether *marker* is a row of *table* that another instance has."""
    rows = session.execute(
        f"SELECT FROM {table} WHERE uuid = %s AND instance <> %s",
        (str(marker), str(instance)),
    ).fetchall()
    return bool(rows)


def first_uuid(moment: datetime.datetime) -> str:
    """Return the lowest uuid that a row of *moment* can have."""
    return str(log_ids.first_of(int(moment.timestamp() * 1000)))


def timestamp(moment: datetime.datetime) -> str:
    """Return *moment* as the columns store it."""
    return utils.timestamp(moment.astimezone(datetime.timezone.utc))
