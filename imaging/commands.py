# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Running the system's own tools."""

from __future__ import annotations

import subprocess
import typing as tp


class CommandError(RuntimeError):
    """A tool said no; the message is its command line and its last words."""


def run(
    *command: str,
    stdin: str = "",
    env: tp.Mapping[str, str] | None = None,
    cwd: str | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run *command*, return it completed, with its output as text.

    Raises CommandError when it fails, unless *check* is off, and
    subprocess.TimeoutExpired after *timeout* seconds.
    """
    done = subprocess.run(
        command,
        input=stdin,
        env=env,
        cwd=cwd,
        check=False,
        timeout=timeout,
        capture_output=True,
        text=True,
    )
    if check:
        require_success(done)
    return done


def require_success(done: subprocess.CompletedProcess[str]) -> None:
    """Raise CommandError unless *done*, a command that ran here, exited with 0."""
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise CommandError(f"{' '.join(done.args)}: exit {done.returncode}: {' | '.join(words)}")


def succeeds(*command: str) -> bool:
    """Return whether *command* exits with 0."""
    return run(*command, check=False).returncode == 0
