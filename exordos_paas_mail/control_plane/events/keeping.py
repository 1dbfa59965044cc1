# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""How long events and figures are kept: erasures, the log of each instance, the disk of all.

A day that nobody keeps any more is a partition, and dropped whole.
"""

from __future__ import annotations

import itertools
import logging
import time
import typing as tp

from psycopg import errors as pg_errors
from psycopg import sql

from exordos_paas_mail import utils
from exordos_paas_mail.control_plane.events import (
    reports,
    reputation,
    rows,
    shares,
    stats,
    suppressing,
)
from exordos_paas_mail.control_plane.records import erased, erasures, notices

if tp.TYPE_CHECKING:
    import datetime
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)

# Seconds between two looks at what is too old.
PERIOD: tp.Final = 600.0
# And between two writes of the figures that instances tell.
FIGURES_PERIOD: tp.Final = 60.0
# Erasures between two looks at what has come.
ERASURES_MAX: tp.Final = 10
# And rounds of each that is of an account or an instance, which may have millions of events:
# nobody's are taken in meanwhile. What is about a recipient is taken out whole.
ERASURE_ROUNDS: tp.Final = 10
# Octets of the log of all instances, with its indexes: the disk is the whole control plane's.
SIZE_MAX: tp.Final = 3 * 2**30
_ROUND: tp.Final = 5_000


class Keeper:
    """Takes out of the log what is not to be in it any more."""

    def __init__(self) -> None:
        self._next = 0.0
        self._next_figures = 0.0
        self.levels = shares.Levels()

    def run_once(self) -> bool:
        """Carry out erasures, and now and then retention; return whether partitions went."""
        with utils.transaction() as session:
            asked = erasures.find_all(session)
        for erasure in asked[:ERASURES_MAX]:
            self._erase(erasure)
        if time.monotonic() >= self._next_figures:
            self._next_figures = time.monotonic() + FIGURES_PERIOD
            stats.tell_last_day(utils.now())
            reputation.judge(utils.now())
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + PERIOD
        return self.keep_in_bounds()

    def keep_in_bounds(self) -> bool:
        """Take out what is too old or too much; return whether partitions went."""
        now = utils.now()
        with utils.transaction() as session:
            found = session.execute("SELECT uuid, log FROM mail_instances").fetchall()
        days = [row["log"]["retention_days"] for row in found]
        has_dropped = self._drop_days(now - max(days, default=0) * rows.DAY)
        for row in found:
            self._trim(row["uuid"], row["log"], now)
        stats.keep_in_bounds(now)
        suppressing.keep_in_bounds(now)
        reports.keep_in_bounds(now)
        notices.forget(now)
        erased.forget(now)
        self._measure()
        return has_dropped

    @staticmethod
    def _erase(erasure: erasures.Erasure) -> None:
        rounds = itertools.repeat(0) if erasure.recipient is not None else range(ERASURE_ROUNDS)
        for _ in rounds:
            with utils.transaction() as session:
                # Whoever takes in has done so, or finds it gone.
                rows.lock(session)
                is_done = erasures.carry_out(session, erasure)
                if is_done:
                    erasures.forget(session, erasure)
            if is_done:
                return

    @staticmethod
    def _drop_days(oldest: datetime.datetime) -> bool:
        has_dropped = False
        for table in (rows.EVENTS, rows.MESSAGES):
            with utils.transaction() as session:
                days = rows.partitions(session, table)
            for day, name in days.items():
                if day >= oldest.date():
                    continue
                try:
                    with utils.transaction() as session:
                        # A reader may take longer, and everybody else would wait behind this.
                        session.execute("SET LOCAL lock_timeout = '2s'")
                        session.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
                except pg_errors.LockNotAvailable:
                    LOG.info("The events of %s are being read, and dropped later", day)
                    continue
                has_dropped = True
        return has_dropped

    @staticmethod
    def _trim(
        instance: sys_uuid.UUID, log: tp.Mapping[str, tp.Any], now: datetime.datetime
    ) -> None:
        """Take out what an instance has beyond its days and rows."""
        oldest = rows.first_uuid(now - log["retention_days"] * rows.DAY)
        with utils.transaction() as session:
            beyond = session.execute(
                "SELECT uuid FROM mail_events WHERE instance = %s ORDER BY uuid DESC"
                " OFFSET %s LIMIT 1",
                (str(instance), log["max_rows"]),
            ).fetchall()
        # A message goes with its first event.
        bound = max([oldest, *(str(row["uuid"]) for row in beyond)])
        for table, operator in ((rows.EVENTS, "<=" if beyond else "<"), (rows.MESSAGES, "<")):
            count = _ROUND
            while count == _ROUND:
                with utils.transaction() as session:
                    count = session.execute(
                        f"DELETE FROM {table} WHERE uuid IN (SELECT uuid FROM {table}"  # noqa: S608
                        f" WHERE instance = %s AND uuid {operator} %s LIMIT %s)",
                        (str(instance), bound, _ROUND),
                    ).rowcount

    def _measure(self) -> None:
        """Keep less while the log of all is too large, of who has most of it first."""
        with utils.transaction() as session:
            size = rows.size(session)
            levels = shares.judge(session, size, SIZE_MAX)
        if levels != self.levels:
            LOG.warning(
                "The log of all instances has %d MB: %s is kept, and of %d with most of it %s",
                *(size // 2**20, levels.others, len(levels.beyond), levels.of_beyond),
            )
        self.levels = levels
