# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""CPU and memory of a process and of all that it starts, whoever they end as children of."""

from __future__ import annotations

import contextlib
import pathlib
import re
import tempfile
import typing as tp

_ROOTS: tp.Final = ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup")


class CpuGroup:
    """A control group of its own for processes and their descendants (cgroups(7))."""

    def __init__(self, name: str, *pids: int) -> None:
        root = next(path for path in map(pathlib.Path, _ROOTS) if (path / "cgroup.procs").exists())
        # One of a run that was killed may be left: process ids of a name space come again.
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix=f"mailaas-benchmark-{name}-", dir=root))
        for pid in pids:
            self.add(pid)

    def add(self, pid: int) -> None:
        """Take a process in; what it has started before stays outside."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def memory(self) -> int:
        """Return the octets of memory of all of them, what they share counted once (PSS)."""
        kilobytes = 0
        for pid in (self._folder / "cgroup.procs").read_text().split():
            # It may have ended since
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                shown = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                kilobytes += sum(map(int, re.findall(r"^Pss: +(\d+) kB$", shown, re.MULTILINE)))
        return kilobytes * 1024

    def milliseconds(self) -> float:
        """Return the CPU used so far."""
        usage = self._folder / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e6
        shown = (self._folder / "cpu.stat").read_text()
        (used,) = re.findall(r"^usage_usec (\d+)$", shown, re.MULTILINE)
        return int(used) / 1e3

    def close(self) -> None:
        """Remove the group; what still runs in it goes back to where it came from."""
        outside = self._folder.parent / "cgroup.procs"
        for pid in (self._folder / "cgroup.procs").read_text().split():
            # It may have ended since
            with contextlib.suppress(ProcessLookupError):
                outside.write_text(pid)
        self._folder.rmdir()
