# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The rounds of the checker: whatever is due is asked for, many domains at once.

One thread runs them, and waits for all of them together, so that a name server
that hangs delays nobody but its own domain.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import pathlib
import typing as tp

import psycopg

from exordos_paas_mail import constants, utils
from exordos_paas_mail.control_plane.dns import (
    asking,
    checking,
    results,
)
from exordos_paas_mail.control_plane.dns import settings as dns_settings
from exordos_paas_mail.control_plane.records import dns_checks

if tp.TYPE_CHECKING:
    import threading
    import uuid as sys_uuid

LOG = logging.getLogger(__name__)

# Seconds between two looks at what is due.
PERIOD: tp.Final = 5.0
# Checks at once, of all and of one project: nobody has all of them with servers that hang.
CHECKS_MAX: tp.Final = 48
_OF_ONE_MAX: tp.Final = 8


class Rounds:
    """What the thread of the checker does."""

    def __init__(self, settings_file: str = constants.DNS_ENV_FILE) -> None:
        self._settings_file = pathlib.Path(settings_file)
        self._delegations = asking.Delegations()
        self._tasks: dict[sys_uuid.UUID, tuple[sys_uuid.UUID, asyncio.Task[None]]] = {}
        self._is_away = False

    def run(self, stop: threading.Event) -> None:
        """Check what is due until *stop* is set."""
        # Those of a thread before this one died with its loop.
        self._tasks.clear()
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._begin()
                self._is_away = False
            except psycopg.Error as error:
                self._miss(error)
            await asyncio.sleep(PERIOD)
            self._end()

    async def once(self) -> int:
        """Check what is due now, and wait for it; return the number of checks."""
        begun = self._begin()
        if self._tasks:
            await asyncio.wait([task for _, task in self._tasks.values()])
        self._end()
        return begun

    def _begin(self) -> int:
        """Begin the checks that are due, as many as there is room for."""
        room = CHECKS_MAX - len(self._tasks)
        if room <= 0:
            return 0
        with utils.transaction() as session:
            due = dns_checks.due(session, utils.now(), _OF_ONE_MAX, list(self._tasks))
        if not due:
            return 0
        settings, problem = self._settings()
        running = collections.Counter(project for project, _ in self._tasks.values())
        begun = 0
        for domain in due:
            if begun >= room:
                break
            if running[domain.project_id] >= _OF_ONE_MAX:
                continue
            running[domain.project_id] += 1
            begun += 1
            task = asyncio.get_running_loop().create_task(self._check(domain, settings, problem))
            self._tasks[domain.uuid] = (domain.project_id, task)
        return begun

    def _end(self) -> None:
        """Forget the checks that ended; tell what went wrong, of which the next try is later."""
        for uuid, (_, task) in list(self._tasks.items()):
            if not task.done():
                continue
            del self._tasks[uuid]
            error = task.exception()
            if isinstance(error, psycopg.Error):
                self._miss(error)
            elif error is not None:
                LOG.error("The check of the domain %s failed", uuid, exc_info=error)

    def _miss(self, error: psycopg.Error) -> None:
        """Tell once that the database is away: until it is back there is nothing to do."""
        if not self._is_away:
            LOG.warning("The database of the DNS checks cannot be used: %s", type(error).__name__)
        self._is_away = True

    async def _check(
        self, domain: dns_checks.Domain, settings: dns_settings.Settings, problem: str
    ) -> None:
        with utils.transaction() as session:
            if not results.begin(session, domain, utils.now()):
                return
            if problem:
                results.fail(session, domain, problem, utils.now())
                return
        report = await checking.check(results.facts_of(domain), settings, self._delegations)
        with utils.transaction() as session:
            results.write(session, domain, report, utils.now())

    def _settings(self) -> tuple[dns_settings.Settings, str]:
        """Return the settings, and what is wrong with them."""
        try:
            text = self._settings_file.read_text()
        except FileNotFoundError:
            text = ""
        except (OSError, UnicodeDecodeError) as error:
            return dns_settings.Settings(), f"{self._settings_file.name} cannot be read: {error}"
        try:
            return dns_settings.parse(text), ""
        except ValueError as error:
            return dns_settings.Settings(), f"{self._settings_file.name}: {error}"
