# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""An instance that serves, kept for the tests that begin with one and are not about how."""

from __future__ import annotations

import contextlib
import math
import time
import typing as tp

import psycopg
from restalchemy.storage.sql import engines

from exordos_paas_mail.tests.unit.control_plane import gservice
from exordos_paas_mail.tests.unit.control_plane import stage as stages

if tp.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    from exordos_paas_mail.tests.unit.control_plane import api_client, fake_core

# No older than a test on a busy machine finds one that it brought there itself.
_FRESH_SECONDS = 60


class Kept:
    """What a served instance consists of: rows, what Core holds, and files.

    To bring one there takes two hundred statements and a dozen requests, so it is
    done once a minute. Each test is given all of it as it was then, with services
    that have just started.
    """

    def __init__(self, connection: psycopg.Connection[tuple[tp.Any, ...]]) -> None:
        self._connection = connection
        self._taken = -math.inf
        self._path = ""
        self._node: gservice.Node | None = None
        self._rows: dict[str, bytes] = {}
        self._core: dict[str, tp.Any] = {}
        self._files: dict[str, bytes] = {}

    def is_fresh(self) -> bool:
        return time.monotonic() - self._taken < _FRESH_SECONDS

    def take(self, stage: stages.Stage, work_dir: pathlib.Path) -> None:
        """Bring *stage*, of an empty database, to a node that works, and keep it."""
        began = time.monotonic()
        self._node, self._path = stage.serving(), stage.path
        self._core = stage.core.state()
        self._files = {path.name: path.read_bytes() for path in work_dir.iterdir()}
        with engines.engine_factory.get_engine().session_manager() as session:
            tables = gservice.tables(session)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for table in tables:
                with cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT") as rows:  # noqa: S608
                    self._rows[table] = b"".join(rows)
        self._taken = began

    def put_back(
        self, api: api_client.Client, core: fake_core.FakeCore, work_dir: pathlib.Path
    ) -> stages.Stage:
        """Return the stage that was kept, as *api* and *core* have it from now on."""
        core.put_back(self._core)
        for name, content in self._files.items():
            (work_dir / name).write_bytes(content)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            # Whoever refers to whom.
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table, rows in self._rows.items():
                if rows:
                    with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                        copy.write(rows)
        stage = stages.Stage(api, core, gservice.GService(core, work_dir), self._path)
        stage.node = self._node
        if self._node is not None:
            # Its last sign of life is as old as what is kept.
            self._node.beat()
        return stage


@contextlib.contextmanager
def keeping(database: str) -> Iterator[Kept]:
    """Give what keeps an instance of the database with that URI, by a connection of its own."""
    with psycopg.connect(database) as connection:
        yield Kept(connection)
