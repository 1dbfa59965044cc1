# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of processes and sockets, proc(5)."""

from __future__ import annotations

import typing as tp

# TCP_LISTEN of include/net/tcp_states.h.
_LISTEN = "0A"
# Stopped by a signal or a debugger, dead, or dead and not yet waited for.
_NOT_RUNNING = frozenset("tTXxZ")


class Process(tp.NamedTuple):
    """A process as /proc/<pid>/stat has it."""

    started: str
    """Clock ticks from the boot to its start: no later process of its number has them."""
    runs: bool
    """Whether it does anything: it is neither dead nor stopped by a signal."""


def parse_process(text: str) -> Process:
    """Return the process that /proc/<pid>/stat tells of; ValueError for another text."""
    # The name is in parentheses and may have anything in it.
    _, parenthesis, rest = text.rpartition(")")
    fields = rest.split()
    if not parenthesis or len(fields) < 20:  # noqa: PLR2004 - the 22nd field, the third is the first here
        raise ValueError("not the status of a process")
    return Process(fields[19], runs=fields[0] not in _NOT_RUNNING)


def parse_listening(text: str) -> set[int]:
    """Return the ports somebody listens on, of /proc/net/tcp or tcp6."""
    ports = set()
    for line in text.splitlines()[1:]:
        fields = line.split(maxsplit=4)
        if len(fields) > 3 and fields[3] == _LISTEN:  # noqa: PLR2004 - local, remote, state
            ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports
