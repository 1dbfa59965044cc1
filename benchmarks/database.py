# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The database of a benchmark: statements past the API, and what an act costs with it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
import typing as tp

from restalchemy.storage.sql import engines


def execute(statement: str, *values: tp.Any) -> tp.Any:
    """Execute *statement*; return its rows, None where it has none."""
    with engines.engine_factory.get_engine().session_manager() as session:
        found = session.execute(statement, values)
        return found.fetchall() if found.description else None


def cpu() -> float:
    """Return the CPU seconds of the processes of this benchmark's PostgreSQL."""
    (backend,) = execute("SELECT pg_backend_pid() AS pid")
    (_, server, *_) = _stat(backend["pid"])
    ticks = sum(map(int, _stat(server)[11:15]))
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = _stat(process.name)
            if fields[1] == server:
                ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def cost(act: tp.Callable[[], tp.Any], times: int = 1) -> float:
    """Return the CPU seconds of one *act* of so many, of this thread and of the database."""
    # In this order: to look at the database's processes takes milliseconds.
    database = cpu()
    own = time.thread_time()
    for _ in range(times):
        act()
    return (time.thread_time() - own + cpu() - database) / times


def _stat(pid: int | str) -> list[str]:
    """Return what proc(5) tells of a process, from its state on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
