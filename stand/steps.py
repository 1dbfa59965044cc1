# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of a long command as a person watches them: what runs, what is done, the time it took."""

from __future__ import annotations

import contextlib
import time
import typing as tp

from rich import console as rich_console
from rich import markup, progress


class Step:
    """One step under way."""

    def __init__(self, show: tp.Callable[[str], None]) -> None:
        """Nothing can be said yet; *show* is told what can be."""
        self._show = show
        self._note = ""

    @property
    def note(self) -> str:
        """What can be said of the step so far."""
        return self._note

    @note.setter
    def note(self, text: str) -> None:
        self._note = text
        self._show(text)


class Steps:
    """Shows steps one after the other; on a terminal the running one has a clock."""

    def __init__(self, count: int) -> None:
        """*count* steps will follow."""
        self.console = rich_console.Console(highlight=False, soft_wrap=True)
        self._count = count
        self._number = 0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time since the first step began."""
        return time.monotonic() - self._started

    @contextlib.contextmanager
    def step(self, title: str) -> tp.Iterator[Step]:
        """Show *title* until the block ends, then its time and note; a failure is raised on."""
        self._number += 1
        label = f"{self._number}/{self._count}  {markup.escape(title)}"
        started = time.monotonic()
        live = progress.Progress(
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}"),
            progress.TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        try:
            with live:
                task = live.add_task(label)
                step = Step(
                    lambda text: live.update(task, description=f"{label}  {markup.escape(text)}")
                )
                yield step
        except BaseException:
            self._print("[red]✗[/]", label, started, "failed")
            raise
        self._print("[green]✓[/]", label, started, step.note)

    def _print(self, mark: str, label: str, started: float, note: str) -> None:
        took = time.monotonic() - started
        self.console.print(f"{mark} {label:<58} {took:6.1f} s  {markup.escape(note)}")
